"""Delivers what nobody has heard yet, and leaves the run's own account in the Prefect UI."""

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

from riskloop.delivery import Delivered
from riskloop.services import open_services
from riskloop.settings import read_settings
from riskloop.speaking import postman
from tasks.events import PrefectEvents
from tasks.report import show_undelivered


@task(name="notify", cache_policy=NO_CACHE, persist_result=False, retries=0)
def notify(*, dry_run: bool = False) -> list[Delivered]:
    """Deliver everything pending, of this run and of earlier ones; never retried as a whole.

    Args:
        dry_run: tell nobody.

    Raises:
        StoreError: the store cannot be written; what is in hand is taken up by a later run.
    """
    if dry_run:
        return []
    log = get_run_logger()
    with open_services(read_settings()) as services:
        delivered = postman(services, {"events": PrefectEvents()}).deliver()
    for one in delivered:
        words = f"{one.subject}: {one.change} on {one.channel} {one.target}"
        if one.state == "done":
            log.info("%s: %s", words, one.url or "done")
        else:
            log.warning("%s: %s: %s", words, one.state, one.error)
    show_undelivered()
    return list(delivered)
