"""Makes the regenerated fixtures the golden ones, and records who did it and why."""

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

from riskloop.deciding import Adopted, adopt_fixtures
from riskloop.register import Register
from riskloop.risks import Mitigation
from riskloop.services import open_services
from riskloop.settings import read_settings


@task(name="adopt", cache_policy=NO_CACHE, persist_result=False, retries=0)
def adopt(register: Register, mitigation: Mitigation, *, who: str, reason: str) -> Adopted:
    """Carry out the decision; adopting twice is adopting once.

    Raises:
        Refused: what is regenerated now is not what was shown, or a safety rule stands against writing it.
        Unmeasurable: it could not be regenerated.
        Undelivered: the pull request could not be opened.
    """
    with open_services(read_settings()) as services:
        adopted = adopt_fixtures(services, register, mitigation, who=who, why=reason)
    get_run_logger().info("%s: %s %s", mitigation.id, adopted.says, adopted.url)
    return adopted
