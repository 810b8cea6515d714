"""A service outside is told that we are alive and well, or what is wrong; and nobody else its address."""

import logging
import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from riskloop.heartbeat import beat, what_is_wrong
from riskloop.services import open_services
from riskloop.settings import Settings, read_settings
from riskloop.store import circuits
from tests.pings import PATH, Outside, listening


@pytest.fixture
def outside(monkeypatch: pytest.MonkeyPatch) -> Iterator[Outside]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with listening() as service:
        yield service


def settings(url: str, state: Path = Path("state")) -> Settings:
    return read_settings({"RISKLOOP_HEARTBEAT_URL": url, "RISKLOOP_STATE": str(state)})


def test_all_well_is_a_ping_without_a_word(outside: Outside) -> None:
    assert beat(settings(outside.url), ()) == ""
    (ping,) = outside.pings
    assert (ping.method, ping.path, ping.body) == ("POST", PATH, "")
    assert ping.agent.startswith("riskloop/")


def test_what_is_wrong_goes_to_the_address_that_ends_in_fail(outside: Outside) -> None:
    assert beat(settings(outside.url), ("slack:acme: the token is refused", "letters: 2")) == ""
    assert outside.said() == [("/fail", "slack:acme: the token is refused\nletters: 2")]


def test_a_query_and_a_slash_stay_where_they_belong(outside: Outside) -> None:
    where = settings(f"{outside.url}/?create=1")
    beat(where, ())
    beat(where, ("something",))
    assert [way for way, _ in outside.said()] == ["/?create=1", "/fail?create=1"]


def test_what_is_wrong_is_cut_to_what_is_kept(outside: Outside) -> None:
    beat(settings(outside.url), ("ü" * 200_000,))
    ((_, body),) = outside.said()
    assert len(body) == 10_000


@pytest.mark.parametrize("status", [302, 404, 409, 500])
def test_an_answer_that_is_none_is_said_and_raises_nothing(outside: Outside, status: int) -> None:
    outside.status = status
    lost = beat(settings(outside.url), ())
    assert f"answered with {status}" in lost


def test_where_nobody_listens_it_is_said_and_raises_nothing() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
        assert "ConnectError" in beat(settings(f"http://127.0.0.1:{port}{PATH}"), ())


def test_the_address_is_in_no_word_and_no_log(
    outside: Outside, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    where = settings(outside.url, tmp_path / "state")
    secret = PATH.strip("/")
    with open_services(where):
        outside.status = 404
        said = beat(where, (f"could not reach {outside.url}",))
    assert secret not in said
    assert secret not in caplog.text
    assert secret not in f"{where}"
    ((_, body),) = outside.said()
    assert secret not in body


def test_without_an_address_nothing_is_sent(tmp_path: Path) -> None:
    assert beat(read_settings({}, state=tmp_path), ("everything is wrong",)) == ""


def test_an_open_circuit_is_wrong_until_it_closes(tmp_path: Path) -> None:
    now = datetime(2026, 3, 1, tzinfo=UTC)
    with open_services(read_settings({}, state=tmp_path / "state")) as services:
        assert what_is_wrong(services) == ()
        with services.store.writing() as connection:
            circuits.open_circuit(connection, "github", reason="401 bad token; set another", now=now)
        assert what_is_wrong(services) == ("GitHub: 401 bad token; set another",)
        with services.store.writing() as connection:
            circuits.close_circuit(connection, "github", now=now)
        assert what_is_wrong(services) == ()
