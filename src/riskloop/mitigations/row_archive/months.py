"""The months of a partitioned table: which are there, which are missing, and which are past their age."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

_FURTHEST = 120
"""Months ahead that are counted; a partition without an end covers all of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Partition:
    """A partition of a table by RANGE of moments.

    Args:
        name: with its schema before it.
        oid: by which it is known again.
        bound: as PostgreSQL writes it.
        low, high: from when to before when its rows are; None without such an end, or one we cannot read.
        default: it holds what no other does.
        pending: it was being detached when that was broken off.
    """

    name: str
    oid: int
    bound: str
    low: datetime | None = None
    high: datetime | None = None
    default: bool = False
    pending: bool = False


def retirable(partitions: Sequence[Partition], cutoff: datetime) -> tuple[Partition, ...]:
    """Give the partitions that are past their age as a whole, the oldest first; never the last there is."""
    bounded = [one for one in partitions if not one.default]
    old = sorted(
        (one for one in bounded if one.high is not None and one.high <= cutoff),
        key=lambda one: one.high or cutoff,
    )
    return tuple(old[:-1] if len(old) == len(bounded) else old)


def missing_months(
    partitions: Sequence[Partition], now: datetime, *, ahead: int
) -> tuple[tuple[datetime, datetime], ...]:
    """Give the months from this one on that no partition holds any part of, each with its end."""
    return tuple(
        month for month in _months(now, ahead) if not any(_overlaps(one, *month) for one in partitions)
    )


def months_ahead(partitions: Sequence[Partition], now: datetime) -> int:
    """Count the months after this one that have a place for each row, up to the first that has not."""
    count = 0
    for low, high in _months(now, _FURTHEST)[1:]:
        at: datetime | None = low
        for one in sorted(_bounded(partitions), key=lambda one: one.low or datetime.min.replace(tzinfo=UTC)):
            if at is not None and (one.low is None or one.low <= at) and (one.high is None or one.high > at):
                at = one.high
        if at is not None and at < high:
            break
        count += 1
    return count


def _bounded(partitions: Sequence[Partition]) -> list[Partition]:
    return [one for one in partitions if not one.default]


def _overlaps(one: Partition, low: datetime, high: datetime) -> bool:
    begins_before = one.low is None or one.low < high
    ends_after = one.high is None or one.high > low
    return not one.default and begins_before and ends_after


def _months(now: datetime, ahead: int) -> list[tuple[datetime, datetime]]:
    low = datetime(now.year, now.month, 1, tzinfo=UTC)
    months = []
    for _ in range(ahead + 1):
        high = (low + timedelta(days=32)).replace(day=1)
        months.append((low, high))
        low = high
    return months
