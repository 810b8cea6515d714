"""The little service of the tests of delivering, that sweeps as well; and what people do to its places."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from riskloop.channels import Turn
from riskloop.channels.github import GitHub
from riskloop.channels.markers import Marker, about
from riskloop.channels.slack import Slack
from riskloop.identity import Accounts
from riskloop.incidents import Concern, Incident
from riskloop.register import Register
from riskloop.risks import Mitigation
from riskloop.store import Store, history, postings
from riskloop.store.tables import metadata
from riskloop.sweeping import Sweeper
from tests.delivering import Service
from tests.emulator.emulator import GITHUB_TOKEN, SLACK_TOKEN


class SweptService(Service):
    """A service whose places are swept when a test says so."""

    def sweep(
        self,
        *,
        store: Store | None = None,
        mitigations: Sequence[Mitigation] | None = None,
        turn: Turn = lambda: None,
        patience: float = 60,
    ) -> tuple[str, ...]:
        """Sweep with fresh connections, whether it is due or not.

        Args:
            mitigations: those in the register; the service's own if None.
            turn: called before each write; nothing is waited for if left out.
            patience: seconds after which nothing more is begun.
        """
        key, accounts = self.identity.key, Accounts(self.place)
        sweeper = Sweeper(
            store=store or self.store,
            channels={
                "github": GitHub(GITHUB_TOKEN, self.rig.github_url, key=key, accounts=accounts, timeout=1),
                "slack": Slack({"": SLACK_TOKEN}, self.rig.slack_url, key=key, accounts=accounts, timeout=1),
            },
            identity=self.identity,
            turn=lambda _: turn,
            patience=timedelta(seconds=patience),
            stopwatch=lambda: self.clock().timestamp(),
        )
        return sweeper.sweep(self.register(mitigations), self.occasion())

    def register(self, mitigations: Sequence[Mitigation] | None = None) -> Register:
        configured = tuple([self.mitigation] if mitigations is None else mitigations)
        (owner,) = self.mitigation.risk.owners
        return Register(
            path=self.place / "riskloop.yaml",
            project="Toys",
            digest="d",
            owners={owner.name: owner},
            service_owner=owner,
            risks=(self.mitigation.risk,),
            configured=configured,
        )

    @property
    def writes(self) -> int:
        """Count what was written to both services since the test began."""
        slack = self.rig.slack.writes("POST", r".*chat\.(postMessage|update|delete)")
        return len(self.rig.github.writes("POST", r".*") + self.rig.github.writes("PATCH", r".*") + slack)

    def incident(self) -> Incident:
        """Give the newest incident, open or not."""
        with self.store.reading() as connection:
            return history.list_incidents(connection, resolved=True, limit=1)[0]

    def states(self) -> dict[str, str]:
        """Give by channel how the newest incident's posting is, as the store has it."""
        with self.store.reading() as connection:
            incident = self.incident().id
            found = {
                route.channel: postings.posted(connection, incident, route)
                for route in postings.list_postings(connection, incident)
            }
        return {channel: posted.state for channel, posted in found.items() if posted}

    def marker(self, *, incident: str = "", key: bytes = b"", installation: str = "") -> str:
        """Sign a marker as this service does.

        Args:
            incident: the newest one if not given.
            key, installation: another's.
        """
        made = Marker(
            installation=installation or self.identity.installation,
            incident=incident or self.incident().id,
            delivery="0d",
            about=about(self.mitigation.id, Concern.BREACH),
        )
        return made.signed(key or self.identity.key)

    def open_issue(self, first_lines: str, *, token: str = "") -> dict[str, Any]:
        """Open an issue past the channel, as an answer that was lost, or a person, may have left one."""
        sent = {"title": "One more", "body": f"{first_lines}\n\nIt says more."}
        made: dict[str, Any] = self.rig.ask_github(
            "POST", f"/repos/{self.repository}/issues", sent, token=token
        )
        return made

    def open_message(self, marker: str, *, token: str = "") -> str:
        """Post a message past the channel; give its ts."""
        payload = {"marker": marker, "state": "open"}
        sent = {
            "channel": self.channel,
            "text": "One more",
            "metadata": {"event_type": "riskloop", "event_payload": payload},
        }
        return str(self.rig.ask_slack("chat.postMessage", sent, token=token)["ts"])

    def issue(self, number: int = 1) -> dict[str, Any]:
        """Give one issue of the repository, counted from 1 in the order they were opened."""
        return self.rig.issues(self.repository)[number - 1]

    def last_comment(self, number: int = 1) -> str:
        comments = self.rig.comments(self.repository, self.issue(number)["number"])
        return str(comments[-1]["body"])

    def open_messages(self) -> list[str]:
        """Give the ts of each message that tells of something open, the oldest first."""
        sent = {"channel": self.channel, "limit": 1000, "include_all_metadata": True}
        found = self.rig.ask_slack("conversations.history", sent)["messages"]
        shown = self.rig.slack.deleted_messages.shown(self.channel, found)
        told = {one["ts"]: (one.get("metadata") or {}).get("event_payload") or {} for one in shown}
        return sorted(ts for ts, payload in told.items() if payload.get("state") == "open")


Rows = dict[str, list[dict[str, Any]]]


def copy_of(store: Store) -> Rows:
    """Copy every row of a store, as a backup would."""
    with store.reading() as connection:
        return {
            table.name: [dict(row) for row in connection.execute(table.select()).mappings()]
            for table in metadata.sorted_tables
        }


def restore(store: Store, rows: Rows) -> None:
    """Have a store be as it was when it was copied."""
    with store.writing() as connection:
        for table in reversed(metadata.sorted_tables):
            connection.execute(table.delete())
        for table in metadata.sorted_tables:
            if rows.get(table.name):
                connection.execute(table.insert(), rows[table.name])


def lose(store: Store) -> None:
    """Have a store be empty, as one that was lost is when it is made anew."""
    restore(store, {})
