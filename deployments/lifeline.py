"""A child's line to its parent: what it is told to do, and that it ends when the parent is no more."""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable

GRACE = 4.0
"""Seconds between asking the orphaned group to end and ending it."""


def hold(line: int, lock: int, *, told: Callable[[str], None] | None = None) -> None:
    """Listen on the line in a thread: each line read goes to `told`; at its end our process group ends.

    A pipe does this on every system: however the parent dies, the kernel closes its end.

    Args:
        line: the descriptor to read; we close no other end of it.
        lock: the state directory's lock, held by being open; it and `line` are not passed on.
        told: called in the thread with each line, without its newline.
    """
    for descriptor in (line, lock):
        os.set_inheritable(descriptor, False)  # noqa: FBT003 - the standard library takes it so
    threading.Thread(target=_listen, args=(line, told), name="lifeline", daemon=True).start()


def _listen(line: int, told: Callable[[str], None] | None) -> None:
    with os.fdopen(line, encoding="ascii") as lines:
        for text in lines:
            if told is not None:
                told(text.rstrip("\n"))
    _end_group()


def _end_group() -> None:
    # The parent starts us as the leader of our own session, so this group is ours and our children's alone.
    if os.getpgrp() != os.getpid():
        sys.stderr.write("not the leader of our group: ending alone\n")
        os._exit(1)
    os.killpg(os.getpgrp(), signal.SIGTERM)
    time.sleep(GRACE)
    os.killpg(os.getpgrp(), signal.SIGKILL)
