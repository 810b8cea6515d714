"""Brings what was changed by hand in vendored code along to a newer upstream, as far as it merges."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from riskloop.git import Mirror, Upstream
from riskloop.mitigations.upstream_drift.patches.merging import merge
from riskloop.mitigations.upstream_drift.patches.workbench import Workbench
from riskloop.mitigations.upstream_drift.project.disk import SUBMODULE, Entry, differing
from riskloop.mitigations.upstream_drift.project.hacks import Hacks, Pair, by_hand, shown
from riskloop.mitigations.upstream_drift.project.vendored import Vendored

_ASIDE = re.compile(r"~[0-9a-f]{40}(_\d+)?$")
"""What git puts behind a name where a file and a folder want the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """A vendored tree with the local changes in it.

    Args:
        tree: in upstream's mirror; files may still be missing there.
        lost: the files whose changes do not merge: they are as the new tree has them. Fit to be shown.
        nested: submodules of upstream at the pin that are none in the project: left out of it, or copied.
    """

    tree: str
    lost: tuple[str, ...] = ()
    nested: tuple[str, ...] = ()


def carry(
    vendored: Vendored,
    project: Mirror,
    upstream: Upstream,
    room: Path,
    *,
    hacks: Hacks,
    pin: str,
    patched: str,
    onto: str,
) -> Carried:
    """Merge the local changes of the project's last commit into a new vendored tree.

    Args:
        vendored: the folder.
        project: our mirror of its repository.
        upstream: the mirror, in which the merge happens.
        room: a scratch folder.
        hacks: what was found in the folder.
        pin: the tree that upstream has at the pin.
        patched: that tree with our patches.
        onto: the new tree.

    Raises:
        Unmeasurable: content that is needed cannot be fetched.
    """
    changes, now, nested = _changes(vendored, project, upstream, hacks=hacks, pin=pin, patched=patched)
    if not changes:
        return Carried(tree=onto, nested=nested)
    base = patched if hacks.patched else pin
    ahead = differing(upstream, base, onto)
    sides = [entry for path in changes for entry in ahead.get(path, changes[path])]
    upstream.bring_blobs(entry.content for entry in sides if entry is not None and entry.mode != SUBMODULE)
    ours = (now[path] for path in changes)
    _move(project, upstream, {one.content for one in ours if one is not None and one.mode != SUBMODULE})
    bench = Workbench(upstream=upstream, room=room)
    bench.lay(base)
    _put(bench, {path: now[path] for path in changes})
    merged = merge(bench, base=base, ours=onto, theirs=bench.tree(), paths=tuple(changes))
    if not merged.clashing:
        return Carried(tree=merged.tree, nested=nested)
    bench.lay(merged.tree)
    names = tuple(merged.clashing)
    listed = bench.git("ls-tree", "-r", "-z", "--full-tree", onto, "--", *names).text().split("\0")[:-1]
    kept: dict[str, Entry | None] = dict.fromkeys(names)
    for line in listed:
        what, _, path = line.partition("\t")
        mode, _, content = what.split(" ")
        kept[path] = Entry(mode, content)
    _put(bench, kept)
    lost = {shown(_ASIDE.sub("", name)) for name in names}
    return Carried(tree=bench.tree(), lost=tuple(sorted(lost)), nested=nested)


def _changes(
    vendored: Vendored, project: Mirror, upstream: Upstream, *, hacks: Hacks, pin: str, patched: str
) -> tuple[dict[str, Pair], dict[str, Entry | None], tuple[str, ...]]:
    """Find what the project's last commit has by hand: expected and present, by path; and what is nested."""
    touched = differing(upstream, pin, patched)
    as_patched = hacks.tree == patched
    committed = touched if as_patched else differing(upstream, pin, hacks.tree, beside=(project.path,))
    pairs = {path: (before, before) for path, (before, _) in committed.items()} | touched
    now = {path: pair[0] for path, pair in pairs.items()} | {
        path: pair[1] for path, pair in committed.items()
    }
    changes = by_hand(vendored, pairs, now)
    expected = {path: (pair[hacks.patched],) * 2 for path, pair in changes.items()}
    nested = (
        path for path, (before, after) in committed.items() if _is_nested(before) and not _is_nested(after)
    )
    return expected, now, tuple(nested)


def _is_nested(entry: Entry | None) -> bool:
    return entry is not None and entry.mode == SUBMODULE


def _move(project: Mirror, upstream: Upstream, blobs: Iterable[str]) -> None:
    """Copy file contents into upstream's mirror, which must have all that its own trees name."""
    given = "".join(f"{name}\n" for name in sorted(blobs))
    if given:
        packed = project.git("pack-objects", "-q", "--stdout", stdin=given.encode())
        upstream.git("unpack-objects", "-q", stdin=packed.stdout)


def _put(bench: Workbench, entries: Mapping[str, Entry | None]) -> None:
    """Set entries of the index, the removed ones first: a folder may stand where a file was."""
    ordered = sorted(entries.items(), key=lambda item: item[1] is not None)
    lines = (
        f"{entry.mode} {entry.content}\t{path}\0" if entry is not None else f"0 {'0' * 40}\t{path}\0"
        for path, entry in ordered
    )
    bench.git("update-index", "-z", "--index-info", stdin="".join(lines).encode("utf-8", "surrogateescape"))
