"""Every hand-made mistake is said in its own words, with the line and the place of it."""

import os
import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from riskloop.errors import Mistake, RegisterError
from riskloop.register import load
from riskloop.risks import Kind

FILES = sorted((Path(__file__).parent / "mistakes").glob("*.yaml"))
EXPECTED = re.compile(r"# line (?P<line>\d+) \| (?P<path>.*?) \| (?P<says>.*)")


def expected(file: Path) -> Mistake:
    """Each file begins with a comment that says what is wrong with the rest of it."""
    header = EXPECTED.fullmatch(file.read_bytes().partition(b"\n")[0].decode())
    assert header, file.name
    return Mistake(line=int(header["line"]), path=header["path"], says=header["says"])


def mistakes_of(file: Path, toys: Mapping[str, Kind]) -> tuple[Mistake, ...]:
    with pytest.raises(RegisterError) as raised:
        load(file, toys)
    return raised.value.mistakes


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_it_says_what_is_wrong_where_and_what_to_write(file: Path, toys: Mapping[str, Kind]) -> None:
    assert mistakes_of(file, toys) == (expected(file),)


def test_there_are_at_least_60_mistakes_and_no_two_are_said_alike() -> None:
    said = [expected(file).says for file in FILES]
    assert len(said) >= 60
    assert len(set(said)) == len(said)


def test_every_mistake_of_a_register_is_said_at_once(register_file: Path, toys: Mapping[str, Kind]) -> None:
    register_file.write_text(
        """\
project: Toy shop
owners:
  QA: {githb: acme/qa}
risks:
  - id: broken-toys
    title: Toys break
    likelihood: hihg
    impact: high
    owner: QA Lead
    mitigations:
      - kind: toy_drfit
        thresholds: {}
      - kind: toy_drift
        directory: ../attic
        ttl: soon
        thresholds:
          toys_chnged: {warning: 1}
""",
    )
    with pytest.raises(RegisterError) as raised:
        load(register_file, toys)
    heading, *rows = str(raised.value).splitlines()
    assert heading == f"7 things to fix in {register_file}:"
    assert [tuple(re.split(r" {2,}", row.strip())) for row in rows] == [
        ("line 3", "owners.QA.githb", "no key 'githb' is known here; did you mean 'github'?"),
        ("line 7", "risks[0].likelihood", "'hihg' is none of low, medium, high; did you mean 'high'?"),
        ("line 9", "risks[0].owner", "'QA Lead' is not in owners; there are QA"),
        ("line 11", "risks[0].mitigations[0].kind", "no kind 'toy_drfit'; did you mean 'toy_drift'?"),
        (
            "line 14",
            "risks[0].mitigations[1].directory",
            "'../attic' goes up with '..'; write a path inside the project",
        ),
        ("line 15", "risks[0].mitigations[1].ttl", "'soon' is not a duration; write 7d, 12h or 30m"),
        (
            "line 17",
            "risks[0].mitigations[1].thresholds.toys_chnged",
            "toy_drift has no metric 'toys_chnged'; did you mean 'toys_changed'?",
        ),
    ]


def test_a_misspelt_required_key_is_one_mistake(
    register_file: Path, good: str, toys: Mapping[str, Kind]
) -> None:
    register_file.write_text(
        good.replace("        thresholds: {bytes_over", "        tresholds: {bytes_over")
    )
    assert [mistake.says for mistake in mistakes_of(register_file, toys)] == [
        "no key 'tresholds' is known here; did you mean 'thresholds'?",
    ]


def test_a_suggestion_shows_what_cannot_be_seen(register_file: Path, toys: Mapping[str, Kind]) -> None:
    text = register_file.read_text(encoding="utf-8")
    register_file.write_text(text.replace("  Keeper:", '  "Keeper\\u202e":'), encoding="utf-8")
    with pytest.raises(RegisterError) as caught:
        load(register_file, toys)
    assert r"did you mean 'Keeper\u202e'?" in str(caught.value)
    assert str(caught.value).replace("\n", "").isprintable()


def test_after_200_mistakes_the_rest_is_not_listed(register_file: Path, toys: Mapping[str, Kind]) -> None:
    register_file.write_text("project: Toys\nowners: {QA: {}}\nrisks:\n" + "  - nothing\n" * 900)
    mistakes = mistakes_of(register_file, toys)
    assert len(mistakes) == 201
    assert mistakes[-1].says == "and more mistakes from here on; mend those above first"


def test_a_file_over_1_mb_is_refused_unread(register_file: Path, toys: Mapping[str, Kind]) -> None:
    register_file.write_bytes(b"# padding\n" * 100_001)
    assert "larger than 1 MB" in mistakes_of(register_file, toys)[0].says


def test_no_register_is_said_with_the_command_that_writes_one(
    tmp_path: Path, toys: Mapping[str, Kind]
) -> None:
    assert "'riskloop init'" in mistakes_of(tmp_path / "riskloop.yaml", toys)[0].says


def test_what_is_not_a_file_is_never_waited_for(tmp_path: Path, toys: Mapping[str, Kind]) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert "not a file" in mistakes_of(tmp_path / "pipe", toys)[0].says
    assert "a directory" in mistakes_of(tmp_path, toys)[0].says
    assert "NUL" in mistakes_of(tmp_path / "a\0b", toys)[0].says


def test_a_settings_path_may_not_leave_the_project_through_a_link(
    register_file: Path,
    good: str,
    toys: Mapping[str, Kind],
    tmp_path: Path,
) -> None:
    (register_file.parent / "cellar").symlink_to(tmp_path)
    register_file.write_text(good)
    assert [mistake.says for mistake in mistakes_of(register_file, toys)] == [
        "'cellar' leaves the project through a symbolic link; write the real place, inside the project",
    ]


def test_a_settings_path_may_be_absolute_below_an_allowed_root(
    register_file: Path,
    good: str,
    toys: Mapping[str, Kind],
    tmp_path: Path,
) -> None:
    register_file.write_text(good.replace("directory: cellar", f"directory: {tmp_path}/elsewhere"))
    assert "is absolute" in mistakes_of(register_file, toys)[0].says
    assert load(register_file, toys, allowed_roots=[tmp_path]).configured[2].settings.directory == (
        tmp_path / "elsewhere"
    )


HEAD = "project: Toys\nowners: {QA: {}}\nrisks:\n"
RISK = "- {id: a, title: A, likelihood: low, impact: low, owner: QA"
KEYS = "".join(f"k{n}: 1, " for n in range(20_000))


@pytest.mark.timeout(30)
@pytest.mark.parametrize(
    "text",
    [
        HEAD + RISK + "}\n" + "- {}\n" * 40_000,
        HEAD + RISK + ", mitigations: [" + "{}," * 60_000 + "]}\n",
        HEAD + RISK + ", mitigations: [{kind: toy_drift, " + KEYS + "}]}\n",
        HEAD + RISK + ", mitigations: [{" + KEYS + "}]}\n",
        HEAD + RISK + ", mitigations: [{kind: toy_drift, directory: a, thresholds: {" + KEYS + "}}]}\n",
        HEAD + RISK.replace("QA", "[" + "QA," * 60_000 + "]") + "}\n",
        "project: Toys\nowners:\n"
        + "".join(f"  Owner {n}: {{}}\n" for n in range(1_000))
        + "risks:\n"
        + "".join(RISK.replace("QA", f"Ower {n}") + "}\n" for n in range(1_000)),
    ],
    ids=["risks", "mitigations", "settings", "keys", "thresholds", "owners of a risk", "owners"],
)
def test_a_flood_of_mistakes_is_said_in_seconds(
    register_file: Path, text: str, toys: Mapping[str, Kind]
) -> None:
    register_file.write_text(text)
    assert 1 <= len(mistakes_of(register_file, toys)) <= 201
