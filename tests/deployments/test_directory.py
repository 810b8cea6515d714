"""The state directory: whose it is, and who runs on it."""

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from deployments.directory import announce, locked, prepare, running_service, withdraw
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
