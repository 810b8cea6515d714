"""Twelve canary secrets go through real flow runs, failing and not, and Prefect gets to see none of them."""

import importlib
import io
import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from riskloop import mitigations, redaction
from tests import canaries
from tests.canaries import CANARIES
from tests.emulator.fixtures import hold_to_the_description
from tests.emulator.rig import Rig
from tests.flows.looping import MITIGATION, Team, make_team, settings_of
from tests.proxy.faults import Fault, github_says
from tests.waiting import wait_until

pytestmark = pytest.mark.server

GENERATOR = """
env > child-environment; cp child-environment {project}/child-environment
if [ -e input/broken ]; then cat input/broken >&2; exit 3; fi
mkdir -p fixtures
cp input/*.txt fixtures/
"""


@pytest.fixture
def team(prefect_here: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Team]:
    """Give a team whose every secret is a canary."""
    monkeypatch.setattr("riskloop.redaction._known.redactor", redaction.Redactor(()))
    with Rig(canaries.TOKENS) as rig:
        made = make_team(tmp_path, rig=rig, api_url=prefect_here)
        made.write({"tools/make.sh": GENERATOR.format(project=made.project)})
        canaries.put_key(made.state)
        given = settings_of(made) | canaries.environment(tmp_path, slack=rig.slack.url)
        for name, value in given.items():
            monkeypatch.setenv(name, value)
        yield made
        hold_to_the_description(rig)


def raise_a_bug(*_: object, **__: object) -> None:
    said = f"{CANARIES['a token in an exception of a kind']} {canaries.everything(SET)}"
    raise LookupError(said)


SET = tuple(name for name in canaries.OURS if name != "the password of the store")
"""The store is a SQLite file here, whose address has no password."""


@pytest.fixture
def console(team: Team) -> Iterator[io.StringIO]:
    """Write along what Prefect logs to the console, whatever stream it took for that in an earlier test."""
    team.look()  # The first run of a process sets its loggers up.
    written = io.StringIO()
    along = logging.StreamHandler(written)
    loggers = [logging.getLogger(name) for name in ("prefect", "prefect.flow_runs", "prefect.task_runs")]
    for logger in loggers:
        logger.addHandler(along)
    yield written
    for logger in loggers:
        logger.removeHandler(along)


def test_no_canary_comes_out_of_a_flow_run(
    team: Team,
    monkeypatch: pytest.MonkeyPatch,
    console: io.StringIO,
    capfd: pytest.CaptureFixture[str],
) -> None:
    # Breached, and told: what comes out of the generator is full of secrets.
    team.record(a=canaries.everything(SET))
    states = [team.look()]
    # Each channel refuses, and repeats what it was sent.
    needed = {"ok": False, "error": "missing_scope", "needed": CANARIES["a token in what Slack says"]}
    team.rig.github.fail(github_says(422, CANARIES["a token in an HTTP error"]), method="PATCH")
    team.rig.slack.fail(Fault(status=200, body=json.dumps(needed)), path="/api/chat.*")
    team.record(b=canaries.everything(SET))
    states.append(team.look())
    # It cannot be looked at, for a reason and for a bug.
    git = f"fatal: unable to access 'https://u:{CANARIES['a password in an error of git']}@127.0.0.1:9/x.git'"
    team.write({"input/broken": f"{canaries.everything(SET)}\n{git}\n"})
    states.append(team.look())
    notify = importlib.import_module("tasks.notify")
    with monkeypatch.context() as broken:
        broken.setattr(notify, "postman", raise_a_bug)
        states.append(team.look())
    with monkeypatch.context() as broken:
        broken.setattr("riskloop.mitigations.fixture_drift.measure", raise_a_bug)
        mitigations.kinds.cache_clear()
        states.append(team.look())
    mitigations.kinds.cache_clear()
    assert team.run("follow_up").name == "Completed"

    assert [state.name for state in states] == ["Breached", "Breached", "Failed", "Failed", "Failed"]
    runs = {"any_": [str(run) for run in team.runs]}

    def logs() -> str:
        asked = {"logs": {"flow_run_id": runs}, "limit": 200, "sort": "TIMESTAMP_ASC"}
        return json.dumps(team.ask("/logs/filter", asked))

    wait_until(
        lambda: logs().count("some mitigations failed unexpectedly"), within=20, what="the logs arrive"
    )
    places = {
        "the runs' logs": logs(),
        "the runs": json.dumps(team.ask("/flow_runs/filter", {"flow_runs": {"id": runs}})),
        "the tasks": json.dumps(team.ask("/task_runs/filter", {"flow_runs": {"id": runs}})),
        "the artifacts": json.dumps([team.artifacts("markdown"), team.artifacts("table")]),
        "the events": json.dumps(team.events(at_least=3)),
        "the console": console.getvalue(),
        "GitHub": json.dumps([team.issues(), team.comments()]),
        "Slack": json.dumps([team.messages(), team.replies()]),
    }
    for place, text in places.items():
        assert redaction.HIDDEN in text, place
        assert not canaries.found(text), place
    assert not canaries.found("".join(capfd.readouterr()))
    assert canaries.found_in_files(team.state, but=frozenset({"key"})) == {}
    assert canaries.found((team.project / "child-environment").read_text(encoding="utf-8")) == []
    assert "LookupError" in places["the tasks"]
    (team.project / "input/broken").unlink()
    commands = ("measure", "measure --json", "deliveries", "deliveries --json", "incidents", "status")
    for command in (*commands, f"why {MITIGATION}", f"why {MITIGATION} --json"):
        ended = subprocess.run(
            [sys.executable, "-c", "from riskloop.cli import main; main()", *command.split()],
            env=dict(os.environ),
            cwd=team.project,
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.stdout, ended.stderr
        assert canaries.found(ended.stdout + ended.stderr) == [], command
