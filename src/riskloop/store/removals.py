"""The journal of removals: what is about to be taken out of a directory, and what came of it.

Each batch of a plan is written down before it is carried out, and again with what came of it. So whatever is
neither in its place nor in the quarantine stands here as deleted.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from pydantic import TypeAdapter
from sqlalchemy import Connection, RowMapping, insert, select, update

from riskloop.store.tables import removal_batches, removals
from riskloop.store.text import storable

_skipped = TypeAdapter(dict[str, int])
_places = TypeAdapter(list[tuple[int, int, str]])


class Step(StrEnum):
    """What is done to a plan's entries: taken out of the directory, deleted from the quarantine."""

    REMOVE = "remove"
    PURGE = "purge"


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """One plan that is carried out, or was.

    Args:
        number: the row's; 0 before it is stored.
        id: 12 characters, by which people name it.
        warrant: the run or the approval by which it is carried out; each carries out one removal once.
        plan: the digest of the plan.
        directory: absolute.
        quarantine: the name of its folder in the quarantine; empty where things are deleted at once.
        files, size: what was taken out, and its bytes; known when it has ended.
        skipped: how many stayed, by reason.
        purge_at: when what is in quarantine is to be deleted; None where nothing is.
    """

    number: int = 0
    id: str
    mitigation: str
    warrant: str
    plan: str
    directory: str
    quarantine: str
    begun_at: datetime
    ended_at: datetime | None = None
    files: int = 0
    size: int = 0
    skipped: Mapping[str, int] = field(default_factory=dict)
    purge_at: datetime | None = None
    purged_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Some blocks of a removal's plan, from the first to the last.

    Args:
        batch: counted from 0.
        first, last: counted from 0, both included.
        ended: what came of it is known; else it was begun, and perhaps broken off.
        files, size: what was done to how many files, and their bytes.
        skipped: of each entry that stayed the block, the place in it, and the reason.
    """

    batch: int
    first: int
    last: int
    ended: bool = False
    files: int = 0
    size: int = 0
    skipped: tuple[tuple[int, int, str], ...] = ()


def begin(connection: Connection, removal: Removal) -> int:
    """Write down that a removal begins; give its number.

    Raises:
        RowsRefused: by the store, when the warrant has carried out a removal already.
    """
    number: int = connection.execute(
        insert(removals)
        .values(
            id=removal.id,
            mitigation=removal.mitigation,
            warrant=removal.warrant,
            plan=removal.plan,
            directory=storable(removal.directory),
            quarantine=removal.quarantine,
            begun_at=removal.begun_at,
            files=0,
            size=0,
            skipped="{}",
            purge_at=removal.purge_at,
        )
        .returning(removals.c.number)
    ).scalar_one()
    return number


def end(connection: Connection, number: int, *, now: datetime) -> None:
    """Write down that a removal has ended, with the sum of what its batches came to."""
    files = size = 0
    skipped: dict[str, int] = {}
    for batch in list_batches(connection, number, Step.REMOVE):
        files += batch.files
        size += batch.size
        for _, _, reason in batch.skipped:
            skipped[reason] = skipped.get(reason, 0) + 1
    connection.execute(
        update(removals)
        .where(removals.c.number == number)
        .values(ended_at=now, files=files, size=size, skipped=_skipped.dump_json(skipped).decode())
    )


def end_purge(connection: Connection, number: int, *, now: datetime) -> None:
    """Write down that nothing of a removal is in quarantine any more."""
    connection.execute(update(removals).where(removals.c.number == number).values(purged_at=now))


def begin_batch(connection: Connection, number: int, step: Step, batch: Batch, *, now: datetime) -> None:
    """Write down that a batch is about to be carried out."""
    connection.execute(
        insert(removal_batches).values(
            removal=number,
            step=step,
            batch=batch.batch,
            first=batch.first,
            last=batch.last,
            begun_at=now,
            files=0,
            size=0,
            skipped="[]",
        )
    )


def end_batch(connection: Connection, number: int, step: Step, batch: Batch, *, now: datetime) -> None:
    """Write down what came of a batch."""
    connection.execute(
        update(removal_batches)
        .where(
            removal_batches.c.removal == number,
            removal_batches.c.step == step,
            removal_batches.c.batch == batch.batch,
        )
        .values(
            ended_at=now,
            files=batch.files,
            size=batch.size,
            skipped=_places.dump_json(list(batch.skipped)).decode(),
        )
    )


def list_batches(connection: Connection, number: int, step: Step) -> tuple[Batch, ...]:
    """Read the batches of a removal in their order."""
    query = select(removal_batches).where(removal_batches.c.removal == number, removal_batches.c.step == step)
    return tuple(
        Batch(
            batch=row["batch"],
            first=row["first"],
            last=row["last"],
            ended=row["ended_at"] is not None,
            files=row["files"],
            size=row["size"],
            skipped=tuple(_places.validate_json(row["skipped"])),
        )
        for row in connection.execute(query.order_by(removal_batches.c.batch)).mappings()
    )


def by_warrant(connection: Connection, mitigation: str, warrant: str) -> Removal | None:
    """Read what a warrant has carried out, or begun to; None if nothing."""
    query = select(removals).where(removals.c.mitigation == mitigation, removals.c.warrant == warrant)
    row = connection.execute(query).mappings().first()
    return _removal(row) if row else None


def unfinished(connection: Connection, mitigation: str) -> tuple[Removal, ...]:
    """Read the removals of a mitigation that were begun and have not ended, the oldest first."""
    query = select(removals).where(removals.c.mitigation == mitigation, removals.c.ended_at.is_(None))
    return tuple(_removal(row) for row in connection.execute(query.order_by(removals.c.number)).mappings())


def unpurged(connection: Connection, mitigation: str | None = None) -> tuple[Removal, ...]:
    """Read the removals that may have something in quarantine, of one mitigation or of all; oldest first."""
    query = select(removals).where(removals.c.quarantine != "", removals.c.purged_at.is_(None))
    if mitigation is not None:
        query = query.where(removals.c.mitigation == mitigation)
    return tuple(_removal(row) for row in connection.execute(query.order_by(removals.c.number)).mappings())


def find(connection: Connection, name: str) -> Removal | None:
    """Read a removal by its id; None if there is none."""
    row = connection.execute(select(removals).where(removals.c.id == name)).mappings().first()
    return _removal(row) if row else None


def list_removals(connection: Connection, *, limit: int) -> tuple[Removal, ...]:
    """Read the newest removals, the newest first."""
    query = select(removals).order_by(removals.c.number.desc()).limit(limit)
    return tuple(_removal(row) for row in connection.execute(query).mappings())


def _removal(row: RowMapping) -> Removal:
    return Removal(
        number=row["number"],
        id=row["id"],
        mitigation=row["mitigation"],
        warrant=row["warrant"],
        plan=row["plan"],
        directory=row["directory"],
        quarantine=row["quarantine"],
        begun_at=row["begun_at"],
        ended_at=row["ended_at"],
        files=row["files"],
        size=row["size"],
        skipped=_skipped.validate_json(row["skipped"]),
        purge_at=row["purge_at"],
        purged_at=row["purged_at"],
    )
