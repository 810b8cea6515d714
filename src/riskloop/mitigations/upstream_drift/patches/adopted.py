"""Finds the upstream commit that did what a patch of ours does."""

import re
from collections.abc import Iterable
from contextlib import suppress

from riskloop.mitigations.upstream_drift.patches.diffs import Diff, Unreadable, read_diff
from riskloop.mitigations.upstream_drift.patches.series import Patch, Series
from riskloop.mitigations.upstream_drift.patches.workbench import Workbench

_COMMITS = 200
"""Commits that touch the same files and are looked at, the newest first."""
_BLOBS = 1000
_COMMIT = re.compile(rb"(?m)^([0-9a-f]{40})\n")
_HOW = ("--no-renames", "--no-ext-diff", "--no-textconv")

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
        self._touched: dict[str, dict[str, tuple[str, str]]] | None = None

    def find(self, bench: Workbench, patch: Patch) -> str:
        """Give the commit that did to a patch's files what the patch does, whatever the white space.

        That is what `git patch-id` compares. Empty if there is none.

        Raises:
            Unmeasurable: content that is needed cannot be fetched.
        """
        if self._touched is None:
            self._touched = self._read(bench)
        wanted = [_essence(diff, patch.level, "") for diff in patch.diffs]
        files = [{path for path, _, _ in one} for one in wanted]
        commits, blobs = list[str](), list[str]()
        for commit, changed in self._touched.items():
            here = {path: pair for path, pair in changed.items() if path in patch.paths}
            if here and set(here) in files:
                commits.append(commit)
                blobs += [name for pair in here.values() for name in pair if name.strip("0")]
        if not commits:
            return ""
        asked = ("diff-tree", "--stdin", "-r", "--root", "--patch", *_HOW, *self._below(patch.paths))
        given = "".join(f"{commit}\n" for commit in commits).encode()
        said = bench.attempt(*asked, stdin=given)
        if not said.succeeded:
            bench.upstream.bring_blobs(blobs[:_BLOBS])
            said = bench.attempt(*asked, stdin=given)
        _, *found = _COMMIT.split(said.stdout)
        for name, content in zip(found[::2], found[1::2], strict=True):
            with suppress(Unreadable):
                if _essence(read_diff(content), 1, self._front) in wanted:
                    return name.decode()
        return ""

    def _below(self, paths: Iterable[str]) -> tuple[str, ...]:
        return ("--", *(self._front + path for path in paths))

    def _read(self, bench: Workbench) -> dict[str, dict[str, tuple[str, str]]]:
        """Read which commit changed which of the files, from which content to which."""
        pin, head = self._since
        how = ("--no-merges", f"--max-count={_COMMITS}", "--format=%x00%x00%H", "--raw", "-z", "--no-abbrev")
        places = self._below(self._paths)
        said = bench.git("log", *how, *_HOW, head, f"^{pin}", *places).text()
        touched: dict[str, dict[str, tuple[str, str]]] = {}
        for block in said.split("\0\0")[1:]:
            commit, *fields = block.strip("\0\n").split("\0")
            changed = touched.setdefault(commit, {})
            for what, path in zip(fields[::2], fields[1::2], strict=False):
                _, _, old, new, _ = what.strip().split(" ")
                changed[path.removeprefix(self._front)] = (old, new)
        return touched


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
