"""A run that is killed in the middle: the next one completes it, and nothing is told twice."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from deployments.environment import clean_environment
from tests.flows.looping import Team
from tests.waiting import wait_until

pytestmark = pytest.mark.server

LOOK = "from flows.fixture_drift import fixture_drift; fixture_drift()"


@pytest.fixture
def engine(team: Team, tmp_path: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """Start a run in a process of its own, as the runner does."""
    team.record(a="2")
    with (tmp_path / "engine.txt").open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-P", "-c", LOOK],
            env=clean_environment(os.environ, state=team.state, api_url=team.api_url),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    yield process
    process.kill()
    process.wait()


@pytest.fixture
def gate(team: Team) -> Iterator[Path]:
    """Let the generator wait for a file, which is there in the end whatever happens."""
    gate = team.project / "gate"
    team.write({"input/gate": str(gate)})
    yield gate
    gate.touch()


def stored(team: Team) -> dict[str, int]:
    with sqlite3.connect(team.state / "riskloop.sqlite") as store:
        tables = ("observations", "incidents", "transitions", "postings")
        return {name: store.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in tables}


def test_killed_while_it_looked_a_run_is_made_good_by_the_next(
    team: Team, gate: Path, engine: "subprocess.Popen[bytes]"
) -> None:
    wait_until(lambda: gate.with_name("gate.reached").exists(), within=60, what="the generator runs")
    engine.kill()
    engine.wait()
    assert team.told() == ([], 0, 0, 0)
    gate.touch()
    assert team.look().name == "Breached"
    assert team.told() == (["open"], 0, 1, 0)
    written = team.writes()
    team.look()
    assert team.writes() == written
    assert stored(team) == {"observations": 2, "incidents": 1, "transitions": 1, "postings": 3}


def test_killed_while_it_told_a_run_is_made_good_by_the_follow_up_and_nothing_is_told_twice(
    team: Team, engine: "subprocess.Popen[bytes]"
) -> None:
    team.rig.github.fail("timeout", path=r"/repos/[^/]+/[^/]+/issues", after_commit=True)
    wait_until(team.issues, within=60, what="the issue is opened, and the engine waits for the answer")
    engine.kill()
    engine.wait()
    # What it held is its own for five minutes: nothing may be sent by another meanwhile.
    team.run("follow_up")
    assert len(team.issues()) == 1
    with sqlite3.connect(team.state / "riskloop.sqlite") as store:
        store.execute("UPDATE deliveries SET lease_until = attempted_at WHERE state = 'sending'")
    team.run("follow_up")
    assert team.told() == (["open"], 0, 1, 0)
    assert stored(team) == {"observations": 1, "incidents": 1, "transitions": 1, "postings": 3}
    with sqlite3.connect(team.state / "riskloop.sqlite") as store:
        assert store.execute("SELECT DISTINCT state FROM deliveries").fetchall() == [("done",)]
