"""Automations on a real server: ours are made once and then left to people; theirs hear our events."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from ruamel.yaml import YAML

from deployments.api import Api
from deployments.automations import ensure_automations, wanted
from deployments.directory import Service
from deployments.environment import prefect_home
from tests.deployments.launching import Machine
from tests.waiting import wait_until

pytestmark = pytest.mark.server

DOCUMENT = Path(__file__).parents[2] / "docs" / "automations.md"


@pytest.fixture(scope="module")
def served(machine: Machine) -> Service:
    running = next((one for one in machine.launched if one.process.poll() is None), None)
    return (running or machine.up("automated")).service()


@pytest.fixture
def api(served: Service) -> Iterator[Api]:
    with Api(served.api_url) as api:
        yield api


def named(api: Api, project: str) -> dict[str, dict[str, Any]]:
    return {
        automation["name"].partition(": ")[2]: automation
        for automation in api.automations()
        if automation["name"].startswith(f"riskloop {project}: ")
    }


LOOK_AGAIN = "look again after a failed or crashed run"
STUCK = "end a run that is stuck"


def test_a_start_makes_both_and_the_next_start_makes_nothing(api: Api, tmp_path: Path) -> None:
    prefect_home(tmp_path).mkdir()
    for _ in range(2):
        ensure_automations(api, state=tmp_path, project="twice", tag="riskloop:a")
    made = [one["name"] for one in api.automations() if one["name"].startswith("riskloop twice: ")]
    assert sorted(made) == [f"riskloop twice: {STUCK}", f"riskloop twice: {LOOK_AGAIN}"]


def test_what_a_person_edited_or_deleted_stays_so_when_ours_changes(api: Api, tmp_path: Path) -> None:
    prefect_home(tmp_path).mkdir()
    ensure_automations(api, state=tmp_path, project="edited", tag="riskloop:a")
    made = named(api, "edited")
    httpx.patch(
        f"{api.url}/automations/{made[LOOK_AGAIN]['id']}", json={"enabled": False}, trust_env=False
    ).raise_for_status()
    httpx.delete(f"{api.url}/automations/{made[STUCK]['id']}", trust_env=False).raise_for_status()
    # As a newer version of ours would: the same names, another content.
    ensure_automations(api, state=tmp_path, project="edited", tag="riskloop:b")
    now = named(api, "edited")
    assert set(now) == {LOOK_AGAIN}
    assert now[LOOK_AGAIN]["enabled"] is False
    assert "prefect.tag.riskloop:a" in str(now[LOOK_AGAIN]["trigger"])


def test_what_nobody_touched_follows_ours(api: Api, tmp_path: Path) -> None:
    prefect_home(tmp_path).mkdir()
    ensure_automations(api, state=tmp_path, project="followed", tag="riskloop:a")
    before = named(api, "followed")
    ensure_automations(api, state=tmp_path, project="followed", tag="riskloop:b")
    after = named(api, "followed")
    assert {name: one["id"] for name, one in after.items()} == {
        name: one["id"] for name, one in before.items()
    }
    assert all("prefect.tag.riskloop:b" in str(one["trigger"]) for one in after.values())


def test_one_of_the_same_name_that_is_not_ours_is_left(api: Api, tmp_path: Path) -> None:
    prefect_home(tmp_path).mkdir()
    theirs = api.create_automation({**wanted(project="theirs", tag="riskloop:x")[0], "enabled": False})
    ensure_automations(api, state=tmp_path, project="theirs", tag="riskloop:a")
    assert [(one["id"], one["enabled"]) for one in api.automations() if one["name"] == theirs["name"]] == [
        (theirs["id"], False)
    ]


def test_the_example_of_the_documentation_hears_our_event(api: Api, served: Service) -> None:
    example = re.search(r"```yaml\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    assert example is not None
    content = YAML(typ="safe").load(example[1])
    quick = served.deployments["toy-quick"]
    content["actions"][0]["deployment_id"] = quick
    api.create_automation(content)
    httpx.post(
        f"{api.url}/events",
        json=[
            {
                "id": str(uuid4()),
                "event": "riskloop.incident.opened",
                "occurred": datetime.now(UTC).isoformat(),
                "resource": {
                    "prefect.resource.id": "riskloop.incident.4f0k2m",
                    "prefect.resource.name": "Fixtures drift",
                    "riskloop.severity": "critical",
                },
                "payload": {"reason": "fixtures_changed passed the threshold"},
            }
        ],
        trust_env=False,
    ).raise_for_status()
    said = "Fixtures drift: fixtures_changed passed the threshold"
    wait_until(
        lambda: [run for run in api.runs([quick], types=["COMPLETED"]) if run.message == said],
        within=30,
        what="the example ran the deployment, with what the event says",
    )
