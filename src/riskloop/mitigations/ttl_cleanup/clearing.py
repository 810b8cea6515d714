"""Takes what a plan names out of a directory, each only if it is still what was looked at."""

import os
import stat
from collections.abc import Collection
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from enum import StrEnum

from riskloop.errors import Unmeasurable
from riskloop.files import open_folder
from riskloop.mitigations.ttl_cleanup.blocks import Block, as_held
from riskloop.mitigations.ttl_cleanup.grounds import Ground
from riskloop.mitigations.ttl_cleanup.returning import move_back
from riskloop.mitigations.ttl_cleanup.scanning import Whole, read_whole
from riskloop.mitigations.ttl_cleanup.walking import open_below


class Reason(StrEnum):
    """Why something stayed."""

    GONE = "gone by itself"
    CHANGED = "changed since the plan"
    OPEN = "open in a program"
    LINKED = "linked elsewhere"
    SPECIAL = "no regular file"
    REFUSED = "refused by the system"
    LEFT = "left, because the settings changed"


@dataclass(slots=True)
class Cleared:
    """What became of a block.

    Args:
        files, size: what was taken out, and its bytes.
        skipped: by place in the block, why something stayed.
        errors: what the system said where it refused.
    """

    files: int = 0
    size: int = 0
    skipped: dict[int, Reason] = field(default_factory=dict)
    errors: set[str] = field(default_factory=set)

    def add(self, index: int, reason: Reason | None, *, files: int, size: int) -> None:
        """Note what became of one; None where it was taken out."""
        if reason is None:
            self.files += files
            self.size += size
        else:
            self.skipped[index] = reason

    def refuse(self, index: int, error: OSError) -> None:
        """Note that the system refused one."""
        self.skipped[index] = Reason.REFUSED
        self.errors.add(error.strerror or str(error))


@dataclass(frozen=True, slots=True, kw_only=True)
class Broom:
    """How things are taken out.

    Args:
        ground: the directory.
        to: the open folder of the quarantine that things are moved to, in folders as they had; None to
            delete them.
        open_keys: the device and inode of each file that is open.
        act: False to do all the same but the last step.
        again: this was begun before and broken off, so that something may have been taken out by then.
    """

    ground: Ground
    to: int | None
    open_keys: Collection[tuple[int, int]]
    act: bool = True
    again: bool = False

    def clear(self, block: Block) -> Cleared:
        """Take out what stands in a block."""
        return self._clear_whole(block) if block.whole else self._clear_files(block)

    def _clear_files(self, block: Block) -> Cleared:
        cleared = Cleared()
        for folder, held in block.folders():
            with ExitStack() as opened:
                try:
                    here = _opened(opened, open_below(self.ground, folder))
                    there = _opened(opened, self._open_there(folder))
                except OSError as error:
                    for index, _ in held:
                        cleared.refuse(index, error)
                    continue
                for index, name in held:
                    try:
                        reason = self._take_file(here, there, name, block, index)
                    except OSError as error:
                        cleared.refuse(index, error)
                    else:
                        cleared.add(index, reason, files=1, size=block.sizes[index])
        return cleared

    def _open_there(self, folder: str) -> int | None:
        """Open the folder that things are moved to; None if they are deleted, or nothing was moved there."""
        if self.to is None or not (self.act or self.again):
            return None
        try:
            return open_folder(self.to, folder, create=self.act)
        except FileNotFoundError:
            if self.act:
                raise
            return None

    def _take_file(
        self, here: int | None, there: int | None, name: str, block: Block, index: int
    ) -> Reason | None:
        reason = self._obstacle(here, name, block, index)
        if reason is not None or here is None:
            return None if self.again and self._was_taken(there, name, block, index, reason) else reason
        if not self.act:
            return Reason.LEFT if self.again else None
        if self.to is None:
            os.unlink(name, dir_fd=here)
        elif there is None:
            return Reason.REFUSED
        else:
            os.rename(name, name, src_dir_fd=here, dst_dir_fd=there)
        return None

    def _obstacle(self, here: int | None, name: str, block: Block, index: int) -> Reason | None:
        """Say why a file may not be taken out; None if it is still what was looked at."""
        if here is None:
            return Reason.GONE
        try:
            status = os.stat(name, dir_fd=here, follow_symlinks=False)
        except FileNotFoundError:
            return Reason.GONE
        if not stat.S_ISREG(status.st_mode):
            return Reason.SPECIAL
        if not is_same(status, block, index) or status.st_dev != self.ground.device:
            return Reason.LINKED if status.st_nlink != 1 else Reason.CHANGED
        change = max(status.st_mtime_ns, status.st_ctime_ns)
        if change != block.changes[index] and as_held(change) != block.changes[index]:
            return Reason.LINKED if status.st_nlink != 1 else Reason.CHANGED
        if status.st_nlink != 1:
            return Reason.LINKED
        return Reason.OPEN if (status.st_dev, status.st_ino) in self.open_keys else None

    def _clear_whole(self, block: Block) -> Cleared:
        cleared = Cleared()
        for index, name in enumerate(block.paths):
            try:
                reason = self._take_whole(name, block, index)
            except OSError as error:
                cleared.refuse(index, error)
                continue
            except Unmeasurable:
                reason = Reason.CHANGED
            cleared.add(index, reason, files=block.files[index], size=block.sizes[index])
        return cleared

    def _take_whole(self, name: str, block: Block, index: int) -> Reason | None:
        """Move a whole directory, look at it again where nobody works, and move it back if it differs."""
        found = read_whole(self.ground, name, keys=True)
        if found is None or not is_still(found, block, index):
            reason: Reason | None = Reason.GONE
            if self.again and self.to is not None:
                reason = self._keep_or_put_back(self.to, name, block, index)
            return reason if found is None or reason is None else _why_not(found)
        if as_held(found.change) != block.changes[index]:
            return Reason.CHANGED
        if not found.keys.isdisjoint(self.open_keys):
            return Reason.OPEN
        if not self.act or self.to is None:
            return Reason.LEFT if self.again else None
        os.rename(name, name, src_dir_fd=self.ground.descriptor, dst_dir_fd=self.to)
        return self._keep_or_put_back(self.to, name, block, index)

    def _keep_or_put_back(self, to: int, name: str, block: Block, index: int) -> Reason | None:
        """Look again at what was moved to the quarantine, and move it back if it is not what was planned."""
        taken = None
        # What cannot be read is not what was planned.
        with suppress(Unmeasurable, OSError):
            taken = read_whole(self.ground, name, within=to)
        if taken is not None and is_still(taken, block, index):
            return None
        # Somebody wrote into it in the last moment, or put something else in its place.
        try:
            move_back(to, self.ground.descriptor, name, whole=taken is not None)
        except FileNotFoundError:
            return Reason.GONE
        except (FileExistsError, IsADirectoryError, NotADirectoryError):
            pass  # Its name was taken meanwhile: it stays in quarantine.
        return Reason.CHANGED

    def _was_taken(
        self, there: int | None, name: str, block: Block, index: int, reason: Reason | None
    ) -> bool:
        """Say whether a file was taken out before this was broken off, to the quarantine or for good."""
        if self.to is None:
            return reason is Reason.GONE
        if there is None:
            return False
        try:
            status = os.stat(name, dir_fd=there, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return is_same(status, block, index)


def _opened(held: ExitStack, folder: int | None) -> int | None:
    """Have an open folder closed with the others."""
    if folder is not None:
        held.callback(os.close, folder)
    return folder


def is_still(found: Whole, block: Block, index: int) -> bool:
    """Say whether a whole directory holds just what it held."""
    return (
        as_held(found.inode) == block.inodes[index]
        and as_held(found.mtime) == block.mtimes[index]
        and found.files == block.files[index]
        and found.size == block.sizes[index]
        and found.fingerprint == block.print_of(index)
        and not found.linked
        and not found.special
    )


def _why_not(found: Whole) -> Reason:
    if found.special:
        return Reason.SPECIAL
    return Reason.LINKED if found.linked else Reason.CHANGED


def is_same(status: os.stat_result, block: Block, index: int) -> bool:
    """Say whether a file is still the one that was looked at, wherever it is."""
    inode, mtime = block.inodes[index], block.mtimes[index]
    # Nearly all numbers stand in a column as they are.
    return (
        status.st_size == block.sizes[index]
        and (status.st_ino == inode or as_held(status.st_ino) == inode)
        and (status.st_mtime_ns == mtime or as_held(status.st_mtime_ns) == mtime)
    )
