"""The list of what is in an archive: which files, which rows, and by what they are known to be whole."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from riskloop.errors import Unmeasurable
from riskloop.files import write_whole
from riskloop.mitigations.row_archive.counting import Key
from riskloop.mitigations.row_archive.shapes import Column, Shape

NAME = "manifest.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """One file of an archive.

    Args:
        name: in the archive's folder.
        table: whose rows are in it.
        references: the column that leads to the archived table; empty for that table itself.
        size: bytes.
        sha256: of the file.
        content: a digest of the rows themselves.
        first, last: the least and the greatest key, of `references` where that is not empty.
        nulls: NULLs by column.
    """

    name: str
    table: str
    references: str = ""
    columns: tuple[Column, ...]
    rows: int
    size: int
    sha256: str
    content: str
    first: Key | None
    last: Key | None
    nulls: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What an archive is.

    Args:
        id: 12 characters, by which people name it.
        mitigation: by which it was made.
        database: as the register names it.
        dialect: `sqlite` or `postgresql`: how values are written that Parquet has no type for.
        table, key, timestamp: what was archived, and by what.
        cutoff: all rows are from before this moment.
        files: the table's own first.
        partition: of a whole partition, of which table it is one (`of`), its `bound` and its `oid`.
    """

    id: str
    mitigation: str
    database: str
    dialect: str
    table: str
    key: str
    timestamp: str
    cutoff: datetime
    made_at: datetime
    files: tuple[Kept, ...]
    partition: Mapping[str, Any] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        return self.files[0].rows

    @property
    def size(self) -> int:
        return sum(file.size for file in self.files)

    def fits(self, shape: Shape) -> bool:
        """Say whether the tables have still the columns that were archived."""
        there = (shape.columns, *(child.columns for child in shape.children))
        names = [[column.name for column in columns] for columns in there]
        kept = [[column.name for column in file.columns] for file in self.files]
        return names == kept and shape.key == self.key


def write(folder: Path, manifest: Manifest) -> str:
    """Write a manifest, whole or not at all; give its SHA-256.

    Raises:
        OSError: there is no room, or no right to.
    """
    told = {"format": 1, **asdict(manifest)}
    content = json.dumps(told, default=_spelled, indent=1, ensure_ascii=False).encode()
    write_whole(folder / NAME, content)
    return hashlib.sha256(content).hexdigest()


def read(folder: Path) -> tuple[Manifest, str]:
    """Read a manifest; give it with its SHA-256.

    Raises:
        Unmeasurable: it is missing or damaged.
    """
    file = folder / NAME
    try:
        content = file.read_bytes()
        told = json.loads(content)
        if told.pop("format") != 1:
            raise Unmeasurable(f"{file} is of a newer riskloop", remedy="upgrade riskloop")
        files = tuple(
            Kept(**{**one, "columns": tuple(Column(**column) for column in one["columns"])})
            for one in told["files"]
        )
        moments = {name: datetime.fromisoformat(told[name]) for name in ("cutoff", "made_at")}
        manifest = Manifest(**{**told, **moments, "files": files})
    except OSError as error:
        raise Unmeasurable(
            f"{file} cannot be read: {error.strerror}", remedy="restore the folder from a backup"
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise Unmeasurable(f"{file} is damaged: {error}", remedy="restore it from a backup") from error
    return manifest, hashlib.sha256(content).hexdigest()


def _spelled(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(type(value).__name__)
