"""Commands that fail, hang, flood or escape do us no harm."""

import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from riskloop.commands import MEBIBYTE, Ended, Finished, clean_environment, run
from riskloop.errors import Unmeasurable
from tests.waiting import wait_until

SECOND = 1.0


def sh(script: str, folder: Path, *, timeout: float = 20.0, output_limit: int = MEBIBYTE) -> Finished:
    return run(
        ["sh", "-c", script],
        cwd=folder,
        environment=clean_environment(home=folder),
        timeout=timeout,
        output_limit=output_limit,
    )


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - only the count is wanted


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def wait_until_gone(pid: int) -> bool:
    deadline = time.monotonic() + 5
    while alive(pid) and time.monotonic() < deadline:
        os.sched_yield()
    return not alive(pid)


def test_output_exit_code_and_time_are_told(tmp_path: Path) -> None:
    finished = sh("echo out; echo err >&2; exit 3", tmp_path)
    assert (finished.exit_code, finished.stdout, finished.stderr) == (3, b"out\n", b"err\n")
    assert finished.ended is Ended.ITSELF
    assert not finished.succeeded
    assert "ended with exit code 3" in finished.account()
    assert finished.account().endswith("err")


def test_a_command_that_hangs_is_ended_with_its_whole_group(tmp_path: Path) -> None:
    started = time.monotonic()
    finished = sh("sleep 60 & echo $!; sleep 60", tmp_path, timeout=0.5)
    assert finished.ended is Ended.TIME
    assert time.monotonic() - started < 5
    assert wait_until_gone(int(finished.stdout))


def test_a_command_that_ignores_being_asked_is_ended_all_the_same(tmp_path: Path) -> None:
    finished = sh("trap '' TERM; while :; do sleep 0.1; done", tmp_path, timeout=0.3)
    assert finished.ended is Ended.TIME
    assert finished.exit_code == -signal.SIGKILL


def test_a_grandchild_that_escaped_and_holds_the_pipes_does_not_hold_us(tmp_path: Path) -> None:
    started = time.monotonic()
    finished = sh("setsid sleep 30 & echo done; exit 0", tmp_path)
    assert finished.succeeded
    assert finished.stdout == b"done\n"
    assert time.monotonic() - started < 5


def test_what_a_command_leaves_running_in_its_group_is_ended(tmp_path: Path) -> None:
    finished = sh("sleep 60 >/dev/null 2>&1 & echo $!", tmp_path)
    assert finished.succeeded
    assert wait_until_gone(int(finished.stdout))


def test_a_command_that_closes_its_output_is_still_waited_for(tmp_path: Path) -> None:
    finished = sh("exec >&- 2>&-; sleep 0.2; exit 7", tmp_path)
    assert finished.exit_code == 7


def test_a_flood_is_stopped_and_does_not_fill_the_memory(tmp_path: Path) -> None:
    finished = sh("yes", tmp_path, output_limit=100_000)
    assert finished.ended is Ended.OUTPUT
    assert len(finished.stdout) <= 100_000
    assert "printed too much" in finished.account()


def test_the_memory_limit_holds(tmp_path: Path) -> None:
    finished = run(
        ["python3", "-c", "x = bytearray(3_000_000_000)"],
        cwd=tmp_path,
        environment=clean_environment(home=tmp_path),
        timeout=20,
        memory_limit=500 * MEBIBYTE,
    )
    assert finished.exit_code == 1
    assert b"MemoryError" in finished.stderr


def test_the_limit_on_a_files_size_holds(tmp_path: Path) -> None:
    finished = run(
        ["dd", "if=/dev/zero", "of=big", "bs=1M", "count=10"],
        cwd=tmp_path,
        environment=clean_environment(home=tmp_path),
        timeout=20,
        file_limit=MEBIBYTE,
    )
    assert not finished.succeeded
    assert (tmp_path / "big").stat().st_size <= MEBIBYTE


@pytest.mark.parametrize("memory_limit", [None, 4096 * MEBIBYTE])
def test_a_command_that_crashes_leaves_no_picture_of_its_memory(
    memory_limit: int | None, tmp_path: Path
) -> None:
    before = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (before[1], before[1]))
    try:
        finished = run(
            ["python3", "-c", "import resource; print(resource.getrlimit(resource.RLIMIT_CORE)[0])"],
            cwd=tmp_path,
            environment=clean_environment(home=tmp_path),
            timeout=20,
            memory_limit=memory_limit,
        )
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, before)
    assert finished.text() == "0\n"


def test_nothing_can_be_read_from_stdin_unless_it_is_given(tmp_path: Path) -> None:
    assert sh("cat", tmp_path).stdout == b""
    environment = clean_environment(home=tmp_path)
    given = run(["cat"], cwd=tmp_path, environment=environment, timeout=20, stdin=b"x" * 200_000)
    assert given.stdout == b"x" * 200_000


def test_the_environment_holds_only_what_was_let_through(tmp_path: Path) -> None:
    source = {
        "PATH": "/bin:/usr/bin",
        "HOME": "/somebody",
        "RISKLOOP_GITHUB_TOKEN": "secret",
        "PREFECT_API_KEY": "secret",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "WANTED": "yes",
    }
    allowed = ["WANTED", "ABSENT", "RISKLOOP_GITHUB_TOKEN", "PREFECT_API_KEY"]
    environment = clean_environment(home=tmp_path, allowed=allowed, extra={"TZ": "UTC0"}, source=source)
    assert environment == {
        "PATH": "/bin:/usr/bin",
        "LANG": "C.UTF-8",
        "HOME": str(tmp_path),
        "WANTED": "yes",
        "TZ": "UTC0",
    }


def test_arguments_are_not_read_by_any_shell(tmp_path: Path) -> None:
    hostile = "$(touch hacked); `touch hacked` '\" \n -n"
    finished = run(
        ["printf", "%s", hostile], cwd=tmp_path, environment=clean_environment(home=tmp_path), timeout=20
    )
    assert finished.text() == hostile
    assert not (tmp_path / "hacked").exists()


def test_a_program_with_a_slash_is_found_from_the_working_directory(tmp_path: Path) -> None:
    (tmp_path / "tool.sh").write_text("#!/bin/sh\npwd\n")
    (tmp_path / "tool.sh").chmod(0o755)
    finished = run(["./tool.sh"], cwd=tmp_path, environment=clean_environment(home=tmp_path), timeout=20)
    assert finished.text().strip() == str(tmp_path)


@pytest.mark.parametrize("program", ["no-such-program", "./no-such-program", "./not-executable"])
def test_a_program_that_is_not_there_is_named(program: str, tmp_path: Path) -> None:
    (tmp_path / "not-executable").write_text("x")
    with pytest.raises(Unmeasurable, match=program):
        run([program], cwd=tmp_path, environment=clean_environment(home=tmp_path), timeout=20)


def test_no_file_descriptor_is_left_open(tmp_path: Path) -> None:
    sh("true", tmp_path)
    before = open_files()
    for script in ("true", "exit 1", "yes", "sleep 9"):
        sh(script, tmp_path, timeout=0.1, output_limit=1000)
    assert open_files() == before


def test_the_same_failure_reads_the_same_however_long_it_took(tmp_path: Path) -> None:
    script = "test -e once || { touch once; sleep 0.2; }; exit 3"
    assert sh(script, tmp_path).account() == sh(script, tmp_path).account()


OUTLIVED = """
import os, sys
from pathlib import Path
from riskloop.commands import run
script = "echo $$ > leader; (trap '' TERM; echo > deaf; sleep 60) & echo $! > child; wait"
run(["sh", "-c", script], cwd=Path(sys.argv[1]), environment=dict(os.environ), timeout=60)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_command_does_not_outlive_the_process_that_ran_it(tmp_path: Path, number: signal.Signals) -> None:
    with subprocess.Popen([sys.executable, "-c", OUTLIVED, str(tmp_path)]) as ours:
        wait_until((tmp_path / "deaf").exists, within=10, what="the command runs")
        pids = [int((tmp_path / name).read_text()) for name in ("leader", "child")]
        ours.send_signal(number)
    assert all(wait_until_gone(pid) for pid in pids)
