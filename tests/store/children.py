"""Child processes that share a store with the test, and may be killed at any statement of theirs."""

import os
import signal
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

from sqlalchemy import event

from riskloop.store import Store, open_store


@dataclass(frozen=True, slots=True)
class Child:
    """A forked process that waits for `let_go`, and then does its work with a store of its own."""

    process: int
    gate: int
    answer: int

    def let_go(self) -> None:
        os.close(self.gate)

    def wait(self) -> tuple[int, str]:
        """Wait for the end; give the exit code, or minus the signal, and what the work returned or raised."""
        with os.fdopen(self.answer) as answer:
            words = answer.read()
        _, status = os.waitpid(self.process, 0)
        return os.waitstatus_to_exitcode(status), words


def start(url: str, work: Callable[[Store], object]) -> Child:
    """Fork a child; it starts its work when it is let go."""
    gate, opener = os.pipe()
    answer, speaker = os.pipe()
    process = os.fork()
    if process == 0:
        os.close(opener)
        os.close(answer)
        os.read(gate, 1)
        _work(url, work, speaker)
    os.close(gate)
    os.close(speaker)
    return Child(process, opener, answer)


def _work(url: str, work: Callable[[Store], object], speaker: int) -> NoReturn:
    code = 1
    try:
        store = open_store(url)
        words = str(work(store))
        store.close()
        code = 0
    except BaseException as error:  # noqa: BLE001 - a forked child must never go on as a second pytest
        words = f"{type(error).__name__}: {error}"
        traceback.print_exc()
    finally:
        os.write(speaker, words.encode()[:60_000])
        os._exit(code)


def together(url: str, *works: Callable[[Store], object]) -> list[tuple[int, str]]:
    """Do several works at once, each in a process of its own; give how each ended."""
    children = [start(url, work) for work in works]
    for child in children:
        child.let_go()
    return [child.wait() for child in children]


def die_at(store: Store, statement: int) -> None:
    """Have this process killed right before one of its statements, counted from 1, or its commits."""
    count = 0

    def step(*_: object) -> None:
        nonlocal count
        count += 1
        if count == statement:
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(store.engine, "before_cursor_execute", step)
    event.listen(store.engine, "commit", step)
