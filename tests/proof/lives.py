"""One incident's life, from opening to resolution, that may be interrupted anywhere and must be told once."""

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import text

from riskloop.identity import Identity
from riskloop.store import Store
from riskloop.store.outbox import LEASE
from tests.delivering import SETTLE
from tests.emulator.rig import Rig
from tests.proof.moments import Course
from tests.store.shelf import count
from tests.sweeping.sweeps import SweptService
from tests.waiting import wait_until

LIFE = (2.0, 20.0, 2.0, 0.0)
"""What leaks: a warning opens, a critical worsens, it eases, and it is over."""

LONG_AGO = timedelta(days=60)
"""How far behind the emulator's clock a life's own begins, so that it may run ahead and never pass it."""

Work = Callable[["Life"], object]


class Life(SweptService):
    """A mitigation with a repository and a channel of its own, in a store that others share with it."""

    def __init__(self, rig: Rig, store: Store, identity: Identity, place: Path, number: int) -> None:
        super().__init__(rig, store, identity, place, (rig.new_repository(), rig.new_channel()))
        risk = replace(self.mitigation.risk, id=f"toys{number}")
        self.mitigation = replace(self.mitigation, id=f"toys.{number:04}", risk=risk)
        self.clock.now = datetime.now(UTC) - LONG_AGO
        self.number = number
        self.runs = number * 1_000
        self._recorded = 0

    def begin_counting(self) -> None:
        """Count the requests that arrive from here on."""
        self._recorded = self._arrived()

    def arrived(self, course: Course) -> None:
        """Wait until every request that left a child has come to a service, and been applied or refused."""
        wait_until(
            lambda: self._arrived() - self._recorded >= course.requests,
            within=20,
            what=f"{course.requests} requests arrive",
        )
        self.rig.github.settle()
        self.rig.slack.settle()

    def _arrived(self) -> int:
        return len(self.rig.github.recorded) + len(self.rig.slack.recorded)

    def outlive(self) -> None:
        """Let the time pass after which another worker takes up what a dead one held."""
        self.clock.advance((LEASE + timedelta(seconds=SETTLE)).total_seconds() + 1)

    def deliver_all(self) -> None:
        """Deliver, an hour later again, until nothing is pending."""
        for _ in range(12):
            self.deliver()
            if not count(self.store, "deliveries WHERE state IN ('pending', 'sending')"):
                return
            self.clock.advance(timedelta(hours=1).total_seconds())
        raise AssertionError("it is never all delivered")

    def live_on(self, *leaks: float) -> None:
        for one in leaks:
            self.clock.advance(60)
            self.look(leaks=one)
            self.deliver_all()

    def comments(self) -> list[list[str]]:
        """Give by issue the words its comments begin with, in their order."""
        return [
            [_heading(comment["body"]) for comment in self.rig.comments(self.repository, issue["number"])]
            for issue in self.rig.issues(self.repository)
        ]

    def replies(self) -> list[list[str]]:
        """Give by message the words its replies begin with, in their order."""
        return [
            [_heading(reply["text"]) for reply in self.rig.replies(self.channel, message["ts"])]
            for message in self.messages()
        ]

    def messages(self) -> list[dict[str, object]]:
        """List the messages that somebody wrote; not those of the channel itself."""
        return [one for one in self.rig.messages(self.channel) if not one.get("subtype")]

    def dump(self) -> dict[str, list[tuple[object, ...]]]:
        """Read every row of every table."""
        with self.store.reading() as connection:
            names = list(self.store.engine.dialect.get_table_names(connection))
            return {
                name: [tuple(row) for row in connection.execute(text(f'SELECT * FROM "{name}" ORDER BY 1'))]
                for name in names
            }


def assert_intact(store: Store) -> None:
    """Make sure that the database itself is whole."""
    with store.reading() as connection:
        if store.on_sqlite:
            assert connection.execute(text("PRAGMA integrity_check")).scalar() == "ok"
            assert connection.execute(text("PRAGMA foreign_key_check")).first() is None
        twice = "SELECT subject FROM incidents WHERE resolved_at IS NULL GROUP BY subject, concern"
        assert not connection.execute(text(f"{twice} HAVING count(*) > 1")).all()


def _heading(told: str) -> str:
    """Give what stands in bold first, which is what happened."""
    found = re.search(r"\*+([^*]+)\*+", told)
    return found[1].strip(".") if found else told
