"""When each recurring chore was done last: looking around in a place, sweeping."""

from datetime import datetime

from sqlalchemy import Connection, select
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
