"""Merges what a patch did on the pin into what upstream has become, as `git am -3` does."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from riskloop.commands import Finished
from riskloop.errors import Unmeasurable
from riskloop.mitigations.upstream_drift.patches.diffs import Diff
from riskloop.mitigations.upstream_drift.patches.grafting import Entry, graft, object_name
from riskloop.mitigations.upstream_drift.patches.verdicts import Hunk
from riskloop.mitigations.upstream_drift.patches.workbench import SUBMODULE, Workbench

_LINES, _HUNKS = 40, 5
_RENAMES = 500
"""Files that are fetched to see whether one of them is the target under a new name."""
# Built-in merging only; am.c leaves folders that were renamed alone.
_MERGE = (
    *("-c", "merge.conflictStyle=diff3", "-c", "merge.directoryRenames=false"),
    *("-c", "merge.renames=true", "-c", "merge.renormalize=false"),
)
_NOBODY = b"author riskloop <> 0 +0000\ncommitter riskloop <> 0 +0000\n\n"
_BASE, _OURS, _THEIRS = "1", "2", "3"


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """What came of a merge.

    Args:
        tree: the result; with marks where it conflicts.
        clashing: the files that conflict; one that has no room in the tree, as a folder stands where it was
            to be or the other way round, with `~` and a commit behind its name.
        gone: those of them that upstream does not have any more.
        hunks: where they conflict.
    """

    tree: str
    clashing: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    hunks: tuple[Hunk, ...] = ()


def merge(
    bench: Workbench, *, base: str, ours: str, theirs: str, paths: Sequence[str], pin: str = ""
) -> Merged:
    """Merge two trees that came from a third.

    Args:
        base: the tree before the patch, on the pin.
        ours: upstream's side.
        theirs: the patch's side.
        paths: the files that the patch touches.
        pin: the pin's tree without any patch; the base if not given.

    Raises:
        Unmeasurable: content that is needed cannot be fetched, or git fails.
    """
    # Only these files are merged, as `git am -3` does it: git 2.39 looks for renames among all others even
    # if told not to, and the mirror does not have their content.
    sides = [bench.entries(tree, paths)[1] for tree in (base, ours, theirs)]
    if any(path in sides[0] and path not in sides[1] for path in paths):
        sides[1] |= _movable(bench, base, ours, pin or base)
    bench.upstream.bring_blobs(
        entry.name for side in sides for entry in side.values() if entry.mode != SUBMODULE
    )
    pruned = [graft("", {}, side) for side in sides]
    bench.store("tree", tuple(dict.fromkeys(tree for _, made in pruned for tree in made)))
    start = _commit(pruned[0][0])
    commits = (_commit(pruned[1][0], start), _commit(pruned[2][0], start))
    bench.store("commit", (start, *commits))
    said = bench.attempt(*_MERGE, "merge-tree", "--write-tree", "-z", "--no-messages", *map(_name, commits))
    if said.exit_code not in (0, 1):
        raise Unmeasurable(f"a patch cannot be merged: {said.account(lines=3)}")
    merged = _read(bench, said)
    return replace(merged, tree=_put_back(bench, ours, pruned[1][0], merged.tree))


def _put_back(bench: Workbench, ours: str, before: str, after: str) -> str:
    """Make of upstream's side, as a whole, what the merge made of the part of it that was merged."""
    listed = bench.git("diff-tree", "-r", "-z", "--no-renames", before, after).text().split("\0")
    changes: dict[str, Entry | None] = {}
    for what, path in zip(listed[::2], listed[1::2], strict=False):
        _, mode, _, name, _ = what.split(" ")
        changes[path] = Entry(mode.encode(), name) if name.strip("0") else None
    if not changes:
        return ours
    aside = Workbench(
        upstream=bench.upstream, room=bench.room / "merged", paths=tuple(changes), beside=bench.beside
    )
    aside.lay(ours)
    aside.put(changes)
    return aside.tree()


def _commit(tree: str, *parents: bytes) -> bytes:
    lines = "".join(f"parent {_name(parent)}\n" for parent in parents)
    return f"tree {tree}\n{lines}".encode() + _NOBODY


def _name(commit: bytes) -> str:
    return object_name("commit", commit)


def _movable(bench: Workbench, base: str, ours: str, pin: str) -> dict[str, Entry]:
    """List the files that may be a target under its new name, those of the same name or ending first."""
    changed = list(_changed(bench, base, ours))
    # What a patch that was left out takes away still stands here, and yet upstream did not add it.
    since = changed if pin == base else list(_changed(bench, pin, ours))
    new = {path for did, path, _, _ in since if did == "A"}
    contents = {old.name for did, _, old, _ in (*changed, *since) if did == "D"}
    places = [PurePosixPath(path) for did, path, _, _ in changed if did == "D"]
    names, endings = {path.name for path in places}, {path.suffix for path in places}
    found = [
        (path, entry)
        for did, path, _, entry in changed
        if (did == "A" and path in new) or (did == "M" and entry.name in contents)
    ]
    found.sort(key=lambda file: _likeness(PurePosixPath(file[0]), names, endings))
    return dict(found[:_RENAMES])


def _changed(bench: Workbench, older: str, newer: str) -> Iterator[tuple[str, str, Entry, Entry]]:
    """List what is different between two trees: how, where, and what stands there in either."""
    listed = bench.git("diff-tree", "-r", "-z", "--no-renames", older, newer).text().split("\0")
    for what, path in zip(listed[::2], listed[1::2], strict=False):
        old_mode, mode, old, name, did = what.removeprefix(":").split(" ")
        yield did, path, Entry(old_mode.encode(), old), Entry(mode.encode(), name)


def _likeness(path: PurePosixPath, names: set[str], endings: set[str]) -> int:
    return 0 if path.name in names else 1 if path.suffix in endings else 2


def _read(bench: Workbench, said: Finished) -> Merged:
    tree, *entries = said.text().rstrip("\0").split("\0")
    stages: dict[str, set[str]] = {}
    for entry in entries:
        what, _, path = entry.partition("\t")
        stages.setdefault(path, set()).add(what.rpartition(" ")[2])
    gone = tuple(path for path, found in stages.items() if _BASE in found and _OURS not in found)
    both = [path for path, found in stages.items() if {_OURS, _THEIRS} <= found]
    return Merged(
        tree=tree, clashing=tuple(stages), gone=gone, hunks=tuple(_hunks(bench, tree, both))[:_HUNKS]
    )


def _hunks(bench: Workbench, tree: str, paths: Sequence[str]) -> Iterator[Hunk]:
    for path in paths[:_HUNKS]:
        content = _content(bench, "ls-tree", "-z", tree, "--", path)
        sides: dict[str, list[bytes]] = {}
        side = ""
        for line in content.split(b"\n"):
            if line.startswith(b"<<<<<<< "):
                side, sides = "ours", {"ours": [], "base": [], "theirs": []}
            elif side == "ours" and line.startswith(b"||||||| "):
                side = "base"
            elif side == "base" and line == b"=======":
                side = "theirs"
            elif side == "theirs" and line.startswith(b">>>>>>> "):
                yield Hunk(path=path, **{name: shown(lines) for name, lines in sides.items()})
                side = ""
            elif side:
                sides[side].append(line)


def _content(bench: Workbench, *listing: str) -> bytes:
    """Give the content of the one file that git lists; nothing if there is none, or it is no file."""
    what, _, _ = bench.git(*listing).text().partition("\t")
    blob = next((word for word in what.split(" ") if len(word) >= 40), "")  # noqa: PLR2004 - a name
    said = bench.attempt("cat-file", "blob", blob) if blob else None
    return said.stdout if said is not None and said.succeeded else b""


def unplaced(bench: Workbench, diff: Diff, level: int, failed: Sequence[tuple[str, int]]) -> tuple[Hunk, ...]:
    """Show hunks that found no place, beside the lines that stand now where they belonged.

    Args:
        failed: file and line of each, as git names them.
    """
    hunks = []
    for path, line in failed[:_HUNKS]:
        pieces = (piece for change in diff.changes if path in change.names(level) for piece in change.pieces)
        piece = next((piece for piece in pieces if piece.line == line), None)
        if piece is not None:
            present = _content(bench, "ls-files", "-s", "-z", "--", path).split(b"\n")
            ours = present[max(0, line - 1) : max(0, line - 1) + len(piece.old)]
            hunks.append(Hunk(path=path, base=shown(piece.old), ours=shown(ours), theirs=shown(piece.new)))
    return tuple(hunks)


def shown(lines: Sequence[bytes]) -> str:
    """Give lines as text, not too many of them."""
    kept = [line[:400].decode("utf-8", "replace") for line in lines[:_LINES]]
    more = len(lines) - _LINES
    return "\n".join((*kept, f"({more} more lines)") if more > 0 else kept)
