"""Finds the changes in vendored code that nobody wrote down: neither upstream's files nor a patch's."""

import hashlib
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from riskloop.commands import MEBIBYTE
from riskloop.errors import Unmeasurable
from riskloop.git import Upstream
from riskloop.mitigations.upstream_drift.project.disk import (
    LINK,
    SUBMODULE,
    Entry,
    OnDisk,
    compare,
    differing,
    read_content,
    read_entry,
)
from riskloop.mitigations.upstream_drift.project.showing import show_changes
from riskloop.mitigations.upstream_drift.project.vendored import Vendored
from riskloop.risks import Site

_LARGEST_COMPARED = MEBIBYTE
_ENOUGH_TO_DOUBT = 5
_HARDLY = 9
_LINE_ENDS = "changed in its line ends only"

Pair = tuple[Entry | None, Entry | None]
"""What upstream has at the pin, and what our patches make of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hack:
    """One vendored file that is neither upstream's nor what a patch makes of it.

    Args:
        path: below the vendored folder, fit to be shown: what cannot be printed is written as an escape.
        how: what is different, in a few words: `changed`, `added`, `removed`, `mode changed` and the like.
    """

    path: str
    how: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Hacks:
    """What was changed by hand in the vendored code.

    Args:
        found: by path.
        patched: the folder has our patches in it; else they are applied when it is built.
        diff: what was changed, as a patch, cut; what is in no commit is not in it.
        digest: of all that may be shown of it, uncut and whether upstream can be asked or not.
        tree: of a plain folder the tree object of the project's last commit, in the project's mirror; empty
            for a submodule, or where it is in no commit.
        uncommitted: paths in which the folder differs from the project's last commit, fit to be shown.
        notes: what a reader should know, a sentence each without a full stop.
    """

    found: tuple[Hack, ...] = ()
    patched: bool = False
    diff: str = ""
    digest: str = ""
    tree: str = ""
    uncommitted: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def find_hacks(vendored: Vendored, upstream: Upstream, site: Site, *, pin: str, patched: str) -> Hacks:
    """Find what was changed in the vendored folder; only what is shown of it is fetched from upstream.

    Args:
        vendored: where it is.
        upstream: the mirror.
        site: where our state is.
        pin: the tree that upstream has at the pin.
        patched: that tree with our patches.

    Raises:
        Unmeasurable: the folder cannot be read.
    """
    tree = vendored.tree
    if not vendored.folder.is_dir() or not any(vendored.folder.iterdir()):
        return Hacks(tree=tree)
    named = hashlib.sha256(f"{site.mitigation}\0{vendored.folder}".encode("utf-8", "surrogateescape"))
    index = site.state / "indexes" / f"{named.hexdigest()[:16]}.index"
    changed, others = compare(upstream, pin, vendored.folder, index)
    touched = differing(upstream, pin, patched)
    committed = touched if tree == patched else _committed(vendored, upstream, pin)
    # A submodule of the project's own inside the folder is one thing, with the slash and without.
    others = {path for path in others if path.rstrip("/") not in committed}
    paths = {*changed, *others, *touched, *committed}
    on_disk = {path: read_entry(vendored.folder, path) for path in paths}
    pairs = {path: touched.get(path, _unpatched(path, changed, committed)) for path in paths}
    strange = by_hand(vendored, pairs, {path: disk.entry for path, disk in on_disk.items()})
    has_patches = _has_patches(vendored, upstream, touched, on_disk)
    found = tuple(
        Hack(path=shown(path), how=_how(on_disk[path], pair[has_patches])) for path, pair in strange.items()
    )
    expected = {path: pair[has_patches] for path, pair in strange.items()}
    # What nobody committed may be nobody's business: a file with a password in it, for instance.
    open_to_all = {path: on_disk[path].entry for path in strange if path not in others}
    diff, notes = show_changes(vendored, upstream, site, expected=expected, found=open_to_all)
    missing = [
        path for path, pair in touched.items() if has_patches and on_disk[path].entry == pair[0] != pair[1]
    ]
    if missing:
        notes += (_put_back(missing),)
    if found and all(hack.how == _LINE_ENDS for hack in found):
        said = "differ from upstream only in their line ends: a checkout or an editor converted them"
        notes += (f"all {len(found)} changed files {said}",)
    else:
        there = sum(on_disk[path].entry is not None for path in strange)
        patched_ones = set(changed) & set(touched) - set(strange)
        notes += _doubts(vendored, upstream, pin, strange=there, astray=len(changed) - len(patched_ones))
    uncommitted = (
        path
        for path in sorted(paths)
        if (entry := committed[path][1] if path in committed else pairs[path][0]) is not None
        and entry.mode != SUBMODULE
        and not vendored.is_own(path)
        and entry != on_disk[path].entry
    )
    return Hacks(
        found=found,
        patched=has_patches,
        diff=diff,
        digest=_digest(open_to_all),
        tree=tree,
        uncommitted=tuple(map(shown, uncommitted)) if tree else (),
        notes=notes,
    )


def by_hand(
    vendored: Vendored, pairs: Mapping[str, Pair], now: Mapping[str, Entry | None]
) -> dict[str, Pair]:
    """Choose the paths that were changed by hand, in order.

    Args:
        vendored: the folder that they are in.
        pairs: of each path, what upstream has at the pin, and what our patches make of it.
        now: what each path has.
    """
    # What is in a submodule of upstream is another upstream's.
    nested = tuple(
        f"{path}/"
        for path, pair in pairs.items()
        if any(entry is not None and entry.mode == SUBMODULE for entry in pair)
    )
    return {
        path: pair
        for path, pair in sorted(pairs.items())
        if not f"{path}/".startswith(nested)
        and not vendored.is_own(path.rstrip("/"))
        and now[path] not in pair
    }


def _committed(vendored: Vendored, upstream: Upstream, pin: str) -> dict[str, Pair]:
    """List what the project's last commit has in another way than upstream at the pin."""
    if vendored.project is None or not vendored.tree:
        return {}
    return differing(upstream, pin, vendored.tree, beside=(vendored.project.path,))


def shown(path: str) -> str:
    """Write a file's name so that it can be printed: bytes that are no text, and controls, become escapes."""
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)


def _doubts(
    vendored: Vendored, upstream: Upstream, pin: str, *, strange: int, astray: int
) -> tuple[str, ...]:
    """Doubt the register where hardly a file is upstream's: so many are not changed by hand.

    Args:
        strange: how many files of the folder are neither upstream's nor a patch's.
        astray: how many of upstream's files the folder has otherwise, or not at all.
    """
    if strange < _ENOUGH_TO_DOUBT:
        return ()
    same = upstream.git("ls-tree", "-r", "-z", "--name-only", pin).text().count("\0") - astray
    if same * _HARDLY >= strange:
        return ()
    settings = "`upstream` or the commit" if vendored.submodule else "`upstream`, `pin` or `strip`"
    counted = f"{same} of the {same + strange} files in {vendored.path}"
    return (f"{counted} are what upstream has at the pin: {settings} may be wrong",)


def _digest(entries: Mapping[str, Entry | None]) -> str:
    """Digest what stands under some names; empty if there are none."""
    lines = (
        f"{entry.mode if entry else ''} {entry.content if entry else ''} {path}\0"
        for path, entry in entries.items()
    )
    text = "".join(lines)
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest() if text else ""


def _unpatched(path: str, changed: Mapping[str, Entry], committed: Mapping[str, Pair]) -> Pair:
    entry = changed.get(path) or (committed[path][0] if path in committed else None)
    return entry, entry


def _how(disk: OnDisk, expected: Entry | None) -> str:
    found = disk.entry
    if found is None:
        return "removed"
    if expected is None:
        return "added" if found.content else f"added as a {found.mode}"
    if not found.content:
        return "cannot be read" if found.mode == "unreadable" else f"replaced by a {found.mode}"
    if (found.mode == LINK) != (expected.mode == LINK):
        return "replaced by a link" if found.mode == LINK else "replaced by a file"
    if found.content == expected.content:
        return "mode changed"
    return _LINE_ENDS if expected.content in disk.other_ends else "changed"


def _put_back(paths: Sequence[str]) -> str:
    names = shown(paths[0]) + (f" and {len(paths) - 1} more" if len(paths) > 1 else "")
    are = "are" if len(paths) > 1 else "is"
    return f"{names} {are} as upstream has it, without what our patches change there; a bump puts that back"


def _has_patches(
    vendored: Vendored, upstream: Upstream, touched: Mapping[str, Pair], on_disk: Mapping[str, OnDisk]
) -> bool:
    """Say whether the folder has our patches in it, by the files they touch."""
    files = {path: pair for path, pair in touched.items() if path in on_disk}
    if any(on_disk[path].entry == pair[1] for path, pair in files.items()):
        return True
    if not files or any(on_disk[path].entry == pair[0] for path, pair in files.items()):
        return False
    # Each of them was changed by hand as well: to which of the two is it nearer?
    try:
        upstream.bring_blobs(
            entry.content for pair in files.values() for entry in pair if entry is not None and entry.is_file
        )
    except Unmeasurable:
        return True
    distances = [0, 0]
    for path, pair in files.items():
        ours = _lines(read_content(vendored.folder, path, limit=_LARGEST_COMPARED))
        for side, entry in enumerate(pair):
            theirs = _lines(_content(upstream, entry))
            distances[side] += ((ours - theirs) + (theirs - ours)).total()
    return distances[1] <= distances[0]


def _lines(content: bytes | None) -> Counter[bytes]:
    return Counter((content or b"").splitlines())


def _content(upstream: Upstream, entry: Entry | None) -> bytes | None:
    if entry is None or not entry.is_file:
        return None
    return upstream.git("cat-file", "blob", entry.content).stdout
