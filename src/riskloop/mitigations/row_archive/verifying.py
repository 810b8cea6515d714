"""Reads the files of archives again, and says in which way they are not what their manifest says."""

import hashlib
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from riskloop.mitigations.row_archive.comparing import Content
from riskloop.mitigations.row_archive.manifest import Kept, Manifest

_CHUNK = 1024 * 1024


def file_digest(file: Path) -> str:
    """Make the SHA-256 of a file.

    Raises:
        OSError: it cannot be read.
    """
    digest = hashlib.sha256()
    with file.open("rb") as content:
        while part := content.read(_CHUNK):
            digest.update(part)
    return digest.hexdigest()


def trouble_with(folder: Path, manifest: Manifest) -> list[str]:
    """Say what is wrong with an archive: a phrase for each file that is missing or damaged."""
    found = []
    for kept in manifest.files:
        file = folder / kept.name
        try:
            if file.stat().st_size != kept.size or file_digest(file) != kept.sha256:
                found.append(f"{file} is not the file that was archived")
                continue
            column = kept.references or manifest.key
            if trouble := differs(file, kept, column=column):
                found.append(f"{file}: {trouble}")
        except OSError as error:
            found.append(f"{file} cannot be read: {error.strerror or error}")
    return found


def differs(file: Path, kept: Kept, *, column: str) -> str:
    """Say in which way a file's rows are not what was written; empty if they are.

    Args:
        column: by which its rows are ordered.
    """
    content, first, last = Content(), None, None
    try:
        with pq.ParquetFile(file) as parquet:
            for number in range(parquet.num_row_groups):
                batch = read_group(parquet, number)
                content.add(batch)
                if batch.num_rows:
                    keys = batch.column(column)
                    first = keys[0].as_py() if first is None else first
                    last = keys[batch.num_rows - 1].as_py()
    except (pa.ArrowException, OSError) as error:
        return f"it cannot be read as Parquet ({error})"
    for what, found, wanted in (
        ("rows", content.rows, kept.rows),
        ("least key", first, kept.first),
        ("greatest key", last, kept.last),
        ("NULLs", content.nulls, dict(kept.nulls)),
        ("content", content.hexdigest(), kept.content),
    ):
        if found != wanted:
            return f"its {what} differ: {found} instead of {wanted}"
    return ""


def read_group(parquet: Any, number: int) -> Any:
    """Read one row group of an open file as one batch."""
    table = parquet.read_row_group(number, use_threads=False).combine_chunks()
    batches = table.to_batches()
    schema = table.schema.remove_metadata()
    batch = batches[0] if batches else pa.RecordBatch.from_pylist([], schema=schema)
    return batch.replace_schema_metadata(None)
