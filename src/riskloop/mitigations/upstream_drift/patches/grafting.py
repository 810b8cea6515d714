"""Makes a tree of files that differs from another in a few of them, without reading all the others."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

TREE = b"40000"


@dataclass(frozen=True, slots=True, order=True)
class Entry:
    """A name in a tree: its mode as git stores it (`100644`, `120000`, `40000`), and its object."""

    mode: bytes
    name: str


def parents(path: str) -> Iterator[str]:
    """Give the folders a path is in, the nearest first, without the top."""
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path


def graft(
    top: str, stored: Mapping[str, bytes], changes: Mapping[str, Entry | None]
) -> tuple[str, list[bytes]]:
    """Put other files into a tree.

    Args:
        top: the tree.
        stored: that tree and those of the folders that change, each as git stores it, by their object names.
        changes: path to what is to stand there; None for nothing.

    Returns:
        The new tree's object name, and the trees to be stored, as git stores them.
    """
    removed = {path.encode("utf-8", "surrogateescape"): None for path, new in changes.items() if new is None}
    added = {path.encode("utf-8", "surrogateescape"): new for path, new in changes.items() if new is not None}
    made: list[bytes] = []
    # A file may stand now where a folder was: what is gone goes first.
    found = _graft(top, stored, [*removed.items(), *added.items()], made)
    return found or _store(b"", made), made


def _graft(
    tree: str, stored: Mapping[str, bytes], changes: list[tuple[bytes, Entry | None]], made: list[bytes]
) -> str | None:
    """Change one folder, and give its new name; None if nothing is left in it."""
    entries = dict(_parse(stored[tree])) if tree else {}
    below: dict[bytes, list[tuple[bytes, Entry | None]]] = {}
    for path, new in changes:
        first, slash, rest = path.partition(b"/")
        if slash:
            below.setdefault(first, []).append((rest, new))
        elif new is not None:
            entries[first] = new
        elif first in entries and entries[first].mode != TREE:
            del entries[first]
    for first, inside in below.items():
        old = entries.get(first)
        folder = old.name if old is not None and old.mode == TREE else ""
        if not folder and all(new is None for _, new in inside):
            continue
        name = _graft(folder, stored, inside, made)
        if name is not None:
            entries[first] = Entry(TREE, name)
        elif folder:
            del entries[first]
    if not entries:
        return None
    # https://git-scm.com/docs/git-mktree: folders are sorted as if their names ended in a slash.
    order = sorted(entries.items(), key=lambda item: item[0] + b"/" * (item[1].mode == TREE))
    lines = (entry.mode + b" " + name + b"\0" + bytes.fromhex(entry.name) for name, entry in order)
    return _store(b"".join(lines), made)


def _parse(content: bytes) -> Iterator[tuple[bytes, Entry]]:
    at = 0
    while at < len(content):
        space, end = content.index(b" ", at), content.index(b"\0", at)
        yield content[space + 1 : end], Entry(content[at:space], content[end + 1 : end + 21].hex())
        at = end + 21


def _store(content: bytes, made: list[bytes]) -> str:
    made.append(content)
    return object_name("tree", content)


def object_name(sort: str, content: bytes) -> str:
    """Give the name under which git stores an object."""
    return hashlib.sha1(f"{sort} {len(content)}\0".encode() + content, usedforsecurity=False).hexdigest()
