"""The process that runs the flows: it registers every deployment, picks up due runs, and stops cleanly."""

import asyncio
import contextlib
import importlib
import json
import os
import queue
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self
from uuid import UUID

from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.actions import DeploymentScheduleCreate, DeploymentScheduleUpdate
from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
from prefect.client.schemas.responses import DeploymentResponse
from prefect.client.schemas.schedules import CronSchedule
from prefect.deployments.runner import RunnerDeployment
from prefect.exceptions import ObjectNotFound
from prefect.runner import Runner

from deployments.lifeline import hold
from deployments.offers import Offer, read_offers, slug
from riskloop.errors import Refused, RiskloopError
from riskloop.redaction import install
from riskloop.settings import read_settings

_AT_ONCE = 3
_POLL_SECONDS = 3.0
_ENGINE_GRACE = 6.0
_ENGINE_END = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What the parent asks for.

    Args:
        project: the register's project; its slug is the name of every deployment.
        tag: `riskloop:<installation>`, by which the deployments are known as ours.
        deployments: the path of a `prefect.yaml`.
        only: names in it to serve; all if empty.
        report: the descriptor to answer on.
    """

    project: str
    tag: str
    deployments: str
    only: Sequence[str]
    report: int

    def text(self) -> str:
        return json.dumps(asdict(self))


class DrainingRunner(Runner):
    """Prefect's runner, and a way to end it that leaves no run Running."""

    def __init__(self, name: str) -> None:
        super().__init__(name=name, query_seconds=_POLL_SECONDS, limit=_AT_ONCE, pause_on_shutdown=False)
        self.ready = asyncio.Event()

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        self.ready.set()
        return self

    async def drain(self, *, hurry: asyncio.Event) -> None:
        """Pick up nothing more, ask every run to end, wait for it to report, and end what stays.

        Prefect's own `stop` waits up to thirty seconds for one run after the other.

        Args:
            hurry: when set, nobody is waited for.
        """
        self.stopping = True
        self._scheduled_run_poller.stopping = True
        await self._signal_until_idle(hurry=hurry, hard=False, seconds=_ENGINE_GRACE)
        await self._signal_until_idle(hurry=None, hard=True, seconds=_ENGINE_END)
        self._loops_task_group.cancel_scope.cancel()

    async def _signal_until_idle(self, *, hurry: asyncio.Event | None, hard: bool, seconds: float) -> None:
        signalled: set[UUID] = set()
        deadline = asyncio.get_running_loop().time() + seconds
        while self._limiter is not None and self._limiter.borrowed_tokens:
            if asyncio.get_running_loop().time() > deadline or (hurry is not None and hurry.is_set()):
                return
            # Again and again, because a run may have been on its way into the list.
            for run in self._process_manager.flow_run_ids() - signalled:
                handle = self._process_manager.get(run)
                if handle is not None:
                    with contextlib.suppress(ProcessLookupError):
                        (handle.hard_kill if hard else handle.graceful_kill)()
                    signalled.add(run)
            await asyncio.sleep(0.1)


async def register(runner: Runner, order: Order, offers: Sequence[Offer]) -> dict[str, str]:
    """Create or update every deployment, leaving paused what a person paused; ids by the name of the flow.

    Raises:
        Refused: a deployment of that name belongs to another installation.
    """
    ids = {}
    async with get_client() as client:
        for offer in offers:
            deployment = await _deployment(client, order, offer)
            ids[deployment.flow_name or offer.name] = str(await runner.aadd_deployment(deployment))
    return ids


async def _deployment(client: PrefectClient, order: Order, offer: Offer) -> RunnerDeployment:
    deployment = RunnerDeployment.from_entrypoint(
        offer.entrypoint,
        name=slug(order.project),
        description=offer.description or None,
        tags=[*offer.tags, order.tag],
        parameters=dict(offer.parameters),
        concurrency_limit=_limit(offer),
    )
    try:
        existing = await client.read_deployment_by_name(deployment.full_name)
    except ObjectNotFound:
        existing = None
    if existing is not None:
        if order.tag not in existing.tags:
            raise Refused(
                f"the deployment {deployment.full_name} on this server belongs to another installation",
                rule="not-ours",
                remedy="give this register another `project`, or delete that deployment if it is a leftover",
            )
        deployment.paused = existing.paused
    deployment.schedules = _schedules(offer, existing)
    return deployment


def _limit(offer: Offer) -> ConcurrencyLimitConfig | None:
    if offer.limit is None:
        return None
    return ConcurrencyLimitConfig(
        limit=offer.limit, collision_strategy=ConcurrencyLimitStrategy(offer.collision)
    )


def _schedules(
    offer: Offer, existing: DeploymentResponse | None
) -> list[DeploymentScheduleCreate | DeploymentScheduleUpdate]:
    there = existing.schedules if existing is not None else []
    active = {schedule.slug: schedule.active for schedule in there}
    schedules: list[DeploymentScheduleCreate | DeploymentScheduleUpdate] = []
    for number, schedule in enumerate(offer.schedules, start=1):
        name = f"riskloop-{number}"
        schedules.append(
            DeploymentScheduleCreate(
                schedule=CronSchedule(cron=schedule.cron, timezone=schedule.timezone),
                active=active.get(name, True),
                slug=name,
            )
        )
    # One without a slug was added by a person, and makes the server replace all: so it is sent back too.
    schedules += [
        DeploymentScheduleCreate(schedule=one.schedule, active=one.active, parameters=one.parameters)
        for one in there
        if not one.slug
    ]
    return schedules


async def serve(order: Order, offers: Sequence[Offer], words: "queue.Queue[str]") -> None:
    """Register, run, and stop at the word `stop`; `now` is a stop without waiting."""
    runner = DrainingRunner(slug(order.project))
    ids = await register(runner, order, offers)
    running = asyncio.create_task(runner.start())
    await _first(running, asyncio.create_task(runner.ready.wait()))
    stop, hurry = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    # After the start, because the runner sets a handler of its own that ends without waiting.
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    listening = asyncio.create_task(_listen(words, stop, hurry))
    _answer(order, {"deployments": ids})
    await _first(running, asyncio.create_task(stop.wait()))
    if not running.done():
        await runner.drain(hurry=hurry)
    listening.cancel()
    await running


async def _first(*tasks: "asyncio.Task[Any]") -> None:
    """Wait for the first of them; the others go on."""
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)


async def _listen(words: "queue.Queue[str]", stop: asyncio.Event, hurry: asyncio.Event) -> None:
    while True:
        try:
            word = words.get_nowait()
        except queue.Empty:
            await asyncio.sleep(0.1)
            continue
        stop.set()
        if word == "now":
            hurry.set()


def _answer(order: Order, answer: Mapping[str, Any]) -> None:
    os.write(order.report, json.dumps(answer).encode() + b"\n")


def main() -> None:
    """Wait for the parent's word `go`, then serve until it says stop or is no more."""
    order = Order(**json.loads(sys.argv[3]))
    os.set_inheritable(order.report, False)  # noqa: FBT003 - the standard library takes it so
    words: queue.Queue[str] = queue.Queue()
    hold(int(sys.argv[1]), int(sys.argv[2]), told=words.put)
    try:
        install(read_settings())
        offers = read_offers(Path(order.deployments))
        chosen = [offer for offer in offers if not order.only or offer.name in order.only]
        for offer in chosen:
            # Imported while the server still starts: both take seconds.
            importlib.import_module(offer.entrypoint.rpartition(".")[0])
        if words.get() != "go":
            return
        asyncio.run(serve(order, chosen, words))
    except RiskloopError as error:
        _answer(order, {"refused": error.what, "remedy": error.remedy})
        sys.exit(1)


if __name__ == "__main__":
    main()
