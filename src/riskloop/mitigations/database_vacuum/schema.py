"""Describes what a database is made of, and says in what it differs from what is expected."""

import json
import re
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from hashlib import sha256
from pathlib import Path

from riskloop.errors import Unmeasurable
from riskloop.files import write_whole

Schema = Mapping[str, tuple[str, ...]]
"""What there is, as `table users`, with a line for each of its columns, or for what defines it."""

FOLDER = "schemas"
"""Where learnt schemas are kept, below the state directory."""

APPLICATION = "application id"

_ALLOWED = frozenset(
    (
        sqlite3.SQLITE_CREATE_TABLE,
        sqlite3.SQLITE_CREATE_INDEX,
        sqlite3.SQLITE_CREATE_VIEW,
        sqlite3.SQLITE_CREATE_TRIGGER,
        sqlite3.SQLITE_CREATE_VTABLE,
        sqlite3.SQLITE_ALTER_TABLE,
        sqlite3.SQLITE_DROP_TABLE,
        sqlite3.SQLITE_DROP_INDEX,
        sqlite3.SQLITE_DROP_VIEW,
        sqlite3.SQLITE_DROP_TRIGGER,
        sqlite3.SQLITE_REINDEX,
        sqlite3.SQLITE_INSERT,
        sqlite3.SQLITE_UPDATE,
        sqlite3.SQLITE_DELETE,
        sqlite3.SQLITE_READ,
        sqlite3.SQLITE_SELECT,
        sqlite3.SQLITE_TRANSACTION,
        sqlite3.SQLITE_FUNCTION,
    )
)
_PRAGMAS = frozenset(("application_id", "user_version", "foreign_keys", "encoding", "page_size"))


def describe_sqlite(connection: sqlite3.Connection) -> Schema:
    """Describe a SQLite database: application id, tables with columns and keys, indexes, views, triggers."""
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    found: dict[str, tuple[str, ...]] = {APPLICATION: (f"{application}",)}
    rows = connection.execute(
        "SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
    ).fetchall()
    virtual = {name for kind, name, _, sql in rows if kind == "table" and _is_virtual(sql)}
    for kind, name, table, sql in rows:
        if any(name.startswith(f"{one}_") for one in virtual):
            continue  # The tables behind a virtual one belong to its module, which may change them.
        if kind == "table" and name not in virtual:
            found[f"table {name}"] = tuple(_columns(connection, name))
        elif kind == "index":
            found[f"index {name}"] = (f"on {table}", *_index(connection, name))
        else:
            found[f"{kind} {name}"] = (" ".join((sql or "").split()),)
    return found


def _is_virtual(sql: str | None) -> bool:
    return bool(re.match(r"CREATE\s+VIRTUAL\s", sql or "", re.IGNORECASE))


def _columns(connection: sqlite3.Connection, table: str) -> Iterator[str]:
    for row in connection.execute("SELECT * FROM pragma_table_xinfo(?)", (table,)):
        _, name, kind, required, default, key, hidden = row
        parts = [f"column {name} {kind}".rstrip()]
        parts += ["not null"] if required else []
        parts += [f"default {default}"] if default is not None else []
        parts += [f"key {key}"] if key else []
        parts += ["generated"] if hidden else []
        yield ", ".join(parts)
    keys = connection.execute("SELECT * FROM pragma_foreign_key_list(?)", (table,)).fetchall()
    yield from sorted(
        f"{row[3]} references {row[2]}({row[4] or ''}), delete {row[6]}, update {row[5]}" for row in keys
    )


def _index(connection: sqlite3.Connection, index: str) -> Iterator[str]:
    for row in connection.execute("SELECT * FROM pragma_index_xinfo(?)", (index,)):
        _, _, name, descending, collation, is_key = row
        if is_key:
            yield f"{name or 'expression'} {'descending' if descending else 'ascending'} {collation}"


def read_expected(file: Path, *, shown: str) -> Schema:
    """Read a schema that a team wrote: SQL that makes an empty SQLite database, or what we once learnt.

    The SQL is run in memory, where it can make tables and nothing else.

    Raises:
        Unmeasurable: the file cannot be read, or is neither.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise Unmeasurable(f"{shown} cannot be read: {reason}", remedy="correct `schema`") from error
    if text.lstrip().startswith("{"):
        return _parsed(text, shown=shown)
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.set_authorizer(_only_definitions)
        try:
            connection.executescript(text)
            connection.set_authorizer(None)
            return describe_sqlite(connection)
        except sqlite3.Error as error:
            raise Unmeasurable(
                f"{shown} does not make an empty database: {error}",
                remedy="correct it, or write schema: learn",
            ) from error


def _only_definitions(action: int, first: str | None, *_: str | None) -> int:
    if action in _ALLOWED or (action == sqlite3.SQLITE_PRAGMA and (first or "").lower() in _PRAGMAS):
        return sqlite3.SQLITE_OK
    return sqlite3.SQLITE_DENY


def learnt_file(state: Path, mitigation: str) -> Path:
    """Say where the schema that was learnt for a mitigation is kept."""
    return state / FOLDER / f"{sha256(mitigation.encode()).hexdigest()[:16]}.json"


def read_learnt(state: Path, mitigation: str) -> Schema | None:
    """Read the schema that was learnt for a mitigation; None if none was."""
    file = learnt_file(state, mitigation)
    try:
        return _parsed(file.read_text(encoding="utf-8"), shown=str(file))
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise Unmeasurable(f"{file} cannot be read: {error}", remedy="remove it, to learn anew") from error


def write_schema(file: Path, schema: Schema) -> None:
    """Write a schema down, for a team to keep or for us to hold later looks against.

    Raises:
        Unmeasurable: there is no room, or no right to.
    """
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_whole(file, (json.dumps(schema, indent=1, sort_keys=True) + "\n").encode())
    except OSError as error:
        raise Unmeasurable(
            f"the schema cannot be written to {file}: {error.strerror}", remedy="free space there"
        ) from error


def _parsed(text: str, *, shown: str) -> Schema:
    try:
        found = json.loads(text)
        return {str(name): tuple(map(str, lines)) for name, lines in found.items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise Unmeasurable(
            f"{shown} is no schema that riskloop wrote: {error}", remedy="learn it anew"
        ) from error


def differences(expected: Schema, found: Schema) -> tuple[str, ...]:
    """Say in what a database differs from what is expected, a phrase each."""
    said = []
    for name in sorted({*expected, *found}):
        if name not in found:
            said.append(f"{name} is missing")
        elif name not in expected:
            said.append(f"{name} is not expected")
        elif expected[name] != found[name]:
            gone = [line for line in expected[name] if line not in found[name]]
            new = [line for line in found[name] if line not in expected[name]]
            what = "; ".join([*(f"without {line}" for line in gone), *(f"with {line}" for line in new)])
            said.append(f"{name} differs: {what or 'the order of its columns'}")
    return tuple(said)
