"""Hearing Ctrl-C without dying from it."""

import os
import signal
import time

import pytest

from deployments.signals import interruptions


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_cuts_a_wait_short_and_is_counted(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with interruptions() as asked:
        assert not asked.wait(0.01)
        os.kill(os.getpid(), number)
        started = time.monotonic()
        assert asked.wait(10)
        assert time.monotonic() - started < 1
        os.kill(os.getpid(), number)
        assert asked.count == 2
    assert signal.getsignal(number) == before


def test_the_first_inside_the_block_raises_there_and_the_second_is_only_counted() -> None:
    with interruptions() as asked:
        with pytest.raises(KeyboardInterrupt), asked.raised():
            os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)
        assert asked.count == 2


def test_a_signal_that_came_before_the_block_raises_at_its_start() -> None:
    with interruptions() as asked:
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt), asked.raised():
            pytest.fail("the block began")


def test_an_ignored_hangup_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with interruptions() as asked:
            os.kill(os.getpid(), signal.SIGHUP)
            assert not asked.heard()
    finally:
        signal.signal(signal.SIGHUP, before)
