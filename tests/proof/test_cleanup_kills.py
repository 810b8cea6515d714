"""Cleanups, purges and ways back that are killed at any moment lose no byte and count none twice."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest

from riskloop.mitigations.ttl_cleanup import carrying, scanning
from riskloop.store import Store, open_store, removals
from tests.mitigations.staging import MITIGATION, Staging
from tests.proof.cleanups import BYSTANDERS, Ledger, die_at
from tests.proof.seeding import SEED
from tests.store.children import start

FILES = 22
"""Staged before each killing: a few batches full, as long as a batch is."""

QUARANTINE = timedelta(days=8)
"""After so long what is in quarantine is due."""

OTHER: dict[str, Any] = {"min_age": "2h"}
"""Settings that differ in nothing which matters here."""


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ledger]:
    """Give an empty staging area whose batches are short, and its store."""
    monkeypatch.setattr(scanning, "BLOCK", 5)
    monkeypatch.setattr(carrying, "_BATCH", 9)
    store = open_store(f"sqlite:///{tmp_path / 'riskloop.sqlite'}")
    store.upgrade()
    staging = Staging(project=tmp_path / "project", state=tmp_path / "state", store=store)
    staging.root.mkdir(parents=True)
    staging.mark()
    staging.settings["exclude"] = [BYSTANDERS]
    yield Ledger(staging=staging)
    store.close()


@dataclass(kw_only=True)
class Killer:
    """Kills what is done to a staging area, again and again.

    Args:
        moments: by what is done, at how many moments it could be killed when it was last done to its end.
        seconds: by the same, how long that took.
    """

    ledger: Ledger
    chance: Random
    moments: dict[str, int] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    killed: int = 0

    def do(self, what: str, work: Callable[[], object]) -> None:
        """Have a process of its own do something, and be killed while it does.

        It is killed at a moment of its own, or sometimes at whatever moment another process does it.
        """
        if what not in self.moments:
            self._live(what, work)
            return
        if self.chance.random() < 1 / 6:
            self._kill_from_outside(work, self.chance.uniform(0, self.seconds[what]))
        else:
            self._start(work, self.chance.randint(1, self.moments[what]))
        self.ledger.assert_nothing_lost()

    def _live(self, what: str, work: Callable[[], object]) -> None:
        began = time.monotonic()
        moments = self._start(work, 0)
        self.moments[what], self.seconds[what] = int(moments), time.monotonic() - began

    def _start(self, work: Callable[[], object], moment: int) -> str:
        child = start(self._url, lambda store: self._dying(store, work, moment))
        child.let_go()
        code, words = child.wait()
        assert code in (0, -signal.SIGKILL), words
        self.killed += code != 0
        return words

    def _kill_from_outside(self, work: Callable[[], object], after: float) -> None:
        child = start(self._url, lambda store: self._dying(store, work, 0))
        child.let_go()
        threading.Event().wait(after)
        os.kill(child.process, signal.SIGKILL)
        code, words = child.wait()
        assert code in (0, -signal.SIGKILL), words
        self.killed += code != 0

    def _dying(self, store: Store, work: Callable[[], object], moment: int) -> str:
        self.ledger.staging.store = store
        count = die_at(store, moment)
        work()
        return str(count())

    @property
    def _url(self) -> str:
        # No connection may be open when another process begins as a copy of this one.
        store = self.ledger.staging.store
        store.close()
        return store.engine.url.render_as_string()


@dataclass(kw_only=True)
class Course:
    """What happens to a staging area, one thing after the other; most of it is killed.

    Args:
        more: its settings, beside those that it shares with all.
    """

    killer: Killer
    more: dict[str, Any]

    @property
    def ledger(self) -> Ledger:
        return self.killer.ledger

    @property
    def staging(self) -> Staging:
        return self.ledger.staging

    def step(self) -> None:
        """Stage files, kill what cleans them up, and have the next run finish; then bring back, or purge."""
        chance = self.killer.chance
        self.ledger.stage(FILES)
        before = set(self.ledger.in_place())
        counted = self._counted()
        self.killer.do("clean", self._clean)
        for _ in range(chance.choice((0, 0, 1, 2))):
            self.killer.do("clean", self._clean)
        changes_mind = chance.random() < 1 / 4
        if changes_mind:
            self.ledger.assert_comes_back_whole()
        elif chance.random() < 1 / 4:
            self._settle()
        self._clean_to_the_end()
        assert not self.ledger.in_place(), "all of it was past its time"
        assert changes_mind or self._counted() - counted == len(before), "each file is counted once"
        then = chance.random()
        if then < 1 / 3:
            self._bring_back()
        elif then < 2 / 3:
            self._purge()

    def _clean(self) -> None:
        plan = self.staging.plan(**self.more)
        self.staging.act(plan, warrant=f"run-{os.getpid()}-{time.monotonic_ns()}", **self.more)

    def _clean_to_the_end(self) -> None:
        """Run as the schedule does: the first run finishes what was broken off, the next takes the rest."""
        for _ in range(2):
            self._clean_once(self.more)
        self.ledger.assert_settled()

    def _settle(self) -> None:
        """Run under other settings: what was broken off is not gone on with."""
        unfinished, there = self._unfinished(), self.ledger.in_place()
        self.staging.act(
            None, warrant=f"settles-{self.ledger.serial}-{self.killer.killed}", **self.more, **OTHER
        )
        assert self.ledger.in_place() == there, "nothing more goes"
        if unfinished:
            self.ledger.assert_settled()

    def _clean_once(self, more: dict[str, Any]) -> None:
        unfinished, counted = self._unfinished(), self._counted()
        broken_off = {removal.number for removal in self.ledger.removals() if not removal.ended_at}
        receipt = self.staging.clean(**more)
        new = sum(removal.files for removal in self.ledger.removals() if removal.number in broken_off)
        expected = new if unfinished else self._counted() - counted
        assert receipt.figures["deleted_files"] == expected
        assert not receipt.failed, receipt.says
        self.ledger.assert_settled()

    def _bring_back(self) -> None:
        newest = self.ledger.removals()[0]
        if newest.quarantine and newest.purged_at is None:
            self.killer.do("restore", lambda: self.ledger.restore(newest))
        self.ledger.assert_comes_back_whole()
        self.ledger.assert_settled()

    def _purge(self) -> None:
        self.staging.ahead += QUARANTINE
        self.killer.do("purge", lambda: self.staging.act(None, warrant=f"purges-{os.getpid()}", **self.more))
        if self.killer.chance.random() < 1 / 4:
            self.ledger.assert_comes_back_whole()
        self.staging.act(None, warrant=f"purges-{self.ledger.serial}-{self.killer.killed}", **self.more)
        assert self.ledger.in_quarantine() == {}
        self.ledger.assert_settled()
        assert all(removal.purged_at for removal in self.ledger.removals() if removal.quarantine)

    def _counted(self) -> int:
        return sum(removal.files for removal in self.ledger.removals())

    def _unfinished(self) -> bool:
        with self.staging.store.reading() as connection:
            return bool(removals.unfinished(connection, MITIGATION))


@pytest.mark.parametrize("kills", [5, pytest.param(50, marks=pytest.mark.soak)], ids=["tenth", "whole"])
@pytest.mark.parametrize("quarantine", ["7d", "none"])
@pytest.mark.parametrize("unit", ["file", "directory"])
def test_killed_anywhere_no_byte_is_lost_and_what_is_in_quarantine_comes_back_whole(
    ledger: Ledger, unit: str, quarantine: str, kills: int
) -> None:
    ledger.staging.settings["unit"] = unit
    killer = Killer(ledger=ledger, chance=Random(f"{SEED} {unit} {quarantine}"))
    course = Course(killer=killer, more={"quarantine": quarantine})
    while killer.killed < kills:
        course.step()
    ledger.assert_comes_back_whole()
    ledger.assert_settled()
