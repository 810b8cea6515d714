"""Goes through a directory by open descriptors: no step leads out of it, whatever is swapped meanwhile."""

import errno
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from riskloop.errors import Unmeasurable
from riskloop.files import DEEPEST, open_folder
from riskloop.mitigations.ttl_cleanup.blocks import packed, unpacked
from riskloop.mitigations.ttl_cleanup.grounds import Ground

OURS = ".riskloop-cleanup"
"""The folder in a directory that holds our marker and the quarantine; it is never listed or removed."""

OURS_DEEP = 3
"""So many folders of ours at most are above what is in quarantine, where we go through that."""

_GONE = frozenset((errno.ENOENT, errno.ESTALE))
_NO_FOLDER = _GONE | {errno.ENOTDIR, errno.ELOOP}
_MANY = 1_000


def walk(
    ground: Ground, top: int, *, skip: Callable[[str], bool] | None = None, ours: int = 0
) -> Iterator[tuple[str, str, os.stat_result]]:
    """Give all that is below an open folder, each with its folder, its name and its status; outermost first.

    No step leads through a symbolic link, onto another file system or another mount, or into a folder of
    ours: that of the directory itself is passed over, one further down is given as something. What goes away
    meanwhile is passed over.

    Args:
        ground: the directory it is in.
        top: the open folder, which stays open; paths are given from it.
        skip: told a path, says whether to leave it (and what is below it) out.
        ours: how many folders of ours are on the way down, which may be deeper by so much.

    Raises:
        Unmeasurable: a folder may not be read, or is deeper than DEEPEST.
    """
    levels = [_Level(path="", descriptor=top)]
    try:
        while levels:
            level = levels[-1]
            if level.fresh:
                level.fresh = False
                for name, status in entries(ground, level.descriptor, level.path, skip=skip):
                    if stat.S_ISDIR(status.st_mode) and name != OURS:
                        level.below.push(name)
                    yield level.path, name, status
            below = level.below.pop()
            if below is None:
                levels.pop()
                if levels:
                    os.close(level.descriptor)
                continue
            path = f"{level.path}/{below}" if level.path else below
            opened = open_inside(ground, level.descriptor, below, path, depth=len(levels) - ours)
            if opened is not None:
                levels.append(_Level(path=path, descriptor=opened))
    finally:
        for level in levels[1:]:
            os.close(level.descriptor)


class Names:
    """A stack of names that takes little room: a folder may hold a million others."""

    def __init__(self) -> None:
        self._loose: list[str] = []
        self._packed: list[bytes] = []

    def push(self, name: str) -> None:
        self._loose.append(name)
        if len(self._loose) >= _MANY:
            self._packed.append(packed(self._loose))
            self._loose = []

    def pop(self) -> str | None:
        if not self._loose and self._packed:
            self._loose = unpacked(self._packed.pop())
        return self._loose.pop() if self._loose else None


@dataclass(slots=True, kw_only=True)
class _Level:
    """An open folder on the way down.

    Args:
        fresh: it has not been listed yet.
        below: the folders in it that are still to be entered.
    """

    path: str
    descriptor: int
    fresh: bool = True
    below: Names = field(default_factory=Names)


def entries(
    ground: Ground, descriptor: int, folder: str = "", *, skip: Callable[[str], bool] | None = None
) -> Iterator[tuple[str, os.stat_result]]:
    """Give what is right in an open folder, each name with its status; the directory's folder of ours not.

    Args:
        folder: its path.
        skip: told a path, says whether to leave it out.

    Raises:
        Unmeasurable: it may not be read.
    """
    is_top = descriptor == ground.descriptor
    try:
        with os.scandir(descriptor) as found:
            for entry in found:
                name = entry.name
                if is_top and name == OURS:
                    continue
                if skip is not None and skip(f"{folder}/{name}" if folder else name):
                    continue
                try:
                    status = entry.stat(follow_symlinks=False)
                except OSError as error:
                    if error.errno in _GONE:
                        continue
                    raise
                yield name, status
    except OSError as error:
        if error.errno not in _GONE:
            raise _unreadable(ground, folder, error) from error


def open_inside(ground: Ground, above: int, name: str, path: str, *, depth: int = 0) -> int | None:
    """Open a folder; None if it is gone, is no folder any more, or is on another file system or mount.

    Args:
        ground: the directory it belongs to.
        above: the open folder it is in.
        path: what to call it in a message.
        depth: how many folders it is down.

    Raises:
        Unmeasurable: it may not be read, or is deeper than DEEPEST.
    """
    if depth > DEEPEST:
        raise Unmeasurable(f"{ground.path} has folders more than {DEEPEST} deep", remedy="exclude them")
    try:
        opened = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=above)
        return _held(ground, opened)
    except OSError as error:
        if error.errno in _NO_FOLDER:
            return None
        raise _unreadable(ground, path, error) from error


def open_below(ground: Ground, folder: str, *, top: int | None = None) -> int | None:
    """Open a folder by its path; None if it is gone, behind a link, or on another file system or mount.

    Args:
        ground: the directory it belongs to.
        folder: its path.
        top: the open folder the path is from; the ground itself if None.

    Raises:
        OSError: it is there, and may not be opened.
    """
    try:
        return _held(ground, open_folder(ground.descriptor if top is None else top, folder))
    except OSError as error:
        if error.errno in _NO_FOLDER:
            return None
        raise


def _held(ground: Ground, opened: int) -> int | None:
    """Give an open folder, or None and close it if it is on another file system or mount."""
    held = False
    try:
        held = ground.holds(opened)
    finally:
        if not held:
            os.close(opened)
    return opened if held else None


def _unreadable(ground: Ground, folder: str, error: OSError) -> Unmeasurable:
    place = ground.path / folder
    return Unmeasurable(
        f"{str(place)!r} cannot be read: {error.strerror}",
        remedy="let the service's user read it, or exclude it",
    )
