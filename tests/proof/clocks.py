"""Clocks that several processes share: one that runs fast, and one that is moved by hand."""

import mmap
import struct
import threading
import time
from datetime import UTC, datetime, timedelta

from tests.toys import Clock

LONG_AGO = timedelta(days=400)
"""How far behind the services' clock ours begins, so that it never runs ahead of theirs."""


class FastClock(Clock):
    """A clock that runs by itself, the same in every process forked after it was made.

    Args:
        speed: its seconds in one of ours.
    """

    def __init__(self, speed: float) -> None:
        self._speed = speed
        self._begins = datetime.now(UTC) - LONG_AGO
        self._started = time.monotonic()

    def __call__(self) -> datetime:
        return self._begins + timedelta(seconds=(time.monotonic() - self._started) * self._speed)

    def advance(self, seconds: float) -> None:
        """Let so many of its seconds pass."""
        threading.Event().wait(seconds / self._speed)


class SharedClock(Clock):
    """A clock that stands still until one of the processes that share it moves it for all.

    Args:
        days: how much later than others it begins.
    """

    def __init__(self, *, days: float = 0) -> None:
        self._begins = datetime.now(UTC) - LONG_AGO + timedelta(days=days)
        self._moved = mmap.mmap(-1, 8)

    def __call__(self) -> datetime:
        return self._begins + timedelta(seconds=self._seconds)

    def advance(self, seconds: float) -> None:
        self._moved[:] = struct.pack("d", self._seconds + seconds)

    @property
    def _seconds(self) -> float:
        (seconds,) = struct.unpack("d", self._moved[:])
        return float(seconds)
