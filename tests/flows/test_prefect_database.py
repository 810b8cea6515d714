"""The doctor says whether the Prefect server's database only grows: by what the server itself answers."""

import json
from collections.abc import Callable, Iterator
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from riskloop.doctor import Check, examine
from riskloop.settings import read_settings

REMEDY = "its vacuum is on if it was started with PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED=events,flow_runs"

Answer = Callable[[HTTPStatus, bytes], str]


@pytest.fixture
def answering() -> Iterator[Answer]:
    """Give a way to start a server that answers every question alike; it gives the address of its API."""
    servers: list[tuple[ThreadingHTTPServer, Thread]] = []

    def start(status: HTTPStatus, body: bytes) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(status)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: object) -> None:
                """Say nothing."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        servers.append((server, thread))
        return f"http://127.0.0.1:{server.server_port}/api"

    yield start
    for server, thread in servers:
        server.shutdown()
        server.server_close()
        thread.join()


def database(place: Path, *, running: str = "", shared: str = "") -> Check | None:
    environment = {"RISKLOOP_REGISTER": str(place / "riskloop.yaml"), "RISKLOOP_PREFECT_API_URL": shared}
    found = {check.name: check for check in examine(read_settings(environment), api_url=running)}
    return found.get("Prefect's database")


def settings(enabled: Any) -> bytes:
    """Write settings as Prefect answers them, as far as they are read."""
    return json.dumps({"server": {"services": {"db_vacuum": {"enabled": enabled}}}}).encode()


@pytest.mark.server
def test_the_server_that_we_start_removes_what_is_old(prefect_server: str, tmp_path: Path) -> None:
    for check in (
        database(tmp_path, running=prefect_server),
        database(tmp_path, shared=prefect_server),
    ):
        assert check is not None
        assert check.ok
        assert check.says == f"{prefect_server} removes old events and runs by itself"


@pytest.mark.parametrize(
    ("enabled", "kept"),
    [
        (["events"], "runs"),
        (["flow_runs", "orphans"], "events"),
        ([], "events and runs"),
        (None, "events and runs"),
        (False, "runs"),
    ],
)
def test_a_shared_server_whose_vacuum_is_off_only_grows(
    answering: Answer, tmp_path: Path, enabled: Any, kept: str
) -> None:
    shared = answering(HTTPStatus.OK, settings(enabled))
    check = database(tmp_path, shared=shared)
    assert check is not None
    assert not check.ok
    assert check.says == f"{shared} never removes old {kept}, so that it only grows; {REMEDY}"


def test_a_shared_server_that_removes_everything_is_well(answering: Answer, tmp_path: Path) -> None:
    for enabled in (True, ["flow_runs", "events", "orphans"]):
        check = database(tmp_path, shared=answering(HTTPStatus.OK, settings(enabled)))
        assert check is not None
        assert check.ok


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (HTTPStatus.NOT_FOUND, b'{"detail": "Not Found"}'),
        (HTTPStatus.FORBIDDEN, b""),
        (HTTPStatus.OK, b"<html>"),
        (HTTPStatus.OK, b"[]"),
        (HTTPStatus.OK, b'"settings"'),
        (HTTPStatus.OK, b'{"server": {"services": {}}}'),
        (HTTPStatus.OK, settings({"events": 1})),
    ],
)
def test_a_server_that_does_not_tell_is_not_taken_to_be_well(
    answering: Answer, tmp_path: Path, status: HTTPStatus, body: bytes
) -> None:
    shared = answering(status, body)
    check = database(tmp_path, shared=shared)
    assert check is not None
    assert not check.ok
    untold = f"{shared} does not tell whether it removes old runs and events; ask whoever runs it; {REMEDY}"
    assert check.says == untold


def test_where_no_server_runs_nothing_is_said_of_its_database(tmp_path: Path) -> None:
    assert database(tmp_path) is None
    check = database(tmp_path, shared="http://127.0.0.1:9/api")
    assert check is not None
    assert "does not tell" in check.says
