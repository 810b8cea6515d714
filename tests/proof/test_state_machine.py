"""Whatever happens, in whatever order: after the sweeper no incident has two open issues, or two threads."""

import itertools
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, Verbosity, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from riskloop.channels.markers import read_marker
from riskloop.identity import read_identity
from riskloop.store import Store, history, letters, open_store
from tests.emulator.rig import Rig
from tests.proof.dying import Dying, Killed
from tests.proof.seeding import SEED
from tests.sweeping.sweeps import Rows, SweptService, copy_of, lose, restore

pytestmark = pytest.mark.server

HOUR = 3_600.0
STEPS = 50


class Course(RuleBasedStateMachine):
    """One service in the course of everything that may happen to it."""

    rig: Rig
    store: Store
    place: Path
    numbers = itertools.count()

    def __init__(self) -> None:
        super().__init__()
        self.rig.github.forget()
        self.rig.slack.forget()
        own = self.place / f"{next(self.numbers)}"
        own.mkdir()
        lose(self.store)
        targets = (self.rig.new_repository(), self.rig.new_channel())
        self.service = SweptService(self.rig, self.store, read_identity(own / "state"), own, targets)
        self.copy: Rows | None = None
        self.forged: list[dict[str, Any]] = []
        self.leaks = 0.0

    @rule(leaks=st.sampled_from([0.0, 2.0, 3.0, 20.0]))
    def look(self, leaks: float) -> None:
        self.leaks = leaks
        self.service.look(leaks=leaks)

    @rule()
    def cannot_look(self) -> None:
        self.service.look()

    @rule()
    def deliver(self) -> None:
        self.service.deliver()

    @rule(fault=st.sampled_from(["502", "reset", "HTML", "truncated JSON"]), after=st.booleans())
    def deliver_while_answers_are_lost(self, fault: str, after: bool) -> None:  # noqa: FBT001 - a drawn value
        for proxy in (self.rig.github, self.rig.slack):
            proxy.fail(fault, method="", after_commit=after, passing=1)
        self.service.deliver()
        for proxy in (self.rig.github, self.rig.slack):
            proxy.forget()

    @rule(channel=st.sampled_from(["github", "slack"]), sent=st.booleans())
    def crash(self, channel: str, sent: bool) -> None:  # noqa: FBT001 - as above
        postman = self.service.postman()
        channels = {**postman.channels, channel: Dying(postman.channels[channel], sent=sent)}
        dying = replace(postman, channels=channels)
        with suppress(Killed):
            dying.deliver()

    @rule(hours=st.sampled_from([0.1, 1.0, 25.0]))
    def time_passes(self, hours: float) -> None:
        self.service.clock.advance(hours * HOUR)

    @rule(hours=st.sampled_from([-30.0, -1.0, 70.0]))
    def the_clock_jumps(self, hours: float) -> None:
        self.service.clock.advance(hours * HOUR)

    @rule()
    def sweep(self) -> None:
        self.service.sweep()

    @rule(which=st.integers(0, 9))
    def a_person_closes_an_issue(self, which: int) -> None:
        if found := self._open_issues():
            self.rig.close_issue(self.service.repository, found[which % len(found)]["number"])

    @rule(which=st.integers(0, 9))
    def a_person_deletes_an_issue(self, which: int) -> None:
        if found := self._ours():
            self.rig.delete_issue(self.service.repository, found[which % len(found)]["number"])

    @rule(which=st.integers(0, 9))
    def a_person_deletes_a_message(self, which: int) -> None:
        if found := self.service.open_messages():
            self.rig.delete_message(self.service.channel, found[which % len(found)])

    @rule(copied=st.booleans())
    def a_stranger_forges_a_marker(self, copied: bool) -> None:  # noqa: FBT001 - as above
        found = self._ours()
        if not found:
            return
        line = found[0]["body"].partition("\n")[0]
        if not copied:
            line = line.replace("signature=", "signature=0000")
        token = self.rig.tokens.strangers_github
        self.forged.append(self.service.open_issue(line, token=token))

    @rule()
    def a_copy_of_the_store_is_made(self) -> None:
        self.copy = copy_of(self.store)

    @precondition(lambda self: self.copy is not None)
    @rule()
    def the_store_is_restored(self) -> None:
        restore(self.store, self.copy or {})

    @rule()
    def the_store_is_lost(self) -> None:
        lose(self.store)

    def teardown(self) -> None:
        """Let everything come to rest, and count."""
        # A clock that was behind is set right, and a store that was lost or restored looks again: before,
        # neither knows that what it comes upon is over.
        self.service.clock.now = max(self.service.clock(), datetime.now(UTC))
        self.service.clock.advance(HOUR)
        self.service.look(leaks=self.leaks)
        for _ in range(12):
            self.service.clock.advance(HOUR)
            self.service.deliver()
            self.service.sweep()
        for _ in range(3):
            self.service.clock.advance(25 * HOUR)
            self.service.sweep()
            self.service.deliver()
        self.service.sweep()
        with self.store.reading() as connection:
            standing = {one.id for one in history.list_incidents(connection, resolved=False, limit=99)}
            counts = letters.count_deliveries(connection)
        assert counts["pending"] == counts["sending"] == 0
        told = [self._incident(issue["body"]) for issue in self._open_issues()]
        assert len(told) == len(set(told)), "at most one open issue for each incident"
        if not counts["dead"]:
            assert set(told) == standing, "and exactly one for each that stands"
        assert len(self.service.open_messages()) <= len(standing)
        for issue in self.forged:
            now = self.rig.ask_github("GET", f"/repos/{self.service.repository}/issues/{issue['number']}")
            assert (now["body"], now["title"]) == (issue["body"], issue["title"]), "nobody else's is touched"

    def _ours(self) -> list[dict[str, Any]]:
        forged = {issue["number"] for issue in self.forged}
        return [one for one in self.rig.issues(self.service.repository) if one["number"] not in forged]

    def _open_issues(self) -> list[dict[str, Any]]:
        return [issue for issue in self._ours() if issue["state"] == "open"]

    def _incident(self, body: str) -> str:
        marker = read_marker(body.partition("\n")[0], self.service.identity.key)
        assert marker is not None
        return marker.incident


@contextmanager
def ready(rig: Rig) -> Iterator[type[Course]]:
    """Give the machine a rig, and a store that every course begins with empty."""
    place = Path(tempfile.mkdtemp(prefix="riskloop-"))
    store = open_store(f"sqlite:///{place / 'riskloop.sqlite'}")
    store.upgrade()
    yield type("ReadyCourse", (Course,), {"rig": rig, "store": store, "place": place})
    store.close()
    shutil.rmtree(place)


@pytest.mark.timeout(3_600)
@pytest.mark.parametrize("courses", [200, pytest.param(1_800, marks=pytest.mark.soak)])
def test_at_most_one_issue_of_an_incident_is_open_after_the_sweeper(rig: Rig, courses: int) -> None:
    with ready(rig) as machine:
        run_state_machine_as_test(
            seed(SEED if courses == 200 else SEED + 1)(machine),
            settings=settings(
                max_examples=courses,
                stateful_step_count=STEPS,
                deadline=timedelta(minutes=5),
                database=None,
                print_blob=True,
                phases=(Phase.generate,),
                verbosity=Verbosity.normal,
                suppress_health_check=list(HealthCheck),
            ),
        )
