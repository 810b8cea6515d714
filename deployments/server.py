"""The Prefect server we start for ourselves: on this machine only, at an address that stays the same."""

import contextlib
import runpy
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx

from deployments.children import Child
from deployments.directory import writing
from deployments.environment import prefect_home, server_environment
from deployments.lifeline import hold
from riskloop.errors import Refused, RiskloopError

FIRST_PORT = 4210
_PORTS = 90
_READY_WITHIN = 120.0
_REASONABLE = range(1024, 65536)


def choose_port(state: Path, *, after: int = 0) -> int:
    """Choose the port: the one used before, so that links stay valid, else the first free one from 4210.

    Args:
        state: the state directory, which remembers the port in `port`.
        after: only ports above this one, because it was lost to someone else meanwhile.

    Raises:
        Refused: ninety ports in a row are taken.
    """
    remembered = _remembered(state)
    candidates = range(max(FIRST_PORT, after + 1), FIRST_PORT + _PORTS)
    for port in ([remembered] if remembered and not after else []) + list(candidates):
        if _free(port):
            return port
    raise Refused(
        f"no port from {FIRST_PORT} to {FIRST_PORT + _PORTS - 1} is free on 127.0.0.1",
        rule="port",
        remedy="stop what uses them, or use a shared Prefect server with RISKLOOP_PREFECT_API_URL",
    )


def remember_port(state: Path, port: int) -> None:
    """Remember the first port that was really ours; one that only stands in for it is not remembered."""
    if _remembered(state) is None:
        with writing(state):
            (state / "port").write_text(f"{port}\n", encoding="ascii")


def start_server(state: Path, *, lock: int, port: int) -> Child:
    """Start the server's process; it answers some seconds later."""
    return Child(
        "server",
        "deployments.server",
        [],
        environment=server_environment(state=state, port=port),
        state=state,
        lock=lock,
    )


def wait_until_ready(server: Child, api_url: str, *, state: Path, interrupted: Callable[[], bool]) -> bool:
    """Wait for the server to answer; False if it lost its port to someone else, or we were interrupted.

    Raises:
        RiskloopError: it ended, or did not answer within two minutes.
    """
    started = time.monotonic()
    while time.monotonic() - started < _READY_WITHIN and not interrupted():
        if server.ended():
            if server.said("already in use"):
                return False
            raise RiskloopError(
                f"the Prefect server {server.account()} at its start", remedy=f"see {server.log}"
            )
        with contextlib.suppress(httpx.HTTPError, ValueError, KeyError):
            answer = httpx.get(f"{api_url}/admin/settings", timeout=5, trust_env=False)
            # Whoever answers there must be ours: another one may have taken the port between look and start.
            if answer.is_success and Path(answer.json()["home"]) == prefect_home(state):
                return True
        time.sleep(0.1)
    if interrupted():
        return False
    raise RiskloopError(
        f"the Prefect server did not answer at {api_url} within {_READY_WITHIN:.0f} s",
        remedy=f"see {server.log}",
    )


def _remembered(state: Path) -> int | None:
    try:
        port = int((state / "port").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
    return port if port in _REASONABLE else None


def _free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As the server itself will bind: a connection that lingers from its last life does not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def main() -> None:
    """Run `prefect server start` in this process, for as long as the parent lives."""
    hold(int(sys.argv[1]), int(sys.argv[2]))
    sys.argv = ["prefect", "server", "start"]
    runpy.run_module("prefect", run_name="__main__")


if __name__ == "__main__":
    main()
