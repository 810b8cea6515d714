"""Writes down what goes before anything does, and reads it back only if it is what was written."""

import gzip
import hashlib
import json
import os
import secrets
from array import array
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from heapq import nlargest, nsmallest
from itertools import islice, repeat
from pathlib import Path
from typing import Any

from riskloop.errors import Refused, Unmeasurable
from riskloop.mitigations.ttl_cleanup.blocks import Block

FOLDER = "plans"
"""Where plans are kept, below the state directory."""

SHOWN = 10
"""So many entries are shown of each sort."""

LISTED = 2_000
"""So many entries are listed in the whole evidence; the plan itself has them all."""


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


@dataclass(frozen=True, slots=True, order=True)
class Named:
    """One entry that is shown, by the number it is ranked by: its bytes, or its change in ns since 1970."""

    rank: int
    path: str


@dataclass(slots=True, kw_only=True)
class Written:
    """A plan that was written down, and what it sums up to.

    Args:
        digest: the SHA-256 of its content; empty if it has no entries.
        file: where it is.
        entries, files, size: how many entries it has, the files they are, and their bytes.
        by_rule: files and bytes by rule.
        by_folder: files and bytes by folder right below the directory; the directory's own under "".
        largest, oldest: SHOWN of them.
        listed: the first LISTED entries, a line each.
    """

    digest: str = ""
    file: Path = Path()
    entries: int = 0
    files: int = 0
    size: int = 0
    by_rule: dict[str, tuple[int, int]] = field(default_factory=dict)
    by_folder: dict[str, tuple[int, int]] = field(default_factory=dict)
    largest: list[Named] = field(default_factory=list)
    oldest: list[Named] = field(default_factory=list)
    listed: list[tuple[str, int, int, str]] = field(default_factory=list)

    def count(self, rule: str, block: Block) -> None:
        """Add a block."""
        files, size = block.count, sum(block.sizes)
        self.entries += len(block)
        self.files += files
        self.size += size
        for table, key in ((self.by_rule, rule), (self.by_folder, block.folder.partition("/")[0])):
            before = table.get(key, (0, 0))
            table[key] = (before[0] + files, before[1] + size)
        paths = [block.path + name for name in block.names]
        self.largest = nlargest(SHOWN, [*self.largest, *map(Named, block.sizes, paths)])
        self.oldest = nsmallest(SHOWN, [*self.oldest, *map(Named, block.changes, paths)])
        room = max(0, LISTED - len(self.listed))
        rows = zip(repeat(rule), block.changes, block.sizes, paths, strict=False)
        self.listed += islice(rows, room)


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
                with gzip.GzipFile(filename="", mode="wb", fileobj=raw, compresslevel=1, mtime=0) as packed:
                    for line in _lines(head, blocks, written):
                        digest.update(line)
                        packed.write(line)
                raw.flush()
                os.fsync(raw.fileno())
            if written.entries:
                written.digest = digest.hexdigest()
                written.file = place(state, written.digest)
                aside.replace(written.file)
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
        written.count(rule, block)
        columns = {name: getattr(block, name).tolist() for name in _COLUMNS}
        named: dict[str, Any] = {"rule": rule, "folder": block.folder, "names": block.names}
        yield _line({**named, **columns, "prints": block.prints})


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

    def blocks(self) -> Iterator[tuple[str, Block]]:
        """Give its blocks in their order, each with its rule."""
        with gzip.open(self.file, "rb") as lines:
            next(lines)
            for line in lines:
                found = json.loads(line)
                columns = {name: array("q", found[name]) for name in _COLUMNS}
                prints = tuple(found["prints"])
                yield (
                    found["rule"],
                    Block(found["folder"], "/".join(found["names"]), prints=prints, **columns),
                )


def place(state: Path, digest: str) -> Path:
    """Say where a plan is kept."""
    return state / FOLDER / f"{digest}.jsonl.gz"


def read(file: Path, digest: str) -> Stored:
    """Read a stored plan, if it is what its digest says.

    Raises:
        Refused: it is gone, damaged or changed.
    """
    found, first = hashlib.sha256(), b""
    try:
        with gzip.open(file, "rb") as lines:
            first = next(lines, b"")
            found.update(first)
            while part := lines.read(1024 * 1024):
                found.update(part)
        if found.hexdigest() != digest:
            raise _damaged(file, "its content is not what was written")
        return Stored(head=Head(**json.loads(first)), file=file, digest=digest)
    except FileNotFoundError as error:
        raise _damaged(file, "it is gone") from error
    except (OSError, EOFError, ValueError, TypeError) as error:
        raise _damaged(file, str(error)) from error


def _damaged(file: Path, why: str) -> Refused:
    return Refused(
        f"the plan {file.name} cannot be used: {why}",
        rule="plan",
        remedy="run the mitigation again, which makes a new one",
    )


def discard_old(state: Path, *, kept: frozenset[str], before: float) -> None:
    """Remove the files of plans that nobody needs any more.

    Args:
        kept: digests of plans that are needed.
        before: only those written before this, in seconds since 1970.
    """
    folder = state / FOLDER
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            name = entry.name.partition(".")[0]
            with suppress(FileNotFoundError):
                if name not in kept and entry.stat(follow_symlinks=False).st_mtime < before:
                    (folder / entry.name).unlink()
