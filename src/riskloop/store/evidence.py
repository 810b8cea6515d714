"""Evidence too large for a message: compressed files named by their content."""

import gzip
import hashlib
import os
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from riskloop.errors import StoreError
from riskloop.store.tables import evidence


def keep_document(document: str, directory: Path) -> tuple[str, Path]:
    """Write a document under its SHA-256 if it is not there yet; return the digest and the file.

    The file appears whole or not at all: it is written beside its place, flushed and renamed.

    Raises:
        StoreError: the disk is full or the directory cannot be written.
    """
    content = document.encode("utf-8", "backslashreplace")
    digest = hashlib.sha256(content).hexdigest()
    file = directory / digest[:2] / f"{digest}.txt.gz"
    if file.exists():
        return digest, file
    partial = file.with_name(f".{digest}.{os.getpid()}.partial")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as raw:
            # No name and no time inside, so that the same evidence gives the same file.
            with gzip.GzipFile(filename="", mode="wb", fileobj=raw, compresslevel=6, mtime=0) as packed:
                packed.write(content)
            raw.flush()
            os.fsync(raw.fileno())
        partial.replace(file)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise StoreError(
            f"evidence could not be written to {directory} ({error.strerror})",
            remedy="free space on its disk, or make it writable; the next run writes it again",
        ) from error
    return digest, file


def add_evidence(connection: Connection, digest: str, *, size: int, at: datetime) -> None:
    """Remember that evidence of this digest is kept; its size in bytes, uncompressed."""
    insert_new = sqlite_insert if connection.dialect.name == "sqlite" else postgresql_insert
    connection.execute(
        insert_new(evidence).values(sha256=digest, size=size, at=at).on_conflict_do_nothing(),
    )
