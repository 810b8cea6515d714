"""Counts, reads and deletes the old rows of a SQLite file, in pieces that keep nobody waiting."""

import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from riskloop.errors import Unmeasurable
from riskloop.mitigations.row_archive import sqlite_restoring, sqlite_shapes
from riskloop.mitigations.row_archive.counting import Back, Count, Gone, Key, Piece, is_same
from riskloop.mitigations.row_archive.refusing import columns_changed
from riskloop.mitigations.row_archive.settings import TableRule
from riskloop.mitigations.row_archive.shapes import Column, Shape
from riskloop.mitigations.row_archive.sqlite_wording import COUNTED, count_sql, held, moments, old, quoted

_FETCHED = 64
_PIECE_BYTES = 8 * 1024 * 1024
_DAY = timedelta(days=1)


class SQLiteTables:
    """The tables of an open SQLite file; each step is a transaction of its own.

    Args:
        connection: without transactions of its own; foreign keys are not enforced on it, so that nothing
            goes which is not archived.
        shown: what to call the file in a message.
    """

    def __init__(self, connection: sqlite3.Connection, shown: str) -> None:
        self.shown = shown
        self._connection = connection
        self._schemas: tuple[Any, ...] = ()
        self._unchanged_since: int | None = None
        """What SQLite counted of others' commits before the archive was begun; None if that was not here."""
        connection.execute("PRAGMA foreign_keys = OFF")

    def describe(self, rule: TableRule) -> Shape:
        """Say what a table is, as `Tables` says."""
        return sqlite_shapes.describe(self._connection, rule)

    def count(self, shape: Shape, cutoff: datetime, *, now: datetime) -> Count:
        """Count what is past its age, in pieces, since a long reader blocks writers where there is no WAL."""
        count, after = Count(), None
        given: dict[str, Any] = {"cutoff": cutoff.timestamp(), "ahead": (now + _DAY).timestamp()}
        while True:
            row = self._connection.execute(count_sql(shape, first=after is None), {**given, "after": after})
            after, found = _counted(row.fetchone())
            count = count.plus(found)
            if found.total < COUNTED:
                return count

    def begin(self, shape: Shape) -> None:
        """Get ready to read a table for its archive."""
        self._schemas = ()
        # What a trigger of the table changes, SQLite does not count as another's.
        self._unchanged_since = None if shape.triggers else self._version()

    def expect(self, schemas: tuple[Any, ...], *, fresh: bool) -> None:
        """Get ready to delete what an archive holds."""
        self._schemas = schemas
        if not fresh:
            self._unchanged_since = None

    def read(
        self, shape: Shape, cutoff: datetime, *, after: Key | None, last: Key | None, most: int
    ) -> Piece | None:
        """Read the next rows past their age, and what goes with them."""
        where = [old(shape), f"NOT ({held(shape)})"]
        where += [f"{quoted(shape.key)} > :after"] if after is not None else []
        where += [f"{quoted(shape.key)} <= :last"] if last is not None else []
        given = {**moments(shape, cutoff), "after": after, "last": last}
        with self._transaction("DEFERRED"):
            return self._piece(shape, " AND ".join(where), given, most=most)

    def delete(self, shape: Shape, cutoff: datetime, piece: Piece) -> Gone:
        """Delete those rows of a piece that are still what was archived.

        Where no other connection wrote since the archive was begun, as SQLite itself says, nothing can have
        changed; else each row is compared with what was archived before it goes.

        Raises:
            Unmeasurable: it is locked, or rows stay that were deleted, as a trigger can have it.
        """
        keys = piece.rows.column(shape.key)
        given = moments(shape, cutoff)
        given |= {"first": keys[0].as_py(), "last": keys[piece.rows.num_rows - 1].as_py()}
        where = f"{quoted(shape.key)} BETWEEN :first AND :last AND {old(shape)} AND NOT ({held(shape)})"
        whole = (piece.rows.num_rows, sum(batch.num_rows for batch in piece.children))
        if self._unchanged_since is not None:
            with self._transaction("IMMEDIATE") as begun:
                if self._version() == self._unchanged_since:
                    gone = self._delete_range(shape, where, given)
                    if gone != whole:
                        raise _stayed(shape)
                    return Gone(rows=gone[0], children=gone[1], seconds=time.perf_counter() - begun)
            self._unchanged_since = None
        with self._transaction("IMMEDIATE") as begun:
            self._require_same_columns(shape)
            now = self._piece(shape, where, given)
            if now is None:
                rows = children = changed = 0
            elif is_same(now, piece):
                rows, children = self._delete_range(shape, where, given)
                changed = 0
                if (rows, children) != whole:
                    raise _stayed(shape)
            else:
                rows, children, changed = self._delete_unchanged(shape, now, piece)
            return Gone(
                rows=rows,
                children=children,
                changed=changed,
                seconds=time.perf_counter() - begun,
                crowded=True,
            )

    def key_of(self, table: str) -> tuple[str, ...]:
        """Give the columns of a table's primary key; none if it has none."""
        rows = self._connection.execute(
            "SELECT name FROM pragma_table_info(?) WHERE pk > 0 ORDER BY pk", (table,)
        )
        return tuple(name for (name,) in rows)

    def make(self, table: str, columns: tuple[Column, ...], *, key: str) -> None:
        """Make a table for rows that are brought back, unless it is there."""
        parts = [
            f"{quoted(column.name)} {column.declared}{' PRIMARY KEY' if column.name == key else ''}"
            for column in columns
        ]
        self._connection.execute(f"CREATE TABLE IF NOT EXISTS {quoted(table)} ({', '.join(parts)})")

    def put_back(self, table: str, columns: tuple[Column, ...], key: tuple[str, ...], rows: Any) -> Back:
        """Write rows that are not there, in one transaction; nothing that is there is changed."""
        return sqlite_restoring.put_back(
            self._connection, self._transaction, table=table, columns=columns, key=key, rows=rows
        )

    def _piece(self, shape: Shape, where: str, given: dict[str, Any], *, most: int = 0) -> Piece | None:
        from riskloop.mitigations.row_archive.packing import learn, pack  # noqa: PLC0415 - not to measure

        key = quoted(shape.key)
        limit = f" LIMIT {most}" if most else ""
        sql = (
            f"SELECT {_listed(shape.columns)} FROM {quoted(shape.table)} WHERE {where} ORDER BY {key}{limit}"  # noqa: S608 - quoted
        )
        rows = self._fetch(sql, given, bounded=bool(most))
        if not rows:
            return None
        place = shape.names.index(shape.key)
        ends = {"low": rows[0][place], "high": rows[-1][place]}
        found = [rows]
        for child in shape.children:
            at = quoted(child.references)
            order = ", ".join((at, *map(quoted, child.order)))
            sql = (
                f"SELECT {_listed(child.columns)} FROM {quoted(child.table)} "  # noqa: S608 - quoted
                f"WHERE {at} BETWEEN :low AND :high AND {at} IN "
                f"(SELECT {key} FROM {quoted(shape.table)} WHERE {where} "
                f"AND {key} BETWEEN :low AND :high) ORDER BY {order}"
            )
            found.append(self._fetch(sql, {**given, **ends}, bounded=False))
        if not self._schemas:
            columns = (shape.columns, *(child.columns for child in shape.children))
            self._schemas = tuple(learn(*pair) for pair in zip(columns, found, strict=True))
        batches = [pack(*pair) for pair in zip(self._schemas, found, strict=True)]
        return Piece(rows=batches[0], children=tuple(batches[1:]))

    def _fetch(self, sql: str, given: dict[str, Any], *, bounded: bool) -> list[tuple[Any, ...]]:
        try:
            return _fetched(self._connection.execute(sql, given), bounded=bounded)
        except sqlite3.OperationalError as error:
            if "decode to UTF-8" not in str(error):
                raise
        # Text that is no UTF-8; slower, and only where there is some.
        self._connection.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")
        try:
            return _fetched(self._connection.execute(sql, given), bounded=bounded)
        finally:
            self._connection.text_factory = str

    def _delete_range(self, shape: Shape, where: str, given: dict[str, Any]) -> tuple[int, int]:
        children = 0
        for child in shape.children:
            at = quoted(child.references)
            children += self._connection.execute(
                f"DELETE FROM {quoted(child.table)} WHERE {at} BETWEEN :first AND :last AND {at} IN "  # noqa: S608 - quoted
                f"(SELECT {quoted(shape.key)} FROM {quoted(shape.table)} WHERE {where})",
                given,
            ).rowcount
        sql = f"DELETE FROM {quoted(shape.table)} WHERE {where}"  # noqa: S608 - quoted
        return self._connection.execute(sql, given).rowcount, children

    def _delete_unchanged(self, shape: Shape, now: Piece, piece: Piece) -> tuple[int, int, int]:
        from riskloop.mitigations.row_archive.holding import unchanged  # noqa: PLC0415 - not to measure

        keys, changed = unchanged(shape, now, piece)
        rows = children = 0
        if keys:
            given = [(key,) for key in keys]
            for child in shape.children:
                sql = f"DELETE FROM {quoted(child.table)} WHERE {quoted(child.references)} = ?"  # noqa: S608 - quoted
                children += self._connection.executemany(sql, given).rowcount
            sql = f"DELETE FROM {quoted(shape.table)} WHERE {quoted(shape.key)} = ?"  # noqa: S608 - quoted
            rows = self._connection.executemany(sql, given).rowcount
        return rows, children, changed

    def _require_same_columns(self, shape: Shape) -> None:
        for table, columns in ((shape.table, shape.columns), *((c.table, c.columns) for c in shape.children)):
            if sqlite_shapes.columns_of(self._connection, table) != columns:
                raise columns_changed(table)

    def _version(self) -> int:
        (version,) = self._connection.execute("PRAGMA data_version").fetchone()
        return int(version)

    @contextmanager
    def _transaction(self, how: str) -> Iterator[float]:
        """One transaction; gives the moment from which on others wait for it, by the performance counter."""
        self._connection.execute(f"BEGIN {how}")
        try:
            yield time.perf_counter()
        except BaseException:
            self._connection.rollback()
            raise
        self._connection.commit()


def _counted(row: Sequence[Any]) -> tuple[Key | None, Count]:
    top, first, last, oldest, *sums = row
    total, rows, kept, empty, unreadable, future = (number or 0 for number in sums)
    return top, Count(
        total=total,
        rows=rows,
        first=first,
        last=last,
        oldest=oldest,
        kept=kept,
        empty=empty,
        unreadable=unreadable,
        future=future,
    )


def _fetched(cursor: sqlite3.Cursor, *, bounded: bool) -> list[tuple[Any, ...]]:
    """Read rows, but where that is asked for no more than a few megabytes of them."""
    if not bounded:
        return cursor.fetchall()
    rows: list[tuple[Any, ...]] = []
    size = 0
    while size < _PIECE_BYTES and (some := cursor.fetchmany(_FETCHED)):
        rows += some
        size += sum(sum(len(v) for v in row if isinstance(v, str | bytes)) for row in some[:: _FETCHED // 4])
    cursor.close()
    return rows


def _listed(columns: Sequence[Column]) -> str:
    return ", ".join(quoted(column.name) for column in columns)


def _stayed(shape: Shape) -> Unmeasurable:
    fired = f", perhaps by a trigger: {', '.join(shape.triggers)}" if shape.triggers else ""
    return Unmeasurable(
        f"rows of {shape.table} stayed that were to be deleted{fired}",
        remedy="nothing more was deleted there; see that no trigger keeps rows",
    )
