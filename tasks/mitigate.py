"""Acts on looks: proposes what they made ready, carries it out, or asks for an approval first."""

from collections.abc import Sequence

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

from riskloop.measurements import Look
from riskloop.mitigating import carry_out
from riskloop.register import Register
from riskloop.risks import Mitigation
from riskloop.services import open_services
from riskloop.settings import read_settings
from tasks.occasion import occasion


@task(name="mitigate", cache_policy=NO_CACHE, persist_result=False, retries=0)
def mitigate(
    register: Register, mitigations: Sequence[Mitigation], looks: Sequence[Look], *, dry_run: bool = False
) -> list[Look]:
    """Carry out what each look made ready; one that fails never hides another.

    Args:
        looks: one for each mitigation, in their order.
        dry_run: do all the same but the changes; propose, ask and store nothing.

    Returns:
        The looks in their order, with a receipt where something was to be done.

    Raises:
        StoreError: the store cannot be used.
    """
    if not any(_is_ready(*pair) for pair in zip(mitigations, looks, strict=True)):
        return list(looks)
    log = get_run_logger()
    acted = []
    with open_services(read_settings()) as services:
        at = occasion(services, register)
        for mitigation, look in zip(mitigations, looks, strict=True):
            done = carry_out(services, register, mitigation, look, at, dry_run=dry_run)
            if done.receipt and done.receipt.failed:
                log.error("%s: %s", mitigation.id, done.receipt.sentence)
            elif done.receipt and done.receipt.sentence:
                log.info("%s: %s %s", mitigation.id, done.receipt.sentence, done.receipt.url)
            for note in done.receipt.notes if done.receipt else ():
                log.info("%s: %s", mitigation.id, note)
            acted.append(done)
    return acted


def _is_ready(mitigation: Mitigation, look: Look) -> bool:
    """Say whether there may be anything to do: a kind that can act may have something left over."""
    seen = look.observation
    return bool(seen and (seen.proposal or seen.plan or mitigation.kind.mitigate))
