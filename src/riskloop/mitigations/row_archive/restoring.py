"""Brings archived rows back, into their table or a new one; what is there stays as it is."""

from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow.parquet as pq

from riskloop.databases import Database
from riskloop.errors import Refused, Unmeasurable
from riskloop.mitigations.row_archive import manifest, verifying
from riskloop.mitigations.row_archive.counting import Tables
from riskloop.mitigations.row_archive.manifest import Kept, Manifest
from riskloop.mitigations.row_archive.opening import opened
from riskloop.mitigations.row_archive.packing import pieces
from riskloop.mitigations.row_archive.verifying import read_group
from riskloop.store import Store, archives

_STEP = 1_000


@dataclass(slots=True, kw_only=True)
class Restored:
    """What was brought back.

    Args:
        rows: how many rows were written, by table.
        there: how many were there already, just so, by table.
        in_the_way: the keys of rows that are there with another content, by table: they stay as they are.
    """

    rows: dict[str, int] = field(default_factory=dict)
    there: dict[str, int] = field(default_factory=dict)
    in_the_way: dict[str, list[object]] = field(default_factory=dict)


def find(store: Store, name: str) -> tuple[Path, Manifest]:
    """Find an archive by its id, or by its folder, which may have been moved.

    Raises:
        Refused: there is none.
        Unmeasurable: its manifest cannot be read, or is not the one that was written.
    """
    with suppress(OSError):
        if "/" in name and (Path(name) / manifest.NAME).is_file():
            return Path(name), manifest.read(Path(name))[0]
    with store.reading() as connection:
        known = archives.find(connection, name)
    if known is None or known.verified_at is None:
        raise Refused(f"there is no archive {name!r}", rule="no-archive", remedy="see: riskloop archive list")
    folder = Path(known.place)
    found, digest = manifest.read(folder)
    if digest != known.manifest:
        raise Unmeasurable(
            f"the manifest of archive {name} in {folder} was changed since it was written",
            remedy="restore it from a backup, or name the folder instead of the id if you trust it",
        )
    return folder, found


def verify(store: Store, name: str) -> tuple[Manifest, list[str]]:
    """Read every file of an archive again; give its manifest and what is wrong.

    Raises:
        Refused, Unmeasurable: as `find`.
    """
    folder, found = find(store, name)
    return found, verifying.trouble_with(folder, found)


def restore(store: Store, database: Database, name: str, *, into: str = "") -> Restored:
    """Bring the rows of an archive back.

    Repeated, it writes what is missing, and nothing twice.

    Args:
        into: a table to write into, made if it is not there; empty for the tables they came from. What went
            with its rows goes into tables whose names begin with this one.

    Raises:
        Refused: there is no such archive, or a table has not the columns it needs.
        Unmeasurable: the archive is damaged, or the database cannot be written.
    """
    folder, found = find(store, name)
    if trouble := verifying.trouble_with(folder, found):
        raise Unmeasurable(
            f"archive {name} is damaged: {'; '.join(trouble)}",
            remedy="restore it from a backup; nothing was brought back",
        )
    restored = Restored()
    with opened(database, write=True) as tables:
        for kept in found.files:
            table = found.partition.get("of", kept.table)
            if into:
                table = into if not kept.references else f"{into}_{kept.table.rpartition('.')[2]}"
                tables.make(table, kept.columns, key="" if kept.references else found.key)
            key = tables.key_of(table) or ((found.key,) if not kept.references else ())
            if not key:
                key = tuple(column.name for column in kept.columns)
            _bring_back(tables, folder / kept.name, kept, restored, table=table, key=key)
    return restored


def _bring_back(
    tables: Tables, file: Path, kept: Kept, restored: Restored, *, table: str, key: tuple[str, ...]
) -> None:
    with pq.ParquetFile(file) as parquet:
        for group in range(parquet.num_row_groups):
            for piece in pieces(read_group(parquet, group), _STEP):
                back = tables.put_back(table, kept.columns, key, piece)
                restored.rows[table] = restored.rows.get(table, 0) + back.rows
                restored.there[table] = restored.there.get(table, 0) + back.there
                if back.in_the_way:
                    restored.in_the_way.setdefault(table, []).extend(back.in_the_way)
