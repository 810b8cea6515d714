"""What a run leaves in the Prefect UI, how much it asks of the server, and what a dry run leaves."""

import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from riskloop.redelivery import drop
from riskloop.store import Store, letters, open_store
from riskloop.store.letters import Delivery
from tests.flows.looping import MITIGATION, Team, register_of
from tests.waiting import wait_until

pytestmark = pytest.mark.server


def test_a_mitigations_page_has_one_key_with_a_version_for_each_run(team: Team) -> None:
    team.look()
    team.record(a="2")
    team.look()
    team.record(a="1")
    team.look()
    pages = team.artifacts("markdown")
    (key,) = {page["key"] for page in pages}
    assert key.startswith("stale-fixtures-fixture-drift-")
    assert [page["flow_run_id"] for page in pages] == [str(run) for run in team.runs]
    fine, breached, fine_again = (page["data"] for page in pages)
    (issue,) = team.issues()
    assert "Golden fixtures no longer match: ok" in fine
    assert "Golden fixtures no longer match: warning" in breached
    assert "breach opened: fixtures" in breached
    assert "breach resolved: fixtures" in fine_again
    for page in (breached, fine_again):
        assert issue["html_url"] in page
    for page, run in zip((fine, breached, fine_again), team.runs, strict=True):
        assert f"/runs/flow-run/{run}" in page
    assert "| fixtures changed | 1 fixture |" in breached


def test_a_run_has_a_table_of_all_it_looked_at(team: Team) -> None:
    team.record(a="2")
    team.look()
    (table,) = team.artifacts("table")
    (issue,) = team.issues()
    (row,) = json.loads(table["data"])
    assert (row["mitigation"], row["verdict"], row["owner"]) == (MITIGATION, "warning", "SDK Lead")
    assert row["over the threshold"] == "fixtures_changed"
    assert issue["html_url"] in row["told in"]


def test_a_run_shows_what_could_not_be_delivered_once(team: Team) -> None:
    team.record(a="2")
    team.rig.github.fail("422", method="POST", path=r"/repos/[^/]+/[^/]+/issues")
    team.look()
    undelivered, page = team.artifacts("markdown")
    assert "Golden fixtures no longer match: warning" in page["data"]
    assert undelivered["key"].startswith("undelivered-")
    assert undelivered["data"].startswith("# Not everything could be delivered\n")
    assert f"| opened | github {team.repository} | " in undelivered["data"]
    team.run("follow_up")
    team.look()
    assert len(team.artifacts("markdown")) == 3, "the same is not shown again"
    with closing(open_store(f"sqlite:///{team.state / 'riskloop.sqlite'}")) as store:
        drop(store, [dead.id for dead in letters_of(store)], who="QA", why="so", now=datetime.now(UTC))
    team.look()
    assert len(team.artifacts("markdown")) == 4


def test_a_follow_up_shows_what_it_could_not_deliver(team: Team) -> None:
    issues = r"/repos/[^/]+/[^/]+/issues"
    team.record(a="2")
    team.rig.github.fail("429", method="POST", path=issues, times=99)
    team.look()
    team.rig.github.forget()
    with sqlite3.connect(team.state / "riskloop.sqlite") as store:
        store.execute("UPDATE deliveries SET not_before = NULL")
    team.rig.github.fail("422", method="POST", path=issues)
    team.run("follow_up")
    (undelivered,) = team.artifacts("markdown", run=team.runs[-1])
    assert undelivered["key"].startswith("undelivered-")


def letters_of(store: Store) -> tuple[Delivery, ...]:
    with store.reading() as connection:
        return letters.list_deliveries(connection, states={"dead"}, limit=9)


def test_work_that_takes_long_shows_its_progress_while_it_goes_on(
    team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tasks import measure  # noqa: PLC0415 - imports Prefect, which takes seconds

    team.look()
    assert team.artifacts("progress") == []
    monkeypatch.setattr(measure, "PATIENCE_SECONDS", 0.1)
    gate, begun = team.project / "gate", datetime.now(UTC)
    team.write({"input/gate": str(gate)})
    seen: list[dict[str, Any]] = []

    def watch() -> None:
        body = {"artifacts": {"type": {"any_": ["progress"]}}, "sort": "CREATED_DESC", "limit": 1}
        while not seen and datetime.now(UTC) < begun + timedelta(seconds=20):
            found = team.ask("/artifacts/filter", body)
            seen.extend(one for one in found if datetime.fromisoformat(one["created"]) > begun)
        gate.touch()

    watching = Thread(target=watch)
    watching.start()
    team.look()
    watching.join()
    (progress,) = team.artifacts("progress")
    assert [one["id"] for one in seen] == [progress["id"]]
    assert (seen[0]["data"], progress["data"]) == (0.0, 100.0)
    assert progress["description"] == "1 mitigation to look at"


def test_a_run_is_named_by_what_it_looks_at(team: Team) -> None:
    team.look()
    team.look(mitigations=[MITIGATION])
    body = {"flow_runs": {"id": {"any_": [str(run) for run in team.runs]}}, "sort": "ID_DESC"}
    names = {row["id"]: row["name"] for row in team.ask("/flow_runs/filter", body)}
    assert [names[str(run)] for run in team.runs] == [
        "fixture-drift: all",
        f"fixture-drift: {MITIGATION}",
    ]


def test_a_hundred_mitigations_cost_at_most_fifteen_task_runs(team: Team) -> None:
    rows = [
        f"kind: fixture_drift, id: number-{number}, directory: fixtures, regenerate: [sh, tools/make.sh],"
        " thresholds: {fixtures_changed: {warning: 1}}"
        for number in range(99)
    ]
    team.register(register_of(team, mitigations=rows))
    assert team.look().message == "100 looked at, all within their thresholds"
    body = {"flow_runs": {"id": {"any_": [str(team.runs[-1])]}}}
    counted = wait_until(
        lambda: team.ask("/task_runs/count", body), within=10, what="the server counts the task runs"
    )
    assert counted <= 15
    assert len(team.artifacts("markdown")) == 100


def contents(state: Path) -> dict[str, int]:
    """Count the rows of every table of the store."""
    store = open_store(f"sqlite:///{state / 'riskloop.sqlite'}")
    try:
        with store.reading() as connection:
            tables = connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'table'")
            return {
                name: connection.exec_driver_sql(f"SELECT count(*) FROM {name}").scalar_one()
                for (name,) in tables
                if name != "alembic_version"
            }
    finally:
        store.close()


def test_a_dry_run_stores_nothing_tells_nobody_and_stays_out_of_the_history(team: Team) -> None:
    team.record(a="2")
    ended = team.look(dry_run=True)
    assert ended.name == "Breached"
    assert set(contents(team.state).values()) == {0}
    assert team.told() == ([], 0, 0, 0)
    (page,) = team.artifacts("markdown")
    (table,) = team.artifacts("table")
    assert (page["key"], table["key"]) == (None, None)
    assert "Golden fixtures no longer match: warning" in page["data"]


def test_a_dry_run_does_not_speak_of_a_broken_register_or_of_what_has_left_it(team: Team) -> None:
    team.record(a="2")
    team.look()
    before, written = contents(team.state), team.writes()
    moved = register_of(team).replace("kind: fixture_drift", "kind: fixture_drift\n        id: another")
    team.register(moved)
    team.look(dry_run=True)
    team.register("project: [")
    team.look(dry_run=True)
    assert contents(team.state) == before
    assert team.writes() == written
