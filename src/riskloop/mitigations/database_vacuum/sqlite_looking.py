"""Looks at a SQLite file and changes nothing: its size, its free pages, whether it is sound."""

import sqlite3
from datetime import timedelta

from riskloop.databases import SQLiteFile
from riskloop.databases.sqlite import is_damage
from riskloop.errors import Unmeasurable
from riskloop.mitigations.database_vacuum.schema import describe_sqlite
from riskloop.mitigations.database_vacuum.standing import Standing

MOST_ERRORS = 100
"""So many faults at most are listed; a damaged file may have millions."""

_LARGEST = 10


def look_at_sqlite(database: SQLiteFile, *, wait: timedelta, check: bool = True) -> Standing:
    """Look at a SQLite file; one that is damaged is a finding, and no failure to look.

    Args:
        wait: how long to wait for a lock.
        check: read the whole file to see whether it is sound (`PRAGMA quick_check`).

    Raises:
        Unmeasurable: it is missing, no SQLite database, encrypted, locked, or may not be read.
    """
    try:
        with database.opened(wait=wait, write=False) as connection:
            return _look(database, connection, check=check)
    except Unmeasurable as error:
        if not is_damage(error) or "is not a SQLite database" in error.what:
            raise
        figures = {"integrity_errors": 1.0, "database_bytes": float(database.path.stat().st_size)}
        return Standing(figures=figures, schema=None, damage=(error.what,))


def _look(database: SQLiteFile, connection: sqlite3.Connection, *, check: bool) -> Standing:
    pages, free, size = (
        connection.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("page_count", "freelist_count", "page_size")
    )
    damage = find_damage(connection, thorough=False) if check else ()
    figures = {
        "database_bytes": float(pages * size),
        "free_bytes": float(free * size),
        "free_ratio": free / pages if pages else 0.0,
        "wal_bytes": float(database.wal.stat().st_size if database.wal.exists() else 0),
    }
    if check:
        figures["integrity_errors"] = float(len(damage))
    tables = () if damage else _tables(connection)
    if tables:
        figures["largest_table_bytes"] = float(tables[0][1])
    return Standing(figures=figures, schema=describe_sqlite(connection), damage=damage, tables=tables)


def find_damage(connection: sqlite3.Connection, *, thorough: bool) -> tuple[str, ...]:
    """List what is wrong with a database; empty if it is sound.

    Args:
        thorough: hold the indexes against their tables too (`PRAGMA integrity_check`).
    """
    check = "integrity_check" if thorough else "quick_check"
    rows = [str(row[0]) for row in connection.execute(f"PRAGMA {check}({MOST_ERRORS})")]
    return () if rows == ["ok"] else tuple(rows)


def _tables(connection: sqlite3.Connection) -> tuple[tuple[str, int], ...]:
    """Ask for the largest tables and indexes; a SQLite built without `dbstat` does not know."""
    try:
        rows = connection.execute(
            "SELECT name, pgsize FROM dbstat WHERE aggregate = TRUE ORDER BY pgsize DESC LIMIT ?", (_LARGEST,)
        ).fetchall()
    except sqlite3.OperationalError:
        return ()
    return tuple((str(name), int(size)) for name, size in rows)
