"""Puts back what was removed, where it was and as it was, and never over anything that is there now."""

import os
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from riskloop.errors import Refused
from riskloop.files import open_folder, wait_for_lock
from riskloop.mitigations.ttl_cleanup import planning
from riskloop.mitigations.ttl_cleanup.blocks import Block
from riskloop.mitigations.ttl_cleanup.grounds import standing_on
from riskloop.mitigations.ttl_cleanup.marking import marked
from riskloop.mitigations.ttl_cleanup.planning import Stored
from riskloop.mitigations.ttl_cleanup.quarantine import FILES, QUARANTINE, close_folder, removed_things
from riskloop.mitigations.ttl_cleanup.returning import move_back
from riskloop.mitigations.ttl_cleanup.walking import OURS
from riskloop.store import Store, removals
from riskloop.store.removals import Removal

_WAIT = 60.0


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
    removal = _find(store, name)
    directory = Path(removal.directory)
    stored = _plan_of(removal, state)
    restored = Restored()
    with (
        standing_on(directory.parent, Path(directory.name)) as ground,
        marked(ground, state=state) as ours,
    ):
        if stored.head.inode != ground.inode:
            raise Refused(
                f"{directory} is another one now than the removal {name} took things out of",
                rule="plan",
                remedy="put the directory back in its place that was there then; they are in its quarantine",
            )
        wait_for_lock(ours, removal.directory, wait=_WAIT)
        removal = _find(store, name)
        with removed_things(ours, removal.quarantine, create=False) as things:
            asked = _Asked(paths)
            for _, block in stored.blocks():
                if things is not None:
                    _put_back(ground.descriptor, things, asked.of(block), restored)
            restored.unknown += asked.unmet()
        # What was broken off goes on: more of it may be moved to the quarantine yet.
        if close_folder(ground, ours, removal.quarantine, whole=stored.whole) and removal.ended_at:
            _note_empty(store, removal)
    return restored


def _find(store: Store, name: str) -> Removal:
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
    return removal


def _plan_of(removal: Removal, state: Path) -> Stored:
    try:
        return planning.read(planning.place(state, removal.plan), removal.plan)
    except Refused as refused:
        kept = Path(removal.directory, OURS, QUARANTINE, removal.quarantine, FILES)
        raise Refused(
            refused.what,
            rule=refused.rule,
            remedy=f"move back by hand what is in {kept}: each thing has the path there that it had",
        ) from refused


class _Asked:
    """Which paths were asked for."""

    def __init__(self, paths: Sequence[str]) -> None:
        self._wanted = {path.strip("/"): False for path in paths}

    def of(self, block: Block) -> Block:
        """Give of a block what was asked for."""
        return block.only([self._is_wanted(path) for path in block.paths]) if self._wanted else block

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
    paths = block.paths
    for folder, held in block.folders():
        with ExitStack() as opened:
            try:
                there = _opened_if_there(opened, things, folder)
                if there is None:
                    continue
                here = open_folder(ground, folder, create=True)
                opened.callback(os.close, here)
            except OSError as error:
                restored.failed.append(f"{folder or 'the directory itself'}: {error.strerror}")
                continue
            for index, name in held:
                try:
                    move_back(there, here, name, whole=block.whole)
                except FileNotFoundError:
                    continue
                except (FileExistsError, IsADirectoryError, NotADirectoryError):
                    restored.in_the_way.append(paths[index])
                except OSError as error:
                    restored.failed.append(f"{paths[index]}: {error.strerror}")
                else:
                    restored.files += block.files[index] if block.whole else 1
                    restored.size += block.sizes[index]


def _opened_if_there(opened: ExitStack, things: int, folder: str) -> int | None:
    """Open a folder of what a removal took out; None if nothing of it is there, or not any more."""
    try:
        there = open_folder(things, folder)
    except FileNotFoundError:
        return None
    opened.callback(os.close, there)
    return there
