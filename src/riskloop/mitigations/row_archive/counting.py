"""What a look finds in a table, and what one step takes out of it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from riskloop.mitigations.row_archive.months import Partition
from riskloop.mitigations.row_archive.settings import TableRule
from riskloop.mitigations.row_archive.shapes import Column, Shape

Key = int | str
"""The value of a key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """What was found in a table.

    Args:
        total: rows there are; on PostgreSQL an estimate where a table was never counted.
        rows: those past their age that may go.
        first, last: the least and the greatest key among them; None if there are none.
        oldest: when the oldest row is from, in seconds since 1970; None if no row says.
        kept: those past their age that stay, because rows of other tables lead to them.
        empty: rows without a moment, which stay.
        unreadable: rows with something else than a moment, which stay.
        future: rows from more than a day ahead, which stay.
        astray: old rows of a default partition, which stay, as they are in no month.
        partitions: all of them, of a table whose rows go by whole partitions.
        due: those that are past their age as a whole.
    """

    total: int = 0
    rows: int = 0
    first: Key | None = None
    last: Key | None = None
    oldest: float | None = None
    kept: int = 0
    empty: int = 0
    unreadable: int = 0
    future: int = 0
    astray: int = 0
    partitions: tuple[Partition, ...] = ()
    due: tuple[Partition, ...] = ()

    def plus(self, more: "Count") -> "Count":
        """Add what was found further on, by greater keys."""
        known = [one for one in (self.oldest, more.oldest) if one is not None]
        return Count(
            total=self.total + more.total,
            rows=self.rows + more.rows,
            first=more.first if self.first is None else self.first,
            last=self.last if more.last is None else more.last,
            oldest=min(known, default=None),
            kept=self.kept + more.kept,
            empty=self.empty + more.empty,
            unreadable=self.unreadable + more.unreadable,
            future=self.future + more.future,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """Some rows in the order of their keys, and those of other tables that go with them.

    Args:
        rows: an Arrow batch.
        children: a batch for each table that goes with this one, in the order of its shape.
    """

    rows: Any
    children: tuple[Any, ...] = ()

    @property
    def size(self) -> int:
        """Bytes in memory."""
        return sum(int(batch.nbytes) for batch in (self.rows, *self.children))


@dataclass(frozen=True, slots=True, kw_only=True)
class Gone:
    """What one transaction came to.

    Args:
        rows: rows of the table that it deleted.
        children: rows of other tables that went with them.
        changed: rows that stay, because they are no longer what was archived.
        seconds: how long others had to wait for it.
        crowded: others write at the same time.
    """

    rows: int
    children: int = 0
    changed: int = 0
    seconds: float = 0.0
    crowded: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Back:
    """What bringing some rows back came to.

    Args:
        rows: written.
        there: were there already, just so.
        in_the_way: the keys of rows that are there with another content.
    """

    rows: int
    there: int
    in_the_way: tuple[object, ...]


def is_same(now: Piece, archived: Piece) -> bool:
    """Say whether what is there now is what was archived, bit by bit."""
    from riskloop.mitigations.row_archive.comparing import same  # noqa: PLC0415 - Parquet is not for a look

    pairs = zip((now.rows, *now.children), (archived.rows, *archived.children), strict=True)
    return all(same(*pair) for pair in pairs)


class Tables(Protocol):
    """An open database whose rows are archived."""

    shown: str

    def describe(self, rule: TableRule) -> Shape:
        """Say what a table is.

        Raises:
            Refused: it is none whose rows can be archived.
            Unmeasurable: it is not there, or cannot be read.
        """

    def count(self, shape: Shape, cutoff: datetime, *, now: datetime) -> Count:
        """Count what is past its age."""

    def begin(self, shape: Shape) -> None:
        """Get ready to read a table for its archive."""

    def read(
        self, shape: Shape, cutoff: datetime, *, after: Key | None, last: Key | None, most: int
    ) -> Piece | None:
        """Read the next rows past their age, in the order of their keys; None if there are no more.

        Args:
            after: the greatest key that was read already.
            last: the greatest key that is read at all.
            most: so many rows at most.
        """

    def expect(self, schemas: tuple[Any, ...], *, fresh: bool) -> None:
        """Get ready to delete what an archive holds.

        Args:
            schemas: of its files, the table's first.
            fresh: they were read from this very connection, and from no other table since.
        """

    def delete(self, shape: Shape, cutoff: datetime, piece: Piece) -> Gone:
        """Delete in one transaction those rows of a piece that are still what was archived."""

    def key_of(self, table: str) -> tuple[str, ...]:
        """Give the columns of a table's primary key; none if it has none."""

    def make(self, table: str, columns: tuple[Column, ...], *, key: str) -> None:
        """Make a table for rows that are brought back, unless it is there.

        Args:
            key: its primary key; empty for none.
        """

    def put_back(self, table: str, columns: tuple[Column, ...], key: tuple[str, ...], rows: Any) -> Back:
        """Write rows that are not there, in one transaction; nothing that is there is changed.

        Args:
            columns: those that were archived; of the generated ones, those that the table computes itself
                are not written.
            key: the columns by which rows are the same.
            rows: an Arrow batch.
        """
