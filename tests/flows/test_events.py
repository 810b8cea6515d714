"""Every change of an incident is a Prefect event, once, that people hang automations of their own on."""

import re
import socket
import sqlite3
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from ruamel.yaml import YAML

from deployments.api import Api
from riskloop.channels import Posting
from riskloop.errors import TryAgain
from riskloop.incidents import Change
from tests.channels.parcels import at_once, parcel
from tests.flows.looping import MITIGATION, Team
from tests.waiting import wait_until

pytestmark = pytest.mark.server

DOCUMENT = Path(__file__).parents[2] / "docs" / "automations.md"


def test_each_change_is_an_event_that_says_what_it_is_about(team: Team) -> None:
    team.record(a="2")
    team.look()
    team.record(b="2")
    team.look()
    team.record(a="1", b="1")
    team.look()
    opened, worsened, resolved = events = team.events(at_least=3)
    assert [event["event"] for event in events] == [
        "riskloop.incident.opened",
        "riskloop.incident.worsened",
        "riskloop.incident.resolved",
    ]
    assert len({event["resource"]["prefect.resource.id"] for event in events}) == 1
    assert worsened["resource"] == {
        "prefect.resource.id": opened["resource"]["prefect.resource.id"],
        "prefect.resource.name": "Golden fixtures no longer match",
        "riskloop.project": team.repository,
        "riskloop.risk": "stale-fixtures",
        "riskloop.mitigation": MITIGATION,
        "riskloop.concern": "breach",
        "riskloop.severity": "critical",
        "riskloop.owner": "SDK Lead",
    }
    assert opened["resource"]["riskloop.severity"] == "warning"
    assert resolved["resource"]["riskloop.severity"] == "ok"
    (issue,) = team.issues()
    assert opened["payload"]["issue"] == issue["html_url"]
    for event, run in zip(events, team.runs, strict=True):
        assert event["related"][0]["prefect.resource.id"] == f"prefect.flow-run.{run}"


def test_an_event_that_is_sent_again_is_still_one(team: Team) -> None:
    team.record(a="2")
    team.look()
    (first,) = team.events(at_least=1)
    with sqlite3.connect(team.state / "riskloop.sqlite") as store:
        changed = store.execute("UPDATE deliveries SET state = 'pending' WHERE channel = 'events'")
        assert changed.rowcount == 1
    team.run("follow_up")
    with sqlite3.connect(team.state / "riskloop.sqlite") as store:
        (row,) = store.execute("SELECT state, attempts FROM deliveries WHERE channel = 'events'")
    assert row == ("done", 2)
    team.record(b="2")
    team.look()
    again, _ = team.events(at_least=2)
    assert again["id"] == first["id"]


def test_an_event_that_the_server_did_not_take_is_not_told_yet(prefect_here: str) -> None:
    from prefect.settings import PREFECT_API_URL, temporary_settings  # noqa: PLC0415 - takes seconds

    from tasks.events import PrefectEvents  # noqa: PLC0415 - imports Prefect

    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{nobody.getsockname()[1]}/api"
        with temporary_settings({PREFECT_API_URL: address}), pytest.raises(TryAgain, match="did not answer"):
            PrefectEvents().send(parcel("prefect"), turn=at_once)


def test_what_is_quiet_is_no_event(prefect_here: str) -> None:
    from prefect.settings import PREFECT_API_URL, temporary_settings  # noqa: PLC0415 - takes seconds

    from tasks.events import PrefectEvents  # noqa: PLC0415 - imports Prefect

    posting = Posting(reference="an event of before")
    quiet = parcel("prefect", "d2", Change.WORSENED, posting=posting, quiet=True)
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:1/api"}):
        assert PrefectEvents().send(quiet, turn=at_once) == posting


def deployment(team: Team) -> str:
    """Make a deployment that nobody runs."""
    flow = team.ask("/flows/", {"name": f"page-{uuid4()}"})
    made = team.ask(
        "/deployments/", {"name": "page", "flow_id": flow["id"], "enforce_parameter_schema": False}
    )
    return str(made["id"])


def test_the_documented_automation_reacts_to_a_critical_incident_only(team: Team) -> None:
    example = re.search(r"```yaml\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    assert example is not None
    automation: dict[str, Any] = YAML(typ="safe").load(example[1])
    paging = automation["actions"][0]["deployment_id"] = deployment(team)
    team.register((team.project / "riskloop.yaml").read_text(encoding="utf-8").replace("warning: 1, ", ""))
    with Api(team.api_url) as api:
        made = api.create_automation(automation)
        try:
            team.record(a="2", b="2")
            team.look()
            (run,) = wait_until(lambda: api.runs([paging]), within=30, what="the automation runs it")
        finally:
            httpx.delete(f"{team.api_url}/automations/{made['id']}", trust_env=False).raise_for_status()
    body = {"flow_runs": {"id": {"any_": [run.id]}}}
    (found,) = team.ask("/flow_runs/filter", body)
    assert found["parameters"] == {
        "text": "Golden fixtures no longer match: fixtures_changed passed the threshold"
    }
