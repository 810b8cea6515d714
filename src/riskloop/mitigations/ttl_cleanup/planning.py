"""Writes down what goes before anything does, and reads it back only if it is what was written."""

import gzip
import hashlib
import json
import os
import secrets
import zlib
from array import array
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from riskloop.errors import Refused, Unmeasurable
from riskloop.files import sync_folder
from riskloop.mitigations.ttl_cleanup.blocks import Block, packed
from riskloop.mitigations.ttl_cleanup.summing import Written

FOLDER = "plans"
"""Where plans are kept, below the state directory."""

_CHUNK = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What a plan is for.

    Args:
        mitigation: the id of the mitigation it is of.
        directory: the directory as the messages name it, and its device and inode.
        made_at: when it was made, ISO 8601 in UTC.
        settings: a digest of the settings it was made under.
        unit: `file` or `directory`: what each entry is.
        quarantine: how many seconds what is removed can be restored; 0 for not at all.
        staged: how many files there were.
    """

    mitigation: str
    directory: str
    device: int
    inode: int
    made_at: str
    settings: str
    unit: str
    quarantine: int
    staged: int


def write(head: Head, blocks: Iterable[tuple[str, Block]], *, state: Path) -> Written:
    """Write a plan as JSON lines: the head, then a line for each block; an empty one is not kept.

    Raises:
        Unmeasurable: there is no room, or no right to.
    """
    written, digest = Written(), hashlib.sha256()
    folder = state / FOLDER
    aside = folder / f".{secrets.token_hex(6)}.partial"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            with aside.open("xb") as raw:
                with gzip.GzipFile(filename="", mode="wb", fileobj=raw, compresslevel=1, mtime=0) as small:
                    for line in _lines(head, blocks, written):
                        digest.update(line)
                        small.write(line)
                raw.flush()
                os.fsync(raw.fileno())
            if written.entries:
                written.digest = digest.hexdigest()
                written.file = place(state, written.digest)
                aside.replace(written.file)
                sync_folder(folder)
        finally:
            aside.unlink(missing_ok=True)
    except OSError as error:
        raise Unmeasurable(
            f"the plan cannot be written to {folder}: {error.strerror}",
            remedy="free space there, or make it writable",
        ) from error
    return written


def _lines(head: Head, blocks: Iterable[tuple[str, Block]], written: Written) -> Iterator[bytes]:
    yield _line(asdict(head))
    for rule, block in blocks:
        paths = block.paths
        written.count(rule, block, paths)
        columns = {name: getattr(block, name).tolist() for name in _COLUMNS}
        yield _line({"rule": rule, "paths": paths, **columns, "prints": block.prints.hex()})


_COLUMNS = ("inodes", "sizes", "mtimes", "changes", "files")


def _line(content: Any) -> bytes:
    # Names that are no UTF-8 are surrogates here, which only JSON's escapes can hold.
    return json.dumps(content, separators=(",", ":")).encode("ascii") + b"\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A plan read back."""

    head: Head
    file: Path
    digest: str

    @property
    def whole(self) -> bool:
        """Whether each entry is a whole directory."""
        return self.head.unit == "directory"

    def blocks(self) -> Iterator[tuple[str, Block]]:
        """Give its blocks in their order, each with its rule.

        Raises:
            Refused: it is no longer what was read.
        """
        with _undamaged(self.file), gzip.open(self.file, "rb") as lines:
            next(lines)
            for line in lines:
                yield _block(json.loads(line))


def _block(found: Mapping[str, Any]) -> tuple[str, Block]:
    columns = {name: array("q", found[name]) for name in _COLUMNS}
    return found["rule"], Block(packed(found["paths"]), prints=bytes.fromhex(found["prints"]), **columns)


def place(state: Path, digest: str) -> Path:
    """Say where a plan is kept."""
    return state / FOLDER / f"{digest}.jsonl.gz"


def read(file: Path, digest: str) -> Stored:
    """Read a stored plan, if it is what its digest says.

    Raises:
        Refused: it is gone, damaged or changed.
    """
    found, first = hashlib.sha256(), b""
    with _undamaged(file):
        with gzip.open(file, "rb") as lines:
            first = next(lines, b"")
            found.update(first)
            while part := lines.read(_CHUNK):
                found.update(part)
        if found.hexdigest() != digest:
            raise _damaged(file, "its content is not what was written")
        return Stored(head=Head(**json.loads(first)), file=file, digest=digest)


@contextmanager
def _undamaged(file: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise _damaged(file, "it is gone") from error
    except (OSError, EOFError, ValueError, TypeError, KeyError, StopIteration, zlib.error) as error:
        raise _damaged(file, str(error)) from error


def _damaged(file: Path, why: str) -> Refused:
    return Refused(
        f"the plan {file.name} cannot be used: {why}",
        rule="plan",
        remedy="run the mitigation again, which makes a new one",
    )


def discard_old(state: Path, *, kept: frozenset[str], before: float, half_before: float) -> None:
    """Remove the files of plans that nobody needs any more, and what killed looks left half written.

    Args:
        kept: digests of plans that are needed.
        before: only those written before this, in seconds since 1970.
        half_before: the same for what is half written: no look takes so long.
    """
    folder = state / FOLDER
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            half = entry.name.startswith(".")
            needed = not half and entry.name.partition(".")[0] in kept
            with suppress(OSError):
                if not needed and entry.stat(follow_symlinks=False).st_mtime < (
                    half_before if half else before
                ):
                    (folder / entry.name).unlink()
