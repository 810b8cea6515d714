"""The processes we start: each in its own session, with a line that ends it, and a log that stays small."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

from riskloop.redaction import redacted

_LOG_LIMIT = 5 * 1024 * 1024
_KEPT, _SHOWN = 500, 200


class Child:
    """One of our processes, run as `python -m <module> <line> <lock> <arguments…>`.

    Args:
        module: the module to run.
        arguments: its further arguments.
        environment: the whole of its environment.
        state: its working directory; also holds its log, `logs/<name>.log`.
        lock: the descriptor of the state directory's lock, which the child holds on to.
        report: a descriptor the child may write to, passed on under the same number.
    """

    def __init__(
        self,
        name: str,
        module: str,
        arguments: Sequence[str],
        *,
        environment: Mapping[str, str],
        state: Path,
        lock: int,
        report: int | None = None,
    ) -> None:
        self.name = name
        self.log = state / "logs" / f"{name}.log"
        self._tail: deque[str] = deque(maxlen=_KEPT)
        self._over = False
        line, self._line = os.pipe()
        try:
            self._process = subprocess.Popen(
                # Python puts the working directory first on its path: ours holds nothing to import.
                [sys.executable, "-m", module, str(line), str(lock), *arguments],
                cwd=state,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=[line, lock] if report is None else [line, lock, report],
                start_new_session=True,
            )
        finally:
            os.close(line)
        assert self._process.stdout is not None  # noqa: S101 - asked for above; says so to the type checker
        self._pump = threading.Thread(target=self._keep, args=(self._process.stdout,), daemon=True)
        self._pump.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def ended(self) -> bool:
        # Seen, not reaped: until we reap it, its number and its group's cannot become somebody else's.
        flags = os.WEXITED | os.WNOWAIT | os.WNOHANG
        return self._over or os.waitid(os.P_PID, self._process.pid, flags) is not None

    def account(self) -> str:
        """Say in one line how it ended; call it only once it has."""
        told = None if self._over else os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT)
        code = self._process.returncode
        if told is not None:
            code = told.si_status if told.si_code == os.CLD_EXITED else -told.si_status
        if code < 0:
            return f"was ended by {signal.Signals(-code).name}"
        last = next((line for line in reversed(self._lines()) if line.strip()), "it said nothing")
        return f"ended with exit code {code} ({last.strip()[:_SHOWN]})"

    def said(self, phrase: str) -> bool:
        """Whether a phrase is in the last some hundred lines of what it wrote."""
        return any(phrase in line for line in self._lines())

    def _lines(self) -> list[str]:
        self._pump.join(timeout=1 if self.ended() else 0)
        return list(self._tail)

    def tell(self, word: str) -> None:
        """Write one line on its lifeline; a child already gone hears nothing, which is well."""
        if self._over:
            return
        with contextlib.suppress(BrokenPipeError):
            os.write(self._line, f"{word}\n".encode("ascii"))

    def end(self, *, gently: float) -> None:
        """Ask it to end, wait, and then end its whole group; returns when nothing of it is alive.

        Args:
            gently: seconds it is given; with 0 it is not asked.
        """
        if gently and not self.ended():
            os.kill(self._process.pid, signal.SIGTERM)
        self.kill_after(gently)

    def kill_after(self, seconds: float) -> None:
        """Wait for it to end by itself, then end whatever is left of its group."""
        if self._over:
            return
        deadline = time.monotonic() + seconds
        while not self.ended() and time.monotonic() < deadline:
            time.sleep(0.05)
        # Even after its leader ended: a member of its group may have stayed.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._over = True
        os.close(self._line)
        self._pump.join(timeout=2)

    def _keep(self, output: BinaryIO) -> None:
        written = _rotated(self.log)
        for raw in output:
            # Once more, after its own loggers: it may also have printed, or died before they were prepared.
            words = redacted(raw.decode("utf-8", "replace"))
            line = words.encode()
            self._tail.append(words.rstrip())
            if written > _LOG_LIMIT:
                written = _rotated(self.log)
            # A full disk costs lines of a log, never the process that writes them.
            with contextlib.suppress(OSError), self.log.open("ab") as file:
                written += file.write(line)


def _rotated(log: Path) -> int:
    """Move a full log aside, in place of the one before; return the bytes in the one to go on with."""
    with contextlib.suppress(OSError):
        size = log.stat().st_size
        if size <= _LOG_LIMIT:
            return size
        log.replace(log.with_suffix(".log.1"))
    return 0
