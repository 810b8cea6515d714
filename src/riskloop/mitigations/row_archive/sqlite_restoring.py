"""Writes archived rows into a table of a SQLite file, where they are not there."""

import sqlite3
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from riskloop.errors import Refused
from riskloop.mitigations.row_archive.counting import Back
from riskloop.mitigations.row_archive.shapes import Column
from riskloop.mitigations.row_archive.sqlite_wording import quoted


def put_back(
    connection: sqlite3.Connection,
    transaction: Callable[[str], AbstractContextManager[float]],
    *,
    table: str,
    columns: tuple[Column, ...],
    key: tuple[str, ...],
    rows: Any,
) -> Back:
    """Write rows that are not there, in one transaction; nothing that is there is changed.

    Raises:
        Refused: the table has not all the columns, or is not there.
    """
    from riskloop.mitigations.row_archive.packing import unpack  # noqa: PLC0415 - Parquet is not for a look

    names = [column.name for column in columns]
    computed = _computed(connection, table, names)
    written = [place for place, name in enumerate(names) if name not in computed]
    keyed = [names.index(name) for name in key]
    where = " AND ".join(f"{quoted(names[place])} IS ?" for place in keyed)
    listed = ", ".join(quoted(names[place]) for place in written)
    found = there = 0
    in_the_way: list[object] = []
    with transaction("IMMEDIATE"):
        for row in unpack(rows):
            given = [row[place] for place in keyed]
            select = f"SELECT {listed} FROM {quoted(table)} WHERE {where}"  # noqa: S608 - quoted
            other = _fetch(connection, select, given)
            wanted = tuple(row[place] for place in written)
            if other is None:
                _insert(connection, f"INSERT INTO {quoted(table)} ({listed}) VALUES", wanted)
                found += 1
            elif repr(other) == repr(wanted):
                there += 1
            else:
                in_the_way.append(given[0] if len(given) == 1 else tuple(given))
    return Back(rows=found, there=there, in_the_way=tuple(in_the_way))


def _computed(connection: sqlite3.Connection, table: str, names: list[str]) -> set[str]:
    rows = connection.execute("SELECT name, hidden FROM pragma_table_xinfo(?)", (table,)).fetchall()
    missing = sorted(set(names) - {name for name, _ in rows})
    if missing:
        what = f"has no column {missing[0]}" if rows else "is not there"
        raise Refused(
            f"the table {table} {what}, which the archive has",
            rule="columns",
            remedy="bring the rows back into a new table: --into NAME",
        )
    return {name for name, hidden in rows if hidden}


def _fetch(connection: sqlite3.Connection, select: str, given: list[Any]) -> tuple[Any, ...] | None:
    connection.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")
    try:
        row: tuple[Any, ...] | None = connection.execute(select, given).fetchone()
    finally:
        connection.text_factory = str
    return row


def _insert(connection: sqlite3.Connection, insert: str, row: tuple[Any, ...]) -> None:
    marks, values = [], []
    for value in row:
        broken = isinstance(value, str) and any("\udc80" <= letter <= "\udcff" for letter in value)
        marks.append("CAST(? AS TEXT)" if broken else "?")
        values.append(value.encode("utf-8", "surrogateescape") if broken else value)
    connection.execute(f"{insert} ({', '.join(marks)})", values)
