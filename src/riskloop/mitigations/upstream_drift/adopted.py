"""Finds the upstream commit that did what a patch of ours does."""

import re

from riskloop.mitigations.upstream_drift.diffs import Diff, Unreadable, read_diff
from riskloop.mitigations.upstream_drift.series import Patch
from riskloop.mitigations.upstream_drift.workbench import Workbench

_COMMITS = 200
"""Commits that touch the same files and are looked at, the newest first."""
_BLOBS = 1000
_COMMIT = re.compile(rb"(?m)^([0-9a-f]{40})\n")

Essence = tuple[tuple[str, bytes, bytes], ...]


def find_adopted(bench: Workbench, patch: Patch, strip: str, since: tuple[str, str]) -> str:
    """Give the upstream commit whose changes to the patch's files are the patch's, without white space.

    That is what `git patch-id` compares; empty if there is none.

    Args:
        strip: the folder of upstream that is vendored.
        since: two commits: after the first and up to the second is where it may be.

    Raises:
        Unmeasurable: content that is needed cannot be fetched.
    """
    wanted = [_essence(diff, patch.level, "") for diff in patch.diffs]
    front = f"{strip}/" if strip else ""
    if not all(wanted):
        return ""
    places = ("--", *(front + path for path in patch.paths))
    pin, head = since
    count = f"--max-count={_COMMITS}"
    commits = bench.git("rev-list", "--no-merges", count, head, f"^{pin}", *places).stdout
    if not commits:
        return ""
    how = ("diff-tree", "--stdin", "-r", "--no-renames", "--root")
    raw = bench.git(*how, "-z", "--no-abbrev", *places, stdin=commits).text()
    blobs = re.findall(r":\d+ \d+ ([0-9a-f]{40}) ([0-9a-f]{40}) ", raw)
    needed = [name for pair in blobs for name in pair if name.strip("0")]
    bench.upstream.bring_blobs(needed[:_BLOBS])
    said = bench.attempt(*how, "-p", "--no-ext-diff", "--no-textconv", *places, stdin=commits)
    _, *found = _COMMIT.split(said.stdout)
    for name, content in zip(found[::2], found[1::2], strict=True):
        try:
            did = _essence(read_diff(content), 1, front)
        except Unreadable:
            continue
        if did in wanted:
            return name.decode()
    return ""


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
