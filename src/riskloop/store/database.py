"""The store's engine, its transactions, its migrations and its backup."""

import os
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, DataError, DBAPIError, IntegrityError
from sqlalchemy.pool import ConnectionPoolEntry

from riskloop.errors import StoreError

BUSY_SECONDS = 30
"""How long a SQLite writer waits for another one before it says so."""

_MIGRATION_LOCK = 7_275_001
"""The PostgreSQL advisory lock under which migrations run: any fixed number of our own."""


class RowsRefused(StoreError):
    """The database refuses what these rows say; nothing was stored, and other rows still can be."""


@dataclass(frozen=True, slots=True)
class Store:
    """The store: `reading` and `writing` transactions over one engine."""

    engine: Engine

    @property
    def on_sqlite(self) -> bool:
        return self.engine.dialect.name == "sqlite"

    @property
    def address(self) -> str:
        """The store's address for people, without its password, wherever that stands in it."""
        url = self.engine.url.difference_update_query(("password", "sslpassword"))
        return url.render_as_string(hide_password=True)

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """One transaction that may write; on SQLite it begins IMMEDIATE, so it waits its turn at the start.

        Raises:
            RowsRefused: what was written breaks a rule of the tables.
            StoreError: the database is read-only, full, locked for too long, or gone.
        """
        with _said(self), self.engine.execution_options(riskloop_writes=True).begin() as connection:
            yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """One transaction that only reads.

        Raises:
            StoreError: the database cannot be read.
        """
        with _said(self), self.engine.connect() as connection:
            yield connection

    def upgrade(self) -> None:
        """Bring the tables to this program's version; two at once wait for each other.

        Raises:
            StoreError: the store comes from a newer version, or cannot be written.
        """
        if self.on_sqlite:
            self._make_file()
        with self.writing() as connection:
            if not self.on_sqlite:
                connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})")
            self._refuse_newer(connection)
            config = _alembic()
            config.attributes["connection"] = connection
            command.upgrade(config, "head")

    def require_current(self) -> None:
        """Make sure that the tables are of this program's version.

        Raises:
            StoreError: they are older (upgrade them) or newer (upgrade the program).
        """
        with self.reading() as connection:
            self._refuse_newer(connection)
            if _revision(connection) != _head():
                raise StoreError(
                    f"the store {self.address} is of an older version", remedy="run: riskloop store upgrade"
                )

    def backup(self, to: Path) -> None:
        """Copy a SQLite store, while others use it, to a new file that appears only when it is whole.

        Raises:
            StoreError: the file exists, cannot be written, or the store is not SQLite.
        """
        if not self.on_sqlite:
            raise StoreError(
                f"the store {self.address} is not a SQLite file", remedy="back it up with pg_dump"
            )
        if os.path.lexists(to):
            raise StoreError(f"{to} exists", remedy="name a file that does not exist yet")
        try:
            with tempfile.TemporaryDirectory(dir=to.parent, prefix=f".{to.name}.") as scratch:
                partial = Path(scratch, "copy")
                self._copy(partial)
                partial.rename(to)
        except (OSError, sqlite3.Error, DBAPIError) as error:
            raise StoreError(
                f"the store could not be copied to {to} ({error})", remedy="check its directory"
            ) from error

    def _copy(self, to: Path) -> None:
        # As private as the store itself.
        os.close(os.open(to, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        with self.engine.connect() as connection, closing(sqlite3.connect(to)) as copy:
            source = connection.connection.driver_connection
            if not isinstance(source, sqlite3.Connection):
                raise StoreError(f"the store {self.address} has no SQLite connection")
            source.backup(copy)
            (verdict,) = copy.execute("PRAGMA integrity_check(1)").fetchone()
        if verdict != "ok":
            raise StoreError(f"the copy of {self.address} is damaged: {verdict}", remedy="check the disk")
        with to.open("rb") as file:
            os.fsync(file.fileno())

    def close(self) -> None:
        self.engine.dispose()

    def _make_file(self) -> None:
        file = self.engine.url.database
        if file is None:
            return
        try:
            Path(file).parent.mkdir(parents=True, exist_ok=True)
            # The store holds what the evidence holds: nobody else's business.
            os.close(os.open(file, os.O_CREAT | os.O_RDWR, 0o600))
        except OSError as error:
            raise StoreError(
                f"the store {file} cannot be written ({error.strerror})",
                remedy="check its directory, or set RISKLOOP_STATE",
            ) from error

    def _refuse_newer(self, connection: Connection) -> None:
        revision = _revision(connection)
        if revision is None:
            return
        try:
            ScriptDirectory.from_config(_alembic()).get_revision(revision)
        except CommandError:
            raise StoreError(
                f"the store {self.address} was written by a newer riskloop (its version is {revision})",
                remedy="upgrade riskloop, or restore the backup made before the upgrade",
            ) from None


def open_store(url: str) -> Store:
    """Open the store at a SQLAlchemy URL, `sqlite:///…` or `postgresql+psycopg://…`; connects lazily.

    Raises:
        StoreError: the URL is not one, names another database, or a SQLite file by a relative path, which
            would be another file for each process.
    """
    unknown = StoreError(
        "RISKLOOP_STORE_URL is not the address of a store we know",
        remedy="give sqlite:////absolute/file or postgresql://user:password@host/database, "
        "with %40 for an @ in the password",
    )
    try:
        # An absolute path is taken as it stands: it may hold a `?`, which would end it in an address.
        path = url.removeprefix("sqlite:///")
        parsed = URL.create("sqlite", database=path) if path.startswith("/") else make_url(url)
    except (ArgumentError, ValueError):
        raise unknown from None
    backend = parsed.drivername.partition("+")[0]
    if backend == "sqlite":
        file = (parsed.database or "").removeprefix("file:")
        known = parsed.drivername == "sqlite" and Path(file).is_absolute()
    else:
        known = backend == "postgresql" and "@" not in (parsed.host or "")
        parsed = parsed.set(drivername="postgresql+psycopg")
    if not known:
        raise unknown
    engine = create_engine(parsed, pool_pre_ping=backend == "postgresql")
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    return Store(engine)


def _prepare_sqlite(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
    # We begin transactions ourselves: the driver's own way cannot begin IMMEDIATE.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000}")
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA foreign_keys = ON")
    # FULL: a delivery known to be sent must still be known after a power cut.
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get("riskloop_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@contextmanager
def _said(store: Store) -> Iterator[None]:
    try:
        yield
    except (DataError, IntegrityError, psycopg.DataError, psycopg.IntegrityError) as error:
        raise RowsRefused(f"the store {store.address} refuses a row: {_reason(error)}") from error
    # What psycopg's COPY raises does not pass through SQLAlchemy.
    except (DBAPIError, psycopg.Error) as error:
        reason = _reason(error)
        raise StoreError(f"the store {store.address} failed: {reason}", remedy=_remedy(reason)) from error


def _reason(error: DBAPIError | psycopg.Error) -> str:
    cause = error.orig if isinstance(error, DBAPIError) else error
    return str(cause).strip().partition("\n")[0]


def _remedy(reason: str) -> str:
    remedies = {
        "readonly": "make its file and directory writable for this user",
        "unable to open": "check that its directory exists and is writable for this user",
        "disk is full": "free space on its disk; nothing is lost, the next run goes on",
        "No space left": "free space on the database's disk; nothing is lost, the next run goes on",
        "disk I/O": "check its disk: is it full, or failing? nothing is lost, the next run goes on",
        "locked": "another program holds it; end that program's transaction",
        "no such table": "run: riskloop store upgrade",
        "does not exist": "run: riskloop store upgrade",
        "not a database": "restore a backup, or move the file away: open incidents are then told anew",
        "malformed": "restore a backup, or move the file away: open incidents are then told anew",
        "connection": "check that the database server runs and is reachable",
    }
    return next((remedy for sign, remedy in remedies.items() if sign in reason), "see riskloop doctor")


def _alembic() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config


def _head() -> str | None:
    return ScriptDirectory.from_config(_alembic()).get_current_head()


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()
