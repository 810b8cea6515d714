"""A desk at which a test looks at a toy and decides by hand what becomes of each delivery."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from riskloop.assessing import Occasion, assess
from riskloop.looking import look
from riskloop.notifications import Links, Posting, Reach
from riskloop.risks import Mitigation, Site
from riskloop.store import Store, letters, outbox
from riskloop.store.letters import Delivery
from riskloop.store.outbox import Claim
from tests.store.claiming import claim_next
from tests.toys import MITIGATION, Clock, ToySettings


class Desk:
    """Looks at a toy, an hour apart, with one place to tell of it: a repository, unless events are wanted."""

    def __init__(
        self, store: Store, directory: Path, *, mitigation: Mitigation = MITIGATION, events: bool = False
    ) -> None:
        self.store = store
        self.directory = directory
        owner = replace(mitigation.risk.owners[0], channel=None)
        self.mitigation = replace(mitigation, risk=replace(mitigation.risk, owners=(owner,)))
        self.clock = Clock()
        self.runs = 0
        self.reach = Reach(github=not events, events=events)

    def look(self, **values: float) -> None:
        """Look once; with no values at all it cannot be looked at."""
        self.clock.advance(3600)
        mitigation = replace(self.mitigation, settings=ToySettings(values=values or None))
        site = Site(project=self.directory, state=self.directory, now=self.clock())
        assess(self.store, [(mitigation, look(mitigation, site))], self.occasion())

    def occasion(self) -> Occasion:
        self.runs += 1
        return Occasion(
            project="Toys",
            run=f"run-{self.runs}",
            register_digest="d",
            reach=self.reach,
            links=Links(),
            evidence=self.directory / "evidence",
            now=self.clock(),
        )

    def claim(self) -> Claim:
        """Take the next delivery, as a worker does."""
        with self.store.writing() as connection:
            claim = claim_next(connection, channels={"github", "events"}, worker="w", now=self.clock())
        assert claim is not None, "something waits"
        return claim

    def arrive(self, number: int = 7) -> str:
        """Deliver the next one; give its id."""
        claim = self.claim()
        there = Posting(reference=str(number), url=f"https://github.com/acme/sdk/issues/{number}")
        with self.store.writing() as connection:
            assert outbox.finish(connection, claim, there, opening=claim.id, now=self.clock())
        return claim.id

    def bury(self, error: str = "acme/sdk is archived; name another", *, uncertain: bool = False) -> str:
        """Make the next one a dead letter; give its id.

        Args:
            uncertain: it may have arrived.
        """
        claim = self.claim()
        since: datetime | None = self.clock() if uncertain else None
        with self.store.writing() as connection:
            assert outbox.bury(connection, claim, error=error, uncertain_since=since, now=self.clock())
        return claim.id

    def deliveries(self) -> Sequence[Delivery]:
        """Give every delivery, the oldest first."""
        states = {"pending", "sending", "done", "dead"}
        with self.store.reading() as connection:
            found = letters.list_deliveries(connection, states=states, limit=999, dropped=True)
        return found[::-1]

    def states(self) -> list[str]:
        """Say of every delivery what it tells of, and how it stands."""
        return [f"{one.change} {'dropped' if one.dropped else one.state}" for one in self.deliveries()]
