"""The budget of writes: who may write next, and when, counted for every worker of this store together."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, func, insert, select, text

from riskloop.store.tables import writes

_HOUR = timedelta(hours=1)
_FUTURE = timedelta(minutes=10)
"""A slot is never taken so far ahead: one that is was taken by a clock that was wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """How often one may write in one place.

    Args:
        gap: the least time between two writes.
        caps: at most so many writes in any window of so long.
        first: so many writes an hour an owner has a claim to, however many others make: what `share` leaves.
        share: the part of each cap that owners above `first` may use up together.
    """

    gap: timedelta
    caps: Sequence[tuple[int, timedelta]] = ()
    first: int = 20
    share: float = 0.8


def take(
    connection: Connection, place: str, owner: str, budget: Budget, *, now: datetime, patience: timedelta
) -> timedelta:
    """Take the next slot to write in a place, and say how long it is until then.

    A wait longer than `patience` takes nothing. A slot that is not used is lost, never used twice.

    Args:
        owner: on whose behalf; one who wrote much this hour leaves room for those who did not.
    """
    if connection.dialect.name != "sqlite":
        # SQLite's writer is alone already; here two workers would otherwise take the same slot.
        connection.execute(
            text("SELECT pg_advisory_xact_lock(hashtext(:place))"), {"place": f"riskloop:{place}"}
        )
    connection.execute(
        delete(writes).where(
            writes.c.place == place, (writes.c.at <= now - _HOUR) | (writes.c.at > now + _FUTURE)
        )
    )
    mine = select(func.count()).where(writes.c.place == place, writes.c.owner == owner)
    share = 1.0 if connection.execute(mine).scalar_one() < budget.first else budget.share
    slot = now
    last = _newest(connection, place, 1)
    if last is not None:
        slot = max(slot, last + budget.gap)
    for most, window in budget.caps:
        before = _newest(connection, place, max(1, int(most * share)))
        if before is not None:
            slot = max(slot, before + window)
    wait = slot - now
    if wait <= patience:
        connection.execute(insert(writes).values(place=place, owner=owner, at=slot))
    return wait


def _newest(connection: Connection, place: str, nth: int) -> datetime | None:
    query = select(writes.c.at).where(writes.c.place == place).order_by(writes.c.at.desc())
    found: datetime | None = connection.execute(query.offset(nth - 1).limit(1)).scalar()
    return found
