"""One incident's life, from opening to resolution, that may be interrupted anywhere and must be told once."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import text

from riskloop.identity import Identity
from riskloop.store import Store
from riskloop.store.outbox import LEASE
from tests.delivering import SETTLE
from tests.emulator.rig import Rig
from tests.proof.clocks import LONG_AGO
from tests.proof.moments import Course
from tests.store.shelf import count
from tests.sweeping.sweeps import SweptService
from tests.waiting import wait_until


class Life(SweptService):
    """A mitigation with a repository and a channel of its own, in a store that others share with it."""

    def __init__(self, rig: Rig, store: Store, identity: Identity, place: Path, number: int) -> None:
        # What it learns of who it is must not be known to the next.
        own = place / f"life-{number}"
        own.mkdir()
        super().__init__(rig, store, identity, own, (rig.new_repository(), rig.new_channel()))
        risk = replace(self.mitigation.risk, id=f"toys{number}")
        self.mitigation = replace(self.mitigation, id=f"toys.{number:04}", risk=risk)
        self.clock.now = datetime.now(UTC) - LONG_AGO + timedelta(days=number)
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
        """Give by issue the changes its comments tell of, in their order."""
        return [
            [self._change(one["body"]) for one in self.rig.comments(self.repository, issue["number"])]
            for issue in self.rig.issues(self.repository)
        ]

    def replies(self) -> list[list[str]]:
        """Give by message the changes its replies tell of, in their order."""
        threads = []
        for message in self.messages():
            sent = {"channel": self.channel, "ts": message["ts"], "include_all_metadata": True}
            thread = self.rig.ask_slack("conversations.replies", sent)["messages"]
            told = [
                one["metadata"]["event_payload"]["marker"] for one in thread if one["ts"] != message["ts"]
            ]
            threads.append([self._change(marker) for marker in told])
        return threads

    def incidents_on_github(self) -> list[str]:
        """List the incidents that the issues tell of."""
        return [_incident(issue["body"]) for issue in self.rig.issues(self.repository)]

    def incidents_on_slack(self) -> list[str]:
        """List the incidents that the messages tell of."""
        return [_incident(message["metadata"]["event_payload"]["marker"]) for message in self.messages()]

    def incidents_in_store(self) -> list[str]:
        with self.store.reading() as connection:
            return list(connection.execute(text("SELECT id FROM incidents")).scalars())

    def messages(self) -> list[dict[str, Any]]:
        """List the messages that somebody wrote, with their metadata; not those of the channel itself."""
        sent = {"channel": self.channel, "limit": 1000, "include_all_metadata": True}
        found = self.rig.ask_slack("conversations.history", sent)["messages"]
        shown = self.rig.slack.deleted_messages.shown(self.channel, found)
        return [one for one in shown if not one.get("subtype")]

    def _change(self, told: str) -> str:
        """Say which change a text with our marker tells of."""
        (delivery,) = re.findall(r"delivery=([0-9a-f]+)", told)
        query = (
            "SELECT t.change FROM transitions t JOIN deliveries d ON d.transition = t.number WHERE d.id = :id"
        )
        with self.store.reading() as connection:
            return str(connection.execute(text(query), {"id": delivery}).scalar())

    def postings(self) -> int:
        """Count the issues, comments, messages and replies."""
        issues, messages = self.comments(), self.replies()
        return len(issues) + sum(map(len, issues)) + len(messages) + sum(map(len, messages))

    def take_away(self) -> None:
        """Delete the issue and the message, as people do."""
        (issue,) = self.rig.issues(self.repository)
        self.rig.delete_issue(self.repository, issue["number"])
        (message,) = self.messages()
        self.rig.delete_message(self.channel, message["ts"])

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


def _incident(told: str) -> str:
    (incident,) = re.findall(r"incident=([0-9a-f]+)", told)
    return str(incident)
