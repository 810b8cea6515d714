"""Decisions taken slowly, twice and at once, with everybody killed: none hangs, and none runs twice."""

import os
import signal
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from sqlalchemy import select

from riskloop.approvals import Approval, Decision, State
from riskloop.errors import Refused
from riskloop.identity import read_identity
from riskloop.incidents import Change
from riskloop.risks import Mitigation
from riskloop.store import Store, tables
from tests.emulator.rig import Rig
from tests.proof.clocks import SharedClock
from tests.proof.lives import assert_intact
from tests.proof.seeding import SEED
from tests.shredding import Office, write
from tests.store.children import Child, die_at, start
from tests.store.shelf import count
from tests.sweeping.sweeps import SweptService
from tests.toys import Clock

WORKERS = 3
APPROVE, REJECT = Decision.APPROVE, Decision.REJECT

ENDS = {
    "approved": {State.DONE},
    "rejected": {State.REJECTED},
    "doubled": {State.DONE, State.REJECTED},
    "slow": {State.ABORTED},
    "late": {State.ABORTED},
    "proceeding": {State.DONE},
    "changed": {State.VOID},
    "gone": {State.VOID},
    "lost": {State.FAILED},
}
"""What becomes of an approval, and how it may end."""


def kill_ourselves() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def transitions_of(store: Store, mitigation: str) -> list[str]:
    """Give what was told of a mitigation's approval, each change with the channels it goes to."""
    incidents, changes, deliveries = tables.incidents, tables.transitions, tables.deliveries
    query = (
        select(changes.c.number, changes.c.change, deliveries.c.channel)
        .join(incidents, incidents.c.id == changes.c.incident)
        .join(deliveries, deliveries.c.transition == changes.c.number)
        .where(incidents.c.subject == mitigation)
        .order_by(changes.c.number, deliveries.c.number)
    )
    with store.reading() as connection:
        return [f"{row.change} {row.channel}" for row in connection.execute(query)]


class Life:
    """What is done about one approval, each time of another mitigation, by a process that may be killed."""

    def __init__(self, store: Store, url: str, place: Path) -> None:
        self.office = Office(store, place, Clock(), mitigations=400)
        self.url = url
        self.left = list(self.office.mitigations)

    def kill_at_every_statement(self, prepare: Callable[[Mitigation], None], work: str) -> int:
        """Do some work, killed at its first statement or commit, at its second, and so on; say how many."""
        for statement in range(1, 200):
            mitigation = self.left.pop()
            prepare(mitigation)

            def killed(store: Store, at: int = statement, about: Mitigation = mitigation) -> None:
                die_at(store, at)
                getattr(self, work)(about, store)

            child = start(self.url, killed)
            child.let_go()
            code, words = child.wait()
            assert code in {0, -signal.SIGKILL}, words
            self.go_on(mitigation, work)
            self.check(mitigation)
            if code == 0:
                return statement - 1
        raise AssertionError("it never ends")

    def go_on(self, mitigation: Mitigation, work: str) -> None:
        """Do what follows when the service is there again: rounds, a run, and a person who tries again."""
        office = self.office
        office.follow_up()
        office.act(office.plan(mitigation), mitigation=mitigation)
        with suppress(Refused):
            office.decide(mitigation.id, REJECT if work == "reject" else APPROVE)
        office.follow_up()

    def check(self, mitigation: Mitigation) -> None:
        with self.office.store.reading() as connection:
            found = select(tables.approvals).where(tables.approvals.c.mitigation == mitigation.id)
            rows = connection.execute(found.order_by(tables.approvals.c.number)).all()
        done = [row.id for row in rows if row.state == State.DONE]
        assert not [row.id for row in rows if row.state in {State.PENDING, State.APPROVED}]
        shredded, begun = self.office.shredded(mitigation.id), self.office.begun(mitigation.id)
        assert shredded == begun == Counter(done), "each that was approved is shredded once"
        told = Counter(transitions_of(self.office.store, mitigation.id))
        assert told["opened github"] == told["opened slack"] == told["resolved github"]
        aborted = sum(row.state == State.ABORTED for row in rows)
        assert told["worsened github"] == told["worsened slack"] == aborted

    def ask(self, mitigation: Mitigation, store: Store) -> None:
        self.office.act(self.office.plan(mitigation), mitigation=mitigation, store=store)

    def approve(self, mitigation: Mitigation, store: Store) -> None:
        self.office.decide(mitigation.id, APPROVE, store=store)

    def reject(self, mitigation: Mitigation, store: Store) -> None:
        self.office.decide(mitigation.id, REJECT, store=store)

    def follow(self, _: Mitigation, store: Store) -> None:
        self.office.follow_up(store)

    def asked(self, mitigation: Mitigation) -> None:
        self.office.ask(mitigation)

    def over(self, mitigation: Mitigation) -> None:
        self.office.ask(mitigation)
        self.office.wait(24)

    def over_and_proceeding(self, mitigation: Mitigation) -> None:
        self.office.ask(mitigation, destroys=False, proceeds=True)
        self.office.wait(24)

    def unasked(self, mitigation: Mitigation) -> None:
        """Have nothing be owed yet."""


WORKS = {
    "asking": ("unasked", "ask", 8),
    "approving": ("asked", "approve", 20),
    "rejecting": ("asked", "reject", 8),
    "aborting": ("over", "follow", 8),
    "going on by default": ("over_and_proceeding", "follow", 20),
}
"""How it stands before, what is done about it, and at how many statements at least that can be killed."""


@pytest.mark.parametrize("what", WORKS)
def test_killed_at_any_statement_it_goes_on_and_is_done_once(
    store: Store, store_url: str, tmp_path: Path, what: str
) -> None:
    before, work, at_least = WORKS[what]
    life = Life(store, store_url, tmp_path)
    assert life.kill_at_every_statement(getattr(life, before), work) >= at_least
    assert_intact(store)


class Course:
    """Many approvals, each with a fate that the seed draws, and workers that are killed all the time."""

    def __init__(self, rig: Rig, store: Store, place: Path, number: int) -> None:
        self.chance = Random(SEED)
        self.rig, self.store, self.place = rig, store, place
        self.url = store.engine.url.render_as_string(hide_password=False)
        places = (rig.new_repository(), rig.new_channel())
        self.service = SweptService(rig, store, read_identity(place / "state"), place, places)
        (owner,) = self.service.mitigation.risk.owners
        clock = SharedClock()
        self.service.clock = clock
        self.office = Office(store, place, clock, mitigations=number, owner=owner)
        fates = [*ENDS, *self.chance.choices(list(ENDS), k=number)][:number]
        self.fates = {one.id: fate for one, fate in zip(self.office.mitigations, fates, strict=True)}
        self.kills = 0
        self.answers = place / "answers"

    def of(self, *fates: str) -> list[str]:
        return [mitigation for mitigation, fate in self.fates.items() if fate in fates]

    def work_together(self, work: Callable[[Store, Random], None], *, kills: int) -> None:
        """Have several workers do the same at once, killed so often; then some that are let finish."""
        enough = self.kills + kills
        while self.kills < enough:
            ended = self._let_work(work, deadly=True)
            self.kills += sum(code == -signal.SIGKILL for code, _ in ended)
        assert {code for code, _ in self._let_work(work, deadly=False)} == {0}

    def _let_work(self, work: Callable[[Store, Random], None], *, deadly: bool) -> list[tuple[int, str]]:
        children: list[Child] = []
        for _ in range(WORKERS):
            seed = self.chance.random()

            def do(store: Store, seed: float = seed) -> None:
                chance = Random(seed)
                if deadly:
                    # Soon, where there is little to do; or after a while.
                    die_at(store, chance.randint(1, chance.choice([3, 30, 10 * len(self.fates)])))
                    self.office.shredder.hook = self._deadly(chance)
                work(store, chance)

            children.append(start(self.url, do))
        for child in children:
            child.let_go()
        ended = [child.wait() for child in children]
        assert {code for code, _ in ended} <= {0, -signal.SIGKILL}, ended
        return ended

    def _deadly(self, chance: Random) -> Callable[[str, str], None]:
        def hook(step: str, warrant: str) -> None:
            if chance.random() < 0.1:
                write(self.place / f"killed {step} {warrant}", "killed")
                kill_ourselves()

        return hook

    def ask(self, store: Store, chance: Random) -> None:
        for one in chance.sample(self.office.mitigations, len(self.office.mitigations)):
            more = {"destroys": False, "proceeds": True} if self.fates[one.id] == "proceeding" else {}
            self.office.act(self.office.plan(one, **more), mitigation=one, store=store)

    def decide(self, store: Store, chance: Random) -> None:
        """Decide as people do who have each their own, and some the same at the same time."""
        mine = self.of("approved", "rejected", "doubled", "lost")
        for mitigation in chance.sample(mine, len(mine)):
            fate = self.fates[mitigation]
            decision = REJECT if fate == "rejected" else APPROVE
            if fate == "doubled":
                decision = chance.choice([APPROVE, REJECT])
            self._answer(mitigation, decision, store)

    def decide_late(self, store: Store, chance: Random) -> None:
        for mitigation in self.of(*ENDS):
            self._answer(mitigation, chance.choice([APPROVE, REJECT]), store)

    def _answer(self, mitigation: str, decision: Decision, store: Store) -> None:
        try:
            said = self.office.decide(mitigation, decision, who=f"Mia {os.getpid()}", store=store).says
            write(self.answers, f"{mitigation} {decision} done {said}")
        except Refused as error:
            write(self.answers, f"{mitigation} {decision} refused {error}")

    def follow_up(self, store: Store, _: Random) -> None:
        self.office.follow_up(store)

    def tell(self) -> None:
        """Deliver everything there is."""
        for _ in range(20):
            self.service.deliver()
            if not count(self.store, "deliveries WHERE state IN ('pending', 'sending')"):
                return
            self.office.clock.advance(1)
        raise AssertionError("it is never all delivered")

    def edit_the_register(self) -> None:
        """Take some out of it, change the settings of others, and lose the plans of a third sort."""
        changed = self.office.mitigation.settings.model_copy(update={"limit": 1})
        edits = {"gone": {"enabled": False}, "changed": {"settings": changed}}
        self.office.mitigations = [
            replace(one, **edits.get(self.fates[one.id], {})) for one in self.office.mitigations
        ]

    def lose_plans(self) -> None:
        for mitigation in self.of("lost"):
            self.office.approval(mitigation).stored_plan(self.office.settings.state).file.unlink()

    def approvals(self) -> dict[str, Approval]:
        return {mitigation: self.office.approval(mitigation) for mitigation in self.fates}


def lead(course: Course, *, kills: int) -> None:
    """Have everything be asked, decided, followed and told, and workers be killed in each part."""
    course.work_together(course.ask, kills=kills)
    course.tell()
    course.lose_plans()
    course.work_together(course.decide, kills=kills)
    course.tell()
    course.edit_the_register()
    for _ in range(6):
        course.office.wait(25 / 6)
        course.work_together(course.follow_up, kills=kills // 4)
        course.tell()
    course.work_together(course.decide_late, kills=0)
    course.office.follow_up()
    course.tell()


def check_ends(course: Course) -> None:
    """Make sure that each ended in one way, the one it had to, and was carried out once or not at all."""
    found = course.approvals()
    assert count(course.store, "approvals") == len(found), "each was asked once"
    wrong = {
        name: (course.fates[name], one.state, one.outcome)
        for name, one in found.items()
        if one.state not in ENDS[course.fates[name]]
    }
    assert not wrong
    for name, one in found.items():
        assert course.office.shredded(name) == Counter([one.id] if one.state is State.DONE else [])
        killed = course.place / f"killed begun {one.id}"
        times = len(killed.read_text().splitlines()) if killed.exists() else 0
        begun = course.office.begun(name)[one.id]
        assert begun == (one.state is State.DONE) + times, f"{name} is begun again only if it was killed"
    decided = [one.id for one in found.values() if one.who]
    assert count(course.store, "decisions") == len(decided), "one person decides"
    answers = [line.split(" ", 3) for line in course.answers.read_text().splitlines()]
    done = Counter(name for name, _, how, _ in answers if how == "done")
    assert max(done.values()) == 1
    assert {decision for name, decision, how, _ in answers if how == "done"} <= {"approve", "reject"}
    refusals = [says for _, _, how, says in answers if how == "refused"]
    assert all("cannot be decided any more: " in says for says in refusals)


def check_told(course: Course) -> None:
    """Make sure that everybody heard how each ended, in one issue and one thread, and hears of no other."""
    found = course.approvals()
    assert not count(course.store, "deliveries WHERE state <> 'done'")
    issues = {}
    for issue in course.rig.issues(course.service.repository):
        (name,) = [one for one in found if f"`{one}`" in issue["body"]]
        assert name not in issues, "each has one issue"
        comments = course.rig.comments(course.service.repository, issue["number"])
        issues[name] = issue["state"], [comment["body"].replace("\u200b", "") for comment in comments]
    stays = {State.ABORTED, State.FAILED}
    for name, one in found.items():
        state, comments = issues[name]
        assert state == ("open" if one.state in stays else "closed"), (name, one.state)
        assert one.outcome in comments[-1], name
        ends = [words for words in comments if one.outcome in words and "**Still open**" not in words]
        assert len(ends) == 1, "its end is told once; a day later is reminded of what stays open"
    assert len(course.service.open_messages()) == sum(one.state in stays for one in found.values())
    assert len(course.rig.messages(course.service.channel)) == len(found)
    replies = course.service.threads()
    assert sorted(replies) == sorted(len(comments) for _, comments in issues.values())
    changes = Counter(
        line for name in found for line in transitions_of(course.store, name) if line.endswith("github")
    )
    assert changes[f"{Change.OPENED} github"] == len(found)


@pytest.mark.server
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize(
    ("number", "kills"), [(20, 6), pytest.param(200, 60, marks=pytest.mark.soak)], ids=["tenth", "whole"]
)
def test_none_hangs_none_runs_twice_and_everybody_hears_how_each_ended(
    own_rig: Rig, store: Store, tmp_path: Path, number: int, kills: int
) -> None:
    course = Course(own_rig, store, tmp_path, number)
    lead(course, kills=kills)
    print(f"RISKLOOP_SEED={SEED}: {course.kills} killed")  # noqa: T201 - shown where it fails, and with -s
    check_ends(course)
    check_told(course)
    assert_intact(store)
