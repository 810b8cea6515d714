"""Runs a program that may fail, hang or flood us, without letting it harm us."""

import os
import resource
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import IO

from riskloop.errors import Unmeasurable
from riskloop.redaction import redacted, without_values

MEBIBYTE = 1024 * 1024
_OURS = ("RISKLOOP_", "PREFECT_")
_DRAIN_SECONDS = 0.5
_MERCY_SECONDS = 2.0
# The script is fixed and the command follows as its arguments: nothing of it is parsed by the shell. Limits
# set between fork and exec by Python itself (preexec_fn) can deadlock in a process that has threads.
_LIMITED = 'ulimit -c 0; ulimit -v "$1" 2>/dev/null; ulimit -f "$2" 2>/dev/null; shift 2; exec "$@"'

# Its input ends when we are no more, however we died: the kernel closes our end of the pipe.
_OUTLIVING = 'read -r _; kill -s TERM -- "-$1"; sleep 1; kill -s KILL -- "-$1"'


class Ended(StrEnum):
    """Why a command is over: by itself, by its time limit, or by its output limit."""

    ITSELF = "ended by itself"
    TIME = "was stopped at its time limit"
    OUTPUT = "was stopped because it printed too much"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """What is known of a command that is over.

    Args:
        exit_code: as it gave it; the negated number of the signal that ended it, if one did.
        stdout: what it printed, bytes, at most the output limit.
        stderr: the same of its error stream.
        seconds: wall time.
    """

    command: str
    exit_code: int
    stdout: bytes
    stderr: bytes
    seconds: float
    ended: Ended

    @property
    def succeeded(self) -> bool:
        return self.ended is Ended.ITSELF and self.exit_code == 0

    def text(self) -> str:
        """Give stdout as text; bytes that are not UTF-8 survive as surrogates, as in file names."""
        return self.stdout.decode("utf-8", "surrogateescape")

    def hiding(self, values: Mapping[str, str]) -> "Finished":
        """Give the same with nothing of what some variables hold, which may be secrets, in what it printed.

        Args:
            values: by the variable's name, as the command was given them.
        """
        stdout, stderr = (without_values(printed, values) for printed in (self.stdout, self.stderr))
        return replace(self, stdout=stdout, stderr=stderr)

    def account(self, *, lines: int = 12) -> str:
        """Say in words how it ended, with the last lines of its error stream (or else of its output)."""
        # No seconds: the same failure again must read the same, so that nobody is told of it twice.
        how = f"{self.command} {_outcome(self)}"
        # Before lines are cut: half a secret is no longer known as one.
        said = redacted((self.stderr.strip() or self.stdout.strip()).decode("utf-8", "replace"))
        last = [line[:400] for line in said.splitlines()[-lines:]]
        return "\n".join((f"{how}; the last it printed:", *last)) if last else f"{how}; it printed nothing"


def clean_environment(
    *,
    home: Path,
    allowed: Iterable[str] = (),
    extra: Mapping[str, str] | None = None,
    source: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Build an environment that holds no secret of ours: PATH, a home of its own, a fixed language.

    Args:
        home: what HOME is set to.
        allowed: further names let through, if they are set; never one of ours or of Prefect's.
        extra: values set in any case.
        source: where to take them from; the process's own environment if not given.
    """
    source = os.environ if source is None else source
    passed = {name: source[name] for name in allowed if name in source and not name.startswith(_OURS)}
    path = source.get("PATH", os.defpath)
    return {"PATH": path, "LANG": "C.UTF-8", **passed, "HOME": str(home), **(extra or {})}


def run(
    argv: Sequence[str],
    *,
    cwd: Path,
    environment: Mapping[str, str],
    timeout: float,
    output_limit: int = 16 * MEBIBYTE,
    memory_limit: int | None = None,
    file_limit: int | None = None,
    stdin: bytes = b"",
) -> Finished:
    """Run a command in a process group of its own, and leave nothing of that group behind, also if killed.

    Args:
        argv: the program and its arguments; a program with a slash is looked up from `cwd`.
        cwd: its working directory.
        environment: its whole environment; nothing of ours is added.
        timeout: seconds until the group is ended.
        output_limit: bytes of stdout and stderr together.
        memory_limit: bytes of address space of each process (RLIMIT_AS); unlimited if not given.
        file_limit: bytes of each file it writes (RLIMIT_FSIZE); unlimited if not given.
        stdin: what it can read; nothing by default.

    Raises:
        Unmeasurable: the program does not exist or cannot be started.
    """
    started = time.monotonic()
    limits = (
        "unlimited" if memory_limit is None else str(max(1, memory_limit // 1024)),
        "unlimited" if file_limit is None else str(max(1, file_limit // 512)),
    )
    command = [_find(argv[0], cwd, environment), *argv[1:]]
    # Without the shell a command starts in two thirds of the time; it has only the dumps left to forbid.
    directly = sys.platform == "linux" and memory_limit is None and file_limit is None
    if not directly:
        command = ["/bin/sh", "-c", _LIMITED, "sh", *limits, *command]
    with tempfile.TemporaryFile() as given:
        given.write(stdin)
        given.seek(0)
        try:
            process = subprocess.Popen(
                command,
                cwd=cwd,
                env=dict(environment),
                stdin=given if stdin else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            raise Unmeasurable(
                f"{argv[0]} cannot be started in {cwd}: {error}", remedy="correct the command"
            ) from error
    if directly:
        _forbid_dumps(process)
    # Leaving Popen's own context would wait for the process without any limit.
    try:
        with _ended_with_us(process):
            ended, stdout, stderr = _listen(process, started + timeout, output_limit)
    finally:
        _end_group(process)
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()
    return Finished(
        command=_shown(argv),
        exit_code=process.returncode,
        stdout=stdout,
        stderr=stderr,
        seconds=time.monotonic() - started,
        ended=ended,
    )


def _forbid_dumps(process: subprocess.Popen[bytes]) -> None:
    """Let it leave no picture of its memory if it crashes: there may be a secret in it."""
    # It may be over already, or be a program of another user's, which leaves none anyway.
    if sys.platform == "linux":
        with suppress(OSError):
            resource.prlimit(process.pid, resource.RLIMIT_CORE, (0, 0))


@contextmanager
def _ended_with_us(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Let its group end by itself, politely first, if we are killed inside the block."""
    line, ours = os.pipe()
    try:
        watcher = subprocess.Popen(
            ["/bin/sh", "-c", _OUTLIVING, "sh", str(process.pid)],
            cwd="/",
            env={"PATH": os.defpath},
            stdin=line,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            yield
        finally:
            watcher.kill()
            watcher.wait()
    finally:
        os.close(line)
        os.close(ours)


def _find(program: str, cwd: Path, environment: Mapping[str, str]) -> str:
    if "/" in program:
        found: str | None = os.path.join(cwd, program)  # noqa: PTH118 - `./x` must not be tidied away
        if not os.access(str(found), os.X_OK):
            found = None
    else:
        found = shutil.which(program, path=environment.get("PATH", os.defpath))
    if found is None:
        raise Unmeasurable(
            f"there is no program {program!r} that can be run",
            remedy="install it, or correct the command in the register",
        )
    return found


def _listen(process: subprocess.Popen[bytes], deadline: float, limit: int) -> tuple[Ended, bytes, bytes]:
    """Collect both streams until the process is over, the deadline has come, or the limit is reached."""
    streams: dict[IO[bytes], bytearray] = {
        pipe: bytearray() for pipe in (process.stdout, process.stderr) if pipe is not None
    }
    ended = Ended.ITSELF
    with selectors.DefaultSelector() as selector:
        for pipe, collected in streams.items():
            os.set_blocking(pipe.fileno(), False)
            selector.register(pipe, selectors.EVENT_READ, collected)
        over_at: float | None = None
        while True:
            now = time.monotonic()
            if process.poll() is not None:
                # A grandchild may hold the pipes for ever: wait for the end of them only a moment.
                over_at = over_at or now
                if not selector.get_map() or now > over_at + _DRAIN_SECONDS:
                    break
            elif now >= deadline:
                ended = Ended.TIME
                break
            if not selector.get_map():
                with suppress(subprocess.TimeoutExpired):
                    process.wait(timeout=max(0.0, deadline - now))
                continue
            for key, _ in selector.select(timeout=min(0.05, max(0.0, deadline - now))):
                with suppress(BlockingIOError):
                    chunk = os.read(key.fd, 65536)
                    if chunk:
                        key.data.extend(chunk)
                    else:
                        selector.unregister(key.fileobj)
            if sum(map(len, streams.values())) > limit:
                ended = Ended.OUTPUT
                break
    stdout, stderr = (bytes(collected[-limit:]) for collected in streams.values())
    return ended, stdout, stderr


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """End whatever is left of the group: politely first, so that git can take its lock files away."""
    if process.poll() is None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=_MERCY_SECONDS)
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _outcome(finished: Finished) -> str:
    if finished.ended is not Ended.ITSELF:
        return str(finished.ended)
    if finished.exit_code >= 0:
        return f"ended with exit code {finished.exit_code}"
    with suppress(ValueError):
        return f"was ended by {signal.Signals(-finished.exit_code).name}"
    return f"was ended by signal {-finished.exit_code}"


def _shown(argv: Sequence[str]) -> str:
    words = redacted(" ".join(argv))
    return words if len(words) <= 120 else f"{words[:117]}..."  # noqa: PLR2004 - a line of a message
