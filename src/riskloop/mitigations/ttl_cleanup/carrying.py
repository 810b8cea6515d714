"""Carries out a stored plan batch by batch, each written down first: killed anywhere, it can go on."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial

from riskloop.mitigations.ttl_cleanup.blocks import BLOCK, Block
from riskloop.mitigations.ttl_cleanup.busy import open_files
from riskloop.mitigations.ttl_cleanup.clearing import Broom, Cleared
from riskloop.mitigations.ttl_cleanup.grounds import Ground
from riskloop.mitigations.ttl_cleanup.planning import Stored
from riskloop.mitigations.ttl_cleanup.quarantine import (
    close_folder,
    doomed_things,
    purge_files,
    purge_whole,
    removed_things,
)
from riskloop.store import Store, removals
from riskloop.store.removals import Batch, Removal, Step

THREADS = 4
"""Threads that take things out: each waits for the disk most of the time."""

_BATCH = 4 * BLOCK
"""So many entries at most, and a block more, are removed between two entries in the journal."""


@dataclass(slots=True)
class Came:
    """What came of batches, all of them together.

    Args:
        files, size: what was done to how many files, and their bytes.
        skipped: how many entries stayed, by reason.
        errors: what the system said where it refused.
    """

    files: int = 0
    size: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    errors: set[str] = field(default_factory=set)

    def add(self, batch: Batch, cleared: Sequence[Cleared]) -> Batch:
        """Add what came of the blocks of a batch; give the batch with it."""
        ended = replace(
            batch,
            ended=True,
            files=sum(one.files for one in cleared),
            size=sum(one.size for one in cleared),
            skipped=tuple(
                (batch.first + place, index, reason)
                for place, one in enumerate(cleared)
                for index, reason in one.skipped.items()
            ),
        )
        self.files += ended.files
        self.size += ended.size
        self.skipped.update(reason for _, _, reason in ended.skipped)
        self.errors.update(*(one.errors for one in cleared))
        return ended


@dataclass(frozen=True, slots=True, kw_only=True)
class Carrier:
    """One removal under way.

    Args:
        store: where each batch is written down; None to do all the same and change nothing.
        removal: as it is stored.
    """

    ground: Ground
    ours: int
    plan: Stored
    removal: Removal
    store: Store | None

    def carry_out(self, *, go_on: bool = True) -> Came:
        """Carry out the batches that have not ended; give what came of them.

        Args:
            go_on: False only to find out what came of the batch that was broken off.

        Raises:
            StoreError: the next batch cannot be written down; it was not begun.
        """
        known = {batch.batch: batch.ended for batch in self._known(Step.REMOVE)}
        came = Came()
        acting = self.store is not None
        with ExitStack() as held:
            things = held.enter_context(self._things(create=acting))
            pool = held.enter_context(ThreadPoolExecutor(THREADS))
            for batch, blocks in _batches(self.plan):
                if known.get(batch.batch):
                    continue
                again = batch.batch in known
                if not again and not go_on:
                    break
                if not again:
                    self._begin(Step.REMOVE, batch)
                broom = Broom(
                    ground=self.ground,
                    to=things,
                    open_keys=open_files(self.ground.device),
                    act=acting and go_on,
                    again=again,
                )
                self._end(Step.REMOVE, came.add(batch, list(pool.map(broom.clear, blocks))))
        return came

    def purge(self) -> tuple[Came, bool]:
        """Delete what is in quarantine; give what came of it, and whether nothing is left there.

        Raises:
            StoreError: the next batch cannot be written down; it was not begun.
        """
        known = {batch.batch: batch for batch in self._known(Step.PURGE)}
        came = Came()
        with ExitStack() as held:
            things = held.enter_context(self._things(create=False))
            if things is not None:
                clear = self._purging(held, things)
                pool = held.enter_context(ThreadPoolExecutor(THREADS))
                for batch, blocks in _batches(self.plan):
                    before = known.get(batch.batch)
                    if before is None:
                        self._begin(Step.PURGE, batch)
                    elif before.skipped:
                        # What stayed then may go now: it no longer stands there as what stayed.
                        self._end(Step.PURGE, replace(before, skipped=()))
                    ended = came.add(batch, list(pool.map(clear, blocks)))
                    self._end(Step.PURGE, _together(before, ended))
        return came, close_folder(self.ground, self.ours, self.removal.quarantine, whole=self.plan.whole)

    def _purging(self, held: ExitStack, things: int) -> Callable[[Block], Cleared]:
        if not self.plan.whole:
            return partial(purge_files, self.ground, things)
        doomed = held.enter_context(doomed_things(self.ours, self.removal.quarantine))
        return partial(purge_whole, self.ground, things, doomed)

    def _things(self, *, create: bool) -> AbstractContextManager[int | None]:
        if not self.removal.quarantine:
            return nullcontext()
        return removed_things(self.ours, self.removal.quarantine, create=create)

    def _known(self, step: Step) -> Sequence[Batch]:
        if self.store is None:
            return ()
        with self.store.reading() as connection:
            return removals.list_batches(connection, self.removal.number, step)

    def _begin(self, step: Step, batch: Batch) -> None:
        if self.store is not None:
            with self.store.writing() as connection:
                removals.begin_batch(connection, self.removal.number, step, batch, now=datetime.now(UTC))

    def _end(self, step: Step, batch: Batch) -> None:
        if self.store is not None:
            with self.store.writing() as connection:
                removals.end_batch(connection, self.removal.number, step, batch, now=datetime.now(UTC))


def _batches(plan: Stored) -> Iterator[tuple[Batch, list[Block]]]:
    """Put blocks together to batches, the same ones whenever the plan is read."""
    number, first, held, blocks = 0, 0, 0, list[Block]()
    for place, (_, block) in enumerate(plan.blocks()):
        blocks.append(block)
        held += len(block)
        if held >= _BATCH:
            yield Batch(batch=number, first=first, last=place), blocks
            number, first, held, blocks = number + 1, place + 1, 0, []
    if blocks:
        yield Batch(batch=number, first=first, last=first + len(blocks) - 1), blocks


def _together(before: Batch | None, now: Batch) -> Batch:
    """Put together what came of a batch when it was purged before, and what came of it now."""
    if before is None:
        return now
    return replace(now, files=before.files + now.files, size=before.size + now.size)
