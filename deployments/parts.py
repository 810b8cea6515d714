"""The parts that run: the server and the runner as our children, started side by side and ended in order."""

import json
import os
import select
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deployments.api import Api
from deployments.boot import end_orphans
from deployments.children import Child
from deployments.environment import runner_environment
from deployments.server import FIRST_PORT, choose_port, remember_port, start_server, wait_until_ready
from deployments.signals import Interruptions
from riskloop.errors import Refused, RiskloopError
from riskloop.settings import Settings

_SERVING_WITHIN = 120.0
_RUNNER_GRACE = 10.0
_HURRIED_GRACE = 4.0
_SERVER_GRACE = 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What is to be served, and how.

    Args:
        project: the register's `project`; its slug names the deployments.
        deployments: the `prefect.yaml` to serve.
        only: names in it; all if empty. A service for one task serves just what the task needs.
    """

    project: str
    deployments: Path
    only: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The children: the server, unless it is a shared one, and the runner, which answers on `report`."""

    api_url: str
    ui_url: str
    server: Child | None
    runner: Child
    report: int

    @property
    def children(self) -> tuple[Child, ...]:
        return (self.runner,) if self.server is None else (self.server, self.runner)


def start_parts(
    settings: Settings,
    wish: Wish,
    tag: str,
    *,
    lock: int,
    asked: Interruptions,
    ending: ExitStack,
    say: Callable[[str], None],
) -> Parts | None:
    """Start the children side by side, and wait for the server's first answer; None if asked to end."""
    state = settings.state
    port = 0
    while not asked.heard():
        server = None
        if settings.prefect_api_url:
            api_url = settings.prefect_api_url
            with Api(api_url) as api:
                api.ready()
        else:
            port = choose_port(state, after=port)
            if port != FIRST_PORT:
                say(f"the Prefect server takes port {port}")
            server = start_server(state, lock=lock, port=port)
            ending.callback(server.end, gently=_SERVER_GRACE)
            api_url = f"http://127.0.0.1:{port}/api"
        ui_url = settings.ui_url or api_url.removesuffix("/api")
        ending.callback(_sweep, api_url, tag)
        report, answer = os.pipe()
        ending.callback(os.close, report)
        order = {
            "project": wish.project,
            "tag": tag,
            "deployments": str(wish.deployments),
            "only": list(wish.only),
            "report": answer,
        }
        try:
            runner = Child(
                "runner",
                "deployments.serving",
                [json.dumps(order)],
                environment=runner_environment(settings, api_url=api_url, ui_url=ui_url),
                state=state,
                lock=lock,
                report=answer,
            )
        finally:
            os.close(answer)
        ending.callback(_stop_runner, runner, asked)
        if server is None or wait_until_ready(server, api_url, state=state, interrupted=asked.heard):
            if server is not None:
                remember_port(state, port)
            return Parts(api_url=api_url, ui_url=ui_url, server=server, runner=runner, report=report)
        # Someone else took the port between our look and our start: both go, and come again on another.
        runner.kill_after(0)
        server.kill_after(0)
    return None


def serve(parts: Parts, *, asked: Interruptions) -> dict[str, str] | None:
    """Let the runner register the deployments and run them; their ids by the name of the flow."""
    parts.runner.tell("go")
    deadline = time.monotonic() + _SERVING_WITHIN
    while not asked.heard() and time.monotonic() < deadline:
        if select.select([parts.report], [], [], 0.1)[0]:
            # One line of at most some kilobytes, written at once; nothing at all if the runner has died.
            line = os.read(parts.report, 1 << 20)
            if line:
                answer: dict[str, Any] = json.loads(line)
                if "refused" in answer:
                    raise Refused(answer["refused"], rule="deployments", remedy=answer["remedy"])
                return dict(answer["deployments"])
        if parts.runner.ended():
            raise RiskloopError(
                f"the runner {parts.runner.account()} at its start", remedy=f"see {parts.runner.log}"
            )
    if asked.heard():
        return None
    raise RiskloopError(
        f"the deployments were not registered within {_SERVING_WITHIN:.0f} s",
        remedy=f"see {parts.runner.log}",
    )


def _stop_runner(runner: Child, asked: Interruptions) -> None:
    """Let the runner end its runs and report them, while the server is still there to hear it."""
    runner.tell("stop")
    deadline = time.monotonic() + _RUNNER_GRACE
    hurried = False
    while not runner.ended() and time.monotonic() < deadline:
        if asked.count > 1 and not hurried:
            runner.tell("now")
            hurried = True
            deadline = min(deadline, time.monotonic() + _HURRIED_GRACE)
        time.sleep(0.05)
    runner.kill_after(0)


def _sweep(api_url: str, tag: str) -> None:
    """Mark what the runner could not report; what we cannot reach now, the next start repairs."""
    with suppress(RiskloopError), Api(api_url, timeout=1) as api:
        ours = [deployment.id for deployment in api.deployments(tag)]
        end_orphans(api, ours, reason="riskloop was stopped while this ran")
