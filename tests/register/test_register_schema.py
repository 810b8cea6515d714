"""The published JSON Schema accepts what the loader accepts, and refuses what it refuses."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

from riskloop.mitigations import kinds
from riskloop.publishing import documents, main, outdated
from riskloop.register import load
from riskloop.register.reading import read_document
from riskloop.register.reference import reference
from riskloop.register.schema import schema
from riskloop.register.shape import MitigationRow
from riskloop.risks import Kind

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "riskloop.yaml"
MISTAKES = sorted((Path(__file__).parent / "mistakes").glob("*.yaml"))

# What only the whole register can say, and what is wrong before there is any data.
LEFT_TO_THE_CHECK = {
    "duration_too_long",
    "mitigation_id_is_a_kind",
    "mitigation_id_reserved",
    "owner_unknown",
    "path_absolute",
    "review_on_no_day",
    "risk_id_twice",
    "same_kind_twice",
    "service_owner_unknown",
    "size_of_a_count",
    "threshold_not_finite",
    "threshold_zero",
    "thresholds_in_wrong_order",
    "thresholds_in_wrong_order_where_lower_is_worse",
}


@pytest.fixture
def validator(toys: Mapping[str, Kind]) -> Draft202012Validator:
    described = schema(toys)
    Draft202012Validator.check_schema(described)
    return Draft202012Validator(described)


def test_it_accepts_a_good_register(validator: Draft202012Validator, good: str) -> None:
    assert best_match(validator.iter_errors(read_document(good.encode()).data)) is None


@pytest.mark.parametrize("file", MISTAKES, ids=lambda file: file.stem)
def test_it_refuses_what_the_loader_refuses(file: Path, validator: Draft202012Validator) -> None:
    document = read_document(file.read_bytes())
    if not document.findings:
        assert validator.is_valid(document.data) == (file.stem in LEFT_TO_THE_CHECK)


def test_the_example_loads_and_fits_the_schema() -> None:
    register = load(EXAMPLE, kinds())
    assert register.mitigations("fixture_drift")
    data = read_document(EXAMPLE.read_bytes()).data
    assert best_match(Draft202012Validator(schema(kinds())).iter_errors(data)) is None


def test_the_settings_of_no_kind_hide_a_key_of_every_mitigation() -> None:
    for kind in kinds().values():
        assert not set(kind.settings.model_fields) & set(MitigationRow.model_fields), kind.name


def test_every_key_is_explained(toys: Mapping[str, Kind]) -> None:
    def unexplained(described: Mapping[str, Any], place: str) -> list[str]:
        named = described.get("properties", {})
        bare = [f"{place}.{name}" for name, value in named.items() if not value.get("description")]
        inner = described.get("$defs", {})
        return bare + [found for name, value in inner.items() for found in unexplained(value, name)]

    assert unexplained(schema(kinds()), "") == []


def test_defaults_are_in_the_registers_notation(toys: Mapping[str, Kind]) -> None:
    properties = schema(toys)["$defs"]["toy_drift"]["properties"]
    assert properties["ttl"]["default"] == "7d"
    assert properties["budget"]["default"] == "5GiB"
    assert "default" not in properties["command"]


def test_the_reference_names_every_key_and_metric(toys: Mapping[str, Kind]) -> None:
    text = reference(toys)
    for name in (
        "`likelihood`",
        "`resolve_after`",
        "`ttl`",
        "`digits`",
        "`toys_left`",
        "| high | 3 | 6 | 9 | 12 |",
    ):
        assert name in text


def test_the_published_files_are_current() -> None:
    assert outdated(ROOT / "docs", kinds()) == ()


def test_publishing_writes_what_the_check_then_finds_current(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path), "--check"]) == 1
    assert "register.md is not current" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
    assert main([str(tmp_path)]) == 0
    assert main([str(tmp_path), "--check"]) == 0
    (tmp_path / "register.md").write_text("edited by hand")
    assert main([str(tmp_path), "--check"]) == 1


def test_publishing_twice_gives_the_same_bytes() -> None:
    assert documents(kinds()) == documents(dict(reversed(list(kinds().items()))))
