"""Killed at each named moment of assessing and delivering, riskloop loses nothing and tells nothing twice."""

import re
import signal
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest

from riskloop.assessing import (
    assess,
    assess_service,
    begin_mute,
    end_mute,
    follow_mutes,
    remind,
    retire,
    settle_floods,
)
from riskloop.assessing.flooding import MANY
from riskloop.identity import read_identity
from riskloop.incidents import Concern
from riskloop.mutes import Mute, Muting
from riskloop.store import Store, mutes
from riskloop.store.budget import Budget
from riskloop.thresholds import Verdict
from tests.emulator.rig import Rig
from tests.proof.lives import Life, assert_intact
from tests.proof.moments import REQUESTS, TRANSACTIONS, Course, Watched, moments_of
from tests.store.shelf import count, seen

pytestmark = pytest.mark.server

ISSUES = r"/repos/[^/]+/[^/]+/issues"
COMMENTS = rf"{ISSUES}/\d+/comments"
POSTING = r".*chat\.postMessage"
MONTH = timedelta(days=30)

DELIVERING = ("claiming", "taking a turn", "finishing")
OPENING = (
    "having looked around",
    "github: who are we",
    "github: listing issues",
    "github: opening the issue",
    "slack: listing messages",
    "slack: posting",
    "slack: asking for the link",
)
CHANGING = (
    "github: reading the issue",
    "github: editing the issue",
    "github: commenting",
    "slack: editing the message",
    "slack: posting",
)


Act = Callable[[Life], object]


def nothing(life: Life) -> None:
    """Do nothing."""


def lived(*leaks: float) -> Act:
    return lambda life: life.live_on(*leaks)


def told(leaks: float) -> Act:
    """Look and deliver, as a flow does."""

    def act(life: Life) -> None:
        life.look(leaks=leaks)
        life.deliver()

    return act


def and_then(*acts: Act) -> Act:
    def act(life: Life) -> None:
        for one in acts:
            one(life)

    return act


def lost(leaks: float, *, github: str) -> Act:
    """Tell, and have the answers be lost, so that nobody knows whether it arrived."""

    def act(life: Life) -> None:
        life.rig.github.fail("502", path=github, after_commit=True)
        life.rig.slack.fail("502", path=POSTING, after_commit=True)
        told(leaks)(life)
        life.outlive()

    return act


def failing(github: str, slack: str, *, times: int) -> Act:
    """Have what opens an issue or posts a message be refused, so often."""

    def act(life: Life) -> None:
        life.rig.github.fail(github, path=ISSUES, times=times)
        life.rig.slack.fail(slack, path=POSTING, times=times)

    return act


def mended(life: Life) -> None:
    life.rig.github.forget()
    life.rig.slack.forget()


def paced(gap: timedelta) -> Act:
    """Look and deliver with so long between two writes."""
    budget = Budget(gap=gap)

    def act(life: Life) -> None:
        life.look(leaks=20)
        life.postman(budgets={"github": budget, "slack": budget}).deliver()

    return act


def refused_at_the_door(life: Life) -> None:
    life.look(leaks=2)
    life.deliver(token="wrong")


def many(life: Life) -> None:
    """Look at so many toys that leak that their owner is told of them together."""
    toys = [replace(life.mitigation, id=f"{life.mitigation.id}.{n}") for n in range(MANY + 1)]
    assess(life.store, [(toy, seen(toy, {"leaks": 2})) for toy in toys], life.occasion())


def settle(life: Life) -> None:
    settle_floods(life.store, life.occasion())


def accept(life: Life) -> None:
    """Accept the incident for a month, unless that is done."""
    if accepted(life) is None:
        mute = Mute(
            id=f"accepted{life.mitigation.id}",
            muting=Muting.ACCEPTED,
            subject=life.mitigation.id,
            concern=Concern.BREACH,
            severity=Verdict.WARNING,
            who="Octo Lead",
            why="we know",
            since=life.clock(),
            until=life.clock() + MONTH,
        )
        begin_mute(life.store, mute, life.occasion())
    life.deliver()


def accepted(life: Life) -> Mute | None:
    subject = life.mitigation.id
    with life.store.reading() as connection:
        return next(iter(mutes.holding(connection, [subject], now=life.clock()).get(subject, ())), None)


def take_back(life: Life) -> None:
    """End the acceptance, unless that is done."""
    if mute := accepted(life):
        end_mute(life.store, mute, "Octo Lead took it back", life.occasion())
    life.deliver()


def follow_what_is_quiet(life: Life) -> None:
    follow_mutes(life.store, life.occasion())
    life.deliver()


def remind_of_it(life: Life) -> None:
    remind(life.store, life.occasion())
    life.deliver()


def leave_the_register(life: Life) -> None:
    retire(life.store, (), life.occasion())
    life.deliver()


def be(problem: str) -> Act:
    """Find riskloop itself unwell, or well again."""

    def act(life: Life) -> None:
        (owner,) = life.mitigation.risk.owners
        assess_service(life.store, owner=owner, problem=problem, remedy="mend it", occasion=life.occasion())
        life.deliver()

    return act


def days_pass(days: float) -> Act:
    return lambda life: life.clock.advance(timedelta(days=days).total_seconds())


def told_once(*changes: str, dead: int = 0) -> Act:
    """Make sure of one closed issue and one message, and of what they tell, in order.

    Args:
        changes: what is told of below the issue, and in the thread.
        dead: how many deliveries of this life are dead letters.
    """

    def check(life: Life) -> None:
        assert [issue["state"] for issue in life.rig.issues(life.repository)] == ["closed"]
        assert life.comments() == [list(changes)]
        assert life.replies() == [list(changes)]
        assert count(life.store, "deliveries WHERE state = 'dead'") == dead * life.number

    return check


def all_of_them_told_once(life: Life) -> None:
    bodies = [issue["body"] for issue in life.rig.issues(life.repository)]
    assert len(bodies) == len({re.findall("incident=([0-9a-f]+)", body)[0] for body in bodies}) == MANY + 2
    assert len(life.messages()) == MANY + 2
    assert [state for state, _ in life.issues()].count("closed") == 1, "what told of them all is over"


ENDED, ENDED_ONCE = lived(0), told_once("resolved")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """Something that is interrupted at its moments, each time in a life of its own.

    Args:
        through: every transaction and request it goes through; each has its moments.
        before: what comes before it, undisturbed.
        act: what is interrupted, and done again by whoever comes after.
        after: what comes then.
        ends: how it must end.
    """

    through: tuple[str, ...]
    before: Act = nothing
    act: Act
    after: Act = ENDED
    ends: Act = ENDED_ONCE


SCENARIOS = {
    "opened": Scenario(through=("storing looks", *DELIVERING, *OPENING), act=told(2)),
    "worsened": Scenario(
        through=("storing looks", *DELIVERING, *CHANGING),
        before=lived(2),
        act=told(20),
        ends=told_once("worsened", "resolved"),
    ),
    "eased": Scenario(
        through=("storing looks", *DELIVERING, *CHANGING),
        before=lived(2, 20),
        act=told(2),
        ends=told_once("worsened", "eased", "resolved"),
    ),
    "resolved": Scenario(
        through=("storing looks", *DELIVERING, *CHANGING), before=lived(2), act=told(0), after=nothing
    ),
    "opened, and the answer lost": Scenario(
        through=(
            "claiming",
            "finishing",
            "github: who are we",
            "github: listing issues",
            "slack: who are we",
            "slack: listing messages",
            "slack: asking for the link",
        ),
        before=lost(2, github=ISSUES),
        act=Life.deliver,
    ),
    "worsened, and the answer lost": Scenario(
        through=(
            *DELIVERING,
            "github: who are we",
            "github: listing comments",
            "github: reading the issue",
            "github: editing the issue",
            "slack: listing replies",
            "slack: editing the message",
        ),
        before=and_then(lived(2), lost(20, github=COMMENTS)),
        act=Life.deliver,
        ends=told_once("worsened", "resolved"),
    ),
    "failed": Scenario(
        through=("storing looks", *DELIVERING[:2], "putting back", *OPENING[:-1]),
        before=failing("502 before", "502 before", times=1),
        act=told(2),
    ),
    "refused": Scenario(
        through=("storing looks", "claiming", "taking a turn", "burying", *OPENING[:-1]),
        before=failing("422", "channel_not_found", times=100),
        act=told(2),
        after=and_then(mended, lived(20, 0)),
        ends=told_once("resolved", dead=2),
    ),
    "paced": Scenario(
        through=("storing looks", *DELIVERING, "going on after a wait", *CHANGING),
        before=lived(2),
        act=paced(timedelta(seconds=2)),
        ends=told_once("worsened", "resolved"),
    ),
    "without room": Scenario(
        through=("storing looks", *DELIVERING[:2], "putting back", *CHANGING[:2], CHANGING[3]),
        before=lived(2),
        act=paced(timedelta(hours=2)),
        ends=told_once("worsened", "resolved"),
    ),
    "a token refused": Scenario(
        through=(
            "storing looks",
            *DELIVERING,
            "putting back",
            *OPENING[:2],
            *OPENING[4:],
        ),
        act=refused_at_the_door,
    ),
    "a token that works again": Scenario(
        through=("trying a circuit", *DELIVERING, *OPENING[:4]),
        before=and_then(refused_at_the_door, Life.outlive),
        act=Life.deliver,
    ),
    "taken away": Scenario(
        through=(
            "storing looks",
            *DELIVERING,
            "putting back",
            "github: reading the repository",
            *OPENING,
            CHANGING[0],
            CHANGING[3],
        ),
        before=and_then(lived(2), Life.take_away),
        act=told(20),
    ),
    "many at once": Scenario(
        through=("storing looks", "telling of many"),
        act=many,
        after=and_then(settle, Life.deliver_all),
        ends=all_of_them_told_once,
    ),
    "many, each told by now": Scenario(
        through=("settling many",),
        before=and_then(many, Life.deliver_all),
        act=settle,
        after=nothing,
        ends=all_of_them_told_once,
    ),
    "accepted": Scenario(
        through=("beginning to be quiet", *DELIVERING, *CHANGING),
        before=lived(2),
        act=accept,
        ends=told_once("muted", "resolved"),
    ),
    "accepted no longer": Scenario(
        through=("ending to be quiet", *DELIVERING, *CHANGING),
        before=and_then(lived(2), accept),
        act=take_back,
        ends=told_once("muted", "unmuted", "resolved"),
    ),
    "accepted for not much longer": Scenario(
        through=("following what is quiet", *DELIVERING, *CHANGING),
        before=and_then(lived(2), accept, days_pass(24)),
        act=follow_what_is_quiet,
        ends=told_once("muted", "ending", "resolved"),
    ),
    "accepted until now": Scenario(
        through=("following what is quiet", *DELIVERING, *CHANGING),
        before=and_then(lived(2), accept, days_pass(31)),
        act=follow_what_is_quiet,
        ends=told_once("muted", "unmuted", "resolved"),
    ),
    "silent for too long": Scenario(
        through=("reminding", *DELIVERING, *CHANGING),
        before=and_then(lived(2), days_pass(8)),
        act=remind_of_it,
        ends=told_once("reminded", "resolved"),
    ),
    "no longer in the register": Scenario(
        through=("retiring", *DELIVERING, *CHANGING), before=lived(2), act=leave_the_register, after=nothing
    ),
    "unwell itself": Scenario(
        through=("telling of the service", *DELIVERING, *OPENING),
        act=be("the disk is full"),
        after=and_then(be(""), Life.deliver_all),
    ),
}


def first_met(name: str) -> frozenset[str]:
    """Say which moments are met in this scenario and in none before it."""
    names = list(SCENARIOS)
    earlier = {what for one in names[: names.index(name)] for what in SCENARIOS[one].through}
    return frozenset(m for what in SCENARIOS[name].through if what not in earlier for m in moments_of(what))


class Proof:
    """Leads life after life through a scenario, each interrupted at the next moment."""

    def __init__(self, rig: Rig, store: Store, place: Path) -> None:
        self.rig = rig
        self.store = store
        self.place = place
        self.identity = read_identity(place / "state")
        self.lives = 0

    def begin(self, scenario: Scenario) -> Life:
        self.lives += 1
        life = Life(self.rig, self.store, self.identity, self.place, self.lives)
        scenario.before(life)
        life.begin_counting()
        return life

    def interrupt(self, life: Life, scenario: Scenario, at: int) -> Course:
        """Have a child do it that is killed at its n-th moment."""

        def work(store: Store) -> object:
            life.store = store
            return scenario.act(life)

        self.store.close()
        course = Watched(str(self.store.engine.url.render_as_string(hide_password=False)), work, at=at).end()
        life.arrived(course)
        return course

    def end(self, life: Life, scenario: Scenario) -> None:
        """Have others go on where it stopped, to the end of its life; make sure that all was told once."""
        life.outlive()
        scenario.act(life)
        life.deliver_all()
        scenario.after(life)
        scenario.ends(life)
        assert not count(self.store, "deliveries WHERE state IN ('pending', 'sending')")
        assert_intact(self.store)

    def undisturbed(self, scenario: Scenario) -> Course:
        """Lead a life without interruption; make sure that the scenario names all that it goes through."""
        life = self.begin(scenario)
        whole = self.interrupt(life, scenario, at=0)
        assert whole.code == 0, whole.words
        named = {moment for what in scenario.through for moment in moments_of(what)}
        assert (set(whole.moments) - named, named - set(whole.moments)) == (set(), set())
        self.end(life, scenario)
        return whole

    def killed(self, scenario: Scenario, whole: Course, number: int) -> None:
        """Lead a life that is interrupted at its n-th moment."""
        life = self.begin(scenario)
        course = self.interrupt(life, scenario, at=number)
        assert course.code == -signal.SIGKILL, (whole.moments[number - 1], course.words)
        assert course.moments == whole.moments[:number]
        self.end(life, scenario)


@pytest.fixture
def proof(own_rig: Rig, store: Store, tmp_path: Path) -> Proof:
    return Proof(own_rig, store, tmp_path)


@pytest.mark.parametrize("name", [name for name in SCENARIOS if first_met(name)])
def test_killed_at_each_named_moment_nothing_is_lost_and_nothing_told_twice(proof: Proof, name: str) -> None:
    scenario, wanted = SCENARIOS[name], first_met(name)
    whole = proof.undisturbed(scenario)
    for moment in sorted(wanted):
        proof.killed(scenario, whole, whole.moments.index(moment) + 1)


@pytest.mark.soak
@pytest.mark.parametrize("name", SCENARIOS)
def test_killed_at_every_moment_of_everything_nothing_is_lost_and_nothing_told_twice(
    proof: Proof, name: str
) -> None:
    scenario = SCENARIOS[name]
    whole = proof.undisturbed(scenario)
    for number in range(1, len(whole.moments) + 1):
        proof.killed(scenario, whole, number)


def test_every_named_moment_is_met() -> None:
    met = {what for scenario in SCENARIOS.values() for what in scenario.through}
    assert met == {*TRANSACTIONS.values(), *REQUESTS.values()}
