"""Finds the files that some program has open, so that they are left alone."""

import os
from collections.abc import Iterator
from contextlib import suppress

_LARGEST_MAP = 16 * 1024 * 1024


def open_files(device: int) -> frozenset[tuple[int, int]]:
    """List the files of a file system that programs have open or mapped, by device and inode.

    Linux tells of the programs of the same user, and root of all on this machine; what is open on another
    machine that shares the file system nobody tells.
    """
    found = set()
    for process in _processes():
        with suppress(OSError), os.scandir(f"/proc/{process}/fd") as entries:
            for entry in entries:
                with suppress(OSError):
                    status = entry.stat()
                    if status.st_dev == device:
                        found.add((status.st_dev, status.st_ino))
        found |= set(_mapped(process, device))
    return frozenset(found)


def _processes() -> Iterator[str]:
    with suppress(OSError), os.scandir("/proc") as entries:
        yield from (entry.name for entry in entries if entry.name.isdecimal())


def _mapped(process: str, device: int) -> Iterator[tuple[int, int]]:
    """Read a process's mappings: `address perms offset device inode path`, a line each (proc(5))."""
    try:
        descriptor = os.open(f"/proc/{process}/maps", os.O_RDONLY | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            text = file.read(_LARGEST_MAP)
    except OSError:
        return
    wanted = b"%02x:%02x" % (os.major(device), os.minor(device))
    for line in text.splitlines():
        words = line.split(maxsplit=5)
        if len(words) > 5 and words[3] == wanted:  # noqa: PLR2004 - the sixth is the path
            yield device, int(words[4])
