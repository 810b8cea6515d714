"""Puts back what was removed, where it was and as it was, and never over anything that is there now."""

import errno
import os
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from riskloop.errors import Refused
from riskloop.files import open_folder, wait_for_lock
from riskloop.mitigations.ttl_cleanup import planning
from riskloop.mitigations.ttl_cleanup.blocks import Block
from riskloop.mitigations.ttl_cleanup.grounds import standing_on
from riskloop.mitigations.ttl_cleanup.marking import marked
from riskloop.mitigations.ttl_cleanup.quarantine import close_folder, removed_things
from riskloop.store import Store, removals
from riskloop.store.removals import Removal

_WAIT = 60.0
_NO_LINKS = frozenset((errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK, errno.ENOSYS))


@dataclass(slots=True, kw_only=True)
class Restored:
    """What came of putting back.

    Args:
        files, size: what was put back, and its bytes.
        in_the_way: paths at which something stands now, so that what was there stays in quarantine.
        failed: paths that the system refused, each with its reason.
        unknown: paths that were asked for and that the removal did not take out.
    """

    files: int = 0
    size: int = 0
    in_the_way: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)


def restore(store: Store, state: Path, name: str, paths: Sequence[str] = ()) -> Restored:
    """Put back what a removal moved to the quarantine: all of it, or these paths and what is below them.

    Each file keeps its mode and its times, as it was only moved. Restoring twice is restoring once.

    Args:
        name: the removal's id.
        paths: from the directory, with `/`; everything if empty.

    Raises:
        Refused: there is no such removal, or nothing of it is in quarantine any more.
        Unmeasurable: the directory cannot be opened, or a run is at work on it for a minute.
        StoreError: the store cannot be read.
    """
    with store.reading() as connection:
        removal = removals.find(connection, name)
    if removal is None:
        raise Refused(
            f"there is no removal {name!r}", rule="no-such-removal", remedy="see: riskloop cleanup list"
        )
    if not removal.quarantine or removal.purged_at is not None:
        raise Refused(
            f"nothing of the removal {name} is in quarantine any more",
            rule="purged",
            remedy="take it from a backup",
        )
    stored = planning.read(planning.place(state, removal.plan), removal.plan)
    directory = Path(removal.directory)
    restored = Restored()
    with (
        standing_on(directory.parent, Path(directory.name)) as ground,
        marked(ground, state=state) as ours,
    ):
        wait_for_lock(ours, removal.directory, wait=_WAIT)
        with removed_things(ours, removal.quarantine, create=False) as things:
            asked = _Asked(paths)
            for _, block in stored.blocks():
                if things is not None:
                    _put_back(ground.descriptor, things, asked.of(block), restored)
            restored.unknown += asked.unmet()
        if close_folder(ground, ours, removal.quarantine):
            _note_empty(store, removal)
    return restored


class _Asked:
    """Which paths were asked for."""

    def __init__(self, paths: Sequence[str]) -> None:
        self._wanted = {path.strip("/"): False for path in paths}

    def of(self, block: Block) -> Block:
        """Give of a block what was asked for."""
        return (
            block.only([self._is_wanted(block.path + name) for name in block.names])
            if self._wanted
            else block
        )

    def unmet(self) -> list[str]:
        """List what was asked for and is in no block."""
        return [path for path, met in self._wanted.items() if not met]

    def _is_wanted(self, path: str) -> bool:
        met = [one for one in self._wanted if path == one or path.startswith(f"{one}/")]
        self._wanted.update(dict.fromkeys(met, True))
        return bool(met)


def _note_empty(store: Store, removal: Removal) -> None:
    with store.writing() as connection:
        removals.end_purge(connection, removal.number, now=datetime.now(UTC))


def _put_back(ground: int, things: int, block: Block, restored: Restored) -> None:
    if not len(block):
        return
    with ExitStack() as held:
        try:
            there = open_folder(things, block.folder)
        except OSError:
            return  # Nothing of it is in quarantine: it was never taken, or it is back already.
        held.callback(os.close, there)
        try:
            here = open_folder(ground, block.folder, create=True)
        except OSError as error:
            restored.failed.append(f"{block.folder}: {error.strerror}")
            return
        held.callback(os.close, here)
        for index, name in enumerate(block.names):
            try:
                _move_back(there, here, name, whole=bool(block.prints))
            except FileNotFoundError:
                continue
            except (FileExistsError, IsADirectoryError, NotADirectoryError):
                restored.in_the_way.append(block.path + name)
            except OSError as error:
                restored.failed.append(f"{block.path}{name}: {error.strerror}")
            else:
                restored.files += block.files[index] if block.prints else 1
                restored.size += block.sizes[index]


def _move_back(there: int, here: int, name: str, *, whole: bool) -> None:
    """Move one thing back; unlike renaming, making a second name and taking the first away replaces nothing.

    Raises:
        FileNotFoundError: it is not in quarantine.
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
