"""A staging area with a ledger: where each byte is that was ever staged, whoever was killed meanwhile."""

import itertools
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from sqlalchemy import event

from riskloop.mitigations.ttl_cleanup import planning
from riskloop.mitigations.ttl_cleanup.quarantine import QUARANTINE
from riskloop.mitigations.ttl_cleanup.restoring import Restored, restore
from riskloop.mitigations.ttl_cleanup.walking import OURS
from riskloop.store import Store, removals
from riskloop.store.removals import Removal, Step
from tests.mitigations.staging import MITIGATION, Staging

CHANGES = ("rename", "replace", "unlink", "link", "rmdir", "mkdir", "fsync")
"""The calls by which we change a file system."""

NAMES = ("plain", "line\nbreak", "not\udcffutf8", "sp ace", "…", "-rf", "'\"$(x)")
EVERY = 1_000_000
BYSTANDERS = "kept"
"""A folder that is excluded, so that nothing in it is ever touched."""


def die_at(store: Store, moment: int) -> Callable[[], int]:
    """Have this process killed at a moment: right before or after a change, or before a statement or commit.

    Args:
        moment: counted from 1; 0 to stay alive.

    Returns:
        What says how many moments there have been.
    """
    numbers = itertools.count(1)

    def step(*_: object) -> None:
        if next(numbers) == moment:
            os.kill(os.getpid(), signal.SIGKILL)

    def dying(change: Callable[..., Any]) -> Callable[..., Any]:
        def do(*given: Any, **named: Any) -> Any:
            step()
            done = change(*given, **named)
            step()
            return done

        return do

    for name in CHANGES:
        setattr(os, name, dying(getattr(os, name)))
    event.listen(store.engine, "before_cursor_execute", step)
    event.listen(store.engine, "commit", step)
    return lambda: next(numbers) - 1


@dataclass(kw_only=True)
class Ledger:
    """A staging area, and what was staged in it.

    Args:
        staged: the SHA-256 of each file that was staged, by its path, until a test takes it away itself.
        bystanders: the same of files that no plan may name.
        serial: how many files there were.
        plans: the paths of each block of each plan that was begun, by its digest.
    """

    staging: Staging
    staged: dict[str, str] = field(default_factory=dict)
    bystanders: dict[str, str] = field(default_factory=dict)
    serial: int = 0
    plans: dict[str, list[list[str]]] = field(default_factory=dict)

    @property
    def whole(self) -> bool:
        return self.staging.settings.get("unit") == "directory"

    def stage(self, files: int) -> None:
        """Stage files with names of every sort, in folders or in whole directories."""
        first = self.serial
        for number in range(files):
            self.serial += 1
            folder = f"{first:05}-{number // 5}" if self.whole else ("", "deep/er", "side")[number % 3]
            name = f"{folder}/{NAMES[number % len(NAMES)]}-{self.serial:05}".lstrip("/")
            self.staging.put(name, content=f"{number}" * (number % 5))
            self.staged[name] = digest_of(self.staging.root / name)
        self.staging.put(f"{BYSTANDERS}/{self.serial}")
        self.bystanders = {
            path: digest
            for path, digest in found_in(self.staging.root).items()
            if path.startswith(f"{BYSTANDERS}/")
        }

    def in_place(self) -> dict[str, str]:
        """Give the SHA-256 of every file that may be cleaned up and is where it was staged."""
        found = found_in(self.staging.root)
        assert {path: found.pop(path, "") for path in self.bystanders} == self.bystanders
        return found

    def in_quarantine(self) -> dict[str, str]:
        """Give the SHA-256 of every file that is in quarantine, by the path it had."""
        kept: dict[str, str] = {}
        for place in (self.staging.root / OURS / QUARANTINE).glob("*/files"):
            found = found_in(place)
            assert not found.keys() & kept.keys(), "nothing is in quarantine twice"
            kept |= found
        return kept

    def removals(self) -> tuple[Removal, ...]:
        with self.staging.store.reading() as connection:
            return removals.list_removals(connection, limit=EVERY)

    def deleted(self) -> set[str]:
        """List the files that the journal says are deleted, or were about to be."""
        found: set[str] = set()
        for removal in self.removals():
            for step in Step:
                if step is Step.PURGE or not removal.quarantine:
                    found |= self._covered(removal, step)
        return found

    def _covered(self, removal: Removal, step: Step) -> set[str]:
        blocks = self._planned(removal)
        with self.staging.store.reading() as connection:
            batches = removals.list_batches(connection, removal.number, step)
        entries = set()
        for batch in batches:
            stayed = {(place, index) for place, index, _ in batch.skipped}
            for place in range(batch.first, batch.last + 1):
                entries |= {path for index, path in enumerate(blocks[place]) if (place, index) not in stayed}
        return {path for path in self.staged if not entries.isdisjoint(_and_above(path))}

    def _planned(self, removal: Removal) -> list[list[str]]:
        """Give the paths of each block of a plan; remembered, as its file need not stay for ever."""
        if removal.plan not in self.plans:
            stored = planning.read(planning.place(self.staging.state, removal.plan), removal.plan)
            self.plans[removal.plan] = [block.paths for _, block in stored.blocks()]
        return self.plans[removal.plan]

    def assert_nothing_lost(self) -> None:
        """Make sure that each byte is in place, in quarantine, or in the journal as deleted."""
        there, kept, deleted = self.in_place(), self.in_quarantine(), self.deleted()
        for path, digest in self.staged.items():
            assert there.get(path, digest) == kept.get(path, digest) == digest, path
            assert path in there or path in kept or path in deleted, f"{path!r} is lost"
        assert there.keys() | kept.keys() <= self.staged.keys()

    def assert_settled(self) -> None:
        """Make sure that nothing is half done any more, and that what was counted is what went."""
        self.assert_nothing_lost()
        there, kept = self.in_place(), self.in_quarantine()
        assert not there.keys() & kept.keys()
        with self.staging.store.reading() as connection:
            assert not removals.unfinished(connection, MITIGATION)
            for removal in self.removals():
                taken, purged = (removals.list_batches(connection, removal.number, step) for step in Step)
                assert all(batch.ended for batch in taken)
                assert sum(batch.files for batch in purged) <= removal.files, "nothing is deleted twice"

    def restore(self, removal: Removal) -> Restored:
        return restore(self.staging.store, self.staging.state, removal.id)

    def assert_comes_back_whole(self) -> None:
        """Bring back all that is in quarantine, hold it against what was staged, and take it away."""
        kept = self.in_quarantine()
        before = self.in_place()
        back = 0
        for removal in self.removals():
            if (self.staging.root / OURS / QUARANTINE / removal.quarantine / "files").exists():
                restored = self.restore(removal)
                assert not restored.in_the_way
                assert not restored.failed
                back += restored.files
        assert self.in_place() == before | kept
        assert self.in_quarantine() == {}
        assert back == len(kept)
        for path in kept:
            (self.staging.root / path).unlink()
            assert self.staged.pop(path) == kept[path]


def found_in(place: Path) -> dict[str, str]:
    """Give the SHA-256 of every file below a folder, ours aside, by its path."""
    return {os.path.relpath(file, place): digest_of(file) for file in _files(place)}


def digest_of(file: Path) -> str:
    return sha256(file.read_bytes()).hexdigest()


def _files(place: Path) -> Iterator[Path]:
    for folder, folders, names in os.walk(place):
        if OURS in folders:
            folders.remove(OURS)
        yield from (Path(folder, name) for name in names)


def _and_above(path: str) -> set[str]:
    parts = path.split("/")
    return {"/".join(parts[:count]) for count in range(1, len(parts) + 1)}
