"""Keeps what was taken out for a while, as it was, and deletes it when that is over."""

import os
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

from riskloop.errors import Refused, Unmeasurable
from riskloop.files import open_folder
from riskloop.mitigations.ttl_cleanup.blocks import Block
from riskloop.mitigations.ttl_cleanup.clearing import Cleared, Reason, is_same, is_still
from riskloop.mitigations.ttl_cleanup.grounds import Ground
from riskloop.mitigations.ttl_cleanup.scanning import read_whole
from riskloop.mitigations.ttl_cleanup.walking import OURS_DEEP, Names, open_below, open_inside, walk

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


@contextmanager
def doomed_things(ours: int, name: str) -> Iterator[int]:
    """Open the folder, made if it is missing, in which whole directories of a removal are deleted.

    Args:
        ours: our folder in the directory.
        name: of the removal's folder.
    """
    # The way there is from our folder down: what is above an open folder may be moved meanwhile.
    opened = open_folder(ours, f"{QUARANTINE}/{name}/{_DOOMED}", create=True)
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
        found = walk(ground, folder, ours=OURS_DEEP)
        return sum(status.st_size for _, _, status in found if stat.S_ISREG(status.st_mode))
    finally:
        os.close(folder)


def purge_files(ground: Ground, things: int, block: Block) -> Cleared:
    """Delete files of a removal that are in quarantine, each only if it is still what was moved there.

    Args:
        things: the open folder of what the removal took out.
    """
    cleared = Cleared()
    for folder, held in block.folders():
        try:
            with _below(ground, things, folder) as here:
                for index, name in held if here is not None else ():
                    _purge_file(here, name, block, index, cleared)
        except OSError as error:
            for index, _ in held:
                cleared.refuse(index, error)
    return cleared


def _purge_file(here: int | None, name: str, block: Block, index: int, cleared: Cleared) -> None:
    try:
        status = os.stat(name, dir_fd=here, follow_symlinks=False)
        reason = _why_kept(status, block, index)
        if reason is None:
            os.unlink(name, dir_fd=here)
        cleared.add(index, reason, files=1, size=block.sizes[index])
    except FileNotFoundError:
        return
    except OSError as error:
        cleared.refuse(index, error)


def _why_kept(status: os.stat_result, block: Block, index: int) -> Reason | None:
    if not stat.S_ISREG(status.st_mode):
        return Reason.SPECIAL
    if status.st_nlink != 1:
        return Reason.LINKED
    return None if is_same(status, block, index) else Reason.CHANGED


def purge_whole(ground: Ground, things: int, doomed: int, block: Block) -> Cleared:
    """Delete whole directories of a removal that are in quarantine, each only if it still holds what it held.

    Each is set aside first, so that a half-deleted one is known as such.

    Args:
        things: the open folder of what the removal took out.
        doomed: the open folder where they are set aside.
    """
    cleared = Cleared()
    for index, name in enumerate(block.paths):
        try:
            found = read_whole(ground, name, within=things)
            if found is None:
                continue
            same = is_still(found, block, index)
            if same:
                os.rename(name, name, src_dir_fd=things, dst_dir_fd=doomed)
            reason = None if same else Reason.CHANGED
            cleared.add(index, reason, files=block.files[index], size=block.sizes[index])
        except FileNotFoundError:
            continue
        except OSError as error:
            cleared.refuse(index, error)
        except Unmeasurable:
            cleared.skipped[index] = Reason.CHANGED
        else:
            if same:
                _delete_whole(ground, doomed, name)
    return cleared


def close_folder(ground: Ground, ours: int, name: str, *, whole: bool) -> bool:
    """Remove the empty folders that a removal leaves in quarantine; say whether nothing was left in them.

    Args:
        whole: it took out whole directories: a folder without files is one of theirs, and stays.

    Raises:
        OSError: they cannot be opened.
    """
    place = open_below(ground, f"{QUARANTINE}/{name}", top=ours)
    if place is None:
        return True
    try:
        _delete_whole(ground, place, _DOOMED)
        if not whole:
            _remove_empty(ground, place)
        with suppress(OSError):
            os.rmdir(FILES, dir_fd=place)
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
    """Remove the folders below an open one that hold nothing; what cannot be read or removed stays."""
    folders = Names()
    with suppress(Unmeasurable):
        for folder, name, status in walk(ground, top, ours=OURS_DEEP):
            if stat.S_ISDIR(status.st_mode):
                folders.push(f"{folder}/{name}" if folder else name)
    # A folder comes before what is in it, so the last one is an innermost.
    while path := folders.pop():
        above, _, name = path.rpartition("/")
        with suppress(OSError), _below(ground, top, above) as here:
            if here is not None:
                os.rmdir(name, dir_fd=here)


def _delete_whole(ground: Ground, above: int, name: str) -> None:
    """Delete a folder of ours with all that is in it, as far as that goes; links are not followed."""
    with suppress(Unmeasurable, OSError):
        top = open_inside(ground, above, name, name)
        if top is None:
            return
        try:
            _delete_files(ground, top)
            _remove_empty(ground, top)
        finally:
            os.close(top)
        os.rmdir(name, dir_fd=above)


def _delete_files(ground: Ground, top: int) -> None:
    with ExitStack() as opened:
        at, here = "", opened.enter_context(_below(ground, top, ""))
        for folder, name, status in walk(ground, top, ours=OURS_DEEP):
            if stat.S_ISDIR(status.st_mode):
                continue
            if folder != at:
                opened.close()
                at, here = folder, opened.enter_context(_below(ground, top, folder))
            if here is not None:
                with suppress(OSError):
                    os.unlink(name, dir_fd=here)


@contextmanager
def _below(ground: Ground, top: int, folder: str) -> Iterator[int | None]:
    """Open a folder by its path; None if it is gone."""
    here = open_below(ground, folder, top=top)
    try:
        yield here
    finally:
        if here is not None:
            os.close(here)
