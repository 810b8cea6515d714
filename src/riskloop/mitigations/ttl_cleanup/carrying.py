"""Carries out a stored plan batch by batch, each written down first: killed anywhere, it can go on."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial

from riskloop.mitigations.ttl_cleanup.blocks import BLOCK, Block
from riskloop.mitigations.ttl_cleanup.busy import open_files
from riskloop.mitigations.ttl_cleanup.clearing import Broom, Cleared
from riskloop.mitigations.ttl_cleanup.grounds import Ground
from riskloop.mitigations.ttl_cleanup.planning import Stored
from riskloop.mitigations.ttl_cleanup.quarantine import close_folder, purge, removed_things
from riskloop.store import Store, removals
from riskloop.store.removals import Batch, Removal, Step

THREADS = 4
"""Threads that take things out: each waits for the disk most of the time."""

_BATCH = 2 * BLOCK


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

    def carry_out(self, *, go_on: bool = True) -> tuple[list[Batch], set[str]]:
        """Carry out the batches that have not ended; give all batches, and what the system refused them for.

        Args:
            go_on: False only to find out what came of the batch that was broken off.

        Raises:
            StoreError: the next batch cannot be written down; it was not begun.
        """
        known = self._known(Step.REMOVE)
        done = [batch for batch in known if batch.ended]
        broken_off = next((batch for batch in known if not batch.ended), None)
        errors: set[str] = set()
        acting = self.store is not None
        with ExitStack() as held:
            things = held.enter_context(self._things(create=acting))
            pool = held.enter_context(ThreadPoolExecutor(THREADS))
            for batch, blocks in _batches(self.plan):
                if batch.batch < len(done):
                    continue
                again = broken_off is not None and batch.batch == broken_off.batch
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
                cleared = list(pool.map(broom.clear, blocks))
                ended = _summed(batch, cleared)
                self._end(Step.REMOVE, ended)
                done.append(ended)
                errors.update(*(one.errors for one in cleared))
        return done, errors

    def purge(self) -> tuple[list[Batch], bool]:
        """Delete what is in quarantine; give the batches, and whether nothing is left there.

        Raises:
            StoreError: the next batch cannot be written down; it was not begun.
        """
        known = self._known(Step.PURGE)
        done: list[Batch] = []
        with self._things(create=False) as things, ThreadPoolExecutor(THREADS) as pool:
            for batch, blocks in _batches(self.plan):
                if things is None:
                    break
                if batch.batch >= len(known):
                    self._begin(Step.PURGE, batch)
                cleared = list(pool.map(partial(purge, self.ground, things), blocks))
                ended = _summed(batch, cleared)
                self._end(Step.PURGE, ended)
                done.append(ended)
        return done, close_folder(self.ground, self.ours, self.removal.quarantine)

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


def _summed(batch: Batch, cleared: Sequence[Cleared]) -> Batch:
    return replace(
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
