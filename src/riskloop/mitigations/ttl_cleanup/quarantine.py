"""Keeps what was taken out for a while, as it was, and deletes it when that is over."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from riskloop.errors import Refused, Unmeasurable
from riskloop.files import open_folder
from riskloop.mitigations.ttl_cleanup.blocks import Block
from riskloop.mitigations.ttl_cleanup.clearing import Cleared, Reason, is_still, unsigned
from riskloop.mitigations.ttl_cleanup.grounds import Ground
from riskloop.mitigations.ttl_cleanup.scanning import read_whole
from riskloop.mitigations.ttl_cleanup.walking import open_below, open_inside, walk

QUARANTINE = "quarantine"
"""The folder, inside our own in the directory, that holds a folder for each removal."""

FILES = "files"
"""The folder, inside a removal's, in which everything is as it was in the directory."""

_DOOMED = "doomed"


@contextmanager
def removed_things(ours: int, name: str, *, create: bool) -> Iterator[int | None]:
    """Open the folder of what a removal took out; None if it is not there.

    Args:
        ours: our folder in the directory.
        name: of the removal's folder.
        create: make it if it is missing.

    Raises:
        Refused: it cannot be made, or something else is in its place.
    """
    try:
        opened = open_folder(ours, f"{QUARANTINE}/{name}/{FILES}", create=create)
    except OSError as error:
        if isinstance(error, FileNotFoundError) and not create:
            yield None
            return
        raise Refused(
            f"the folder {name} of the quarantine cannot be used: {error.strerror}",
            rule="quarantine",
            remedy="free space, and see that nobody put a file or a link in its place",
        ) from error
    try:
        yield opened
    finally:
        os.close(opened)


def measure_quarantine(ground: Ground, ours: int) -> int:
    """Sum up the bytes in quarantine.

    Raises:
        Unmeasurable: it cannot be read.
    """
    folder = open_below(ground, QUARANTINE, top=ours)
    if folder is None:
        return 0
    try:
        return sum(status.st_size for _, _, status in walk(ground, folder) if stat.S_ISREG(status.st_mode))
    finally:
        os.close(folder)


def purge(ground: Ground, things: int, block: Block) -> Cleared:
    """Delete what a block names from a removal's folder, each only if it is still what was moved there.

    Args:
        things: the open folder of what the removal took out.
    """
    return _purge_whole(ground, things, block) if block.prints else _purge_files(ground, things, block)


def _purge_files(ground: Ground, things: int, block: Block) -> Cleared:
    cleared = Cleared()
    folder = open_below(ground, block.folder, top=things)
    if folder is None:
        return cleared
    try:
        for index, name in enumerate(block.names):
            try:
                status = os.stat(name, dir_fd=folder, follow_symlinks=False)
                reason = _why_kept(status, block, index)
                if reason is None:
                    os.unlink(name, dir_fd=folder)
                    cleared.files += 1
                    cleared.size += block.sizes[index]
                else:
                    cleared.skipped[index] = reason
            except FileNotFoundError:
                continue
            except OSError as error:
                cleared.refuse(index, error)
    finally:
        os.close(folder)
    return cleared


def _why_kept(status: os.stat_result, block: Block, index: int) -> Reason | None:
    if not stat.S_ISREG(status.st_mode):
        return Reason.SPECIAL
    if status.st_nlink != 1:
        return Reason.LINKED
    same = (status.st_ino, status.st_size, status.st_mtime_ns) == (
        unsigned(block.inodes[index]),
        block.sizes[index],
        block.mtimes[index],
    )
    return None if same else Reason.CHANGED


def _purge_whole(ground: Ground, things: int, block: Block) -> Cleared:
    """Delete whole directories: each is set aside first, so that a half-deleted one is known as such."""
    cleared = Cleared()
    doomed = open_folder(things, f"../{_DOOMED}", create=True)
    try:
        for index, name in enumerate(block.names):
            try:
                found = read_whole(ground, name, within=things)
                if found is None:
                    continue
                if not is_still(found, block, index):
                    cleared.skipped[index] = Reason.CHANGED
                    continue
                os.rename(name, name, src_dir_fd=things, dst_dir_fd=doomed)
                cleared.files += block.files[index]
                cleared.size += block.sizes[index]
            except OSError as error:
                cleared.refuse(index, error)
            except Unmeasurable:
                cleared.skipped[index] = Reason.CHANGED
        _delete_inside(ground, doomed)
    finally:
        os.close(doomed)
    return cleared


def close_folder(ground: Ground, ours: int, name: str) -> bool:
    """Remove the empty folders that a removal leaves in quarantine; say whether nothing was left in them."""
    place = open_below(ground, f"{QUARANTINE}/{name}", top=ours)
    if place is None:
        return True
    try:
        doomed = open_inside(ground, place, _DOOMED, _DOOMED)
        if doomed is not None:
            try:
                _delete_inside(ground, doomed)
            finally:
                os.close(doomed)
        _remove_empty(ground, place)
    finally:
        os.close(place)
    above = open_below(ground, QUARANTINE, top=ours)
    if above is None:
        return True
    try:
        os.rmdir(name, dir_fd=above)
    except OSError:
        return False
    finally:
        os.close(above)
    return True


def _remove_empty(ground: Ground, top: int) -> None:
    folders = [
        f"{folder}/{name}" if folder else name
        for folder, name, status in walk(ground, top)
        if stat.S_ISDIR(status.st_mode)
    ]
    # A folder comes before what is in it, so the other way round the innermost is first.
    for path in reversed(folders):
        above, _, name = path.rpartition("/")
        folder = open_below(ground, above, top=top)
        if folder is not None:
            with suppress(OSError):
                os.rmdir(name, dir_fd=folder)
            os.close(folder)


def _delete_inside(ground: Ground, top: int) -> None:
    """Delete all that is in an open folder of ours; links are deleted, never followed."""
    for folder, name, status in walk(ground, top):
        if not stat.S_ISDIR(status.st_mode):
            here = open_below(ground, folder, top=top)
            if here is not None:
                with suppress(OSError):
                    os.unlink(name, dir_fd=here)
                os.close(here)
    _remove_empty(ground, top)
