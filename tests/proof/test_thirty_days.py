"""Thirty days of a small team, drawn by seed: what it is told stays right, whatever happens to whom."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pytest

from riskloop.assessing.muting import end_mute
from riskloop.mutes import Muting
from riskloop.store import Store, letters, mutes
from riskloop.thresholds import Verdict
from tests.emulator.rig import Rig
from tests.proof.auditing import Auditor
from tests.proof.seeding import SEED
from tests.proof.team import Team, Values
from tests.proxy.fates import Weather
from tests.sweeping.sweeps import Rows, copy_of, restore

pytestmark = pytest.mark.server

HOUR = timedelta(hours=1)
SHARE = 0.03
"""Of all requests, what fails."""

FAULTS = {
    "github": (
        "502",
        "reset",
        "truncated JSON",
        "HTML",
        "429 with Retry-After before",
        "403 secondary before",
    ),
    "slack": ("502", "reset", "truncated JSON", "HTML", "ok: false", "ratelimited before"),
}

NEXT = {
    Verdict.OK: (80, 10, 5, 5),
    Verdict.WARNING: (15, 60, 15, 10),
    Verdict.CRITICAL: (15, 15, 60, 10),
    Verdict.UNKNOWN: (30, 10, 10, 50),
}
"""How many of a hundred looks that follow one are ok, a warning, critical, and failed."""


class Course:
    """What happens, drawn by a seed.

    Args:
        days: how long it goes on. What happens once happens at the same part of it, however long it is.
    """

    def __init__(self, team: Team, seed: int, days: int) -> None:
        self.team, self.days = team, days
        self.auditor = Auditor(team)
        self.chance = Random(seed)
        self.begins = team.clock()
        self.copy: Rows = {}
        self.dies: tuple[str, bool] | None = None
        self.once = {
            self._part(0.1): self.the_github_token_is_revoked,
            self._part(0.2): self.the_clock_jumps,
            self._part(0.3): self.many_breach_at_once,
            self._part(0.45): self.the_slack_token_is_revoked,
            self._part(0.5): self.many_are_well_again,
            self._part(0.6): self.a_repository_is_archived,
            self._part(0.7) - 24 * HOUR: self.a_copy_of_the_store_is_made,
            self._part(0.7): self.the_store_is_restored,
        }
        self.later: list[tuple[float, Callable[[], None]]] = []

    def live(self) -> None:
        """Lead the team through its days; the night's looks are at 2, and a person may look at any hour."""
        people = (
            *(
                self.a_person_closes_an_issue,
                self.a_person_deletes_an_issue,
                self.a_person_transfers_an_issue,
            ),
            *(self.a_person_locks_an_issue, self.a_person_deletes_a_message, self.a_person_accepts),
            *(
                self.a_person_silences,
                self.a_person_ends_a_mute,
                self.a_person_looks,
                self.a_worker_is_killed,
            ),
        )
        weather = {"github": self.team.rig.github, "slack": self.team.rig.slack}
        for name, proxy in weather.items():
            proxy.disturb(Weather(seed=SEED, share=SHARE, faults=FAULTS[name]))
        for hour in range(self.days * 24):
            if hour % 24 == 2:
                self.the_night_s_looks()
            for when in [when for when in self.once if when <= hour * HOUR]:
                self.once.pop(when)()
            if self.chance.random() < 0.25:
                self.chance.choice(people)()
            for _ in range(6):
                self.follow_up()
            if hour % 24 == 23:
                self.audit()
        self.come_to_rest()

    def follow_up(self) -> None:
        due = [one for one in self.later if one[0] <= self.team.passed()]
        self.later = [one for one in self.later if one not in due]
        for _, what in due:
            what()
        if self.team.follow_up(dies=self.dies):
            self.dies = None

    def audit(self, *, at_rest: bool = False) -> None:
        self.team.sweep()
        self.team.deliver_within_budget()
        self.auditor.audit(at_rest=at_rest)

    def come_to_rest(self) -> None:
        """Have all be well with the network, and the clock be right, and time mend what it mends."""
        for _, what in self.later:
            what()
        self.later.clear()
        self.dies = None
        for proxy in (self.team.rig.github, self.team.rig.slack):
            proxy.disturb(Weather(seed=SEED))
        for _ in range(6):
            self.follow_up()
        ahead = datetime.now(UTC) + HOUR - self.team.clock()
        self.auditor.note_break()
        self.team.clock.advance(ahead.total_seconds())
        self.auditor.note_break()
        self.team.look_at(self.team.everything)
        for _ in range(56):
            self.follow_up()
            self.team.clock.advance(50 * 60)
        self.audit(at_rest=True)

    def the_night_s_looks(self) -> None:
        for one in self.team.mitigations:
            last = self.team.verdicts[one.id][-1:] or [Verdict.OK]
            self.team.values[one.id] = self._drawn(last[0])
        self.team.look_at(self.team.mitigations)

    def a_person_looks(self) -> None:
        one = self.chance.choice(self.team.mitigations)
        self.team.values[one.id] = self._drawn(self.chance.choice(list(NEXT)))
        self.team.look_at([one])

    def _drawn(self, last: Verdict) -> Values:
        (verdict,) = self.chance.choices(list(NEXT), NEXT[last])
        match verdict:
            case Verdict.OK:
                return {"leaks": 0.0, "spills": 0.0}
            case Verdict.UNKNOWN:
                return None
            case Verdict.WARNING:
                return {"leaks": float(self.chance.randint(1, 9)), "spills": float(self.chance.randint(0, 1))}
            case _:
                return {"leaks": float(self.chance.randint(10, 12))}

    def a_person_closes_an_issue(self) -> None:
        if found := self._an_issue("closes"):
            self.team.rig.close_issue(*found, self.chance.choice(["completed", "not_planned"]))

    def a_person_deletes_an_issue(self) -> None:
        if found := self._an_issue("deletes"):
            self.team.rig.delete_issue(*found)

    def a_person_transfers_an_issue(self) -> None:
        if found := self._an_issue("transfers"):
            self.team.rig.transfer_issue(*found, to=self.team.elsewhere)

    def a_person_locks_an_issue(self) -> None:
        if found := self._an_issue("locks"):
            self.team.rig.lock_issue(*found)
            self._later(HOUR * 20, lambda: self.team.rig.unlock_issue(*found))

    def a_person_deletes_a_message(self) -> None:
        place = ("slack", self.chance.choice(self.team.channels))
        if reference := self._something_of_ours(place, "deletes"):
            self.team.rig.delete_message(place[1], reference)

    def a_person_accepts(self) -> None:
        if found := self.team.open_incidents():
            one = self.chance.choice(found)
            if one.subject in self.team.values:
                days = self.chance.uniform(0.5, 9)
                self.team.mute(Muting.ACCEPTED, one.subject, days=days, incident=one)

    def a_person_silences(self) -> None:
        one = self.chance.choice(self.team.mitigations)
        self.team.mute(Muting.SILENCED, one.id, days=self.chance.uniform(0.1, 4))

    def a_person_ends_a_mute(self) -> None:
        with self.team.store.reading() as connection:
            found = mutes.unended(connection)
        if found:
            one = self.chance.choice(found)
            end_mute(self.team.store, one, "by Bob: all is mended", self.team.occasion())
            self.team.note(f"{one.subject} is no longer {one.muting}")

    def a_worker_is_killed(self) -> None:
        self.dies = (self.chance.choice(["github", "slack", "sweep"]), self.chance.random() < 0.5)

    def the_github_token_is_revoked(self) -> None:
        self.team.rig.revoke_github()
        self._deaf("github", self.team.rig.restore_github)

    def the_slack_token_is_revoked(self) -> None:
        self.team.rig.revoke_slack()
        self._deaf("slack", self.team.rig.restore_slack)

    def the_clock_jumps(self) -> None:
        # What was written just now is no longer counted: to set a clock, or a store, takes longer than that.
        self.team.clock.advance(60)
        self.auditor.note_break()
        before = self.team.clock()
        self.team.jump(self.chance.choice([-30.0, -1.0, 70.0]))
        self.auditor.note_break()
        self.auditor.twice.append((self.team.clock(), before))

    def many_breach_at_once(self) -> None:
        self.team.values |= {one.id: {"leaks": 2.0} for one in self.team.many}
        self.team.look_at(self.team.many)

    def many_are_well_again(self) -> None:
        self.team.values |= {one.id: {"leaks": 0.0} for one in self.team.many}
        self.team.look_at(self.team.many)

    def a_repository_is_archived(self) -> None:
        repository = self.team.repositories[-1]
        self.team.note(f"{repository} is archived")
        self.team.rig.archive(repository)
        hours = self.chance.randint(2, 9) * HOUR
        begins = self.team.clock()
        self.auditor.archived.append((repository, begins, begins + hours + HOUR))
        self._later(hours, lambda: self.team.rig.unarchive(repository))

    def a_copy_of_the_store_is_made(self) -> None:
        """Make one while nothing is on its way: what is delivered after it would be delivered again."""
        with self.team.store.reading() as connection:
            counts = letters.count_deliveries(connection)
        if counts["pending"] + counts["sending"]:
            self._later(timedelta(minutes=10), self.a_copy_of_the_store_is_made)
            return
        self.team.note("a copy of the store is made")
        self.copy = copy_of(self.team.store)
        self.auditor.note_break()

    def the_store_is_restored(self) -> None:
        self.team.clock.advance(60)
        self.team.note("the store is restored from its copy")
        restore(self.team.store, self.copy)
        self.auditor.note_break()
        # What was seen since the copy is forgotten: nobody knows how things are before they have looked.
        self.team.verdicts = {one.id: [] for one in self.team.everything}
        self.team.look_at(self.team.everything)

    def _deaf(self, channel: str, restore: Callable[[], None]) -> None:
        hours = HOUR * self.chance.randint(3, 30)
        self.team.note(f"the token for {channel} is revoked for {hours}")
        self.auditor.deaf.append((channel, self.team.clock(), self.team.clock() + hours + HOUR))
        self._later(hours, restore)

    def _part(self, part: float) -> timedelta:
        return part * self.days * 24 * HOUR

    def _later(self, after: timedelta, what: Callable[[], None]) -> None:
        self.later.append((self.team.passed() + after.total_seconds(), what))

    def _an_issue(self, does: str) -> tuple[str, str] | None:
        repository = self.chance.choice(self.team.repositories)
        reference = self._something_of_ours(("github", repository), does)
        return (repository, reference) if reference else None

    def _something_of_ours(self, place: tuple[str, str], does: str) -> str:
        """Choose an open issue or message, and remember that a person did something to it."""
        found = [one for one in self.auditor.heard(place) if one.is_open]
        if not found:
            return ""
        one = self.chance.choice(found)
        self.auditor.note(one, does)
        self.team.note(f"a person {does} {place[0]} {place[1]} {one.reference}")
        return one.reference


def lead(rig: Rig, store: Store, place: Path, *, seed: int, days: int) -> None:
    """Lead a team through its days; say what happened last if something is wrong."""
    course = Course(Team(rig, store, place), seed, days)
    try:
        course.live()
    except AssertionError as error:
        error.add_note(f"RISKLOOP_SEED={SEED}, and these came last:")
        for line in course.team.log[-30:]:
            error.add_note(line)
        raise


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
def test_through_three_days_all_that_is_told_stays_right(own_rig: Rig, store: Store, tmp_path: Path) -> None:
    lead(own_rig, store, tmp_path, seed=SEED, days=3)


@pytest.mark.soak
@pytest.mark.timeout(3_600)
def test_through_thirty_days_all_that_is_told_stays_right(own_rig: Rig, store: Store, tmp_path: Path) -> None:
    lead(own_rig, store, tmp_path, seed=SEED, days=30)
