"""Counts what is staged in a directory, and notes what is old enough to be considered."""

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import blake2b
from heapq import heappush, heappushpop

from riskloop.mitigations.ttl_cleanup.blocks import BLOCK, PRINT, Block, Columns
from riskloop.mitigations.ttl_cleanup.grounds import Ground
from riskloop.mitigations.ttl_cleanup.walking import OURS, entries, open_inside, walk


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """What a scan is to note; moments in ns since 1970.

    Args:
        until: what was changed later is counted and not noted.
        old: what was changed then or before is worth a word if it stays because it is linked or special.
        keep: how many of the newest changes to note.
    """

    now: int
    until: int
    old: int
    keep: int


@dataclass(slots=True, kw_only=True)
class Scan:
    """What is in a directory.

    Args:
        files, size: how many files are staged, and their bytes.
        oldest: when that was changed which was changed longest ago, in ns since 1970; None if there is none.
        linked: files old enough to go that have other names elsewhere, and so stay.
        special: links, FIFOs, sockets and devices old enough to go, which stay.
        future: files that were changed later than now.
        newest: the changes of the newest, as many as are to be kept; the least of them first.
        blocks: what is old enough to be considered.
    """

    files: int = 0
    size: int = 0
    oldest: int | None = None
    linked: int = 0
    special: int = 0
    future: int = 0
    newest: list[int] = field(default_factory=list)
    blocks: list[Block] = field(default_factory=list)

    def count(self, status: os.stat_result, change: int, watch: Watch) -> bool:
        """Count a file, a link or whatever else is no folder; say whether it is to be considered."""
        old = change <= watch.old
        if not stat.S_ISREG(status.st_mode):
            self.special += old
            return False
        self.files += 1
        self.size += status.st_size
        self.future += change > watch.now
        if self.oldest is None or change < self.oldest:
            self.oldest = change
        if watch.keep:
            self.remember(change, keep=watch.keep)
        if status.st_nlink != 1:
            self.linked += old
            return False
        return change <= watch.until

    def remember(self, change: int, *, keep: int) -> None:
        """Note a change among the newest that are kept."""
        if len(self.newest) < keep:
            heappush(self.newest, change)
        elif keep:
            heappushpop(self.newest, change)


def scan_files(
    ground: Ground,
    watch: Watch,
    *,
    wanted: Callable[[str], bool] | None = None,
    skip: Callable[[str], bool] | None = None,
) -> Scan:
    """Note every file that is old enough.

    Args:
        wanted: told a file's path, says whether it is staged; None for every file.
        skip: told a path, says whether to leave it (and what is below it) out; None for nothing.

    Raises:
        Unmeasurable: a folder may not be read, or is deeper than DEEPEST.
    """
    scan, block = Scan(), Columns()
    for folder, name, status in walk(ground, ground.descriptor, skip=skip):
        if stat.S_ISDIR(status.st_mode) or name == OURS:
            continue
        path = f"{folder}/{name}" if folder else name
        if wanted is not None and not wanted(path):
            continue
        change = max(status.st_mtime_ns, status.st_ctime_ns)
        if not scan.count(status, change, watch):
            continue
        if len(block) >= BLOCK:
            scan.blocks.append(block.close())
            block = Columns()
        block.add(path, status.st_ino, status.st_size, status.st_mtime_ns, change)
    if block:
        scan.blocks.append(block.close())
    return scan


def scan_directories(ground: Ground, watch: Watch, *, wanted: Callable[[str], bool]) -> Scan:
    """Note every directory right below, whole, in which all is old enough.

    Files beside those directories are counted, and stay.

    Args:
        wanted: told the name of what is right below, says whether it is staged.

    Raises:
        Unmeasurable: a folder may not be read, or is deeper than DEEPEST.
    """
    scan, block = Scan(), Columns()
    for name, status in entries(ground, ground.descriptor):
        if not wanted(name):
            continue
        if not stat.S_ISDIR(status.st_mode):
            scan.files += stat.S_ISREG(status.st_mode)
            scan.size += status.st_size if stat.S_ISREG(status.st_mode) else 0
            continue
        whole = read_whole(ground, name)
        if whole is None:
            continue
        scan.files += whole.files
        scan.size += whole.size
        scan.oldest = whole.change if scan.oldest is None else min(whole.change, scan.oldest)
        scan.future += whole.change > watch.now
        scan.remember(whole.change, keep=watch.keep)
        if whole.change > watch.until:
            continue
        if whole.linked or whole.special:
            scan.linked += whole.linked if whole.change <= watch.old else 0
            scan.special += whole.special if whole.change <= watch.old else 0
            continue
        if len(block) >= BLOCK:
            scan.blocks.append(block.close())
            block = Columns()
        block.add(name, whole.inode, whole.size, whole.mtime, whole.change)
        block.add_whole(whole.files, whole.fingerprint)
    if block:
        scan.blocks.append(block.close())
    return scan


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    """A directory with all that is in it.

    Args:
        inode, mtime: its own; mtime in ns since 1970.
        change: when anything in it, or itself, was changed last, in ns since 1970.
        files, size: how many files it holds, and their bytes.
        linked: those of them that have other names elsewhere.
        special: links, FIFOs, sockets and devices in it, and folders of ours: a quarantine goes nowhere.
        keys: the device and inode of each file, for finding those that are open.
        fingerprint: a digest of the path, inode, size and mtime of each file, PRINT bytes.
    """

    inode: int
    mtime: int
    change: int
    files: int
    size: int
    linked: int
    special: int
    keys: frozenset[tuple[int, int]]
    fingerprint: bytes


def read_whole(ground: Ground, name: str, *, within: int | None = None, keys: bool = False) -> Whole | None:
    """Read a directory with all that is in it; None if it is gone, or is no directory of this file system.

    Args:
        ground: the directory it belongs to.
        name: its name in the open folder.
        within: the open folder it is in; the ground itself if None.
        keys: give the device and inode of each file as well.

    Raises:
        Unmeasurable: a folder in it may not be read, or is deeper than DEEPEST.
    """
    top = open_inside(ground, ground.descriptor if within is None else within, name, name)
    if top is None:
        return None
    try:
        own = os.fstat(top)
        change = max(own.st_mtime_ns, own.st_ctime_ns)
        files = size = linked = special = total = 0
        found = set()
        for folder, entry, status in walk(ground, top):
            change = max(change, status.st_mtime_ns, status.st_ctime_ns)
            if stat.S_ISDIR(status.st_mode) and entry != OURS:
                continue
            if not stat.S_ISREG(status.st_mode) or entry == OURS:
                special += 1
                continue
            files += 1
            size += status.st_size
            linked += status.st_nlink != 1
            said = f"{folder}/{entry}/{status.st_ino} {status.st_size} {status.st_mtime_ns}"
            digest = blake2b(said.encode("utf-8", "surrogatepass"), digest_size=PRINT).digest()
            # A sum, because folders give their entries in no order of their own.
            total = (total + int.from_bytes(digest)) % (1 << 8 * PRINT)
            if keys:
                found.add((status.st_dev, status.st_ino))
        return Whole(
            inode=own.st_ino,
            mtime=own.st_mtime_ns,
            change=change,
            files=files,
            size=size,
            linked=linked,
            special=special,
            keys=frozenset(found),
            fingerprint=total.to_bytes(PRINT),
        )
    finally:
        os.close(top)
