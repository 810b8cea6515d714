"""What the tests of the channels share beside the rig."""

import socket
from pathlib import Path

import pytest

from riskloop.channels.github import GitHub
from riskloop.identity import Accounts
from tests.channels.parcels import KEY
from tests.emulator.emulator import GITHUB_TOKEN
from tests.emulator.rig import Rig


@pytest.fixture
def closed_port() -> int:
    """Give a port on loopback where nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


@pytest.fixture
def accounts(tmp_path: Path) -> Accounts:
    """Give the accounts of an installation that has written nothing yet."""
    return Accounts(tmp_path)


@pytest.fixture
def github(rig: Rig, accounts: Accounts) -> GitHub:
    return GitHub(GITHUB_TOKEN, rig.github_url, key=KEY, accounts=accounts, timeout=2)
