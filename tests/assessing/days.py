"""One leaking toy through many days: looks at it, decisions about it, and what is told of it."""

from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

from pydantic import TypeAdapter
from sqlalchemy import select

from riskloop.assessing import Occasion, assess
from riskloop.assessing.muting import begin_mute, end_mute, follow_mutes
from riskloop.assessing.reminding import remind
from riskloop.incidents import Concern
from riskloop.mutes import Mute, Muting
from riskloop.notifications import Facts, Links
from riskloop.store import Store, history, mutes
from riskloop.store.tables import deliveries, transitions
from riskloop.thresholds import Verdict
from tests.store.shelf import looks, occasion
from tests.toys import Clock

TOY = "toys.000"
_facts = TypeAdapter(Facts)


@dataclass(kw_only=True)
class Days:
    """Each look is a run of its own; the clock goes on only when a test says so."""

    store: Store
    clock: Clock
    directory: Path
    runs: int = 0
    read: int = field(default=0)

    def at(self) -> Occasion:
        self.runs += 1
        links = Links(run=f"http://127.0.0.1:4210/runs/flow-run/{self.runs}")
        return replace(occasion(f"run-{self.runs}", self.directory), now=self.clock(), links=links)

    def wait(self, days: float) -> None:
        self.clock.advance(days * 86_400)

    def look(self, leaks: float) -> None:
        assess(self.store, looks([leaks]), self.at())

    def follow_up(self) -> int:
        """Do what is due by the clock alone; say how many incidents it told of."""
        at = self.at()
        return len(follow_mutes(self.store, at)) + len(remind(self.store, at))

    def mute(self, muting: Muting, *, days: float, who: str = "Ada", why: str = "known") -> Mute:
        mute = Mute(
            id=history.new_id(),
            muting=muting,
            subject=TOY,
            concern=Concern.BREACH if muting is Muting.ACCEPTED else None,
            severity=Verdict.WARNING if muting is Muting.ACCEPTED else Verdict.UNKNOWN,
            who=who,
            why=why,
            since=self.clock(),
            until=self.clock() + timedelta(days=days),
        )
        begin_mute(self.store, mute, self.at())
        return mute

    def accept(self, *, days: float, who: str = "Ada") -> Mute:
        return self.mute(Muting.ACCEPTED, days=days, who=who)

    def silence(self, *, days: float, who: str = "Ada") -> Mute:
        return self.mute(Muting.SILENCED, days=days, who=who)

    def end(self, mute: Mute) -> None:
        end_mute(self.store, mute, "by Bob: all is mended", self.at())

    def told(self) -> list[Facts]:
        """Give what was stored to be told since the last time this was asked, quiet or not."""
        with self.store.reading() as connection:
            rows = connection.execute(
                select(transitions.c.number, transitions.c.facts)
                .where(transitions.c.number > self.read)
                .order_by(transitions.c.number)
            ).all()
        self.read = max((row.number for row in rows), default=self.read)
        return [_facts.validate_json(row.facts) for row in rows]

    def changes(self) -> list[str]:
        """Give the same as words; in brackets what is quiet."""
        return [f"({facts.change})" if facts.quiet else str(facts.change) for facts in self.told()]

    def places(self, change: str) -> list[str]:
        """Give the channels on which the newest such change is told."""
        query = (
            select(deliveries.c.channel)
            .join(transitions, transitions.c.number == deliveries.c.transition)
            .where(transitions.c.change == change)
            .order_by(deliveries.c.number)
        )
        with self.store.reading() as connection:
            return list(connection.execute(query).scalars())

    def holding(self) -> list[Mute]:
        with self.store.reading() as connection:
            return list(mutes.holding(connection, [TOY], now=self.clock()).get(TOY, ()))
