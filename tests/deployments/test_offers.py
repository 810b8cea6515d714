"""The one list of deployments, read as the launcher reads it."""

from importlib import import_module
from pathlib import Path

import pytest
from prefect import Flow

from deployments.offers import Schedule, packaged_list, read_offers, slug
from riskloop.errors import Refused


def test_every_deployment_that_ships_names_a_flow_by_its_own_name() -> None:
    offers = read_offers(packaged_list())
    assert {"fixture-drift", "adopt-fixtures", "follow-up"} <= {offer.name for offer in offers}
    for offer in offers:
        module, _, function = offer.entrypoint.rpartition(".")
        flow = getattr(import_module(module), function)
        assert isinstance(flow, Flow)
        assert flow.name == offer.name
        assert offer.description
        assert offer.limit == 1


def test_schedules_have_a_cron_and_a_time_zone() -> None:
    (nightly,) = [offer for offer in read_offers(packaged_list()) if offer.name == "fixture-drift"]
    assert nightly.schedules == (Schedule(cron="20 2 * * *", timezone="UTC"),)
    assert nightly.collision == "ENQUEUE"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("deployments: [", "cannot be read"),
        ("[]", "has no list of deployments"),
        ("deployments: [{name: a}]", "without a name or an entrypoint"),
        ("deployments: [{name: a, entrypoint: 'flows/a.py:a'}]", "a module path is needed"),
        ("deployments: [{name: a, entrypoint: m.f, triggers: []}]", "'triggers' in a"),
        ("deployments: [{name: a, entrypoint: m.f, schedules: [{interval: 5}]}]", "without cron"),
        (
            "deployments: [{name: a, entrypoint: m.f, schedules: [{cron: '* * * * *', slug: x}]}]",
            "'slug' in a",
        ),
    ],
)
def test_what_the_launcher_does_not_carry_out_is_refused(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "prefect.yaml"
    path.write_text(text)
    with pytest.raises(Refused, match=says):
        read_offers(path)


@pytest.mark.parametrize(
    ("project", "name"),
    [("Codex SDK", "codex-sdk"), ("  Ünïcode/% ", "n-code"), ("日本", "project"), ("a" * 200, "a" * 60)],
)
def test_a_project_becomes_a_name_that_prefect_accepts(project: str, name: str) -> None:
    assert slug(project) == name
