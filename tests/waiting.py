"""Waits for what must come to pass, and says what did not."""

import time
from collections.abc import Callable
from typing import TypeVar

import pytest

T = TypeVar("T")


def wait_until(question: Callable[[], T], *, within: float, what: str) -> T:
    """Ask until the answer is true; return it.

    Args:
        within: seconds after which the test fails.
        what: what was waited for.
    """
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        if answer := question():
            return answer
        time.sleep(0.05)
    pytest.fail(f"not within {within} s: {what}")
