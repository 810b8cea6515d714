"""When each recurring chore was done last: looking around in a place, sweeping."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, or_, select
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from riskloop.store.tables import chores

_TRIED, _SUCCEEDED = "tried", "succeeded"


def last_done(connection: Connection, name: str) -> datetime | None:
    """Read when a chore was done last; None if never."""
    found: datetime | None = connection.execute(select(chores.c.at).where(chores.c.name == name)).scalar()
    return found


def done(connection: Connection, name: str, *, now: datetime) -> None:
    """Note that a chore was done."""
    insert_new = sqlite_insert if connection.dialect.name == "sqlite" else postgresql_insert
    connection.execute(
        insert_new(chores)
        .values(name=name, at=now)
        .on_conflict_do_update(index_elements=["name"], set_={"at": now})
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """When a mitigation last carried out what it does, and since when it tries to; None for never."""

    succeeded_at: datetime | None
    waited_since: datetime | None


def tried(connection: Connection, mitigation: str) -> Tried:
    """Read when a mitigation last succeeded, and when it first tried."""
    return Tried(
        succeeded_at=last_done(connection, f"{_SUCCEEDED} {mitigation}"),
        waited_since=last_done(connection, f"{_TRIED} {mitigation}"),
    )


def note_try(connection: Connection, mitigation: str, *, succeeded: bool, now: datetime) -> None:
    """Note that a mitigation did what it does, or failed to."""
    if last_done(connection, f"{_TRIED} {mitigation}") is None:
        done(connection, f"{_TRIED} {mitigation}", now=now)
    if succeeded:
        done(connection, f"{_SUCCEEDED} {mitigation}", now=now)


def take(connection: Connection, name: str, *, every: timedelta, now: datetime) -> bool:
    """Take up a chore that is due, so that of several workers one does it; say whether this one does.

    One that was done in the future, by a clock that was wrong, is due.
    """
    insert_new = sqlite_insert if connection.dialect.name == "sqlite" else postgresql_insert
    taken = connection.execute(
        insert_new(chores)
        .values(name=name, at=now)
        .on_conflict_do_update(
            index_elements=["name"],
            set_={"at": now},
            where=or_(chores.c.at <= now - every, chores.c.at > now),
        )
        .returning(chores.c.name)
    )
    return taken.first() is not None
