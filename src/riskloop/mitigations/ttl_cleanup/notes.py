"""Keeps small notes of ours in a directory that is cleaned up."""

import errno
import os
import secrets
import stat
from contextlib import suppress

_SMALL = 400


def read_note(folder: int, name: str) -> str | None:
    """Read a small file of ours; None if it is not there, empty if it is no regular file.

    Raises:
        OSError: it cannot be opened.
    """
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        descriptor = os.open(name, flags, dir_fd=folder)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno == errno.ELOOP:
            return ""
        raise
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return ""
        return os.read(descriptor, _SMALL).decode("ascii", "replace").strip()
    finally:
        os.close(descriptor)


def write_note(folder: int, name: str, content: str) -> None:
    """Write a small file of ours, so that it is there whole or as it was before.

    Raises:
        OSError: there is no room, or no right to.
    """
    _sweep(folder, f".{name}.")
    aside = f".{name}.{secrets.token_hex(4)}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(aside, flags, 0o600, dir_fd=folder)
    try:
        os.write(descriptor, f"{content}\n".encode())
        os.fsync(descriptor)
    except OSError:
        os.unlink(aside, dir_fd=folder)
        raise
    finally:
        os.close(descriptor)
    os.replace(aside, name, src_dir_fd=folder, dst_dir_fd=folder)
    os.fsync(folder)


def _sweep(folder: int, start: str) -> None:
    """Take away what killed runs left half written."""
    with os.scandir(folder) as entries:
        left = [entry.name for entry in entries if entry.name.startswith(start)]
    for name in left:
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=folder)
