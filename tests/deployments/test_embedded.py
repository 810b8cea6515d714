"""The launcher, with a real server, on a machine that somebody lives on."""

import contextlib
import os
import signal
import sqlite3
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from deployments.api import UNFINISHED, Api
from deployments.directory import Service, locked, running_service
from deployments.embedded import COULD_NOT, FINE, OPEN, run_deployment, service
from riskloop.errors import RiskloopError
from riskloop.identity import read_identity
from riskloop.settings import read_settings
from riskloop.state_directory import IGNORE
from tests.deployments.launching import Launched, Machine, alive
from tests.waiting import wait_until

pytestmark = pytest.mark.server


@dataclass(kw_only=True)
class Lived:
    """A service that runs, and its API."""

    launched: Launched
    service: Service
    api: Api
    home_before: dict[str, bytes]

    @property
    def tag(self) -> str:
        return f"riskloop:{read_identity(self.launched.state).installation}"


@pytest.fixture(scope="module")
def lived(machine: Machine) -> Iterator[Lived]:
    before = machine.files(machine.home)
    launched = machine.up("lived")
    found = launched.service()
    with Api(found.api_url) as api:
        yield Lived(launched=launched, service=found, api=api, home_before=before)
    launched.end(signal.SIGTERM)


def post(url: str, body: dict[str, Any]) -> Any:
    answer = httpx.post(url, json=body, trust_env=False, timeout=15)
    answer.raise_for_status()
    return answer.json() if answer.content else None


def start_slow(api: Api, found: Service, state: Path, **parameters: object) -> tuple[str, int]:
    """Start the slow toy; the run, and the process it sleeps in."""
    (state / "slow.pid").unlink(missing_ok=True)
    run = api.start(found.deployments["toy-slow"], parameters)
    wait_until(lambda: api.run(run.id).type == "RUNNING", within=60, what="the slow run is Running")
    pid = wait_until(
        lambda: (state / "slow.pid").exists() and (state / "slow.pid").read_text(), within=20, what="its pid"
    )
    return run.id, int(pid)


def test_what_has_a_schedule_is_run_once_after_the_first_start_and_the_status_is_shown(lived: Lived) -> None:
    wait_until(lambda: "the status table" in lived.launched.text(), within=40, what="the status")
    runs = lived.api.runs(tuple(lived.service.deployments.values()), types=["COMPLETED", "FAILED", "CRASHED"])
    first = [run for run in runs if run.deployment == lived.service.deployments["toy-quick"]]
    assert first[-1].state == "Breached"
    assert not lived.api.runs([lived.service.deployments["toy-slow"]])
    assert f"Prefect UI: {lived.service.ui_url}" in lived.launched.text()


def test_a_freshly_served_cron_deployment_gets_scheduled_runs(lived: Lived) -> None:
    quick = [lived.service.deployments["toy-quick"]]
    runs = wait_until(
        lambda: lived.api.runs(quick, types=["SCHEDULED"]), within=30, what="the scheduler makes runs"
    )
    assert all(run.auto_scheduled for run in runs)


def test_a_lived_in_machine_is_left_alone(lived: Lived, machine: Machine) -> None:
    assert machine.files(machine.home) == lived.home_before
    assert machine.calls == []
    assert (lived.launched.state / "prefect" / "prefect.db").exists()
    assert (lived.launched.state / ".gitignore").read_text() == IGNORE


def test_the_server_listens_on_this_machine_only_and_sends_no_telemetry(lived: Lived) -> None:
    told = httpx.get(f"{lived.service.api_url}/admin/settings", trust_env=False).json()
    assert told["server"]["api"]["host"] == "127.0.0.1"
    assert told["server"]["analytics_enabled"] is False
    assert set(told["server"]["services"]["db_vacuum"]["enabled"]) == {"events", "flow_runs"}
    assert httpx.get(lived.service.ui_url, trust_env=False, follow_redirects=True).is_success


def test_a_second_up_refuses_and_names_the_first(lived: Lived, machine: Machine) -> None:
    second = machine.up("lived")
    assert second.process.wait(timeout=30) == 9
    assert f"process {lived.launched.process.pid}, since 20" in second.text()
    assert lived.service.ui_url in second.text()
    assert running_service(lived.launched.state) == lived.service


def test_a_run_with_parameters_goes_through_the_running_service(lived: Lived, machine: Machine) -> None:
    settings = read_settings({}, register=machine.project / "riskloop.yaml", state=lived.launched.state)
    with service(settings, project="Toy Project") as found:
        run = run_deployment(found, "toy-quick", {"text": "by hand"})
    assert (run.type, run.state, run.message) == ("COMPLETED", "Breached", "by hand")
    with pytest.raises(RiskloopError, match="refused POST"):
        run_deployment(found, "toy-quick", {"text": ["no text"]})


def test_a_failed_look_is_planned_again_by_an_automation(lived: Lived) -> None:
    made = {automation["name"]: automation for automation in lived.api.automations()}
    assert set(made) == {
        "riskloop toy-project: look again after a failed or crashed run",
        "riskloop toy-project: end a run that is stuck",
    }
    failing = lived.service.deployments["toy-failing"]
    assert run_deployment(lived.service, "toy-failing", {}).type == "FAILED"
    again = wait_until(
        lambda: lived.api.runs([failing], types=["SCHEDULED"]), within=30, what="the look is planned again"
    )
    later = datetime.fromisoformat(again[0].expected_start) - datetime.now(UTC)
    assert timedelta(minutes=8) < later < timedelta(minutes=11)


def test_two_registers_share_a_server_and_touch_neither_each_other_nor_a_stranger(
    lived: Lived, machine: Machine
) -> None:
    shared = {"RISKLOOP_PREFECT_API_URL": lived.service.api_url}
    run, pid = start_slow(lived.api, lived.service, lived.launched.state)

    other = machine.up("other", project="Other Project", once=True, prefect_api_url=lived.service.api_url)
    assert other.process.wait(timeout=90) == OPEN, other.text()
    assert lived.api.run(run).type == "RUNNING"
    names = {(deployment.flow, deployment.name) for deployment in lived.api.deployments(lived.tag)}
    assert ("toy-quick", "toy-project") in names
    assert ("toy-quick", "other-project") not in names

    same = machine.up("same", project="Toy Project", prefect_api_url=lived.service.api_url)
    assert same.process.wait(timeout=60) == 9
    assert "belongs to another installation" in same.text()
    assert lived.api.run(run).type == "RUNNING"
    assert alive([pid]) == {pid}

    settings = read_settings(shared, register=machine.project / "riskloop.yaml", state=machine.state("other"))
    with service(settings, project="Other Project", only=["toy-quick"], deployments=machine.toys) as found:
        assert set(found.deployments) == {"toy-quick"}
        done = run_deployment(found, "toy-quick", {"text": "shared"})
    assert done.message == "shared"
    assert lived.api.run(run).type == "RUNNING"


def row(state: Path, run: str) -> str:
    """The type of a run's state, from the database of a server that is down; no other run is unfinished."""
    with sqlite3.connect(state / "prefect" / "prefect.db") as database:
        states: dict[str, str] = dict(database.execute("SELECT id, state_type FROM flow_run").fetchall())
    assert not set(states.values()) & set(UNFINISHED)
    return states[run]


def let_time_pass(state: Path) -> list[str]:
    """Move four scheduled runs into the past, newest first, as if the service had been down for hours."""
    with sqlite3.connect(state / "prefect" / "prefect.db") as database:
        planned = "SELECT id FROM flow_run WHERE auto_scheduled AND state_type = 'SCHEDULED' LIMIT 4"
        missed: list[str] = [found for (found,) in database.execute(planned)]
        for hours, run in enumerate(missed, start=1):
            then = (datetime.now(UTC) - timedelta(hours=hours)).strftime("%Y-%m-%d %H:%M:%S.%f")
            database.execute(
                "UPDATE flow_run SET expected_start_time = ?, next_scheduled_start_time = ? WHERE id = ?",
                (then, then, run),
            )
            # The engine waits for the time its state was scheduled for.
            database.execute(
                "UPDATE flow_run_state SET state_details = json_set(state_details, '$.scheduled_time', ?)"
                " WHERE flow_run_id = ?",
                (f"{then.replace(' ', 'T')}Z", run),
            )
    return missed


def schedule(found: Service, deployment: str) -> tuple[str, bool]:
    """The address of a deployment's only schedule, and whether it is active."""
    address = f"{found.api_url}/deployments/{deployment}"
    (only,) = httpx.get(address, trust_env=False).json()["schedules"]
    return f"{address}/schedules/{only['id']}", only["active"]


def stopped_in_the_middle_of_a_run(machine: Machine) -> Service:
    first = machine.up("lives")
    found = first.service()
    with Api(found.api_url) as api:
        quick = [found.deployments["toy-quick"]]
        wait_until(lambda: api.latest(quick), within=40, what="the first run ends")
        wait_until(lambda: api.runs(quick, types=["SCHEDULED"]), within=30, what="runs are scheduled")
        post(f"{found.api_url}/deployments/{found.deployments['toy-failing']}/pause_deployment", {})
        run, pid = start_slow(api, found, first.state, deaf=True)
    group = first.group()
    assert pid in group
    assert first.end(signal.SIGTERM) < 25
    assert first.process.returncode == FINE
    assert alive(group) == set()
    assert running_service(first.state) is None
    assert row(first.state, run) == "CRASHED"
    return found


def killed_in_the_middle_of_a_run(machine: Machine, before: Service, missed: list[str]) -> str:
    second = machine.up("lives", unassessed=["toy"])
    found = second.service()
    assert (found.ui_url, found.deployments) == (before.ui_url, before.deployments)
    assert "missed runs given up: 3" in second.text()
    with Api(found.api_url) as api:
        quick = found.deployments["toy-quick"]
        assert [api.run(run).type for run in missed[1:]] == ["CANCELLED"] * 3
        wait_until(lambda: api.run(missed[0]).type == "COMPLETED", within=60, what="the newest missed run")
        # Besides the very first and the missed one: the store knows no look, so that it is run once more.
        wait_until(
            lambda: len(api.runs([quick], types=["COMPLETED"])) == 3, within=60, what="it is looked at again"
        )
        address, _ = schedule(found, quick)
        httpx.patch(address, json={"active": False}, trust_env=False).raise_for_status()
        orphan, _ = start_slow(api, found, second.state)
    group = second.group()
    second.process.kill()
    second.process.wait()
    wait_until(lambda: not alive(group), within=10, what="nothing lives without its parent")
    return orphan


def interrupted_twice_in_the_middle_of_a_run(machine: Machine, orphan: str) -> None:
    third = machine.up("lives")
    found = third.service()
    with Api(found.api_url) as api:
        quick = found.deployments["toy-quick"]
        assert api.run(orphan).type == "CRASHED"
        # A restart runs nothing by itself.
        assert len(api.runs([quick], types=["COMPLETED"])) == 3
        tag = f"riskloop:{read_identity(third.state).installation}"
        paused = {deployment.flow: deployment.paused for deployment in api.deployments(tag)}
        assert paused == {"toy-quick": False, "toy-failing": True, "toy-slow": False}
        assert schedule(found, quick)[1] is False
        assert not api.runs([quick], types=["SCHEDULED"])
        run, _ = start_slow(api, found, third.state, deaf=True)
    group = third.group()
    third.process.send_signal(signal.SIGINT)
    with contextlib.suppress(subprocess.TimeoutExpired):
        third.process.wait(timeout=1)
    assert third.end(signal.SIGINT) < 8
    assert alive(group) == set()
    assert row(third.state, run) == "CRASHED"


def test_a_service_lives_through_sigterm_kill_and_ctrl_c_with_nothing_left_behind(machine: Machine) -> None:
    found = stopped_in_the_middle_of_a_run(machine)
    missed = let_time_pass(machine.state("lives"))
    orphan = killed_in_the_middle_of_a_run(machine, found, missed)
    interrupted_twice_in_the_middle_of_a_run(machine, orphan)


@pytest.mark.parametrize("part", ["server", "serving"])
def test_a_part_that_is_killed_ends_the_service_with_a_line_that_names_it(
    machine: Machine, part: str
) -> None:
    maimed = machine.up(f"maimed-{part}")
    maimed.service()
    wait_until(lambda: "the status table" in maimed.text(), within=60, what="the first runs")
    group = maimed.group()
    (pid,) = [pid for pid in group if f"deployments.{part}" in command_of(pid)]
    os.kill(pid, signal.SIGKILL)
    assert maimed.process.wait(timeout=25) == COULD_NOT
    (line,) = [line for line in maimed.text().splitlines() if "unasked" in line]
    assert "was ended by SIGKILL" in line
    assert "Traceback" not in maimed.text()
    assert alive(group) == set()


def command_of(pid: int) -> str:
    return subprocess.run(
        ["ps", "-o", "args=", "-p", str(pid)], check=False, capture_output=True, text=True
    ).stdout


def test_a_round_that_is_stopped_before_it_began_could_not_be_run(machine: Machine) -> None:
    stopped = machine.up("stopped", once=True)
    wait_until(lambda: running_service(stopped.state), within=30, what="it starts")
    assert stopped.end(signal.SIGTERM) < 25
    assert stopped.process.returncode == COULD_NOT


def test_a_command_waits_for_the_service_of_another_command_and_then_has_its_own(machine: Machine) -> None:
    state, register = machine.state("waits"), machine.project / "riskloop.yaml"
    said: list[str] = []
    with contextlib.ExitStack() as other:
        other.enter_context(locked(state, register=register, now=datetime.now(UTC), brief=True))

        def say(words: str) -> None:
            said.append(words)
            other.close()

        with service(
            read_settings({}, register=register, state=state),
            project="Toy Project",
            only=["toy-quick"],
            say=say,
            deployments=machine.toys,
        ) as found:
            assert running_service(state) == found
    assert said[0] == f"waiting for process {os.getpid()}, which does its own work first"
    assert found.brief
    assert found.api_url
