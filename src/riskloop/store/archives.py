"""The journal of archives: which rows are about to be archived, and which may be deleted because they are.

An archive is written down before its folder is made, again when it is verified and listed in its manifest,
and again when what it holds was deleted. So a folder that stands here as not verified is rubbish, and what is
verified may be deleted at any time.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, RowMapping, Select, delete, insert, select, update

from riskloop.store.tables import archives
from riskloop.store.text import storable


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    """Rows of one table that were archived, or are about to be.

    Args:
        number: the row's; 0 before it is stored.
        id: 12 characters, by which people name it.
        warrant: the run or the approval by which it was made; each archives a table once.
        plan: the digest of the plan.
        table: as the register names it.
        place: its folder, absolute.
        verified_at: since when what it holds may be deleted; None while it is made.
        manifest: the SHA-256 of its manifest; empty until it is verified.
        rows, size: what is in it, and its bytes.
        deleted: rows that were deleted from the table.
        changed: rows that stayed, as they were changed since.
        outcome: what came of it, in words; empty until it has ended.
    """

    number: int = 0
    id: str
    mitigation: str
    warrant: str
    plan: str
    table: str
    place: str
    begun_at: datetime
    verified_at: datetime | None = None
    ended_at: datetime | None = None
    manifest: str = ""
    rows: int = 0
    size: int = 0
    deleted: int = 0
    changed: int = 0
    outcome: str = ""


def begin(connection: Connection, archive: Archive) -> int:
    """Write down that an archive is about to be made; give its number.

    Raises:
        RowsRefused: by the store, when the warrant has archived this table already.
    """
    number: int = connection.execute(
        insert(archives)
        .values(
            id=archive.id,
            mitigation=archive.mitigation,
            warrant=archive.warrant,
            plan=archive.plan,
            table=storable(archive.table),
            place=storable(archive.place),
            begun_at=archive.begun_at,
            manifest="",
            rows=0,
            size=0,
            deleted=0,
            changed=0,
            outcome="",
        )
        .returning(archives.c.number)
    ).scalar_one()
    return number


def forget(connection: Connection, number: int) -> None:
    """Forget an archive that was never verified, and of which nothing is left."""
    connection.execute(delete(archives).where(archives.c.number == number, archives.c.verified_at.is_(None)))


def verify(
    connection: Connection, number: int, *, manifest: str, rows: int, size: int, now: datetime
) -> None:
    """Write down that an archive is whole, so that what it holds may be deleted."""
    connection.execute(
        update(archives)
        .where(archives.c.number == number)
        .values(verified_at=now, manifest=manifest, rows=rows, size=size)
    )


def end(
    connection: Connection, number: int, *, deleted: int, changed: int, outcome: str, now: datetime
) -> None:
    """Write down that what an archive holds was deleted, or why it is not."""
    connection.execute(
        update(archives)
        .where(archives.c.number == number)
        .values(ended_at=now, deleted=deleted, changed=changed, outcome=storable(outcome))
    )


def by_warrant(connection: Connection, mitigation: str, warrant: str) -> tuple[Archive, ...]:
    """Read what a warrant has archived, or begun to."""
    query = select(archives).where(archives.c.mitigation == mitigation, archives.c.warrant == warrant)
    return _all(connection, query.order_by(archives.c.number))


def unfinished(connection: Connection, mitigation: str) -> tuple[Archive, ...]:
    """Read the archives of a mitigation that were begun and have not ended, the oldest first."""
    query = select(archives).where(archives.c.mitigation == mitigation, archives.c.ended_at.is_(None))
    return _all(connection, query.order_by(archives.c.number))


def find(connection: Connection, name: str) -> Archive | None:
    """Read an archive by its id; None if there is none."""
    found = _all(connection, select(archives).where(archives.c.id == name))
    return found[0] if found else None


def list_archives(connection: Connection, *, limit: int) -> tuple[Archive, ...]:
    """Read the newest archives, the newest first."""
    return _all(connection, select(archives).order_by(archives.c.number.desc()).limit(limit))


def _all(connection: Connection, query: Select[tuple[object, ...]]) -> tuple[Archive, ...]:
    return tuple(_archive(row) for row in connection.execute(query).mappings())


def _archive(row: RowMapping) -> Archive:
    return Archive(**{name: row[name] for name in Archive.__slots__})
