"""Opens a PostgreSQL database that is somebody's, with limits to every wait, and never shows its password."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta

import psycopg
from sqlalchemy import URL, Connection, create_engine, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.pool import NullPool

from riskloop.errors import Unmeasurable


@dataclass(frozen=True, slots=True, kw_only=True)
class Postgres:
    """A PostgreSQL database.

    Args:
        url: its address (secret).
        shown: what to call it in a message.
    """

    url: URL = field(repr=False)
    shown: str

    @contextmanager
    def opened(
        self, *, wait: timedelta, longest: timedelta, autocommit: bool = False
    ) -> Iterator[Connection]:
        """Open one connection.

        Args:
            wait: how long to wait for a lock (`lock_timeout`).
            longest: how long one statement may take (`statement_timeout`).
            autocommit: each statement by itself, as VACUUM needs it.

        Raises:
            Unmeasurable: it cannot be reached or opened; or whatever PostgreSQL says while it is open.
        """
        engine = create_engine(self.url, poolclass=NullPool, connect_args={"connect_timeout": 15})
        try:
            with self.said(), engine.connect() as plain:
                connection = plain.execution_options(isolation_level="AUTOCOMMIT") if autocommit else plain
                for name, limit in (("lock_timeout", wait), ("statement_timeout", longest)):
                    milliseconds = int(limit / timedelta(milliseconds=1))
                    connection.execute(
                        text("SELECT set_config(:name, :limit, false)"),
                        {"name": name, "limit": f"{milliseconds}ms"},
                    )
                connection.execute(text("SELECT set_config('application_name', 'riskloop', false)"))
                if not autocommit:
                    connection.commit()
                yield connection
        finally:
            engine.dispose()

    @contextmanager
    def said(self) -> Iterator[None]:
        """Turn what PostgreSQL says into words a person can act on.

        Raises:
            Unmeasurable: with the database's name, what it said, and what to do.
        """
        try:
            yield
        except (DBAPIError, psycopg.Error) as error:
            first = error.orig if isinstance(error, DBAPIError) else error
            says = str(first).strip().partition("\n")[0]
            raise Unmeasurable(f"{self.shown}: {says}", remedy=_remedy(says)) from error


def open_address(address: str, *, shown: str) -> Postgres | None:
    """Read the address of a PostgreSQL database; None if it is none."""
    try:
        url = make_url(address.replace("postgres://", "postgresql://", 1))
    except (ArgumentError, ValueError):
        return None
    return Postgres(url=url.set(drivername="postgresql+psycopg"), shown=shown)


def _remedy(says: str) -> str:
    remedies = {
        "lock timeout": "another transaction holds a lock; end it, or let this run at another time",
        "statement timeout": "it took longer than it may; let it run at a quieter time",
        "permission denied": "give the service's role the right to, or let the table's owner do it",
        "must be owner": "let the service's role own the table, or run this as its owner",
        "does not exist": "correct the register: `database`, or the table's name",
        "connection": "check that the database server runs and is reachable",
        "authentication": "correct the user and the password in the address",
        "No space left": "free space on the database's disk; nothing was lost",
    }
    return next((remedy for sign, remedy in remedies.items() if sign in says), "see PostgreSQL's log")
