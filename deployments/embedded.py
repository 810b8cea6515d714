"""Runs everything on one machine: the Prefect server, the runner and its flows, and ends them together.

The process that calls `up` imports nothing of Prefect: it starts two children, each with an environment of
its own making, asks the server over its REST API, and holds a line to each that ends it if we die.
"""

import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from deployments.api import Api, Run
from deployments.automations import ensure_automations
from deployments.boot import repair
from deployments.children import Child
from deployments.directory import Service, announce, locked, prepare, running_service, withdraw
from deployments.offers import DESTRUCTIVE, packaged_list, slug
from deployments.parts import Wish, serve, start_parts
from deployments.signals import Interruptions, interruptions
from riskloop.errors import Refused, RiskloopError
from riskloop.identity import read_identity
from riskloop.settings import Settings

FINE, COULD_NOT, OPEN = 0, 1, 3
_LOOK_SECONDS = 3.0
_ASK_SECONDS = 0.5
_PATIENCE = 20


def up(
    settings: Settings,
    *,
    project: str,
    once: bool = False,
    unassessed: Collection[str] = (),
    status: Callable[[], str] = lambda: "",
    say: Callable[[str], None] = lambda text: print(text, file=sys.stderr),  # noqa: T201 - talk is for people
    deployments: Path | None = None,
) -> int:
    """Start the service, run what was never run, and stay until asked to end; or run everything once.

    Args:
        settings: where the register and the state are.
        project: the register's `project`.
        once: run every scheduled deployment once, then end.
        unassessed: kinds of which the store knows no look, whatever was run before it was lost.
        status: what to show after the first runs, and again whenever a run has changed it.
        say: tells the person something.
        deployments: another `prefect.yaml` than the packaged one.

    Returns:
        0 all is fine, 1 something could not be run or ended unasked, 3 a run found a breach (with `once`).

    Raises:
        Refused: another service runs on this state directory, or a deployment is not ours.
        RiskloopError: a part did not start.
    """
    wish = Wish(project=project, deployments=deployments or packaged_list())
    with (
        interruptions() as asked,
        _started(settings, wish, asked=asked, brief=once, say=say) as running,
    ):
        if running is None:
            return COULD_NOT if once else FINE
        say(f"Prefect UI: {running.service.ui_url}")
        try:
            # A server that is slow to answer must not keep whoever wants to end it all.
            with asked.raised():
                finished = running.finish(running.first_runs(once=once, unassessed=unassessed))
                if not once:
                    return running.stay(status)
        except KeyboardInterrupt:
            return COULD_NOT if once else FINE
        running.show(status)
        return verdict(finished)


@contextmanager
def service(
    settings: Settings,
    *,
    project: str,
    only: Sequence[str] = (),
    say: Callable[[str], None] = lambda _text: None,
    deployments: Path | None = None,
) -> Iterator[Service]:
    """Give the service that runs on the state directory, or, if none does, one for the length of the block.

    One that is still starting, or was started for another command and ends with it, is waited for.

    Args:
        only: names in `prefect.yaml` that the block runs; nothing else is served, so nothing else runs.

    Raises:
        Refused: the running service serves another register.
        RiskloopError: a part did not start.
        KeyboardInterrupt: Ctrl-C or SIGTERM, also inside the block.
    """
    running = _lasting(settings.state, say)
    if running is not None:
        if running.register != str(settings.register):
            raise Refused(
                f"the service on {settings.state} serves {running.register}, not {settings.register}",
                rule="one-at-a-time",
                remedy="name that register, or another state directory with RISKLOOP_STATE",
            )
        yield running
        return
    wish = Wish(project=project, deployments=deployments or packaged_list(), only=tuple(only))
    with interruptions() as asked, _started(settings, wish, asked=asked, brief=True, say=say) as started:
        if started is None:
            raise KeyboardInterrupt
        with asked.raised():
            yield started.service


def _lasting(state: Path, say: Callable[[str], None]) -> Service | None:
    """Wait while a service starts or serves another command; then give the one that stays, if any does."""
    told = False
    while (running := running_service(state)) is not None and (running.brief or not running.api_url):
        if not told:
            doing = "does its own work first" if running.brief else "is starting"
            say(f"waiting for process {running.pid}, which {doing}")
            told = True
        time.sleep(_ASK_SECONDS)
    return running


def run_deployment(service: Service, flow: str, parameters: Mapping[str, Any]) -> Run:
    """Run a flow of the service once, and wait for its end.

    Args:
        flow: the flow's name, `fixture-drift`.
        parameters: of the flow, as JSON values.

    Raises:
        RiskloopError: the service does not have the flow, does not answer, or refuses the parameters.
    """
    deployment = service.deployments.get(flow)
    if deployment is None:
        raise RiskloopError(
            f"the service of process {service.pid} does not serve {flow}",
            remedy="it may be older than this command: stop it and start it again",
        )
    with Api(service.api_url) as api:
        return wait_for(api, [api.start(deployment, parameters)], until=lambda: time.sleep(_ASK_SECONDS))[0]


def wait_for(api: Api, runs: Sequence[Run], *, until: Callable[[], object]) -> tuple[Run, ...]:
    """Wait for the end of runs; before each look `until` is called, which waits, and ends it all if true.

    Raises:
        RiskloopError: the server does not answer for twenty looks in a row.
    """
    silent = 0
    while not all(run.final for run in runs) and not until():
        try:
            runs = [run if run.final else api.run(run.id) for run in runs]
            silent = 0
        except RiskloopError:
            silent += 1
            if silent >= _PATIENCE:
                raise
    return tuple(runs)


def verdict(runs: Sequence[Run]) -> int:
    """Say how a round of runs went: 1 if one could not do its work, else 3 if one found a breach, else 0."""
    if any(run.type != "COMPLETED" and run.state != "Breached" for run in runs):
        return COULD_NOT
    return OPEN if any(run.state == "Breached" for run in runs) else FINE


class _Running:
    """The service while it runs: what the parent does with it."""

    def __init__(
        self,
        api: Api,
        service: Service,
        children: Sequence[Child],
        *,
        tag: str,
        asked: Interruptions,
        say: Callable[[str], None],
    ) -> None:
        self.api = api
        self.service = service
        self._children = children
        self._tag = tag
        self._asked = asked
        self._say = say
        self._shown = ""
        self._lost = False

    def first_runs(self, *, once: bool, unassessed: Collection[str]) -> tuple[Run, ...]:
        """Start every scheduled deployment (`once`), or those that never ended; destructive ones dry.

        Args:
            unassessed: kinds to run as if they had never been.
        """
        runs = []
        for deployment in self.api.deployments(self._tag):
            if deployment.id not in self.service.deployments.values() or not deployment.scheduled:
                continue
            never = self.api.latest([deployment.id], types=("COMPLETED", "FAILED")) is None
            never = never or not set(unassessed).isdisjoint(deployment.tags)
            if deployment.paused or not (once or never):
                continue
            dry = not once and DESTRUCTIVE in deployment.tags
            runs.append(self.api.start(deployment.id, {"dry_run": True} if dry else {}))
        return tuple(runs)

    def finish(self, runs: Sequence[Run]) -> tuple[Run, ...]:
        """Wait for the end of these runs, for that of a child, or for being asked to end."""
        return wait_for(self.api, runs, until=lambda: self._asked.wait(_ASK_SECONDS) or not self._alive())

    def show(self, status: Callable[[], str]) -> None:
        """Say the status, if it is another than was said last; a broken register is no reason to end."""
        try:
            text = status()
        except RiskloopError as error:
            text = str(error)
        if text != self._shown:
            self._shown = text
            self._say(text)

    def stay(self, status: Callable[[], str]) -> int:
        """Stay until asked to end; show the status again whenever a run that ended has changed it."""
        ours = tuple(self.service.deployments.values())
        seen: Run | None = None
        silent = 0
        self.show(status)
        while not self._asked.wait(_LOOK_SECONDS):
            if not self._alive():
                return COULD_NOT
            try:
                ended = self.api.latest(ours)
            except RiskloopError as error:
                silent += 1
                if silent >= _PATIENCE:
                    self._say(str(error))
                    return COULD_NOT
                continue
            silent = 0
            if ended != seen:
                seen = ended
                self.show(status)
        return FINE

    def _alive(self) -> bool:
        ended = [child for child in self._children if child.ended()]
        if ended and not self._lost:
            self._lost = True
            self._say(f"riskloop: the {ended[0].name} {ended[0].account()} unasked; see {ended[0].log}")
        return not ended


@contextmanager
def _started(
    settings: Settings,
    wish: Wish,
    *,
    asked: Interruptions,
    brief: bool,
    say: Callable[[str], None],
) -> Iterator[_Running | None]:
    """Start every part, and end every part; None if we were asked to end before all was there.

    Args:
        brief: it ends with the command it was started for, and runs none of the missed runs; otherwise the
            newest of each deployment is run.
    """
    state = settings.state
    prepare(state)
    tag = f"riskloop:{read_identity(state).installation}"
    started = datetime.now(UTC)
    with locked(state, register=settings.register, now=started, brief=brief) as lock, ExitStack() as ending:
        parts = start_parts(settings, wish, tag, lock=lock, asked=asked, ending=ending, say=say)
        if parts is None:
            yield None
            return
        api = ending.enter_context(Api(parts.api_url))
        try:
            with asked.raised():
                ours = api.deployments(tag)
                served = [one.id for one in ours if not wish.only or one.flow in wish.only]
                repaired = repair(api, ours, served=served, now=started, keep_newest=not brief)
                if repaired.orphans or repaired.missed:
                    say(f"orphaned runs ended: {repaired.orphans}; missed runs given up: {repaired.missed}")
                if not wish.only:
                    ensure_automations(api, state=state, project=slug(wish.project), tag=tag)
        except KeyboardInterrupt:
            yield None
            return
        deployments = serve(parts, asked=asked)
        if deployments is None:
            yield None
            return
        if not wish.only:
            # From an earlier project name or version: nobody runs them, and their schedules would pile up.
            for former in ours:
                if former.id not in deployments.values():
                    api.delete_deployment(former.id)
        ending.callback(withdraw, state)
        service = announce(state, api_url=parts.api_url, ui_url=parts.ui_url, deployments=deployments)
        yield _Running(api, service, parts.children, tag=tag, asked=asked, say=say)
