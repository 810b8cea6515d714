"""One Prefect server for all flows, and for each test a team with a repository and a channel of its own."""

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from deployments.directory import prepare
from deployments.server import choose_port, start_server, wait_until_ready
from tests.emulator.rig import Rig
from tests.flows.looping import Team, make_team, settings_of


@pytest.fixture(scope="session")
def prefect_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start a Prefect server as the launcher does; give the address of its API."""
    state = tmp_path_factory.mktemp("shared") / "state"
    prepare(state)
    lock = os.open(state / "lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(lock, fcntl.LOCK_EX)
    port, ready = 0, False
    while not ready:
        port = choose_port(state, after=port)
        server = start_server(state, lock=lock, port=port)
        api_url = f"http://127.0.0.1:{port}/api"
        # Another one may take the port between the look and the start.
        ready = wait_until_ready(server, api_url, state=state, interrupted=lambda: False)
        if not ready:
            server.kill_after(0)
    yield api_url
    server.end(gently=5)
    os.close(lock)


@pytest.fixture(scope="session")
def prefect_here(prefect_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Let flows that are called in this process report to the shared server."""
    home = tmp_path_factory.mktemp("prefect")
    with pytest.MonkeyPatch.context() as importing:
        # Prefect looks for a person's profile when it is imported, which takes seconds besides.
        importing.setenv("PREFECT_HOME", str(home))
        from prefect.events.worker import EventsWorker  # noqa: PLC0415
        from prefect.logging.handlers import APILogWorker  # noqa: PLC0415
        from prefect.settings import (  # noqa: PLC0415
            PREFECT_API_URL,
            PREFECT_FLOWS_HEARTBEAT_FREQUENCY,
            PREFECT_HOME,
            temporary_settings,
        )
    # Without the heartbeat a flow costs a second less, and the server does not miss it.
    ours = {
        PREFECT_API_URL: prefect_server,
        PREFECT_HOME: str(home),
        PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None,
    }
    with temporary_settings(ours):
        yield prefect_server
        # They would go on trying to reach a server that is gone.
        EventsWorker.drain_all()
        APILogWorker.drain_all()


@pytest.fixture
def team(rig: Rig, prefect_here: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Team:
    """Give a team whose fixtures match, and let this process work for it."""
    made = make_team(tmp_path, rig=rig, api_url=prefect_here)
    for name, value in settings_of(made).items():
        monkeypatch.setenv(name, value)
    return made
