"""A look at vendored code that is killed anywhere, or done twice at once, ends in one pull request all the same."""

import os
import signal
import threading
import time
from pathlib import Path
from random import Random

import pytest

from riskloop.store import Store
from tests.emulator.rig import Rig
from tests.mitigations.vendoring import numbered
from tests.proof.seasons import Season, begin
from tests.proof.seeding import SEED
from tests.store.children import start

pytestmark = pytest.mark.server

KILLS = int(os.environ.get("AL_KILLS", "3"))


def run_and_kill(season: Season, chance: Random, longest: float) -> bool:
    """Run once in a process of its own, which is killed at some moment; say whether it was in time."""

    def work(store: Store) -> str:
        store.close()
        return season.run()

    child = start(f"sqlite:///{season.room}/aside.sqlite", work)
    child.let_go()
    threading.Event().wait(chance.uniform(0.0, longest))
    os.kill(child.process, signal.SIGKILL)
    return child.wait()[0] == -signal.SIGKILL


def test_killed(own_rig: Rig, tmp_path: Path) -> None:
    chance = Random(SEED)
    season = begin(own_rig, tmp_path)
    season.week()
    began = time.monotonic()
    season.upstream_commits({"src/a.txt": numbered(changed={20: "theirs"})}, message="Rework line twenty")
    steps = [
        lambda: None,
        lambda: season.upstream_commits({"src/new.txt": "1"}, message="More"),
        lambda: (season.person_commits({"n": "1"}, message="Mine"), season.upstream_commits({"src/new.txt": "2"})),
        lambda: season.acknowledge("main"),
    ]
    killed = 0
    for step in steps:
        step()
        season.pass_days()
        longest = 1.3
        for _ in range(KILLS):
            killed += run_and_kill(season, chance, longest)
            own_rig.github.settle()
            assert [one for one in season.standing() if one not in ("closed", "merged")] in ([], ["draft"], ["open"]), season.standing()
        t = time.monotonic()
        said = season.run()
        print(said, season.standing(), [len(season.comments(1)) if season.pulls() else 0], time.monotonic() - t, killed)
        with season.services() as services:
            import sqlite3
            db = sqlite3.connect(season.state / "riskloop.sqlite")
            print(db.execute("select state, count(*), group_concat(substr(last_error,1,200)) from deliveries group by 1").fetchall(), len(season.issues()), )
        print(sorted(p.name for p in (season.state / "scratch").iterdir()))
        print(sorted(str(p.relative_to(season.state)) for p in season.state.rglob("*") if "lock" in p.name or "tmp_" in p.name or ".new" in p.name))
    assert False
