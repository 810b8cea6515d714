"""The server's port: the same as before if it can be, and never somebody else's."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from deployments.server import FIRST_PORT, choose_port, remember_port


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_the_port_is_remembered(tmp_path: Path) -> None:
    port = choose_port(tmp_path)
    assert FIRST_PORT <= port < FIRST_PORT + 90
    remember_port(tmp_path, 41999)
    assert choose_port(tmp_path) == 41999


def test_a_remembered_port_that_is_taken_is_lent_not_lost(tmp_path: Path, taken: int) -> None:
    (tmp_path / "port").write_text(f"{taken}\n")
    port = choose_port(tmp_path)
    assert port != taken
    remember_port(tmp_path, port)
    assert (tmp_path / "port").read_text() == f"{taken}\n"


@pytest.mark.parametrize("content", ["", "soon\n", "80\n", "70000\n", "-1\n"])
def test_a_port_that_makes_no_sense_is_forgotten(tmp_path: Path, content: str) -> None:
    (tmp_path / "port").write_text(content)
    assert choose_port(tmp_path) >= FIRST_PORT


def test_after_a_port_was_lost_a_higher_one_is_chosen(tmp_path: Path) -> None:
    port = choose_port(tmp_path)
    assert choose_port(tmp_path, after=port) > port
