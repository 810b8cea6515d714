"""Hears Ctrl-C and its relatives, so that a wait ends at once and what runs is ended in good order."""

import os
import select
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_NOHUP = (signal.SIGHUP, signal.SIG_IGN)
_HEARD = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interruptions:
    """How often we were asked to end, and a wait that the asking cuts short."""

    def __init__(self, wake: int) -> None:
        self.count = 0
        self._raising = False
        self._wake = wake

    def heard(self) -> bool:
        return self.count > 0

    def wait(self, seconds: float) -> bool:
        """Wait; True at once when asked to end, or if that was before."""
        deadline = time.monotonic() + seconds
        while not self.count and (left := deadline - time.monotonic()) > 0:
            select.select([self._wake], [], [], left)
        return self.heard()

    @contextmanager
    def raised(self) -> Iterator[None]:
        """Let the first signal raise KeyboardInterrupt inside the block, for code that asks nobody.

        One that came before the block raises at once.
        """
        self._raising = True
        try:
            if self.heard():
                raise KeyboardInterrupt
            yield
        finally:
            self._raising = False

    def _note(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self.count += 1
        if self._raising:
            self._raising = False
            raise KeyboardInterrupt


@contextmanager
def interruptions() -> Iterator[Interruptions]:
    """Hear SIGINT, SIGTERM and SIGHUP inside the block instead of dying from them; main thread only."""
    read, write = os.pipe()
    for end in (read, write):
        os.set_blocking(end, False)
    heard = Interruptions(read)
    # A handler may not touch a lock; the byte that Python writes here for each signal wakes the select.
    former_wake = signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    # Under nohup SIGHUP is ignored, and stays so.
    meant = [number for number in _HEARD if (number, signal.getsignal(number)) != _NOHUP]
    former = {number: signal.signal(number, heard._note) for number in meant}  # noqa: SLF001 - our own class
    try:
        yield heard
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(former_wake)
        os.close(read)
        os.close(write)
