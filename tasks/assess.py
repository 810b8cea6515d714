"""Turns looks into history, incidents and deliveries: of each mitigation everything is stored, or nothing."""

from collections.abc import Sequence

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

from riskloop import assessing
from riskloop.assessing import Assessed, judge
from riskloop.measurements import Look
from riskloop.register import Register
from riskloop.risks import Mitigation
from riskloop.services import open_services
from riskloop.settings import read_settings
from tasks.occasion import occasion


@task(name="assess", cache_policy=NO_CACHE, persist_result=False, retries=2, retry_delay_seconds=5)
def assess(
    register: Register,
    mitigations: Sequence[Mitigation],
    looks: Sequence[Look],
    *,
    dry_run: bool = False,
    because: str = "",
    record: str = "",
) -> list[Assessed]:
    """Judge each look and store what follows; stored once, however often the task is retried.

    Args:
        dry_run: judge, and store nothing.
        because: what a person decided before this look, to be told with what it resolves; empty if none.
        record: what was done about it, as Markdown, to be kept with that.

    Raises:
        StoreError: the store cannot be written; looks already stored stay stored.
    """
    looked = list(zip(mitigations, looks, strict=True))
    if dry_run:
        return [judge(mitigation, look) for mitigation, look in looked]
    log = get_run_logger()
    with open_services(read_settings()) as services:
        at = occasion(services, register, because=because, record=record)
        assessed = list(assessing.assess(services.store, looked, at))
    for one in assessed:
        for incident, transition in one.transitions:
            words = f"{incident.concern} {transition.change}: {transition.reason}"
            log.info("%s: %s", one.mitigation.id, words)
    return assessed
