"""Lists, copies, writes and removes files without ever following a symbolic link out of its folder."""

import errno
import fcntl
import os
import re
import secrets
import shutil
import stat
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from riskloop.errors import Unmeasurable

DEEPEST = 100
"""Folders below folders that are looked into; a tree that goes deeper is a mistake or an attack."""
_CHUNK = 1024 * 1024


class Sort(StrEnum):
    """What stands under a name."""

    FILE = "file"
    LINK = "symbolic link"
    OTHER = "special file"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One file of a tree, without having opened it.

    Args:
        path: from the tree's root, with `/`.
        size: bytes.
        mode: permission bits.
        target: where a symbolic link points.
    """

    path: str
    sort: Sort
    size: int
    mode: int
    target: str = ""


def list_tree(root: Path, *, skip: Callable[[str], bool] | None = None) -> list[Found]:
    """List everything below a folder that is no folder itself, sorted by path; links are not followed.

    Args:
        root: the folder; it may not be a symbolic link itself.
        skip: told a path below the root, says whether to leave it (and what is below it) out.

    Raises:
        Unmeasurable: the folder is missing, unreadable, not a folder, or deeper than DEEPEST.
    """
    found: list[Found] = []
    try:
        if root.is_symlink():
            raise Unmeasurable(f"{root} is a symbolic link, which is not followed", remedy="name its target")
        folders = [("", 0)]
        while folders:
            prefix, depth = folders.pop()
            if depth > DEEPEST:
                raise Unmeasurable(f"{root} has folders more than {DEEPEST} deep", remedy="exclude them")
            with os.scandir(root / prefix) as entries:
                for entry in entries:
                    path = prefix + entry.name
                    if skip is not None and skip(path):
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        folders.append((f"{path}/", depth + 1))
                    else:
                        found.append(_describe(path, entry))
    except OSError as error:
        raise Unmeasurable(
            f"{error.filename or root} cannot be listed: {error.strerror}",
            remedy="correct the path in the register, or its permissions",
        ) from error
    return sorted(found, key=lambda one: one.path)


def _describe(path: str, entry: os.DirEntry[str]) -> Found:
    status = entry.stat(follow_symlinks=False)
    if entry.is_symlink():
        sort, target = Sort.LINK, str(Path(entry).readlink())
    else:
        sort, target = Sort.FILE if stat.S_ISREG(status.st_mode) else Sort.OTHER, ""
    mode = stat.S_IMODE(status.st_mode)
    return Found(path=path, sort=sort, size=status.st_size, mode=mode, target=target)


def matches(path: str, patterns: Sequence[str]) -> bool:
    """Say whether a path fits one of the patterns: `*` stays within a folder, `**` goes through any number.

    A pattern without `/` is held against the file's name, in whatever folder it is, as git does.
    """
    return any(_pattern(pattern).fullmatch(path) is not None for pattern in patterns)


@lru_cache(maxsize=256)
def _pattern(pattern: str) -> re.Pattern[str]:
    if "/" not in pattern:
        pattern = f"**/{pattern}"
    tokens = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    parts = re.split(r"(\*\*/|\*\*|\*|\?)", pattern.removeprefix("/"))
    return re.compile("".join(tokens.get(part, re.escape(part)) for part in parts), re.DOTALL)


def stays_inside(link: str, target: str) -> bool:
    """Say whether a symbolic link's target is surely inside the tree the link's path is relative to.

    `..` counts only at the front: after a name it could leave through another link.
    """
    parts = PurePosixPath(target).parts
    ups = next((index for index, part in enumerate(parts) if part != ".."), len(parts))
    inside = ups <= len(PurePosixPath(link).parts) - 1
    return bool(parts) and not target.startswith("/") and ".." not in parts[ups:] and inside


def copy_tree(
    source: Path, to: Path, *, skip: Callable[[str], bool] | None = None, read_only: bool = False
) -> list[str]:
    """Copy a file or a folder; links that stay inside it are kept as links, nothing else is followed.

    Args:
        source: what to copy.
        to: where to; its parent must exist, and what is there already stays as it is.
        skip: as for list_tree.
        read_only: take every permission to write away from what is copied.

    Returns:
        What was left out and why, a phrase each: links that lead out, FIFOs, sockets, devices.

    Raises:
        Unmeasurable: something cannot be read, or there is no room for the copy.
    """
    left_out: list[str] = []
    try:
        if not source.is_symlink() and source.is_file():
            if not os.path.lexists(to):
                _copy_file(source, to, read_only=read_only)
            return left_out
        made: list[Path] = []
        _make_folder(to, made)
        for found in list_tree(source, skip=skip):
            target = to / found.path
            _make_folder(target.parent, made)
            if os.path.lexists(target):
                continue
            if found.sort is Sort.FILE:
                _copy_file(source / found.path, target, read_only=read_only)
            elif found.sort is Sort.LINK and stays_inside(found.path, found.target):
                target.symlink_to(found.target)
            else:
                left_out.append(f"{found.path} ({found.sort})")
        if read_only:
            for folder in made:
                folder.chmod(0o555)
    except OSError as error:
        raise Unmeasurable(
            f"{source} cannot be copied: {error}", remedy="free space or correct it"
        ) from error
    return left_out


def _make_folder(folder: Path, made: list[Path]) -> None:
    """Make a folder and those above it, and note which were missing."""
    missing = []
    while not folder.exists():
        missing.append(folder)
        folder = folder.parent
    for one in reversed(missing):
        one.mkdir()
        made.append(one)


def _copy_file(source: Path, to: Path, *, read_only: bool) -> None:
    descriptor = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as reader, to.open("xb") as writer:
        shutil.copyfileobj(reader, writer, _CHUNK)
        mode = stat.S_IMODE(os.fstat(descriptor).st_mode) & 0o777
        os.fchmod(writer.fileno(), mode & 0o555 if read_only else mode | 0o600)


def read_file(root: Path, path: str, *, limit: int) -> bytes:
    """Read a regular file below a folder, without following links.

    Raises:
        Unmeasurable: it is missing, longer than `limit` bytes, not a regular file, or behind a link.
    """
    try:
        folder = open_folder(root, PurePosixPath(path).parent.as_posix())
        try:
            file = open_file(PurePosixPath(path).name, folder)
        finally:
            os.close(folder)
        with file:
            content = file.read(limit + 1)
    except OSError as error:
        raise Unmeasurable(
            f"{root / path} cannot be read: {error.strerror}", remedy="see that it is a readable file"
        ) from error
    if len(content) > limit:
        raise Unmeasurable(f"{root / path} is longer than {limit} bytes", remedy="make it shorter")
    return content


def open_file(name: str, folder: int) -> BinaryIO:
    """Open a regular file of an open folder for reading; no link is followed, and nothing is waited for.

    Raises:
        OSError: it is missing, or is not a regular file (a symbolic link is not one).
    """
    descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    # Given a folder's descriptor, os.fdopen fails and leaves it open.
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return os.fdopen(descriptor, "rb")
    os.close(descriptor)
    raise OSError(errno.EINVAL, "it is not a regular file", name)


def open_folder(root: Path | int, path: str = ".", *, create: bool = False) -> int:
    """Open a folder below a root step by step, no step through a link; the caller closes the descriptor.

    Args:
        root: the folder to begin with, or a descriptor of it, which stays open.
        path: the way down, with `/`.
        create: make the folders that are missing.

    Raises:
        OSError: a step is missing, or is not a folder (a symbolic link is not one).
    """
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    at = os.dup(root) if isinstance(root, int) else os.open(root, flags)
    try:
        for part in PurePosixPath(path).parts:
            if create:
                with suppress(FileExistsError):
                    os.mkdir(part, dir_fd=at)
            below = os.open(part, flags, dir_fd=at)
            os.close(at)
            at = below
    except OSError:
        os.close(at)
        raise
    return at


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that it is there with all its content or as it was before, whatever happens."""
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with beside.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
    sync_folder(path.parent)


def sync_folder(folder: Path | int) -> None:
    """Make the names in a folder last through a power cut."""
    descriptor = open_folder(folder)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def locked(path: Path, *, wait: float) -> Iterator[None]:
    """Hold the lock that a file stands for; it is free again if we are killed.

    Args:
        path: the lock's file, made if missing.
        wait: seconds to wait for another holder.

    Raises:
        Unmeasurable: somebody else held it all that time.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        wait_for_lock(descriptor, str(path), wait=wait)
        yield
    finally:
        os.close(descriptor)


def wait_for_lock(descriptor: int, name: str, *, wait: float) -> None:
    """Lock an open file or folder until its descriptor is closed.

    Args:
        descriptor: of the file or folder.
        name: what to call it in a message.
        wait: seconds to wait for another holder.

    Raises:
        Unmeasurable: somebody else held it all that time.
    """
    deadline = time.monotonic() + wait
    while not _try_lock(descriptor):
        if time.monotonic() >= deadline:
            raise Unmeasurable(f"{name} is in use by another run", remedy="wait for it, then run again")
        time.sleep(0.02)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def scratch(state: Path, label: str) -> Iterator[Path]:
    """Give an empty folder under our state that is gone afterwards; what killed runs left is removed first.

    Each folder has a lock file beside it, made before and held as long as its run lives: a folder whose lock
    is free belongs to nobody any more.
    """
    place = state / "scratch"
    place.mkdir(parents=True, exist_ok=True, mode=0o700)
    _sweep(place)
    folder, descriptor = _claim(place, label)
    try:
        folder.mkdir(mode=0o700)
        yield folder
    finally:
        # A process that escaped its group may still be writing: the next run tries again.
        with suppress(OSError):
            remove_tree(folder)
            folder.with_suffix(".lock").unlink()
        os.close(descriptor)


def _claim(place: Path, label: str) -> tuple[Path, int]:
    while True:
        folder = place / f"{label}-{secrets.token_hex(6)}"
        lock = folder.with_suffix(".lock")
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        # Between the two lines above and below another run's sweep may have taken the lock away.
        with suppress(FileNotFoundError):
            if _try_lock(descriptor) and os.path.samestat(os.fstat(descriptor), lock.stat()):
                return folder, descriptor
        os.close(descriptor)


def _sweep(place: Path) -> None:
    with os.scandir(place) as entries:
        names = {entry.name.removesuffix(".lock") for entry in entries}
    for name in names:
        lock = place / f"{name}.lock"
        with suppress(OSError):
            try:
                descriptor = os.open(lock, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
            except FileNotFoundError:
                # A living run's lock is made before its folder and removed after it.
                remove_tree(place / name)
                continue
            try:
                if _try_lock(descriptor):
                    remove_tree(place / name)
                    lock.unlink()
            finally:
                os.close(descriptor)


def remove_tree(folder: Path) -> None:
    """Remove a folder of our own with everything in it, write-protected or not; links are not followed.

    Raises:
        OSError: something is still there, for instance because somebody keeps writing into it.
    """
    if folder.is_symlink() or not folder.is_dir():
        folder.unlink(missing_ok=True)
        return
    try:
        folder.chmod(0o700)
        for inside, folders, _ in os.walk(folder):
            for path in (Path(inside, name) for name in folders):
                if not path.is_symlink():
                    path.chmod(0o700)
        shutil.rmtree(folder)
    except (RecursionError, OSError):
        # A tree a thousand folders deep, or deeper than a path may be long; the program has no such limits.
        subprocess.run(["/bin/rm", "-rf", "--", str(folder)], check=False, stdin=subprocess.DEVNULL)
        if folder.exists():
            raise OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY), str(folder)) from None
