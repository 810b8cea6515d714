"""What the tests of the channels share beside the rig."""

import socket

import pytest


@pytest.fixture
def closed_port() -> int:
    """Give a port on loopback where nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port
