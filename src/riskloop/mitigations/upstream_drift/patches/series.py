"""Reads the local patches of a project, in the order in which they are applied."""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from riskloop.commands import MEBIBYTE
from riskloop.errors import Unmeasurable
from riskloop.files import Found, Sort, list_tree, read_file
from riskloop.mitigations.upstream_drift.patches.diffs import (
    Diff,
    Unreadable,
    decode_mail,
    is_mail,
    leaves_the_tree,
    read_diff,
)
from riskloop.mitigations.upstream_drift.settings import Settings
from riskloop.risks import Site

SERIES = "series"
LARGEST = 16 * MEBIBYTE
"""Bytes of one patch."""
_LISTING_LIMIT = MEBIBYTE
_ENDINGS = (".patch", ".diff", ".mbox")
_LEVEL = re.compile(r"-p(\d|ab)")
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True, kw_only=True)
class Patch:
    """One local patch.

    Args:
        name: its file below the folder of patches, as the series lists it.
        content: the file.
        paths: the files of the vendored tree that it touches, by their old and new names.
        lines: how many it adds or removes.
        refused: why it must not be tried; empty if it may.
        level: how many folders are taken off the front of the names in it.
        diffs: how it can be understood, the likeliest first: with its carriage returns, or without.
    """

    name: str
    content: bytes
    paths: tuple[str, ...] = ()
    lines: int = 0
    refused: str = ""
    level: int = 1
    diffs: tuple[Diff, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether it changes nothing at all."""
        return not self.refused and not any(change.alters for diff in self.diffs for change in diff.changes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """The local patches in their order.

    Args:
        listed: the content of the file `series`; None if the order is by name.
        strip: the folder of upstream that is vendored; empty if all is.
    """

    patches: tuple[Patch, ...]
    listed: bytes | None = None
    strip: str = ""


def read_series(settings: Settings, site: Site) -> Series:
    """Read the patches from the project's folder; a patch that cannot be used is in it, with the reason.

    Raises:
        Unmeasurable: the folder is missing or cannot be read.
    """
    strip = (settings.strip or "").strip("/")
    if settings.patches is None:
        return Series(patches=(), strip=strip)
    folder = site.project / settings.patches
    if not folder.is_dir():
        raise Unmeasurable(
            f"the folder of patches {settings.patches} is not in {site.project}",
            remedy="create it, or correct `patches` in the register",
        )
    found = {file.path: file for file in list_tree(folder)}
    listed = read_file(folder, SERIES, limit=_LISTING_LIMIT) if SERIES in found else None
    below = _Below(vendored=site.project / settings.path, path=settings.path.as_posix(), strip=strip)
    patches: list[Patch] = []
    for name, options in _named(listed, found):
        if any(name == patch.name for patch in patches):
            continue
        patches.append(_read(folder, name, options, found.get(name), below))
    return Series(patches=tuple(patches), listed=listed, strip=strip)


def _named(listed: bytes | None, found: dict[str, Found]) -> Iterator[tuple[str, Sequence[str]]]:
    """Give the patches' names in order, each with the options that stand behind it, as quilt has them."""
    if listed is None:
        # Bytes, as git and the shell sort them where no language is set.
        for name in sorted(found, key=os.fsencode):
            if "/" not in name and name.endswith(_ENDINGS):
                yield name, ()
        return
    for line in listed.removeprefix(_BOM).decode("utf-8", "surrogateescape").split("\n"):
        words = re.sub(r"(^|\s)#.*", "", line).split()
        if words:
            yield words[0], words[1:]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Below:
    """Where the vendored tree is: on disk, below the project, and below upstream's top."""

    vendored: Path
    path: str
    strip: str


def _read(folder: Path, name: str, options: Sequence[str], found: Found | None, below: _Below) -> Patch:
    refused = _refused(options, found)
    if refused:
        return Patch(name=name, content=b"", refused=refused)
    content = read_file(folder, name, limit=LARGEST)
    if b"\0" in content:
        return Patch(name=name, content=content, refused="it holds NUL bytes: save it as UTF-8 text")
    try:
        diffs = _diffs(content)
    except Unreadable as error:
        return Patch(name=name, content=content, refused=f"it cannot be read as a patch: {error}")
    level = _level(diffs[0], options, below)
    paths = tuple(
        dict.fromkeys(path for diff in diffs for change in diff.changes for path in change.names(level))
    )
    outside = next((path for path in paths if leaves_the_tree(path)), None)
    return Patch(
        name=name,
        content=content,
        paths=() if outside is not None else paths,
        lines=diffs[0].lines,
        refused="" if outside is None else f"it names {outside!r}, which is not inside the vendored tree",
        level=level,
        diffs=diffs,
    )


def _refused(options: Sequence[str], found: Found | None) -> str:
    unknown = next((option for option in options if not _LEVEL.fullmatch(option)), None)
    if unknown is not None:
        return f"the series gives it the option {unknown}, which is not known here"
    if found is None:
        return "the series names it, and it is not there"
    if found.sort is not Sort.FILE:
        return f"it is a {found.sort}, which is not followed"
    return f"it is longer than {LARGEST // MEBIBYTE} MiB" if found.size > LARGEST else ""


# A series is read with every look, and is the same one nearly always.
@lru_cache(maxsize=256)
def _diffs(content: bytes) -> tuple[Diff, ...]:
    """Read a patch in each way it may be meant; `git am` drops the carriage returns of a mail."""
    decoded = decode_mail(content)
    if b"\r\n" not in decoded:
        return (read_diff(decoded),)
    without = decoded.replace(b"\r\n", b"\n")
    kept = _with_plain_headers(decoded)
    both = (without, kept) if is_mail(content) else (kept, without)
    return tuple(read_diff(one) for one in dict.fromkeys(both))


def _with_plain_headers(content: bytes) -> bytes:
    """Take the carriage returns off the lines that are not of a file: git would read them into the names."""
    header = re.compile(
        rb"(?m)^((?:diff --git |--- |\+\+\+ |@@ -|index |(?:old|new|deleted file|new file) mode |"
        rb"(?:dis)?similarity |rename |copy |GIT binary patch|literal |delta |Binary files )[^\r\n]*)\r$"
    )
    return header.sub(rb"\1", content)


def _level(diff: Diff, options: Sequence[str], below: _Below) -> int:
    """Find out from which folder the names in a patch count, and how much of their front is not of the tree.

    Names may count from the vendored folder, from the project's top or from upstream's; which of them is
    held against what is there on disk.
    """
    if not diff.changes:
        return 1
    given = [_LEVEL.fullmatch(option) for option in options]
    if given and given[-1]:
        levels = [1 if given[-1][1] == "ab" else int(given[-1][1])]
    else:
        likely = 1 if diff.changes[0].prefixed else 0
        levels = [likely, 1 - likely]
    tried: dict[int, int] = {}
    for level in levels:
        for front in (below.path, below.strip, ""):
            inside = _inside(diff, level, front)
            if inside is not None and inside not in tried:
                tried[inside] = sum(_is_there(below.vendored, name) for name in _names(diff, inside))
    return max(tried, key=lambda level: tried[level], default=levels[0])


def _inside(diff: Diff, level: int, front: str) -> int | None:
    """Give the level below a folder, if all names are in it."""
    names = _names(diff, level)
    if not all(name.startswith(f"{front}/") if front else name for name in names):
        return None
    return level + (front.count("/") + 1 if front else 0)


def _names(diff: Diff, level: int) -> list[str]:
    return [name for change in diff.changes for name in change.names(level)]


def _is_there(vendored: Path, name: str) -> bool:
    return not leaves_the_tree(name) and os.path.lexists(vendored / name)
