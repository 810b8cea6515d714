"""A worker stopped past its lease, and continued, writes no row and sends at most what it was at."""

import signal
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from riskloop.identity import read_identity
from riskloop.store import Store
from tests.emulator.emulator import GITHUB_TOKEN
from tests.emulator.rig import Rig
from tests.proof.clocks import SharedClock
from tests.proof.lives import Life, assert_intact
from tests.proof.moments import Course, Watched, is_inside_a_transaction, may_still_send
from tests.store.shelf import count

pytestmark = pytest.mark.server


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Something to tell, at which a worker is stopped.

    Args:
        before: what leaked before it.
        leaks: what leaks now.
        taken_away: people have deleted the issue and the message meanwhile.
        token: the stopped worker's for GitHub; the other has the right one.
    """

    before: tuple[float, ...] = ()
    leaks: float
    taken_away: bool = False
    token: str = GITHUB_TOKEN


STEPS = {
    "opened": Step(leaks=2),
    "worsened": Step(before=(2,), leaks=20),
    "resolved": Step(before=(2,), leaks=0),
    "taken away": Step(before=(2,), leaks=20, taken_away=True),
    "a token refused": Step(leaks=2, token="wrong"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Afterwards:
    """What a worker did once it was continued.

    Args:
        wrote: the tables in which a row changed.
        sent: how many issues, comments, messages and replies it added.
    """

    wrote: tuple[str, ...]
    sent: int


class TwoWorkers:
    """Leads life after life; in each, one worker is stopped somewhere, and another goes on."""

    def __init__(self, rig: Rig, store: Store, place: Path) -> None:
        self.rig = rig
        self.store = store
        self.place = place
        self.identity = read_identity(place / "state")
        self.url = store.engine.url.render_as_string(hide_password=False)
        self.lives = 0

    def begin(self, step: Step) -> Life:
        """Lead a life up to where the last look is stored, and not told of."""
        self.lives += 1
        life = Life(self.rig, self.store, self.identity, self.place, self.lives)
        life.clock = SharedClock(days=self.lives)
        life.live_on(*step.before)
        if step.taken_away:
            life.take_away()
        life.look(leaks=step.leaks)
        life.begin_counting()
        return life

    def worker(self, life: Life, step: Step, *, at: int) -> Watched:
        """Start a worker that stops itself at its n-th moment; at none if n is 0."""

        def work(store: Store) -> object:
            life.store = store
            return life.deliver(token=step.token)

        self.store.close()
        return Watched(self.url, work, at=at, by=signal.SIGSTOP)

    def stopped(self, life: Life, step: Step, whole: Course, *, at: int) -> Afterwards:
        """Stop one at its n-th moment, let another deliver, continue the first; say what it did then."""
        worker = self.worker(life, step, at=at)
        assert worker.wait_for_the_stop()
        life.arrived(replace(whole, moments=whole.moments[:at]))
        life.outlive()
        life.deliver_all()
        rows, postings = life.dump(), life.postings()
        worker.go_on()
        course = worker.end()
        assert course.code == 0, course.words
        assert course.moments[:at] == whole.moments[:at]
        after = life.dump()
        wrote = tuple(name for name in rows if rows[name] != after[name])
        return Afterwards(wrote=wrote, sent=life.postings() - postings)

    def undisturbed(self, step: Step) -> Course:
        """Lead a life in which nobody is stopped."""
        life = self.begin(step)
        whole = self.worker(life, step, at=0).end()
        assert whole.code == 0, whole.words
        life.outlive()
        life.deliver_all()
        return whole

    def prove(self, step: Step, whole: Course, *, at: int) -> int:
        """Lead a life in which one is stopped at its n-th moment; make sure that it did no harm.

        Returns:
            how much there was for the sweeper to repair.
        """
        moment = whole.moments[at - 1]
        life = self.begin(step)
        did = self.stopped(life, step, whole, at=at)
        assert did.wrote == (), moment
        assert did.sent <= may_still_send(moment), moment
        life.sweep()
        still_open = 0 if step.leaks == 0 else 1
        assert [state for state, _ in life.issues()].count("open") == still_open, moment
        assert len(life.open_messages()) == still_open, moment
        assert not count(self.store, "deliveries WHERE state <> 'done'")
        assert_intact(self.store)
        return did.sent


@pytest.fixture
def workers(own_rig: Rig, store: Store, tmp_path: Path) -> TwoWorkers:
    return TwoWorkers(own_rig, store, tmp_path)


def test_stopped_past_its_lease_it_writes_nothing_and_sends_at_most_what_it_was_at(
    workers: TwoWorkers,
) -> None:
    """Each moment once, at the first step that has it."""
    met: set[str] = set()
    sent = 0
    for step in STEPS.values():
        whole = workers.undisturbed(step)
        for moment in dict.fromkeys(whole.moments):
            if moment not in met and not is_inside_a_transaction(moment):
                sent += workers.prove(step, whole, at=whole.moments.index(moment) + 1)
        met.update(whole.moments)
    assert sent, "stopped inside a call, it sends what it was at"


@pytest.mark.soak
@pytest.mark.parametrize("name", STEPS)
def test_stopped_past_its_lease_at_any_moment_it_writes_nothing_and_sends_at_most_what_it_was_at(
    workers: TwoWorkers, name: str
) -> None:
    whole = workers.undisturbed(STEPS[name])
    for number, moment in enumerate(whole.moments, start=1):
        if not is_inside_a_transaction(moment):
            workers.prove(STEPS[name], whole, at=number)
