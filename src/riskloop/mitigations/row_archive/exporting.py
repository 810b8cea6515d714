"""Writes old rows to Parquet files, reads them back, and vouches for them in a manifest."""

import os
import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from riskloop.errors import Unmeasurable
from riskloop.files import sync_folder
from riskloop.mitigations.row_archive import manifest, verifying
from riskloop.mitigations.row_archive.comparing import Content
from riskloop.mitigations.row_archive.counting import Key, Piece, Tables
from riskloop.mitigations.row_archive.manifest import Kept, Manifest
from riskloop.mitigations.row_archive.planning import Portion
from riskloop.mitigations.row_archive.shapes import Column, Shape

_ROWS = 10_000
"""Rows of one row group at most."""
_FIRST = 64
"""Rows that are read before it is known how large they are."""
_BYTES = 8 * 1024 * 1024
"""Memory that one row group may take, roughly: what is at work at a time is a few times that."""


def export(
    tables: Tables, shape: Shape, portion: Portion, folder: Path, *, about: dict[str, Any]
) -> tuple[Manifest, str] | None:
    """Archive a table's rows past their age in a new folder, whole and verified, or not at all.

    Args:
        portion: what of it.
        folder: where to; it must not exist.
        about: what else the manifest says: id, mitigation, database, dialect, made_at.

    Returns:
        The manifest and its SHA-256; None if there is nothing to archive.

    Raises:
        Unmeasurable: it cannot be read, or the files cannot be written, or are not what was written.
    """
    try:
        folder.mkdir(mode=0o700, parents=True)
        parts = _write(tables, shape, portion, folder)
        if parts is None:
            return None
        kept = tuple(_verified(folder, part) for part in parts)
        sync_folder(folder)
        made = Manifest(
            table=shape.table,
            key=shape.key,
            timestamp=shape.timestamp,
            cutoff=portion.cutoff,
            files=kept,
            **about,
        )
        digest = manifest.write(folder, made)
        for above in folder.parents[:2]:
            sync_folder(above)
    except (OSError, pa.ArrowException) as error:
        raise Unmeasurable(
            f"the archive cannot be written to {folder}: {error}",
            remedy="free space there, or make it writable; nothing was deleted",
        ) from error
    return made, digest


@dataclass(slots=True, kw_only=True)
class _Part:
    """One file while it is written."""

    name: str
    table: str
    column: str
    references: str
    columns: tuple[Column, ...]
    writer: Any
    content: Content = field(default_factory=Content)
    first: Key | None = None
    last: Key | None = None

    def add(self, batch: Any) -> None:
        self.writer.write_batch(batch, row_group_size=max(1, batch.num_rows))
        self.content.add(batch)
        if batch.num_rows:
            keys = batch.column(self.column)
            if keys.null_count:
                raise Unmeasurable(
                    f"{self.table}.{self.column} holds values of more than one sort",
                    remedy="name a key of whole numbers only, or of text only",
                )
            self.first = keys[0].as_py() if self.first is None else self.first
            self.last = keys[batch.num_rows - 1].as_py()


def _write(tables: Tables, shape: Shape, portion: Portion, folder: Path) -> list[_Part] | None:
    parts: list[_Part] = []
    with ExitStack() as open_files:
        for piece in _pieces(tables, shape, portion):
            batches = (piece.rows, *piece.children)
            if not parts:
                parts = _begun(shape, batches, folder, open_files)
            for part, batch in zip(parts, batches, strict=True):
                part.add(batch)
    return parts or None


def _pieces(tables: Tables, shape: Shape, portion: Portion) -> Iterator[Piece]:
    tables.begin(shape)
    left, most, after = portion.rows, _FIRST, None
    while left > 0:
        piece = tables.read(shape, portion.cutoff, after=after, last=portion.last, most=min(most, left))
        if piece is None:
            return
        yield piece
        rows = piece.rows.num_rows
        left -= rows
        after = piece.rows.column(shape.key)[rows - 1].as_py()
        fitting = rows * _BYTES // max(1, piece.size)
        most = max(1, min(_ROWS, fitting, rows * 16))


def _begun(shape: Shape, batches: tuple[Any, ...], folder: Path, open_files: ExitStack) -> list[_Part]:
    about = [(shape.table, shape.key, "", shape.columns)]
    about += [(child.table, child.references, child.references, child.columns) for child in shape.children]
    parts = []
    key_type = batches[0].schema.field(shape.key).type
    for number, ((table, column, references, columns), batch) in enumerate(zip(about, batches, strict=True)):
        if batch.schema.field(column).type != key_type:
            raise Unmeasurable(
                f"{table}.{column} is of another type than {shape.table}.{shape.key}",
                remedy="declare both columns with the same type",
            )
        name = f"{number}-{file_name(table)}.parquet"
        file = open_files.enter_context((folder / f"{name}.partial").open("xb"))
        writer = open_files.enter_context(pq.ParquetWriter(file, batch.schema, compression="zstd"))
        parts.append(
            _Part(
                name=name, table=table, column=column, references=references, columns=columns, writer=writer
            )
        )
    return parts


def _verified(folder: Path, part: _Part) -> Kept:
    """Read a file back from its disk, compare it with what was written, and give it its name."""
    partial = folder / f"{part.name}.partial"
    with partial.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    kept = Kept(
        name=part.name,
        table=part.table,
        references=part.references,
        columns=part.columns,
        rows=part.content.rows,
        size=partial.stat().st_size,
        sha256=verifying.file_digest(partial),
        content=part.content.hexdigest(),
        first=part.first,
        last=part.last,
        nulls=part.content.nulls,
    )
    trouble = verifying.differs(partial, kept, column=part.column)
    if trouble:
        raise Unmeasurable(
            f"{partial} is not what was written: {trouble}",
            remedy="check its disk; nothing was deleted",
        )
    partial.rename(folder / part.name)
    return kept


def file_name(table: str) -> str:
    """Write a table's name as a file can be called."""
    return re.sub(r"[^A-Za-z0-9_.-]", "_", table)[:80].lstrip(".") or "table"


def place_of(root: Path, table: str, *, at: datetime, name: str) -> Path:
    """Say in which folder an archive goes."""
    return root / file_name(table) / f"{at:%Y%m%dT%H%M%SZ}-{name}"
