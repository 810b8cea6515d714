"""Lets one process or thread at a time act on a mitigation; whoever is killed in the middle lets the next."""

import fcntl
import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from riskloop.errors import StoreError
from riskloop.store.database import Store

FOLDER = "turns"
"""Where the locks of a store on SQLite are, below the state directory."""


@contextmanager
def one_at_a_time(store: Store, mitigation: str, *, state: Path) -> Iterator[bool]:
    """Say whether nobody else is acting on a mitigation, and keep all others from it until the block ends.

    The operating system or the database takes it back from a process that is gone: nothing expires, however
    long acting takes.

    Args:
        state: the state directory, where the locks are on SQLite, whose processes share one machine.

    Raises:
        StoreError: nobody can say.
    """
    digest = hashlib.sha256(mitigation.encode()).digest()
    with _on_this_machine(state, digest) if store.on_sqlite else _in_the_database(store, digest) as alone:
        yield alone


@contextmanager
def _on_this_machine(state: Path, digest: bytes) -> Iterator[bool]:
    folder = state / FOLDER
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(folder / digest.hex()[:32], os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise StoreError(
            f"no lock can be made in {folder} ({error.strerror})",
            remedy="make it writable, or free some space",
        ) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        yield False
        return
    try:
        yield True
    finally:
        os.close(lock)


@contextmanager
def _in_the_database(store: Store, digest: bytes) -> Iterator[bool]:
    key = {"key": int.from_bytes(digest[:8], signed=True)}
    try:
        connection = store.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        alone = bool(connection.execute(text("SELECT pg_try_advisory_lock(:key)"), key).scalar_one())
    except DBAPIError as error:
        raise StoreError(
            f"the store {store.address} failed: {error.orig}", remedy="see riskloop doctor"
        ) from error
    try:
        yield alone
    finally:
        if alone:
            _give_back(connection, key)
        connection.close()


def _give_back(connection: Connection, key: Mapping[str, int]) -> None:
    try:
        connection.execute(text("SELECT pg_advisory_unlock(:key)"), key)
    except DBAPIError:
        connection.invalidate()  # With the connection the lock is gone as well.
