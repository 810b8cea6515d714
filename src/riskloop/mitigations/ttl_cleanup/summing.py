"""Sums up what a plan names, for the person who decides about it, without keeping all of it in mind."""

from dataclasses import dataclass, field
from heapq import heappush, heappushpop, nlargest, nsmallest
from itertools import chain, islice, repeat
from pathlib import Path

from riskloop.mitigations.ttl_cleanup.blocks import BLOCK, Block

SHOWN = 10
"""So many entries are shown of each sort."""

LISTED = 2_000
"""So many entries are listed in the whole evidence; the plan itself has them all."""

_APART = 3
"""Blocks that may stand between two of one folder: each comes twice at most, once for each rule."""


class Fullest:
    """The folders from which the most bytes go, of which there may be a million.

    A folder's entries stand together, so one that has not come for a few blocks has come for good.
    """

    def __init__(self) -> None:
        self._open: dict[str, tuple[int, int, int]] = {}
        self._ranked: list[tuple[int, int, str]] = []
        self._blocks = 0
        self._closed = 0

    @property
    def count(self) -> int:
        """How many folders there are."""
        return self._closed + len(self._open)

    @property
    def ranked(self) -> list[tuple[int, int, str]]:
        """SHOWN of them, the fullest first: the bytes, the files, the folder."""
        still = ((size, files, folder) for folder, (size, files, _) in self._open.items())
        return nlargest(SHOWN, [*self._ranked, *still])

    def add(self, block: Block, paths: list[str]) -> None:
        """Add a block, by the folders right below the directory; its own files count under ""."""
        self._blocks += 1
        files = block.files if block.whole else repeat(1, len(block))
        for path, size, count in zip(paths, block.sizes, files, strict=True):
            folder = path.partition("/")[0] if "/" in path else ""
            before = self._open.get(folder, (0, 0, 0))
            self._open[folder] = (before[0] + size, before[1] + count, self._blocks)
        if len(self._open) > 4 * BLOCK:
            self._close()

    def _close(self) -> None:
        for folder, (size, files, last) in list(self._open.items()):
            # The directory's own may come again, where something came in while it was listed.
            if folder and last < self._blocks - _APART:
                del self._open[folder]
                self._closed += 1
                add = heappush if len(self._ranked) < SHOWN else heappushpop
                add(self._ranked, (size, files, folder))


@dataclass(slots=True, kw_only=True)
class Written:
    """A plan that was written down, and what it sums up to.

    Args:
        digest: the SHA-256 of its content; empty if it has no entries.
        file: where it is.
        entries, files, size: how many entries it has, the files they are, and their bytes.
        by_rule: files and bytes by rule.
        by_folder: the folders right below the directory from which the most goes.
        largest, oldest: SHOWN of them, each with its bytes, or its change in ns since 1970, and its path.
        listed: the first LISTED entries: rule, change, bytes, path.
    """

    digest: str = ""
    file: Path = Path()
    entries: int = 0
    files: int = 0
    size: int = 0
    by_rule: dict[str, tuple[int, int]] = field(default_factory=dict)
    by_folder: Fullest = field(default_factory=Fullest)
    largest: list[tuple[int, str]] = field(default_factory=list)
    oldest: list[tuple[int, str]] = field(default_factory=list)
    listed: list[tuple[str, int, int, str]] = field(default_factory=list)

    def count(self, rule: str, block: Block, paths: list[str]) -> None:
        """Add a block, whose paths these are."""
        files, size = block.count, sum(block.sizes)
        self.entries += len(block)
        self.files += files
        self.size += size
        before = self.by_rule.get(rule, (0, 0))
        self.by_rule[rule] = (before[0] + files, before[1] + size)
        self.by_folder.add(block, paths)
        self.largest = nlargest(SHOWN, chain(self.largest, zip(block.sizes, paths, strict=True)))
        self.oldest = nsmallest(SHOWN, chain(self.oldest, zip(block.changes, paths, strict=True)))
        room = max(0, LISTED - len(self.listed))
        rows = zip(repeat(rule), block.changes, block.sizes, paths, strict=False)
        self.listed += islice(rows, room)
