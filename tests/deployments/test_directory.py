"""The state directory: whose it is, and who runs on it."""

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from deployments.directory import announce, locked, prepare, running_service, withdraw
from deployments.server import remember_port
from riskloop.errors import Refused
from riskloop.state_directory import IGNORE

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_the_directory_is_made_for_us_alone_and_ignored_by_git(tmp_path: Path) -> None:
    state = tmp_path / "deep" / "state"
    prepare(state)
    prepare(state)
    assert state.stat().st_mode & 0o777 == 0o700
    assert (state / ".gitignore").read_text() == IGNORE


def test_nothing_runs_before_and_after_the_lock_is_held(tmp_path: Path) -> None:
    prepare(tmp_path)
    assert running_service(tmp_path) is None
    with locked(tmp_path, register=tmp_path / "riskloop.yaml", now=NOW):
        starting = running_service(tmp_path)
        assert starting is not None
        assert (starting.pid, starting.since, starting.api_url) == (
            os.getpid(),
            "2026-03-01T12:00:00+00:00",
            "",
        )
        told = announce(tmp_path, api_url="http://x/api", ui_url="http://x", deployments={"a": "1"})
        assert running_service(tmp_path) == told
        withdraw(tmp_path)
        assert running_service(tmp_path) == starting
    assert running_service(tmp_path) is None


def test_the_second_to_come_is_told_who_was_first(tmp_path: Path) -> None:
    prepare(tmp_path)
    with locked(tmp_path, register=tmp_path / "riskloop.yaml", now=NOW):
        announce(tmp_path, api_url="http://x/api", ui_url="http://x", deployments={})
        with (
            pytest.raises(
                Refused, match=rf"process {os.getpid()}, since 2026-03-01T12:00:00\+00:00, http://x\)"
            ),
            locked(tmp_path, register=tmp_path / "riskloop.yaml", now=NOW),
        ):
            pytest.fail("two at once")


def test_a_lock_that_is_a_symlink_is_not_followed(tmp_path: Path) -> None:
    prepare(tmp_path)
    elsewhere = tmp_path / "elsewhere"
    (tmp_path / "lock").symlink_to(elsewhere)
    assert running_service(tmp_path) is None
    with (
        pytest.raises(Refused, match="lock"),
        locked(tmp_path, register=tmp_path / "riskloop.yaml", now=NOW),
    ):
        pytest.fail("followed")
    assert not elsewhere.exists()


@contextmanager
def nothing_can_be_written() -> Iterator[None]:
    former = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, former[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, former)


def test_a_disk_that_takes_nothing_is_said_in_words(tmp_path: Path) -> None:
    prepare(tmp_path)
    register, full = tmp_path / "r.yaml", r"cannot be written .*free space on its disk"
    with (
        nothing_can_be_written(),
        pytest.raises(Refused, match=full),
        locked(tmp_path, register=register, now=NOW),
    ):
        pytest.fail("locked without a word in the lock")
    with (
        locked(tmp_path, register=register, now=NOW),
        nothing_can_be_written(),
        pytest.raises(Refused, match=full),
    ):
        announce(tmp_path, api_url="http://x/api", ui_url="http://x", deployments={})
    with nothing_can_be_written(), pytest.raises(Refused, match=full):
        remember_port(tmp_path, 4210)


def test_a_directory_that_prefect_cannot_work_in_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="because of the question mark; name another"):
        prepare(tmp_path / "what?")
    assert not (tmp_path / "what?").exists()
