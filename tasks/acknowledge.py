"""Acknowledges what upstream did, up to a commit, and records who did it and why."""

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

from riskloop.acknowledging import Acknowledged, acknowledge_upstream
from riskloop.register import Register
from riskloop.risks import Mitigation
from riskloop.services import open_services
from riskloop.settings import read_settings


@task(name="acknowledge", cache_policy=NO_CACHE, persist_result=False, retries=0)
def acknowledge(
    register: Register, mitigation: Mitigation, *, commit: str, who: str, reason: str
) -> Acknowledged:
    """Carry out the decision; acknowledging twice is acknowledging once.

    Raises:
        Refused: the commit is not on the followed branch or not after the pin, or a name or a reason is
            missing.
        Unmeasurable: upstream cannot be looked at.
    """
    with open_services(read_settings()) as services:
        acknowledged = acknowledge_upstream(services, register, mitigation, commit, who=who, why=reason)
    get_run_logger().info("%s: %s", mitigation.id, acknowledged.says)
    return acknowledged
