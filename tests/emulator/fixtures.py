"""Fixtures of the rig, for `pytest_plugins`: an emulator a session, a repository and channel a test."""

from collections.abc import Iterator

import pytest

from tests.emulator.rig import Rig


@pytest.fixture(scope="session")
def running_rig() -> Iterator[Rig]:
    """Start the emulator and its proxies, once a session."""
    with Rig() as rig:
        yield rig


@pytest.fixture
def rig(running_rig: Rig) -> Iterator[Rig]:
    """Give the rig with nothing recorded and no fault left from another test."""
    running_rig.github.forget()
    running_rig.slack.forget()
    yield running_rig
    running_rig.github.forget()
    running_rig.slack.forget()


@pytest.fixture
def repository(rig: Rig) -> str:
    """Make a repository of the test's own: `owner/name`."""
    return rig.new_repository()


@pytest.fixture
def slack_channel(rig: Rig) -> str:
    """Make a Slack channel of the test's own: its ID."""
    return rig.new_channel()
