"""Counts, reads and deletes the old rows of a PostgreSQL database, in short transactions."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from psycopg import Connection, errors
from sqlalchemy import Connection as Opened

from riskloop.errors import Unmeasurable
from riskloop.mitigations.row_archive import postgres_partitions, postgres_restoring, postgres_shapes
from riskloop.mitigations.row_archive.counting import Back, Count, Gone, Key, Piece, is_same
from riskloop.mitigations.row_archive.months import retirable
from riskloop.mitigations.row_archive.postgres_wording import count_sql, held, moments, old, quoted, table_of
from riskloop.mitigations.row_archive.refusing import columns_changed
from riskloop.mitigations.row_archive.settings import TableRule
from riskloop.mitigations.row_archive.shapes import Column, Shape

_DAY = timedelta(days=1)
_TRIES = 8
_AGAIN = (errors.SerializationFailure, errors.DeadlockDetected, errors.ForeignKeyViolation)
"""Somebody else changed one of the rows meanwhile, or let a row lead to one."""


class PostgresTables:
    """The tables of an open PostgreSQL database; each step is a transaction of its own.

    Args:
        connection: in autocommit.
        shown: what to call the database in a message.
    """

    def __init__(self, connection: Opened, shown: str) -> None:
        self.shown = shown
        driver: Any = connection.connection.driver_connection
        self.connection: Connection[Any] = driver
        self._schemas: tuple[Any, ...] = ()
        # How values are written as text must not depend on the settings of the role or the server.
        for setting in (
            "TimeZone = 'UTC'",
            "DateStyle = 'ISO, YMD'",
            "IntervalStyle = 'postgres'",
            "extra_float_digits = 1",
            "bytea_output = 'hex'",
            "client_encoding = 'UTF8'",
        ):
            self._execute(f"SET {setting}")

    def describe(self, rule: TableRule) -> Shape:
        """Say what a table is, as `Tables` says."""
        return postgres_shapes.describe(self.connection, rule)

    def count(self, shape: Shape, cutoff: datetime, *, now: datetime) -> Count:
        """Count what is past its age, in one statement, which makes nobody wait."""
        row = self._execute(count_sql(shape), {**moments(cutoff), "ahead": now + _DAY}).fetchone()
        first, last, oldest, total, rows, kept, empty, unreadable, future = row
        found = Count(
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
        if not shape.partitioned:
            return found
        there = postgres_partitions.list_partitions(self.connection, shape)
        due = retirable(there, cutoff)
        return replace(
            found,
            rows=sum(postgres_partitions.count_rows(self.connection, one.name) for one in due),
            first=None,
            last=None,
            astray=sum(
                postgres_partitions.default_rows(self.connection, one, shape, cutoff)
                for one in there
                if one.default
            ),
            partitions=there,
            due=due,
        )

    def begin(self, shape: Shape) -> None:
        """Get ready to read a table for its archive."""
        from riskloop.mitigations.row_archive.postgres_copying import schema_of  # noqa: PLC0415 - not to measure

        columns = (shape.columns, *(child.columns for child in shape.children))
        self._schemas = tuple(schema_of(one) for one in columns)

    def expect(self, schemas: tuple[Any, ...], *, fresh: bool) -> None:
        """Get ready to delete what an archive holds."""
        del fresh
        self._schemas = schemas

    def read(
        self, shape: Shape, cutoff: datetime, *, after: Key | None, last: Key | None, most: int
    ) -> Piece | None:
        """Read the next rows past their age, and what goes with them, as they are at one moment."""
        from riskloop.mitigations.row_archive.postgres_copying import TooMuch  # noqa: PLC0415 - not to measure

        where = [f"({old(shape)})", f"NOT ({held(shape)})"]
        where += [f"{quoted(shape.key)} > {_value(shape, 'after')}"] if after is not None else []
        where += [f"{quoted(shape.key)} <= {_value(shape, 'last')}"] if last is not None else []
        given = {**moments(cutoff), "after": after, "last": last}
        while True:
            try:
                with self.transaction():
                    return self._piece(shape, " AND ".join(where), given, most=most)
            except TooMuch:
                most = max(1, most // 16)

    def delete(self, shape: Shape, cutoff: datetime, piece: Piece) -> Gone:
        """Delete those rows of a piece that are still what was archived.

        The transaction sees one moment, and PostgreSQL ends it where a row was changed after that; then it
        is tried again.

        Raises:
            Unmeasurable: rows are locked for too long, or stay that were deleted, as a trigger can have it.
        """
        keys = piece.rows.column(shape.key)
        given = moments(cutoff)
        given |= {"first": keys[0].as_py(), "high": keys[piece.rows.num_rows - 1].as_py()}
        key = quoted(shape.key)
        where = (
            f"{key} BETWEEN {_value(shape, 'first')} AND {_value(shape, 'high')} "
            f"AND ({old(shape)}) AND NOT ({held(shape)})"
        )
        for _ in range(_TRIES):
            try:
                with self.transaction():
                    return self._delete(shape, where, given, piece)
            except _AGAIN:
                continue
        raise Unmeasurable(
            f"rows of {shape.table} are changed again and again while they are to be deleted",
            remedy="see who changes rows past their age; they are in the archive, and stay in the table",
        )

    def holds_next(self, shape: Shape, archived: Any, *, after: Key | None) -> bool:
        """Say whether the next rows of a table are those of a batch, in the open transaction."""
        where = "true" if after is None else f"{quoted(shape.key)} > {_value(shape, 'after')}"
        now = self._piece(shape, where, {"after": after}, most=archived.num_rows)
        return now is not None and is_same(now, Piece(rows=archived))

    def key_of(self, table: str) -> tuple[str, ...]:
        """Give the columns of a table's primary key; none if it has none."""
        return postgres_shapes.primary_key(
            self.connection, postgres_shapes.find_table(self.connection, table)[0]
        )

    def make(self, table: str, columns: tuple[Column, ...], *, key: str) -> None:
        """Make a table for rows that are brought back, unless it is there."""
        parts = [f"{quoted(column.name)} {column.declared}" for column in columns]
        parts += [f"PRIMARY KEY ({quoted(key)})"] if key else []
        self._execute(f"CREATE TABLE IF NOT EXISTS {table_of(table)} ({', '.join(parts)})")

    def put_back(self, table: str, columns: tuple[Column, ...], key: tuple[str, ...], rows: Any) -> Back:
        """Write rows that are not there, in one transaction; nothing that is there is changed."""
        with self.transaction("READ COMMITTED"):
            return postgres_restoring.put_back(self.connection, table, columns, key, rows)

    @contextmanager
    def transaction(self, level: str = "REPEATABLE READ") -> Iterator[None]:
        """One transaction."""
        self._execute(f"BEGIN ISOLATION LEVEL {level}")
        try:
            yield
        except BaseException:
            self._execute("ROLLBACK")
            raise
        self._execute("COMMIT")

    def _delete(self, shape: Shape, where: str, given: dict[str, Any], piece: Piece) -> Gone:
        self._hold_columns(shape)
        now = self._piece(shape, where, given)
        if now is None:
            return Gone(rows=0)
        key, table = quoted(shape.key), table_of(shape.table)
        whole = is_same(now, piece)
        changed = 0
        if not whole:
            from riskloop.mitigations.row_archive.holding import unchanged  # noqa: PLC0415 - not to measure

            keys, changed = unchanged(shape, now, piece)
            where = f"{key} = ANY(%(keys)s::{shape.key_type}[])"
            given = {"keys": keys}
        children = 0
        for child in shape.children:
            among = f"SELECT {key} FROM {table} AS t WHERE {where}"  # noqa: S608 - quoted
            sql = f"DELETE FROM {table_of(child.table)} WHERE {quoted(child.references)} IN ({among})"  # noqa: S608 - quoted
            children += self._execute(sql, given).rowcount
        rows = self._execute(f"DELETE FROM {table} AS t WHERE {where}", given).rowcount  # noqa: S608 - quoted
        if rows != (piece.rows.num_rows if whole else len(keys)):
            raise Unmeasurable(
                f"rows of {shape.table} stayed that were to be deleted",
                remedy="nothing more was deleted there; see that no trigger keeps rows",
            )
        return Gone(rows=rows, children=children, changed=changed)

    def _hold_columns(self, shape: Shape) -> None:
        """Lock the tables before the transaction sees its moment, so that nobody adds a column after it."""
        tables = [(shape.table, shape.columns), *((child.table, child.columns) for child in shape.children)]
        listed = ", ".join(table_of(table) for table, _ in tables)
        self._execute(f"LOCK TABLE {listed} IN ROW EXCLUSIVE MODE", {})
        for table, columns in tables:
            oid, _ = postgres_shapes.find_table(self.connection, table)
            if postgres_shapes.columns_of(self.connection, oid) != columns:
                raise columns_changed(table)

    def _piece(self, shape: Shape, where: str, given: dict[str, Any], *, most: int = 0) -> Piece | None:
        from riskloop.mitigations.row_archive.postgres_copying import copy_out  # noqa: PLC0415 - not to measure

        key, table = quoted(shape.key), table_of(shape.table)
        limit = f" LIMIT {most}" if most else ""
        query = f"SELECT {_listed(shape.columns)} FROM {table} AS t WHERE {where} ORDER BY {key}{limit}"  # noqa: S608 - quoted
        rows = copy_out(self.connection, query, given, self._schemas[0], bounded=most > 1)
        if not rows.num_rows:
            return None
        keys = rows.column(shape.key)
        ends = {"low": keys[0].as_py(), "top": keys[rows.num_rows - 1].as_py()}
        children = []
        for child, schema in zip(shape.children, self._schemas[1:], strict=True):
            at = quoted(child.references)
            query = (
                f"SELECT {_listed(child.columns)} FROM {table_of(child.table)} WHERE {at} IN "  # noqa: S608 - quoted
                f"(SELECT {key} FROM {table} AS t WHERE {where} AND {key} BETWEEN {_value(shape, 'low')} "
                f"AND {_value(shape, 'top')}) ORDER BY {', '.join((at, *map(quoted, child.order)))}"
            )
            children.append(copy_out(self.connection, query, {**given, **ends}, schema, bounded=most > 1))
        return Piece(rows=rows, children=tuple(children))

    def _execute(self, sql: str, given: dict[str, Any] | None = None) -> Any:
        return self.connection.execute(sql, given)


def _listed(columns: tuple[Column, ...]) -> str:
    return ", ".join(quoted(column.name) for column in columns)


def _value(shape: Shape, name: str) -> str:
    return f"%({name})s::{shape.key_type}"
