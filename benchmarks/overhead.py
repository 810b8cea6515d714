"""What Prefect costs: a nightly run of 1, 10 and 100 mitigations, against the same looks without Prefect.

Both regenerate small golden fixtures with a real generator in clean copies of a git repository, in two
threads, and store and assess what they find in SQLite. Ours is the flow `fixture_drift`, run by the service
that `riskloop up` starts; its time is the run's own, from its start to its end as the server records them.
Beside it stand what the whole service spent in CPU, and how long a run waited to start: the runner asks for
due runs every three seconds, and a new process imports Prefect.
"""

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from pathlib import Path

import httpx
from timing import HEADER, Result, print_row

from deployments.directory import Service
from deployments.embedded import run_deployment, service
from riskloop.assessing import Occasion, assess
from riskloop.looking import look
from riskloop.notifications import Links, Reach
from riskloop.project import now, read_register, site
from riskloop.services import open_services
from riskloop.settings import Settings, read_settings

SIZES = (1, 10, 100)
LONG = 1_000
RUNS = 3
GOAL = {100: 1.15}
WHY = (
    "of what is above the peer's time, some 1.5 s are the mitigations' pages in the UI, which Prefect's "
    "server takes one by one at 10 to 17 ms; the rest is not traced, and other work on the machine counts too"
)
FOLDERS = 10
"""Folders of fixtures in the project; mitigations share them, so that a look costs the same whatever N is."""

GENERATOR = """
import json, pathlib
for number in range(10):
    folder = pathlib.Path("fixtures", str(number))
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("thread", "models", "usage"):
        records = [{"type": name, "number": n, "text": f"{name} {number} {n}"} for n in range(100)]
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(one) + "\\n" for one in records))
"""
HEAD = """
project: Overhead
owners: {QA: {github: octo-qa}}
service: {owner: QA}
risks:
  - {id: drift, title: Fixtures drift, likelihood: low, impact: low, owner: QA, mitigations: ["""
ROW = """
      {{id: drift.{number}, kind: fixture_drift, directory: fixtures/{folder},
        regenerate: [python3, make_fixtures.py], thresholds: {{fixtures_changed: {{warning: 1}}}}}},"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """What one run took: seconds of wall time and of CPU, seconds before it started, and its task runs."""

    wall: float
    cpu: float
    waited: float = 0.0
    task_runs: int = 0


def make_project(project: Path) -> None:
    """Make a project in git whose fixtures are what its generator writes."""
    project.mkdir()
    (project / "make_fixtures.py").write_text(GENERATOR, encoding="utf-8")
    subprocess.run([sys.executable, "make_fixtures.py"], cwd=project, check=True)
    who = ["-c", "user.name=Bench", "-c", "user.email=bench@example.invalid", "-c", "commit.gpgSign=false"]
    for arguments in (["init", "--quiet"], ["add", "--all"], ["commit", "--quiet", "--message", "Record"]):
        subprocess.run(["git", *who, *arguments], cwd=project, check=True)


def write_register(project: Path, mitigations: int) -> None:
    """Write a register of so many mitigations; the running service takes it up with its next run."""
    rows = [ROW.format(number=number, folder=number % FOLDERS) for number in range(mitigations)]
    (project / "riskloop.yaml").write_text(f"{HEAD}{''.join(rows)}\n  ]}}\n", encoding="utf-8")


runs = count()


def bare(settings: Settings) -> Spent:
    """Look, store and assess as the flow does, in this process."""
    before, started = _own_cpu(), time.perf_counter()
    with open_services(settings) as services:
        register = read_register(settings)
        chosen = register.mitigations("fixture_drift")
        with ThreadPoolExecutor(2) as threads:
            looks = list(threads.map(lambda one: look(one, site(register, settings)), chosen))
        occasion = Occasion(
            project=register.project,
            run=f"run-{next(runs)}",
            register_digest=register.digest,
            reach=Reach(),
            links=Links(),
            evidence=settings.state / "evidence",
            now=now(),
        )
        assess(services.store, list(zip(chosen, looks, strict=True)), occasion)
    wall = time.perf_counter() - started
    for one in looks:
        if one.observation is None:
            raise SystemExit(one.reason)
    return Spent(wall=wall, cpu=_own_cpu() - before)


def flow(running: Service, runner: int) -> Spent:
    """Run the flow through the service.

    Args:
        runner: the process whose child the run's own process is.
    """
    before = _children_cpu()
    ended = run_deployment(running, "fixture-drift", {})
    if ended.type != "COMPLETED":
        raise SystemExit(f"{ended.name} ended {ended.state}: {ended.message}")
    with httpx.Client(base_url=running.api_url, timeout=30, trust_env=False) as client:
        run = client.get(f"/flow_runs/{ended.id}").json()
        task_runs = client.post("/task_runs/count", json={"flow_runs": {"id": {"any_": [ended.id]}}}).json()
    while _processes(parent=runner):
        time.sleep(0.05)  # The CPU time of a process counts with its parent's once it has ended.
    created, began, over = (datetime.fromisoformat(run[key]) for key in ("created", "start_time", "end_time"))
    return Spent(
        wall=(over - began).total_seconds(),
        cpu=_children_cpu() - before,
        waited=(began - created).total_seconds(),
        task_runs=task_runs,
    )


def _own_cpu() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def _children_cpu() -> float:
    """Read the CPU seconds of the server, the runner, and whatever they ran that has ended."""
    ticks = sum(sum(map(int, fields[11:15])) for fields in _processes(parent=os.getpid()).values())
    return ticks / os.sysconf("SC_CLK_TCK")


def _processes(*, parent: int) -> dict[int, list[str]]:
    """Read what /proc says of the children of a process: proc_pid_stat(5) from the third field, the state.

    The fourth field is the parent; the fourteenth to the seventeenth are the CPU ticks of the process and of
    its children that have ended.
    """
    found = {}
    for file in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = file.read_text(encoding="utf-8").rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == parent:
            found[int(file.parent.name)] = fields
    return found


def _runner() -> int:
    """Find the runner among the children of the service that this process started."""
    (runner,) = (
        pid
        for pid in _processes(parent=os.getpid())
        if b"deployments.serving" in Path(f"/proc/{pid}/cmdline").read_bytes()
    )
    return runner


def row(mitigations: int, ours: list[Spent], peer: list[Spent]) -> Result:
    """Make the row of so many mitigations; what has no column of its own stands in its name."""
    cpu = statistics.median(one.cpu / other.cpu for one, other in zip(ours, peer, strict=True))
    waited = statistics.median(one.waited for one in ours)
    word = "mitigation" if mitigations == 1 else "mitigations"
    return Result(
        name=f"one flow run over {mitigations:,} {word}, against the same without Prefect "
        f"({ours[0].task_runs} task runs, {cpu:.2f} times the CPU, begun {waited:.1f} s after it was asked)",
        ours=tuple(one.wall for one in ours),
        peer=tuple(one.wall for one in peer),
        goal=GOAL.get(mitigations),
        why=WHY,
    )


def main() -> None:
    """Print a row for 1, 10 and 100 mitigations, and with `--long` one that says whether 1,000 is linear."""
    print(HEADER)
    with tempfile.TemporaryDirectory() as made:
        project = Path(made, "project")
        make_project(project)
        write_register(project, 1)
        settings = [
            read_settings({}, register=project / "riskloop.yaml", state=Path(made, name))
            for name in ("ours", "peer")
        ]
        with service(settings[0], project="Overhead", only=("fixture-drift",)) as running:
            runner = _runner()
            # Not counted: they make the mirrors and the stores.
            flow(running, runner)
            bare(settings[1])
            ours: list[Spent] = []
            for mitigations in SIZES:
                write_register(project, mitigations)
                pairs = [(flow(running, runner), bare(settings[1])) for _ in range(RUNS)]
                ours, peer = ([pair[which] for pair in pairs] for which in (0, 1))
                print_row(row(mitigations, ours, peer))
            if "--long" in sys.argv:
                write_register(project, LONG)
                most = SIZES[-1]
                times = LONG // most
                print_row(
                    Result(
                        name=f"one flow run over {LONG:,} mitigations, against {times} times one over {most}",
                        ours=(flow(running, runner).wall,),
                        peer=(times * statistics.median(one.wall for one in ours),),
                        goal=1.0,
                    )
                )


if __name__ == "__main__":
    main()
