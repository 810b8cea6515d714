"""Finds the database that a register names, without ever showing its address."""

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from riskloop.databases.postgresql import Postgres
from riskloop.databases.sqlite import SQLiteFile
from riskloop.errors import Unmeasurable
from riskloop.redaction import learn
from riskloop.risks import Site

OWN_STORE = "RISKLOOP_STORE_URL"
"""The setting of our own store, which is a SQLite file in the state directory where it is not set."""

Database = SQLiteFile | Postgres


def locate(place: Path | str, site: Site, environment: Mapping[str, str] = os.environ) -> Database:
    """Find a database; nothing is opened yet, and the password in its address is hidden from now on.

    Args:
        place: as the register names it.

    Raises:
        Unmeasurable: the setting is not set, or holds no address of SQLite or PostgreSQL.
    """
    if isinstance(place, Path):
        return SQLiteFile(path=site.project / place, shown=str(place))
    address = _address(place, environment)
    if not address and place == OWN_STORE:
        return SQLiteFile(path=site.state / "riskloop.sqlite", shown="riskloop's own store")
    if not address:
        raise Unmeasurable(
            f"{place}, which is to hold the address of the database, is not set",
            remedy="set it, or the file that holds it, where the service runs",
        )
    learn(address)
    unknown = Unmeasurable(
        f"{place} does not hold the address of a database we know",
        remedy="give sqlite:////absolute/file or postgresql://user:password@host/database",
    )
    try:
        url = make_url(address)
    except (ArgumentError, ValueError):
        raise unknown from None
    if url.password:
        learn(str(url.password))
    backend = url.get_backend_name()
    if backend == "sqlite" and url.database and Path(url.database).is_absolute():
        return SQLiteFile(path=Path(url.database), shown=place)
    if backend == "postgresql":
        return Postgres(url=url.set(drivername="postgresql+psycopg"), shown=place)
    raise unknown


def _address(name: str, environment: Mapping[str, str]) -> str:
    address = environment.get(name, "").strip()
    if not address and (file := environment.get(f"{name}_FILE")):
        with suppress(OSError, UnicodeDecodeError):
            address = Path(file).read_text(encoding="utf-8").strip()
    return address
