"""Makes the regenerated fixtures the golden ones, and records who did it and why."""

from dataclasses import asdict

import orjson
from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

from riskloop.mitigations.fixture_drift import adopting
from riskloop.register import Register
from riskloop.risks import Mitigation
from riskloop.services import now, open_services, site
from riskloop.settings import read_settings
from riskloop.store import history


@task(name="adopt", cache_policy=NO_CACHE, persist_result=False, retries=0)
def adopt(register: Register, mitigation: Mitigation, *, who: str, reason: str) -> None:
    """Regenerate, compare with what was shown last, write fixtures and manifest, and record the decision.

    Raises:
        Refused: what is regenerated now is not what was shown, or a safety rule stands against writing it.
        Unmeasurable: it could not be regenerated.
    """
    settings = read_settings()
    with open_services(settings) as services:
        with services.store.reading() as connection:
            shown = history.last_fingerprint(connection, mitigation.id)
        adoption = adopting.adopt(mitigation.settings, site(register, settings), expected=shown)
        with services.store.writing() as connection:
            history.add_decision(
                connection,
                "adopt",
                mitigation=mitigation.id,
                who=who,
                why=reason,
                at=now(),
                details=orjson.dumps(asdict(adoption)).decode(),
            )
    get_run_logger().info("%s: adopted by %s: %s", mitigation.id, who, reason)
