"""Reads what a table of a SQLite file is, and refuses those whose rows cannot be archived."""

import re
import sqlite3
from difflib import get_close_matches
from typing import Any

from riskloop.errors import Refused, Unmeasurable
from riskloop.mitigations.row_archive.magnitudes import form_of
from riskloop.mitigations.row_archive.refusing import require_references_told, without_key
from riskloop.mitigations.row_archive.settings import TableRule
from riskloop.mitigations.row_archive.shapes import Child, Column, Form, Reference, Shape
from riskloop.mitigations.row_archive.sqlite_wording import quoted

_GENERATED = (2, 3)  # https://www.sqlite.org/pragma.html#pragma_table_xinfo
_DELETES = re.compile(r"\bDELETE\s+ON\b", re.IGNORECASE)


def describe(connection: sqlite3.Connection, rule: TableRule) -> Shape:
    """Say what a table is.

    Raises:
        Refused: it is none whose rows can be archived.
        Unmeasurable: the table or one of its columns is not there, or its moments are in no form we know.
    """
    table = _require_table(connection, rule.table)
    if rule.partitions != "none":
        raise Refused(
            f"{table} is in a SQLite file, which has no partitions", rule="partitions", remedy="drop it"
        )
    columns = columns_of(connection, table)
    timestamp = _require_column(columns, table, rule.timestamp)
    key, numeric = _key(connection, rule, table, columns)
    told = {(child.table.lower(), child.references.lower()) for child in rule.belonging}
    leading = _references(connection, table)
    kept_by = tuple(one for one in leading if (one.table.lower(), one.column.lower()) not in told)
    require_references_told(rule, kept_by)
    return Shape(
        table=table,
        columns=columns,
        key=key,
        numeric=numeric,
        timestamp=timestamp,
        form=Form(rule.form) if rule.form != "auto" else _form(connection, table, key, timestamp),
        children=tuple(_child(connection, name.table, name.references) for name in rule.belonging),
        kept_by=kept_by,
        triggers=_triggers(connection, [table, *(child.table for child in rule.belonging)]),
    )


def _require_table(connection: sqlite3.Connection, name: str) -> str:
    row = connection.execute(
        "SELECT name, type, sql FROM sqlite_schema "
        "WHERE name = ? COLLATE NOCASE AND type IN ('table', 'view')",
        (name,),
    ).fetchone()
    if row is None:
        known = [one for (one,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        near = get_close_matches(name, known, 1)
        hint = f"; did you mean {near[0]}" if near else ""
        raise Unmeasurable(f"there is no table {name}", remedy=f"correct the register{hint}")
    found, kind, sql = row
    if kind == "view":
        raise Refused(f"{name} is a view", rule="view", remedy="name the table that its rows are in")
    if re.match(r"\s*CREATE\s+VIRTUAL", sql or "", re.IGNORECASE) or found.lower().startswith("sqlite_"):
        raise Refused(f"{name} is no ordinary table", rule="view", remedy="name the table its rows are in")
    return str(found)


def columns_of(connection: sqlite3.Connection, table: str) -> tuple[Column, ...]:
    """Give the columns of a table in their order."""
    rows = connection.execute("SELECT name, type, hidden FROM pragma_table_xinfo(?)", (table,)).fetchall()
    return tuple(Column(name=n, declared=t or "", generated=hidden in _GENERATED) for n, t, hidden in rows)


def _require_column(columns: tuple[Column, ...], table: str, name: str) -> str:
    for column in columns:
        if column.name.lower() == name.lower():
            return column.name
    near = get_close_matches(name, [column.name for column in columns], 1)
    hint = f"; did you mean {near[0]}" if near else ""
    raise Unmeasurable(f"{table} has no column {name}", remedy=f"correct the register{hint}")


def _key(
    connection: sqlite3.Connection, rule: TableRule, table: str, columns: tuple[Column, ...]
) -> tuple[str, bool]:
    rows = connection.execute('SELECT name, type, "notnull", pk FROM pragma_table_xinfo(?)', (table,))
    described = {name: (kind or "", bool(required), place) for name, kind, required, place in rows}
    primary = [name for name, (_, _, place) in described.items() if place]
    if not rule.key and len(primary) != 1:
        raise without_key(table, primary)
    key = _require_column(columns, table, rule.key) if rule.key else primary[0]
    kind, required, _ = described[key]
    numbered = primary == [key] and kind.upper() == "INTEGER"
    if not numbered and (not required or not (primary == [key] or _is_unique(connection, table, key))):
        raise Refused(
            f"{table}.{key} may be NULL, or the same in two rows",
            rule="no-key",
            remedy="name a column as `key` that is NOT NULL and UNIQUE",
        )
    return key, numbered or "INT" in kind.upper()


def _is_unique(connection: sqlite3.Connection, table: str, column: str) -> bool:
    found = connection.execute(
        'SELECT name FROM pragma_index_list(?) WHERE "unique" AND NOT partial', (table,)
    ).fetchall()
    return any(_index_columns(connection, name) == [column] for (name,) in found)


def _index_columns(connection: sqlite3.Connection, index: str) -> list[str | None]:
    rows = connection.execute("SELECT name FROM pragma_index_info(?) ORDER BY seqno", (index,))
    return [name for (name,) in rows]


def _references(connection: sqlite3.Connection, table: str) -> tuple[Reference, ...]:
    found = connection.execute(
        'SELECT m.name, f.id, f."from", f."to", f.on_delete, count(*) OVER (PARTITION BY m.name, f.id) '
        "FROM sqlite_schema m, pragma_foreign_key_list(m.name) f "
        "WHERE m.type = 'table' AND f.\"table\" = ? COLLATE NOCASE ORDER BY m.name, f.id, f.seq",
        (table,),
    ).fetchall()
    references = []
    for name, _, column, target, action, parts in found:
        if parts > 1:
            raise Refused(
                f"a foreign key of {name} with several columns leads to {table}",
                rule="referenced",
                remedy="archive what it belongs to by other means; such keys are not followed",
            )
        primary = [one for one, place in _primary(connection, table) if place]
        references.append(
            Reference(
                table=name,
                column=column,
                target=target or primary[0],
                indexed=_is_indexed(connection, name, column),
                deletes=action not in ("NO ACTION", "RESTRICT"),
            )
        )
    return tuple(references)


def _primary(connection: sqlite3.Connection, table: str) -> list[tuple[str, int]]:
    return connection.execute("SELECT name, pk FROM pragma_table_xinfo(?)", (table,)).fetchall()


def _is_indexed(connection: sqlite3.Connection, table: str, column: str) -> bool:
    if [name for name, place in _primary(connection, table) if place == 1] == [column]:
        return True
    indexes = connection.execute("SELECT name FROM pragma_index_list(?) WHERE NOT partial", (table,))
    return any(_index_columns(connection, name)[:1] == [column] for (name,) in indexes.fetchall())


def _child(connection: sqlite3.Connection, name: str, references: str) -> Child:
    table = _require_table(connection, name)
    columns = columns_of(connection, table)
    column = _require_column(columns, table, references)
    leading = _references(connection, table)
    if leading:
        raise Refused(
            f"{table} would go with its rows, but a foreign key of {leading[0].table} leads to it",
            rule="referenced",
            remedy="archive it as a table of its own, where it has a timestamp",
        )
    primary = sorted((place, one) for one, place in _primary(connection, table) if place)
    order = tuple(one for _, one in primary if one != column) or tuple(
        one.name for one in columns if one.name != column
    )
    if not _is_indexed(connection, table, column):
        raise Refused(
            f"{table}.{column} has no index, so that its rows could only be found by reading all of them",
            rule="no-index",
            remedy=f"make one: CREATE INDEX … ON {table} ({column})",
        )
    return Child(table=table, references=column, columns=columns, order=order)


def _triggers(connection: sqlite3.Connection, tables: list[str]) -> tuple[str, ...]:
    rows = connection.execute(
        "SELECT name, tbl_name, sql FROM sqlite_schema WHERE type = 'trigger' ORDER BY name"
    )
    ours = {table.lower() for table in tables}
    return tuple(name for name, on, sql in rows if on.lower() in ours and _DELETES.search(sql or ""))


def _form(connection: sqlite3.Connection, table: str, key: str, timestamp: str) -> Form:
    """Look at the first and the last thousand values."""
    at, by, name = quoted(timestamp), quoted(key), quoted(table)
    values: list[Any] = []
    for way in ("ASC", "DESC"):
        rows = connection.execute(
            f"SELECT {at} FROM {name} WHERE {at} IS NOT NULL ORDER BY {by} {way} LIMIT 1000"  # noqa: S608 - quoted
        )
        values += [value for (value,) in rows]
    return form_of(values, place=f"{table}.{timestamp}")
