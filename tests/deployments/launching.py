"""A machine someone lives on, a state directory with toy flows, and `up` as a process of its own."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from deployments.directory import Service, running_service
from riskloop.state_directory import IGNORE
from tests.waiting import wait_until

TOY_FLOWS = """
import os, sys, time
from prefect import flow
from prefect.states import Completed

@flow(name="toy-quick")
def quick(text: str = "", dry_run: bool = False):
    assert os.getcwd() == os.environ["RISKLOOP_STATE"]
    return Completed(name="Breached", message=text)

@flow(name="toy-failing")
def failing():
    raise RuntimeError("as the toy does")

@flow(name="toy-slow")
def slow(deaf: bool = False):
    import signal
    if deaf:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with open(os.path.join(os.environ["RISKLOOP_STATE"], "slow.pid"), "w") as file:
        file.write(str(os.getpid()))
    time.sleep(600)
"""

TOY_LIST = """
deployments:
  - name: toy-quick
    entrypoint: toy_flows.quick
    description: Finds a breach at once.
    tags: [toy]
    schedules: [{cron: "*/20 * * * *", timezone: Europe/Berlin}]
    concurrency_limit: {limit: 1, collision_strategy: ENQUEUE}
    work_pool: {name: elsewhere}
  - name: toy-failing
    entrypoint: toy_flows.failing
    tags: [look-again]
    schedules: []
  - name: toy-slow
    entrypoint: toy_flows.slow
    schedules: []
    parameters: {deaf: false}
    # Whatever a run did not give back must not stop the next.
    concurrency_limit: {limit: 1, collision_strategy: ENQUEUE}
"""

UP = """
import json, sys
from pathlib import Path
from typing import TypeVar
from deployments.embedded import up
from riskloop.errors import RiskloopError
from riskloop.settings import read_settings
given = json.loads(sys.argv[1])
settings = read_settings(register=Path(given["register"]), state=Path(given["state"]))
try:
    code = up(settings, project=given["project"], once=given["once"], status=lambda: "the status table",
              unassessed=given["unassessed"], deployments=Path(given["list"]))
except RiskloopError as error:
    print(error, file=sys.stderr)
    code = 9
assert "prefect" not in sys.modules
sys.exit(code)
"""


@dataclass(kw_only=True)
class Launched:
    """A running `up`."""

    process: "subprocess.Popen[bytes]"
    state: Path
    output: Path

    def text(self) -> str:
        return self.output.read_text(encoding="utf-8")

    def service(self) -> Service:
        """Wait until it serves."""

        def serving() -> Service | None:
            assert self.process.poll() is None, self.text()
            service = running_service(self.state)
            return service if service and service.api_url else None

        found = wait_until(serving, within=90, what="the service is up")
        assert found is not None
        return found

    def group(self) -> set[int]:
        """The processes it started, theirs included, as long as it lives itself."""
        found = {self.process.pid}
        listed = subprocess.run(
            ["ps", "-e", "-o", "pid=,ppid="], check=True, capture_output=True, text=True
        ).stdout
        pairs = [tuple(map(int, line.split())) for line in listed.splitlines()]
        for _ in range(5):
            found |= {pid for pid, parent in pairs if parent in found}
        return found - {self.process.pid}

    def end(self, number: signal.Signals) -> float:
        """Send a signal and wait; the seconds it took."""
        started = time.monotonic()
        self.process.send_signal(number)
        self.process.wait(timeout=60)
        return time.monotonic() - started


@dataclass(kw_only=True)
class Machine:
    """A home, a project with modules named like ours, and an environment full of Prefect's variables."""

    home: Path
    project: Path
    toys: Path
    recorder: str
    calls: list[str] = field(default_factory=list)
    launched: list[Launched] = field(default_factory=list)

    def environment(self, **more: str) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        return {
            **kept,
            "HOME": str(self.home),
            "PREFECT_API_URL": self.recorder,
            "PREFECT_API_KEY": "pnu_0123456789",
            "PREFECT_PROFILE": "cloud",
            "PREFECT_RUNNER_PROCESS_LIMIT": "0",
            "prefect_api_url": self.recorder,
            "PYTHONPATH": str(self.project),
            "HTTP_PROXY": self.recorder,
            "http_proxy": self.recorder,
            **more,
        }

    def state(self, name: str) -> Path:
        """Make a state directory in which the toy flows can be imported."""
        state = self.project / name
        if not state.exists():
            (state / "logs").mkdir(parents=True)
            (state / ".gitignore").write_text(IGNORE, encoding="utf-8")
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                # Other tests on this machine may want the usual one at the same moment.
                (state / "port").write_text(f"{probe.getsockname()[1]}\n", encoding="ascii")
            (state / "toy_flows.py").write_text(TOY_FLOWS, encoding="utf-8")
        return state

    def up(
        self,
        name: str,
        *,
        project: str = "Toy Project",
        once: bool = False,
        unassessed: Sequence[str] = (),
        prefect_api_url: str = "",
    ) -> Launched:
        state = self.state(name)
        given = {
            "register": str(self.project / "riskloop.yaml"),
            "state": str(state),
            "project": project,
            "once": once,
            "unassessed": list(unassessed),
            "list": str(self.toys),
        }
        more = {"RISKLOOP_PREFECT_API_URL": prefect_api_url} if prefect_api_url else {}
        output = self.project.parent / f"{name}-{len(self.launched)}.txt"
        with output.open("wb") as file:
            process = subprocess.Popen(
                # -P, as the console script: the working directory is not searched.
                [sys.executable, "-P", "-c", UP, json.dumps(given)],
                cwd=self.project,
                env=self.environment(**more),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        launched = Launched(process=process, state=state, output=output)
        self.launched.append(launched)
        return launched

    def files(self, directory: Path) -> dict[str, bytes]:
        return {
            str(path.relative_to(directory)): path.read_bytes()
            for path in sorted(directory.rglob("*"))
            if path.is_file()
        }


def alive(pids: Collection[int]) -> set[int]:
    """Which of these processes live; one that only waits to be reaped does not."""
    living = set()
    for pid in pids:
        state = subprocess.run(
            ["ps", "-o", "stat=", "-p", str(pid)], check=False, capture_output=True, text=True
        ).stdout
        if state.strip() and not state.strip().startswith("Z"):
            living.add(pid)
    return living
