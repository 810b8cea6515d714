"""Acts on looks: proposes to the project what they made ready, and says what came of it."""

from collections.abc import Sequence

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

from riskloop.measurements import Look
from riskloop.proposing import carry_out
from riskloop.risks import Mitigation
from riskloop.services import open_services
from riskloop.settings import read_settings


@task(name="mitigate", cache_policy=NO_CACHE, persist_result=False, retries=0)
def mitigate(
    mitigations: Sequence[Mitigation], looks: Sequence[Look], *, dry_run: bool = False
) -> list[Look]:
    """Carry out what each look proposes; one that fails never hides another.

    Args:
        looks: one for each mitigation, in their order.
        dry_run: act on nothing.

    Returns:
        The looks in their order, with a receipt where something was proposed.

    Raises:
        StoreError: the store cannot be used.
    """
    if dry_run or not any(look.observation and look.observation.proposal for look in looks):
        return list(looks)
    log = get_run_logger()
    acted = []
    with open_services(read_settings()) as services:
        for mitigation, look in zip(mitigations, looks, strict=True):
            done = carry_out(services, mitigation, look)
            if done.receipt and done.receipt.failed:
                log.error("%s: %s", mitigation.id, done.receipt.sentence)
            elif done.receipt and done.receipt.sentence:
                log.info("%s: %s %s", mitigation.id, done.receipt.sentence, done.receipt.url)
            acted.append(done)
    return acted
