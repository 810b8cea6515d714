"""Writes down what is to be archived before anything is, and reads it back only if it is what was written."""

import hashlib
import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from riskloop.errors import Refused, Unmeasurable
from riskloop.files import write_whole
from riskloop.mitigations.row_archive.counting import Key

FOLDER = "plans"
"""Where plans are kept, below the state directory."""

_SUFFIX = ".rows.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Portion:
    """What is to be archived of one table.

    Args:
        table: as the register names it.
        cutoff: only rows from before this moment.
        rows: so many at most.
        total: rows the table has.
        first, last: the least and the greatest key of those rows.
        due: the partitions that are archived as a whole and dropped.
        months: how many partitions are to be made.
        trouble: why nothing of it can be archived; empty if it can.
    """

    table: str
    cutoff: datetime
    rows: int = 0
    total: int = 0
    first: Key | None = None
    last: Key | None = None
    due: tuple[str, ...] = ()
    months: int = 0
    trouble: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A plan.

    Args:
        mitigation: of which it is.
        database: as the register names it.
        made_at: when.
        settings: a digest of the settings it was made under.
    """

    mitigation: str
    database: str
    made_at: datetime
    settings: str
    portions: tuple[Portion, ...]


def write(stored: Stored, *, state: Path) -> tuple[str, Path]:
    """Store a plan; give its digest and where it is.

    Raises:
        Unmeasurable: there is no room, or no right to.
    """
    content = json.dumps(asdict(stored), default=_spelled, sort_keys=True).encode()
    digest = hashlib.sha256(content).hexdigest()
    file = state / FOLDER / f"{digest}{_SUFFIX}"
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_whole(file, content)
    except OSError as error:
        raise Unmeasurable(
            f"the plan cannot be written to {file.parent}: {error.strerror}",
            remedy="free space there, or make it writable",
        ) from error
    return digest, file


def read(file: Path, digest: str) -> Stored:
    """Read a stored plan, if it is what its digest says.

    Raises:
        Refused: it is gone, damaged or changed.
    """
    try:
        content = file.read_bytes()
    except OSError as error:
        raise _damaged(file, error.strerror or "it cannot be read") from error
    if hashlib.sha256(content).hexdigest() != digest:
        raise _damaged(file, "its content is not what was written")
    found = json.loads(content)
    portions = tuple(
        Portion(**{**one, "cutoff": datetime.fromisoformat(one["cutoff"]), "due": tuple(one["due"])})
        for one in found["portions"]
    )
    return Stored(**{**found, "made_at": datetime.fromisoformat(found["made_at"]), "portions": portions})


def discard_old(state: Path, *, needed: Sequence[str], before: float) -> None:
    """Remove the files of plans that nobody needs any more.

    Args:
        needed: digests of plans that stay.
        before: only those written before this, in seconds since 1970.
    """
    for file in (state / FOLDER).glob(f"*{_SUFFIX}"):
        with suppress(FileNotFoundError):
            if file.name.partition(".")[0] not in needed and file.stat().st_mtime < before:
                file.unlink()


def _spelled(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(type(value).__name__)


def _damaged(file: Path, why: str) -> Refused:
    return Refused(
        f"the plan {file.name} cannot be used: {why}",
        rule="plan",
        remedy="run the mitigation again, which makes a new one",
    )
