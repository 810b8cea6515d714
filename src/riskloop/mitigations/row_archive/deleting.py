"""Deletes what a verified archive holds, in transactions so short that nobody waits for long."""

import time
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq

from riskloop.errors import Unmeasurable
from riskloop.mitigations.row_archive.counting import Gone, Piece, Tables
from riskloop.mitigations.row_archive.manifest import Manifest
from riskloop.mitigations.row_archive.shapes import Shape
from riskloop.mitigations.row_archive.verifying import read_group

_ALONE = 0.02
"""Seconds that one transaction should take."""
_CROWDED = 0.008
"""The same while others write: they ask again every few milliseconds, and must find us gone."""
_FIRST = 500


@dataclass(slots=True, kw_only=True)
class _Pace:
    """How many rows the next transaction takes, and how long to wait before it."""

    most: int
    pause: float
    rows: int = _FIRST

    def note(self, gone: Gone, rows: int) -> float:
        """Learn from a transaction; give the seconds to wait."""
        aim = _CROWDED if gone.crowded else _ALONE
        fitting = int(rows * aim / max(gone.seconds, 1e-6))
        self.rows = max(1, min(self.most, fitting, rows * 4))
        return max(self.pause, min(gone.seconds, 0.05) if gone.crowded else 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Emptied:
    """What deleting came to.

    Args:
        rows: deleted now.
        changed: stay, as they were changed since they were archived.
        gone: were no longer there, because an earlier run or somebody else deleted them.
        longest: seconds of the longest transaction.
    """

    rows: int
    changed: int
    gone: int
    longest: float


def delete_archived(
    tables: Tables,
    shape: Shape,
    folder: Path,
    manifest: Manifest,
    *,
    batch: int,
    pause: timedelta,
    fresh: bool,
) -> Emptied:
    """Delete the rows that an archive holds and that are still what it holds.

    Args:
        batch: rows of one transaction at most.
        pause: the least time between two.
        fresh: the archive was made a moment ago, from this very connection.

    Raises:
        Unmeasurable: a transaction failed; what is deleted already is in the archive.
    """
    pace = _Pace(most=batch, pause=pause.total_seconds(), rows=min(batch, _FIRST))
    rows = changed = 0
    longest = 0.0
    with ExitStack() as held:
        files = [held.enter_context(pq.ParquetFile(folder / kept.name)) for kept in manifest.files]
        tables.expect(tuple(file.schema_arrow.remove_metadata() for file in files), fresh=fresh)
        for group in range(files[0].num_row_groups):
            piece = Piece(
                rows=read_group(files[0], group),
                children=tuple(read_group(file, group) for file in files[1:]),
            )
            start = 0
            while start < piece.rows.num_rows:
                step = part_of(shape, piece, start, pace.rows)
                gone = tables.delete(shape, manifest.cutoff, step)
                rows, changed = rows + gone.rows, changed + gone.changed
                longest = max(longest, gone.seconds)
                start += step.rows.num_rows
                wait = pace.note(gone, step.rows.num_rows)
                if wait:
                    time.sleep(wait)
    left = manifest.rows - rows - changed
    if left < 0:
        raise Unmeasurable(
            f"more rows of {shape.table} are accounted for than were archived",
            remedy="this is a mistake in riskloop; please report it",
        )
    return Emptied(rows=rows, changed=changed, gone=left, longest=longest)


def part_of(shape: Shape, piece: Piece, start: int, rows: int) -> Piece:
    """Cut some rows out of a piece, with those that go with them."""
    if not start and rows >= piece.rows.num_rows:
        return piece
    part = piece.rows.slice(start, rows)
    keys = part.column(shape.key)
    children = (
        batch.filter(pc.is_in(batch.column(child.references), value_set=keys))
        for child, batch in zip(shape.children, piece.children, strict=True)
    )
    return Piece(rows=part, children=tuple(children))
