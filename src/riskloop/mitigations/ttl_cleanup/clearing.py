"""Takes what a plan names out of a directory, each only if it is still what was looked at."""

import os
import stat
from collections.abc import Collection
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from enum import StrEnum

from riskloop.errors import Unmeasurable
from riskloop.files import open_folder
from riskloop.mitigations.ttl_cleanup.blocks import Block
from riskloop.mitigations.ttl_cleanup.grounds import Ground
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
        return self._clear_whole(block) if block.prints else self._clear_files(block)

    def _clear_files(self, block: Block) -> Cleared:
        cleared = Cleared()
        with ExitStack() as held:
            here = _opened(held, open_below(self.ground, block.folder))
            there = None
            try:
                if self.to is not None and (self.act or self.again):
                    there = _opened(held, open_folder(self.to, block.folder, create=self.act))
            except OSError as error:
                for index in range(len(block)):
                    cleared.refuse(index, error)
                return cleared
            for index, name in enumerate(block.names):
                try:
                    reason = self._take_file(here, there, name, block, index)
                except OSError as error:
                    cleared.refuse(index, error)
                else:
                    cleared.add(index, reason, files=1, size=block.sizes[index])
        return cleared

    def _take_file(
        self, here: int | None, there: int | None, name: str, block: Block, index: int
    ) -> Reason | None:
        reason = self._obstacle(here, name, block, index)
        if reason is not None or here is None:
            return None if self.again and _was_taken(there, name, block, index, reason) else reason
        if not self.act:
            return Reason.LEFT if self.again else None
        if there is None:
            os.unlink(name, dir_fd=here)
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
        if not _is_the_same(status, block, index) or status.st_dev != self.ground.device:
            return Reason.LINKED if status.st_nlink != 1 else Reason.CHANGED
        if max(status.st_mtime_ns, status.st_ctime_ns) != block.changes[index]:
            return Reason.LINKED if status.st_nlink != 1 else Reason.CHANGED
        if status.st_nlink != 1:
            return Reason.LINKED
        return Reason.OPEN if (status.st_dev, status.st_ino) in self.open_keys else None

    def _clear_whole(self, block: Block) -> Cleared:
        cleared = Cleared()
        for index, name in enumerate(block.names):
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
            if self.again and self.to is not None:
                taken = read_whole(self.ground, name, within=self.to)
                if taken is not None and is_still(taken, block, index):
                    return None
            return Reason.GONE if found is None else _why_not(found)
        if found.change != block.changes[index]:
            return Reason.CHANGED
        if not found.keys.isdisjoint(self.open_keys):
            return Reason.OPEN
        if not self.act or self.to is None:
            return Reason.LEFT if self.again else None
        os.rename(name, name, src_dir_fd=self.ground.descriptor, dst_dir_fd=self.to)
        taken = read_whole(self.ground, name, within=self.to)
        if taken is None or is_still(taken, block, index):
            return None
        # Somebody wrote into it in the last moment. If its name was taken meanwhile it stays in quarantine.
        with suppress(FileNotFoundError):
            os.stat(name, dir_fd=self.ground.descriptor, follow_symlinks=False)
            return Reason.CHANGED
        os.rename(name, name, src_dir_fd=self.to, dst_dir_fd=self.ground.descriptor)
        return Reason.CHANGED


def _opened(held: ExitStack, folder: int | None) -> int | None:
    """Have an open folder closed with the others."""
    if folder is not None:
        held.callback(os.close, folder)
    return folder


def is_still(found: Whole, block: Block, index: int) -> bool:
    """Say whether a whole directory holds just what it held."""
    return (
        found.inode == unsigned(block.inodes[index])
        and found.mtime == block.mtimes[index]
        and found.files == block.files[index]
        and found.size == block.sizes[index]
        and found.fingerprint == block.prints[index]
        and not found.linked
        and not found.special
    )


def unsigned(inode: int) -> int:
    """Give an inode number as the file system does; in a column it may stand as a negative one."""
    return inode if inode >= 0 else inode + (1 << 64)


def _why_not(found: Whole) -> Reason:
    if found.special:
        return Reason.SPECIAL
    return Reason.LINKED if found.linked else Reason.CHANGED


def _is_the_same(status: os.stat_result, block: Block, index: int) -> bool:
    return (
        status.st_ino == unsigned(block.inodes[index])
        and status.st_size == block.sizes[index]
        and status.st_mtime_ns == block.mtimes[index]
    )


def _was_taken(there: int | None, name: str, block: Block, index: int, reason: Reason | None) -> bool:
    """Say whether a file had been taken out when this was broken off: it is in quarantine, or was deleted."""
    if there is None:
        return reason is Reason.GONE
    try:
        status = os.stat(name, dir_fd=there, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return _is_the_same(status, block, index)
