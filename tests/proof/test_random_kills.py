"""Workers killed at random, on a slow and failing network, lose nothing and tell nothing twice."""

import os
import select
import signal
import threading
from collections import Counter
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from riskloop.assessing import assess, settle_floods
from riskloop.assessing.flooding import MANY
from riskloop.identity import read_identity
from riskloop.store import Store
from tests.delivering import SETTLE
from tests.emulator.rig import Rig
from tests.proof.clocks import FastClock
from tests.proof.lives import Life, assert_intact
from tests.proof.seeding import SEED
from tests.proxy.fates import Weather
from tests.store.children import Child, start
from tests.store.shelf import count, seen

pytestmark = pytest.mark.server

WORKERS = 5
LEAKS = (2.0, 20.0, 2.0, 0.0)
"""What each toy leaks in each round: it opens, worsens, eases and is over."""

REQUESTS = 18
"""How many requests one such life takes at least, when nothing goes wrong."""

IN_FLIGHT = 0.15
"""The longest time, in seconds, that a request or an answer is on its way."""

SPEED = SETTLE / (6 * IN_FLIGHT)
"""So fast that the settle time is as short as that allows, with twice as much for a busy machine."""


class Workplace:
    """A store, a repository and a channel that several workers share, and the toys they look at."""

    def __init__(self, rig: Rig, store: Store, place: Path, incidents: int) -> None:
        self.life = Life(rig, store, read_identity(place / "state"), place, 1)
        self.life.clock = FastClock(SPEED)
        self.rig = rig
        self.url = store.engine.url.render_as_string(hide_password=False)
        self.toys = [replace(self.life.mitigation, id=f"toys.{number:03}") for number in range(incidents)]
        self.closing, self._open = os.pipe()

    def work(self, store: Store) -> None:
        """Do as the flows do, all over from the beginning, until nothing is left to do."""
        os.close(self._open)
        life = self.life
        life.store = store
        postman = life.postman()
        for number, leaks in enumerate(LEAKS, start=1):
            life.runs = number - 1
            assess(store, [(toy, seen(toy, {"leaks": leaks})) for toy in self.toys], life.occasion())
            postman.deliver()
        while True:
            postman.deliver()
            settle_floods(store, life.occasion())
            if not count(store, "deliveries WHERE state IN ('pending', 'sending')"):
                return
            # Others hold what is left; or it waits for its time. The test may end meanwhile.
            if select.select([self.closing], [], [], IN_FLIGHT / 5)[0]:
                return

    def start(self) -> Child:
        child = start(self.url, self.work)
        child.let_go()
        return child

    def close(self) -> None:
        os.close(self._open)
        os.close(self.closing)

    @property
    def arrived(self) -> int:
        return len(self.rig.github.recorded) + len(self.rig.slack.recorded)


def kill_and_finish(workplace: Workplace, chance: Random, kills: int) -> None:
    """Kill a worker whenever so many requests have arrived, and replace it; let the last ones finish."""
    enough = len(workplace.toys) * REQUESTS
    moments = sorted(chance.sample(range(1, enough), kills))
    workers = [workplace.start() for _ in range(WORKERS)]
    try:
        for moment in moments:
            while workplace.arrived < moment:
                _let_pass(IN_FLIGHT / 10)
            _let_pass(chance.uniform(0, IN_FLIGHT))
            # Every fourth time the youngest, which is still looking, or looking around.
            victim = workers[-1] if chance.random() < 1 / 4 else chance.choice(workers)
            workers.remove(victim)
            os.kill(victim.process, signal.SIGKILL)
            assert victim.wait() == (-signal.SIGKILL, "")
            workers.append(workplace.start())
        ended = [worker.wait() for worker in workers]
        workers.clear()
    finally:
        workplace.close()
        for worker in workers:
            os.kill(worker.process, signal.SIGKILL)
            worker.wait()
    assert ended == [(0, "None")] * WORKERS


def _let_pass(seconds: float) -> None:
    threading.Event().wait(seconds)


@pytest.mark.parametrize(
    ("incidents", "kills"), [(15, 20), pytest.param(150, 200, marks=pytest.mark.soak)], ids=["tenth", "whole"]
)
def test_workers_killed_at_random_lose_nothing_and_tell_nothing_twice(
    own_rig: Rig, store: Store, tmp_path: Path, incidents: int, kills: int
) -> None:
    print(f"RISKLOOP_SEED={SEED}")  # noqa: T201 - shown where it fails, and with -s
    chance = Random(SEED)
    workplace = Workplace(own_rig, store, tmp_path, incidents)
    store.close()
    for proxy in (own_rig.github, own_rig.slack):
        proxy.disturb(Weather(seed=SEED, latency=(0.0, IN_FLIGHT), share=0.05))
    kill_and_finish(workplace, chance, kills)
    for proxy in (own_rig.github, own_rig.slack):
        proxy.settle()
        proxy.forget()
    life = workplace.life
    floods = 1 if incidents > MANY else 0
    assert count(store, "incidents") == count(store, "incidents WHERE resolved_at IS NOT NULL")
    assert Counter(life.incidents_on_github()) == Counter(life.incidents_in_store())
    assert Counter(life.incidents_on_slack()) == Counter(life.incidents_in_store())
    assert len(life.incidents_in_store()) == incidents + floods
    whole = [["worsened", "eased", "resolved"]] * incidents
    assert sorted(life.comments()) == sorted(life.replies()) == [["resolved"]] * floods + whole
    assert {issue["state"] for issue in own_rig.issues(life.repository)} == {"closed"}
    assert not count(store, "deliveries WHERE state <> 'done'")
    assert count(store, "deliveries WHERE fence > 1") >= kills / 4, "many were taken over, or tried again"
    assert_intact(store)
