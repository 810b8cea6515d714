"""Finds the upstream commit that did what a patch of ours does."""

import re
from collections.abc import Iterator
from contextlib import suppress

from riskloop.mitigations.upstream_drift.diffs import Diff, Unreadable, read_diff
from riskloop.mitigations.upstream_drift.series import Patch, Series
from riskloop.mitigations.upstream_drift.workbench import Workbench

_COMMITS = 200
"""Commits that touch the same files and are looked at, the newest first."""
_BLOBS = 1000
_COMMIT = re.compile(rb"(?m)^([0-9a-f]{40})\n")
_RAW = re.compile(r"(?m)^:\d+ \d+ ([0-9a-f]{40}) ([0-9a-f]{40}) ")
_HOW = ("--no-ext-diff", "--no-textconv")

Essence = tuple[tuple[str, bytes, bytes], ...]


class Adoptions:
    """What upstream did between two commits to the files that our patches touch; read when first asked for.

    Args:
        series: our patches.
        since: two commits; what counts is after the first and up to the second.
    """

    def __init__(self, series: Series, since: tuple[str, str]) -> None:
        self._since = since
        self._front = f"{series.strip}/" if series.strip else ""
        self._paths = dict.fromkeys(path for patch in series.patches for path in patch.paths)
        self._known: list[tuple[str, Essence]] | None = None

    def find(self, bench: Workbench, patch: Patch) -> str:
        """Give the commit that did to a patch's files what the patch does, whatever the white space.

        That is what `git patch-id` compares. Empty if there is none.

        Raises:
            Unmeasurable: content that is needed cannot be fetched.
        """
        if self._known is None:
            self._known = list(self._read(bench))
        wanted = [_essence(diff, patch.level, "") for diff in patch.diffs]
        for commit, whole in self._known:
            part = tuple(one for one in whole if one[0] in patch.paths)
            if part and part in wanted:
                return commit
        return ""

    def _read(self, bench: Workbench) -> Iterator[tuple[str, Essence]]:
        pin, head = self._since
        places = ("--", *(self._front + path for path in self._paths))
        count = f"--max-count={_COMMITS}"
        how = ("--no-renames", "--no-abbrev", *_HOW)
        raw = bench.git("log", "--no-merges", count, "--format=%H", "--raw", *how, head, f"^{pin}", *places)
        blobs = [name for pair in _RAW.findall(raw.stdout.decode("latin-1")) for name in pair]
        if not blobs:
            return
        commits = b"\n".join(_COMMIT.findall(raw.stdout)) + b"\n"
        asked = ("diff-tree", "--stdin", "-r", "--root", "--patch", *how, *places)
        said = bench.attempt(*asked, stdin=commits)
        if not said.succeeded:
            bench.upstream.bring_blobs([name for name in blobs if name.strip("0")][:_BLOBS])
            said = bench.attempt(*asked, stdin=commits)
        _, *found = _COMMIT.split(said.stdout)
        for name, content in zip(found[::2], found[1::2], strict=True):
            with suppress(Unreadable):
                yield name.decode(), _essence(read_diff(content), 1, self._front)


def _essence(diff: Diff, level: int, front: str) -> Essence:
    """Give what a diff does to which file, whatever the lines' numbers and white space."""
    return tuple(
        sorted(
            (
                change.names(level)[-1].removeprefix(front),
                b"\n".join(_bare(line) for piece in change.pieces for line in piece.old),
                b"\n".join(_bare(line) for piece in change.pieces for line in piece.new),
            )
            for change in diff.changes
            if change.pieces
        )
    )


def _bare(line: bytes) -> bytes:
    return b"".join(line.split())
