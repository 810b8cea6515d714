"""Turns looks into history, incidents and deliveries, one transaction each."""

from collections.abc import Sequence

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

from riskloop import assessing
from riskloop.assessing import Assessed
from riskloop.measurements import Look
from riskloop.register import Register
from riskloop.risks import Mitigation
from riskloop.services import open_services
from riskloop.settings import read_settings
from riskloop.thresholds import assess_look
from tasks.occasion import occasion


@task(name="assess", cache_policy=NO_CACHE, persist_result=False, retries=2, retry_delay_seconds=5)
def assess(
    register: Register,
    mitigations: Sequence[Mitigation],
    looks: Sequence[Look],
    *,
    dry_run: bool = False,
    phase: str = "look",
    because: str = "",
) -> list[Assessed]:
    """Judge each look and store what follows; stored once, however often the task is retried.

    Args:
        dry_run: judge, and store nothing.
        phase: `look`, or `after` for the look after something was done about it.
        because: what a person decided that led to this run.

    Raises:
        StoreError: the store cannot be written; looks already stored stay stored.
    """
    log = get_run_logger()
    assessed = []
    with open_services(read_settings()) as services:
        at = occasion(services, register, phase=phase, because=because)
        for mitigation, look in zip(mitigations, looks, strict=True):
            if dry_run:
                verdict = assess_look(look, mitigation.kind.metrics, mitigation.thresholds)
                assessed.append(Assessed(mitigation=mitigation, look=look, assessment=verdict))
                continue
            result = assessing.assess(services.store, mitigation, look, at)
            for incident, transition in result.transitions:
                words = f"{incident.concern} {transition.change}: {transition.reason}"
                log.info("%s: %s", mitigation.id, words)
            assessed.append(result)
    return assessed
