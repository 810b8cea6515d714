"""Opens a SQLite file that is somebody's: never made, never replaced, and refused in words if it is none."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

from riskloop.errors import Unmeasurable

_MAGIC = b"SQLite format 3\x00"  # https://www.sqlite.org/fileformat.html#the_database_header


@dataclass(frozen=True, slots=True, kw_only=True)
class SQLiteFile:
    """A SQLite database.

    Args:
        path: of its file.
        shown: what to call it in a message.
    """

    path: Path
    shown: str

    @property
    def wal(self) -> Path:
        """The file that its write-ahead log is in, where it has one."""
        return self.path.with_name(f"{self.path.name}-wal")

    @contextmanager
    def opened(self, *, wait: timedelta, write: bool) -> Iterator[sqlite3.Connection]:
        """Open it; transactions are begun by whoever works on it, in so many words.

        Args:
            wait: how long to wait for another writer.
            write: it is to be changed. Reading alone a file in WAL mode needs its -shm file all the same.

        Raises:
            Unmeasurable: it is missing, no SQLite database, encrypted, damaged, locked, or not readable; or
                whatever else SQLite says while it is open.
        """
        self._require_database()
        mode = "rw" if write else "ro"
        address = f"file:{quote(str(self.path))}?mode={mode}"
        with self.said():
            connection = sqlite3.connect(
                address,
                uri=True,
                timeout=wait.total_seconds(),
                isolation_level=None,
                check_same_thread=False,
            )
            with closing(connection):
                connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
                yield connection

    def _require_database(self) -> None:
        try:
            with self.path.open("rb") as file:
                head = file.read(len(_MAGIC))
        except OSError as error:
            raise Unmeasurable(
                f"{self.shown} cannot be read: {error.strerror}",
                remedy="correct `database`, or its permissions",
            ) from error
        if head != _MAGIC:
            what = "is empty" if not head else "is not a SQLite database, or is encrypted"
            raise Unmeasurable(f"{self.shown} {what}", remedy="correct `database`; it was not touched")

    @contextmanager
    def said(self) -> Iterator[None]:
        """Turn what SQLite says into words a person can act on.

        Raises:
            Unmeasurable: with the file, what SQLite said, and what to do.
        """
        try:
            yield
        except sqlite3.Error as error:
            says = str(error)
            raise Unmeasurable(f"{self.shown}: {says}", remedy=_remedy(says)) from error


def is_damage(error: Unmeasurable) -> bool:
    """Say whether what SQLite said means that the file itself is damaged."""
    return any(sign in error.what for sign in ("malformed", "not a database", "corrupt"))


def _remedy(says: str) -> str:
    remedies = {
        "locked": "another program holds it; end that program's transaction, or let this run at another time",
        "busy": "another program holds it; end that program's transaction, or let this run at another time",
        "readonly": "let the service's user write the file and its directory",
        "unable to open": "let the service's user read and write the file, its directory, its -wal, its -shm",
        "malformed": "stop the program that uses it, copy the file with its -wal and -shm, then recover the "
        "copy with sqlite3's .recover, or restore a backup; nothing more was written to it",
        "not a database": "it is encrypted or damaged; restore a backup, or correct `database`",
        "disk is full": "free space on its disk and in the temporary directory; nothing was lost",
        "disk I/O": "check its disk: is it full, or failing?",
    }
    return next((remedy for sign, remedy in remedies.items() if sign in says), "see SQLite's documentation")
