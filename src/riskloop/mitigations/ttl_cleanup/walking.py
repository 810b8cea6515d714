"""Goes through a directory by open descriptors: no step leads out of it, whatever is swapped meanwhile."""

import errno
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from riskloop.errors import Unmeasurable
from riskloop.files import DEEPEST, open_folder
from riskloop.mitigations.ttl_cleanup.grounds import Ground

OURS = ".riskloop-cleanup"
"""The folder in a directory that holds our marker and the quarantine; it is never listed or removed."""

_NO_FOLDER = frozenset((errno.ENOENT, errno.ENOTDIR, errno.ELOOP))


def walk(
    ground: Ground, top: int, *, skip: Callable[[str], bool] | None = None
) -> Iterator[tuple[str, str, os.stat_result]]:
    """Give all that is below an open folder, each with its folder, its name and its status; outermost first.

    No step leads through a symbolic link, onto another file system or another mount. What goes away
    meanwhile is passed over, and so is our own folder in the directory.

    Args:
        ground: the directory it is in.
        top: the open folder, which stays open; paths are given from it.
        skip: told a path, says whether to leave it (and what is below it) out.

    Raises:
        Unmeasurable: a folder may not be read, or is deeper than DEEPEST.
    """
    levels = [_Level(path="", descriptor=top)]
    try:
        yield from _entries(ground, levels[0], skip)
        while levels:
            level = levels[-1]
            if not level.below:
                levels.pop()
                if levels:
                    os.close(level.descriptor)
                continue
            name = level.below.pop()
            path = f"{level.path}/{name}" if level.path else name
            opened = open_inside(ground, level.descriptor, name, path, depth=len(levels))
            if opened is not None:
                levels.append(_Level(path=path, descriptor=opened))
                yield from _entries(ground, levels[-1], skip)
    finally:
        for level in levels[1:]:
            os.close(level.descriptor)


@dataclass(slots=True, kw_only=True)
class _Level:
    """An open folder on the way down, and the names of those below it that are still to be entered."""

    path: str
    descriptor: int
    below: list[str] = field(default_factory=list)


def _entries(
    ground: Ground, level: _Level, skip: Callable[[str], bool] | None
) -> Iterator[tuple[str, str, os.stat_result]]:
    folder = level.path
    is_top = level.descriptor == ground.descriptor
    try:
        with os.scandir(level.descriptor) as entries:
            for entry in entries:
                name = entry.name
                if is_top and name == OURS:
                    continue
                if skip is not None and skip(f"{folder}/{name}" if folder else name):
                    continue
                try:
                    status = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue
                if stat.S_ISDIR(status.st_mode):
                    level.below.append(name)
                yield folder, name, status
    except OSError as error:
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
    except OSError as error:
        if error.errno in _NO_FOLDER:
            return None
        raise _unreadable(ground, path, error) from error
    if ground.holds(opened):
        return opened
    os.close(opened)
    return None


def open_below(ground: Ground, folder: str, *, top: int | None = None) -> int | None:
    """Open a folder by its path; None if it is gone, behind a link, or on another file system or mount.

    Args:
        ground: the directory it belongs to.
        folder: its path.
        top: the open folder the path is from; the ground itself if None.
    """
    try:
        opened = open_folder(ground.descriptor if top is None else top, folder)
    except OSError:
        return None
    if ground.holds(opened):
        return opened
    os.close(opened)
    return None


def _unreadable(ground: Ground, folder: str, error: OSError) -> Unmeasurable:
    place = ground.path / folder
    return Unmeasurable(
        f"{str(place)!r} cannot be read: {error.strerror}",
        remedy="let the service's user read it, or exclude it",
    )
