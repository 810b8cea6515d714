"""Fixtures of the rig, for `pytest_plugins`: an emulator a session, a repository and channel a test."""

from collections.abc import Iterator

import pytest

from tests.emulator.emulator import OTHER_TOKENS
from tests.emulator.rig import Rig


def hold_to_the_description(rig: Rig) -> None:
    """Fail the test if it asked GitHub for something that GitHub's own description does not have."""
    rig.github.settle()
    mistakes = list(rig.github.mistakes)
    rig.github.mistakes.clear()
    if mistakes:
        pytest.fail("asked of GitHub what it does not understand:\n" + "\n".join(mistakes), pytrace=False)


@pytest.fixture(scope="session")
def running_rig() -> Iterator[Rig]:
    """Start the emulator and its proxies, once a session."""
    with Rig() as rig:
        yield rig


@pytest.fixture(scope="session")
def other_running_rig() -> Iterator[Rig]:
    """Start a second emulator with proxies and tokens of its own, once a session, where it is asked for."""
    with Rig(OTHER_TOKENS) as rig:
        yield rig


@pytest.fixture
def rig(running_rig: Rig) -> Iterator[Rig]:
    """Give the rig with nothing left from another test; hold its requests against the description."""
    running_rig.renew()
    yield running_rig
    hold_to_the_description(running_rig)
    running_rig.renew()


@pytest.fixture
def other_rig(other_running_rig: Rig) -> Iterator[Rig]:
    """Give another rig, for two owners in two workspaces; `rig.join(other_rig)` has them share addresses."""
    other_running_rig.renew()
    yield other_running_rig
    hold_to_the_description(other_running_rig)
    other_running_rig.renew()


@pytest.fixture
def repository(rig: Rig) -> str:
    """Make a repository of the test's own: `owner/name`."""
    return rig.new_repository()


@pytest.fixture
def slack_channel(rig: Rig) -> str:
    """Make a Slack channel of the test's own: its ID."""
    return rig.new_channel()
