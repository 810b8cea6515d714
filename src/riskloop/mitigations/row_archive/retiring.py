"""Retires whole partitions: archived and verified, detached, compared once more, and only then dropped."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pyarrow.parquet as pq

from riskloop.mitigations.row_archive import postgres_partitions as partitions
from riskloop.mitigations.row_archive.counting import Key
from riskloop.mitigations.row_archive.manifest import Manifest
from riskloop.mitigations.row_archive.months import Partition, missing_months, retirable
from riskloop.mitigations.row_archive.postgres_copying import TooMuch
from riskloop.mitigations.row_archive.postgres_tables import PostgresTables
from riskloop.mitigations.row_archive.shapes import Shape
from riskloop.mitigations.row_archive.verifying import read_group


def make_ahead(tables: PostgresTables, shape: Shape, now: datetime, *, ahead: int) -> list[str]:
    """Make the months that are missing, each in a transaction of its own; give their names."""
    made = []
    for low, high in missing_months(partitions.list_partitions(tables.connection, shape), now, ahead=ahead):
        with tables.transaction("READ COMMITTED"):
            made.append(partitions.make(tables.connection, shape, low, high))
    return made


def still_due(
    tables: PostgresTables, shape: Shape, names: Sequence[str], cutoff: datetime
) -> list[Partition]:
    """Give those of the named partitions that are past their age as a whole, as the catalogue is now."""
    there = partitions.list_partitions(tables.connection, shape)
    return [one for one in retirable(there, cutoff) if one.name in names]


def shape_of(shape: Shape, name: str) -> Shape:
    """Give the shape of a partition."""
    return replace(shape, table=name, partitioned=False)


def drop_empty(tables: PostgresTables, partition: Partition) -> bool:
    """Drop a partition without rows, at once; say whether it was without."""
    with tables.transaction("READ COMMITTED"):
        partitions.lock_alone(tables.connection, partition.name)
        if partitions.count_rows(tables.connection, partition.name):
            return False
        partitions.drop(tables.connection, partition.name)
    return True


def drop_archived(tables: PostgresTables, shape: Shape, folder: Path, kept: Manifest) -> str:
    """Detach an archived partition if it is still attached, and drop it if it is still what was archived.

    Killed anywhere, it can be called again.

    Returns:
        `dropped`, `gone` where it was no longer there, or `changed` where it was attached again and stays.
    """
    name, oid = kept.table, kept.partition["oid"]
    if partitions.oid_of(tables.connection, name) != oid:
        return "gone"
    attached = [
        one
        for one in partitions.list_partitions(tables.connection, shape)
        if one.oid == oid and one.name == name
    ]
    if attached and not attached[0].pending and not still_due(tables, shape, [name], kept.cutoff):
        return "changed"
    for one in attached:
        partitions.detach(tables.connection, shape, one)
    with tables.transaction("READ COMMITTED"):
        partitions.lock_alone(tables.connection, name)
        same = _holds_just(tables, shape_of(shape, name), folder, kept)
        if same:
            partitions.drop(tables.connection, name)
    if not same:
        partitions.attach(tables.connection, shape.table, name, kept.partition["bound"])
    return "dropped" if same else "changed"


def _holds_just(tables: PostgresTables, shape: Shape, folder: Path, kept: Manifest) -> bool:
    """Say whether a table holds the rows of an archive, all of them and no other."""
    after: Key | None = None
    tables.begin(shape)
    try:
        with pq.ParquetFile(folder / kept.files[0].name) as file:
            for number in range(file.num_row_groups):
                archived = read_group(file, number)
                if not tables.holds_next(shape, archived, after=after):
                    return False
                after = archived.column(shape.key)[archived.num_rows - 1].as_py()
    except TooMuch:
        return False
    return partitions.count_rows(tables.connection, shape.table) == kept.rows
