"""Reads the register at the start of a run, and tells the service's owner when it can no longer be read."""

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

from riskloop.assessing import assess_service, retire
from riskloop.register import Register
from riskloop.services import open_services
from riskloop.settings import read_settings
from tasks.occasion import occasion


@task(name="register", cache_policy=NO_CACHE, timeout_seconds=300, persist_result=False)
def register(*, dry_run: bool = False) -> Register:
    """Read the register; after a broken edit go on with the last good one and open an incident about it.

    The incidents of mitigations that have left a good register are resolved, with that reason.

    Args:
        dry_run: read it, and store nothing.

    Raises:
        RegisterError: it is broken and there never was a good one.
    """
    with open_services(read_settings()) as services:
        current, broken = services.register()
        if broken:
            get_run_logger().error("%s", broken)
        if dry_run:
            return current
        at = occasion(services, current)
        assess_service(
            services.store,
            owner=current.service_owner,
            problem=f"{broken}\nthe last good register is used" if broken else "",
            remedy="correct the register; the next run picks it up",
            occasion=at,
        )
        if not broken:
            retire(services.store, {mitigation.id for mitigation in current.mitigations()}, at)
        return current
