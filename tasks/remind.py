"""Does what is due without a look: ends what is over, announces what soon will be, reminds of the rest."""

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

from riskloop import approving
from riskloop.assessing import settle_floods
from riskloop.assessing.muting import follow_mutes
from riskloop.assessing.reminding import remind as remind_all
from riskloop.register import Register
from riskloop.services import open_services
from riskloop.settings import read_settings
from tasks.occasion import occasion


@task(name="remind", cache_policy=NO_CACHE, persist_result=False, retries=0)
def remind(register: Register) -> None:
    """Store what is due by now and no look leads to; repeated, it stores nothing more.

    Raises:
        StoreError: the store cannot be written.
    """
    log = get_run_logger()
    with open_services(read_settings()) as services:
        at = occasion(services, register)
        for incident in follow_mutes(services.store, at):
            log.info("%s: its acceptance or silence ends", incident.subject)
        for incident in settle_floods(services.store, at):
            log.info("%s: each of the many incidents has been told of by itself", incident.subject)
        for mitigation, says in approving.follow(services, register, at):
            log.info("%s: %s", mitigation, says)
        for incident in remind_all(services.store, at):
            log.info("%s: %s since %s", incident.subject, incident.severity, incident.opened_at)
