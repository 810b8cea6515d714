"""Opens the database that the register names, whichever it is, with a bound to every wait."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from riskloop.databases import Database, SQLiteFile
from riskloop.mitigations.row_archive.counting import Tables
from riskloop.mitigations.row_archive.sqlite_tables import SQLiteTables

WAIT = timedelta(seconds=10)
"""How long to wait for somebody else's transaction."""

LONGEST = timedelta(hours=1)
"""How long one statement may take."""


@contextmanager
def opened(database: Database, *, write: bool) -> Iterator[Tables]:
    """Open a database.

    Raises:
        Unmeasurable: it cannot be opened, or whatever it says while it is open.
    """
    if isinstance(database, SQLiteFile):
        with database.opened(wait=WAIT, write=write) as connection:
            yield SQLiteTables(connection, database.shown)
        return
    # A look at a SQLite file does not wait for the libraries of PostgreSQL.
    from riskloop.mitigations.row_archive.postgres_tables import PostgresTables  # noqa: PLC0415 - see above

    with database.opened(wait=WAIT, longest=LONGEST, autocommit=True) as connection:
        yield PostgresTables(connection, database.shown)
