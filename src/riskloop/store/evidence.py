"""Evidence too large for a message: compressed files named by their content."""

import gzip
import hashlib
import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from riskloop.errors import StoreError
from riskloop.redaction import without_secrets
from riskloop.store.tables import evidence


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A document that is kept: its SHA-256, its size in bytes before it was compressed, and its file."""

    sha256: str
    size: int
    file: Path


def keep_document(document: str, directory: Path) -> Kept:
    """Write a document under its SHA-256 if it is not there yet, without any secret of ours.

    The file appears whole or not at all: it is written beside its place, flushed and renamed.

    Raises:
        StoreError: the disk is full or the directory cannot be written.
    """
    content = without_secrets(document).encode("utf-8", "backslashreplace")
    digest = hashlib.sha256(content).hexdigest()
    file = directory / digest[:2] / f"{digest}.txt.gz"
    kept = Kept(sha256=digest, size=len(content), file=file)
    partial = file.with_name(f".{digest}.{os.getpid()}.partial")
    try:
        if file.exists():
            return kept
        file.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as raw:
            # No name and no time inside, so that the same evidence gives the same file.
            with gzip.GzipFile(filename="", mode="wb", fileobj=raw, compresslevel=6, mtime=0) as packed:
                packed.write(content)
            raw.flush()
            os.fsync(raw.fileno())
        partial.replace(file)
    except OSError as error:
        _discard(partial)
        raise StoreError(
            f"evidence could not be written to {directory} ({error.strerror})",
            remedy="free space on its disk, or make it writable; the next run writes it again",
        ) from error
    return kept


def _discard(partial: Path) -> None:
    # Where its directory cannot even be entered there is nothing to remove either.
    with suppress(OSError):
        partial.unlink()


def add_evidence(connection: Connection, kept: Iterable[Kept], *, at: datetime) -> None:
    """Remember that evidence is kept; in one order, so that PostgreSQL's processes never wait in a ring."""
    rows = {one.sha256: {"sha256": one.sha256, "size": one.size, "at": at} for one in kept}
    if rows:
        insert_new = sqlite_insert if connection.dialect.name == "sqlite" else postgresql_insert
        connection.execute(
            insert_new(evidence).on_conflict_do_nothing(), [rows[digest] for digest in sorted(rows)]
        )
