"""When each recurring chore was done last: looking around in a place, sweeping."""

from datetime import datetime, timedelta

from sqlalchemy import Connection, or_, select
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from riskloop.store.tables import chores


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
