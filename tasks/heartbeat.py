"""Tells a service outside how the round went."""

from typing import Any

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import FlowRun, State
from prefect.flows import Flow
from prefect.logging import get_logger

from riskloop.heartbeat import beat, what_is_wrong
from riskloop.services import open_services
from riskloop.settings import read_settings


@task(name="heartbeat", cache_policy=NO_CACHE, persist_result=False, retries=0)
def heartbeat() -> None:
    """Ping RISKLOOP_HEARTBEAT_URL; one that does not arrive is logged, and fails nothing."""
    with open_services(read_settings()) as services:
        problems = what_is_wrong(services) if services.settings.heartbeat_url else ()
        if lost := beat(services.settings, problems):
            get_run_logger().warning("%s", lost)


def round_failed(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:
    """Ping that the round failed: a hook of the flow, as nothing of it runs any more."""
    del flow_run  # Prefect hands it to every hook.
    problem = f"{flow.name} ended {state.name}: {state.message}"
    if lost := beat(read_settings(), [problem]):
        get_logger("riskloop").warning("%s", lost)
