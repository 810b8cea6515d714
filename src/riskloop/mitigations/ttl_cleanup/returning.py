"""Moves one thing back to where it was, and never over anything that is there now."""

import errno
import os
from contextlib import suppress

_NO_LINKS = frozenset((errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK, errno.ENOSYS))


def move_back(there: int, here: int, name: str, *, whole: bool) -> None:
    """Move one thing back; unlike renaming, making a second name and taking the first away replaces nothing.

    Args:
        there: the open folder it is in.
        here: the open folder it was in.
        whole: it is a directory, which has no second name; renamed, it replaces no more than an empty one.

    Raises:
        FileNotFoundError: it is not there.
        FileExistsError: something stands in its place.
    """
    kept = os.stat(name, dir_fd=there, follow_symlinks=False)
    if not whole:
        try:
            os.link(name, name, src_dir_fd=there, dst_dir_fd=here, follow_symlinks=False)
        except FileExistsError:
            # Killed between the two steps, it has both names.
            if not os.path.samestat(kept, os.stat(name, dir_fd=here, follow_symlinks=False)):
                raise
            os.unlink(name, dir_fd=there)
            return
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
        else:
            os.unlink(name, dir_fd=there)
            return
    with suppress(FileNotFoundError):
        os.stat(name, dir_fd=here, follow_symlinks=False)
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), name)
    os.rename(name, name, src_dir_fd=there, dst_dir_fd=here)
