"""Finds the database that a register names, without ever showing its address."""

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import unquote, urlsplit

from riskloop.databases.sqlite import SQLiteFile
from riskloop.errors import Unmeasurable
from riskloop.redaction import learn
from riskloop.risks import Site

if TYPE_CHECKING:
    from riskloop.databases.postgresql import Postgres

OWN_STORE = "RISKLOOP_STORE_URL"
"""The setting of our own store, which is a SQLite file in the state directory where it is not set."""

Database: TypeAlias = "SQLiteFile | Postgres"
"""One that we can look after."""


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
        parts = urlsplit(address)
        password = parts.password
    except ValueError:
        raise unknown from None
    if password:
        learn(unquote(password))
    backend = parts.scheme.partition("+")[0]
    if backend == "sqlite":
        # After `sqlite://`, and the host that a file has not, comes the path with one more slash.
        file = Path(address.partition("://")[2].removeprefix("/"))
        if file.is_absolute():
            return SQLiteFile(path=file, shown=place)
    if backend in {"postgresql", "postgres"}:
        # A look at a SQLite file does not wait for the libraries of PostgreSQL.
        from riskloop.databases.postgresql import open_address  # noqa: PLC0415 - see above

        found = open_address(address, shown=place)
        if found is not None:
            return found
    raise unknown


def _address(name: str, environment: Mapping[str, str]) -> str:
    address = environment.get(name, "").strip()
    if not address and (file := environment.get(f"{name}_FILE")):
        with suppress(OSError, UnicodeDecodeError):
            address = Path(file).read_text(encoding="utf-8").strip()
    return address
