"""Chooses what goes: what is past its time, and the oldest beyond the budget; never the young."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from riskloop.mitigations.ttl_cleanup.blocks import Block

TTL = "ttl"
"""The rule for what is past its time."""

BUDGET = "budget"
"""The rule for what goes because there is too much."""

EVICT_TO = 0.9
"""The share of the budget that is left after evicting, so that not every new file drives an old one out."""

_BUCKETS = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """Up to which change things go, in ns since 1970.

    Args:
        expired: what was changed then or before is past its time.
        evicted: what was changed before goes for the budget; `expired` if nothing does.
        beyond: of what was changed at that very moment, so many bytes go as well.
    """

    expired: int
    evicted: int
    beyond: int = 0


def find_cut(blocks: Sequence[Block], *, expired: int, kept: int | None, over: int) -> Cut:
    """Find up to which change things go.

    Args:
        blocks: what is old enough to go at all.
        expired: from the time to live, in ns since 1970.
        kept: the change from which on everything stays, in ns since 1970; None if nothing is kept.
        over: how many bytes of what is not past its time must go as well; 0 or less for none.
    """
    newest = max((max(block.changes) for block in blocks), default=expired)
    if kept is not None:
        expired, newest = min(expired, kept - 1), min(newest, kept - 1)
    if over <= 0 or newest <= expired:
        return Cut(expired=expired, evicted=expired)
    low, high = expired, newest
    if _held(blocks, low, high) <= over:
        return Cut(expired=expired, evicted=newest, beyond=over)
    # Narrowed down by buckets, because a list of a million changes to sort takes 80 MB.
    while high - low > 1:
        width = -(-(high - low) // _BUCKETS)
        held = [0] * _BUCKETS
        for block in blocks:
            for change, size in zip(block.changes, block.sizes, strict=True):
                if low < change <= high:
                    held[(change - low - 1) // width] += size
        number = 0
        while held[number] < over:
            over -= held[number]
            number += 1
        low, high = low + number * width, min(low + (number + 1) * width, high)
    return Cut(expired=expired, evicted=high, beyond=over)


def _held(blocks: Sequence[Block], after: int, until: int) -> int:
    return sum(
        size
        for block in blocks
        for change, size in zip(block.changes, block.sizes, strict=True)
        if after < change <= until
    )


def choose(blocks: Sequence[Block], cut: Cut) -> Iterator[tuple[str, Block]]:
    """Give what goes, block by block, each with its rule; a block may come twice, once for each rule."""
    beyond = cut.beyond
    for block in blocks:
        old = block.only([change <= cut.expired for change in block.changes])
        if len(old):
            yield TTL, old
        evicted = []
        for change, size in zip(block.changes, block.sizes, strict=True):
            last = change == cut.evicted and change > cut.expired and beyond > 0
            beyond -= size if last else 0
            evicted.append(last or cut.expired < change < cut.evicted)
        more = block.only(evicted)
        if len(more):
            yield BUDGET, more
