"""Vacuums a SQLite file in its place, after a checked backup and before a check of the whole."""

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from riskloop.databases import SQLiteFile
from riskloop.errors import Refused
from riskloop.mitigations.database_vacuum.sqlite_looking import find_damage
from riskloop.wording import figures

ROOM = 2.2
"""How many times its size a vacuum may need, beside the file and in the temporary directory: the WAL grows to
the size of the database, and the copy is written in the temporary directory first."""

STEP_PAGES = 2_000
"""Pages given back in one transaction: others wait for milliseconds."""

_TRIES = 3
_INCREMENTAL = 2


@dataclass(slots=True, kw_only=True)
class Vacuumed:
    """What a vacuum came to.

    Args:
        before, after: bytes of the file.
        damage: what the check afterwards found; empty if it is sound.
        notes: what a person should know, a sentence each.
        backup: where the copy from before it is.
    """

    before: int
    after: int = 0
    damage: tuple[str, ...] = ()
    notes: list[str] = field(default_factory=list)
    backup: Path | None = None


def choose_mode(wanted: str, connection: sqlite3.Connection) -> str:
    """Say how a file is vacuumed: `incremental` only where it was made for that.

    Raises:
        Refused: incremental is asked for, and the file does not allow it.
    """
    (allowed,) = connection.execute("PRAGMA auto_vacuum").fetchone()
    if wanted == "auto":
        return "incremental" if allowed == _INCREMENTAL else "full"
    if wanted == "incremental" and allowed != _INCREMENTAL:
        raise Refused(
            "the file was not made for incremental vacuum (its auto_vacuum is not 2)",
            rule="vacuum-mode",
            remedy="write vacuum: auto or full; or once, while nobody uses it: "
            "PRAGMA auto_vacuum = INCREMENTAL; VACUUM;",
        )
    return wanted


def require_room(database: SQLiteFile, *, backups: Path) -> None:
    """Make sure that there is room for the backup, the log and the copy that a vacuum writes.

    Raises:
        Refused: there is not; nothing was changed.
    """
    size = database.path.stat().st_size + (database.wal.stat().st_size if database.wal.exists() else 0)
    temporary = Path(os.environ.get("SQLITE_TMPDIR") or tempfile.gettempdir())
    wanted: dict[int, tuple[Path, float]] = {}
    for place, factor in ((database.path.parent, ROOM), (temporary, ROOM), (backups, 1.0)):
        device = place.stat().st_dev
        before = wanted.get(device, (place, 0.0))
        needed = max(before[1], factor) if factor == ROOM else before[1] + factor
        wanted[device] = (before[0], needed)
    for place, factor in wanted.values():
        free = shutil.disk_usage(place).free
        if free < size * factor:
            raise Refused(
                f"{place} has {figures.size(free)} free, and vacuuming {figures.size(size)} may need "
                f"{figures.size(size * factor)}",
                rule="room",
                remedy="free space there; nothing was changed",
            )


def back_up(connection: sqlite3.Connection, *, to: Path, name: str, keep: int) -> Path:
    """Copy a database while others use it, check the copy, and keep only the newest copies.

    Raises:
        Refused: the copy cannot be written, or is damaged: then so is the file.
    """
    partial = to / f".{name}.partial"
    file = to / f"{name}.sqlite"
    try:
        partial.unlink(missing_ok=True)
        os.close(os.open(partial, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_NOFOLLOW, 0o600))
        with closing(sqlite3.connect(partial)) as copy:
            connection.backup(copy, pages=-1)
            damage = find_damage(copy, thorough=True)
        if damage:
            raise Refused(
                f"the copy of the database is damaged: {damage[0]}",
                rule="damaged",
                remedy="the file is too: it was not vacuumed; recover a copy of it with sqlite3's .recover, "
                "or restore a backup",
            )
        with partial.open("rb") as raw:
            os.fsync(raw.fileno())
        partial.replace(file)
        for old in sorted(to.glob("*.sqlite"))[:-keep]:
            old.unlink()
    except OSError as error:
        raise Refused(
            f"the backup cannot be written to {to}: {error.strerror}",
            rule="no-way-back",
            remedy="free space there; nothing was changed",
        ) from error
    finally:
        partial.unlink(missing_ok=True)
    return file


def vacuum(database: SQLiteFile, connection: sqlite3.Connection, *, mode: str) -> Vacuumed:
    """Vacuum in place, bring the log into the file, check the whole, and say what it came to.

    The file is never replaced: a connection that somebody left idle would go on writing to the old one.
    """
    done = Vacuumed(before=database.path.stat().st_size)
    counts, version = count_rows(connection), _version(connection)
    if mode == "full":
        connection.execute("VACUUM")
    elif mode == "incremental":
        _give_back(connection)
    else:
        connection.execute("ANALYZE")
    if not _checkpoint(connection):
        done.notes.append(
            "another connection reads an older state, so that the file did not shrink yet; it does when that "
            "connection ends, or with the next run"
        )
    done.damage = find_damage(connection, thorough=True)
    after = count_rows(connection)
    if _version(connection) != version:
        done.notes.append("others wrote meanwhile, so that rows before and after cannot be compared")
    elif after != counts:
        names = sorted({*counts, *after}, key=str)
        lost = [
            f"{name} had {counts.get(name)} rows, and has {after.get(name)}"
            for name in names
            if counts.get(name) != after.get(name)
        ]
        done.damage = (*done.damage, *lost)
    done.after = database.path.stat().st_size
    return done


def _give_back(connection: sqlite3.Connection) -> None:
    """Give free pages back step by step; by `execute` a step would free a single page."""
    before = -1
    while (free := connection.execute("PRAGMA freelist_count").fetchone()[0]) and free != before:
        connection.executescript(f"PRAGMA incremental_vacuum({STEP_PAGES})")
        before = free


def _checkpoint(connection: sqlite3.Connection) -> bool:
    """Bring the log into the file and cut it off; say whether nobody was in the way.

    Each try waits for as long as the connection's own timeout.
    """
    for _ in range(_TRIES):
        busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if not busy:
            return True
    return False


def _version(connection: sqlite3.Connection) -> int:
    """Read the number that changes whenever another connection commits."""
    (version,) = connection.execute("PRAGMA data_version").fetchone()
    return int(version)


def count_rows(connection: sqlite3.Connection) -> Mapping[str, int]:
    """Count the rows of each table."""
    names = [
        row[0]
        for row in connection.execute(
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND sql NOT LIKE 'CREATE VIRTUAL %'"
        )
    ]
    return {
        name: connection.execute(f"SELECT count(*) FROM {quoted(name)}").fetchone()[0]  # noqa: S608 - quoted
        for name in names
    }


def quoted(name: str) -> str:
    """Write a name so that SQL takes it as one, whatever is in it."""
    return '"' + name.replace('"', '""') + '"'


def backup_name(at: datetime) -> str:
    """Name a backup so that the newest comes last in order of names."""
    return f"{at:%Y%m%dT%H%M%SZ}"
