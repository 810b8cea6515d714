"""Accepts an incident, or silences a mitigation, as a person decided it."""

from dataclasses import dataclass
from datetime import date

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from riskloop import accepting
from riskloop.errors import RiskloopError
from riskloop.register import Register
from riskloop.services import open_services
from riskloop.settings import read_settings
from tasks.occasion import occasion


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What came of it, in a sentence; refused if it could not be carried out."""

    says: str
    refused: bool = False

    def conclude(self) -> State[None]:
        """End the run with the sentence, Failed where it was refused."""
        return Failed(message=self.says) if self.refused else Completed(message=self.says)


@task(name="accept", cache_policy=NO_CACHE, persist_result=False, retries=0)
def accept(register: Register, incident: str, *, until: date, who: str, why: str) -> Decision:
    """Accept an open incident to the end of a day."""
    with open_services(read_settings()) as services:
        end, at = accepting.end_of(until), occasion(services, register)
        try:
            decided = accepting.accept(services, register, incident, until=end, who=who, why=why, at=at)
        except RiskloopError as error:
            return _refused(error)
    return Decision(says=decided.says)


@task(name="silence", cache_policy=NO_CACHE, persist_result=False, retries=0)
def silence(register: Register, mitigation: str, *, until: date, who: str, why: str) -> Decision:
    """Silence a mitigation to the end of a day."""
    with open_services(read_settings()) as services:
        end, at = accepting.end_of(until), occasion(services, register)
        try:
            decided = accepting.silence(services, register, mitigation, until=end, who=who, why=why, at=at)
        except RiskloopError as error:
            return _refused(error)
    return Decision(says=decided.says)


def _refused(error: RiskloopError) -> Decision:
    """Say to whoever filled in the form what is wrong with it, without a traceback."""
    get_run_logger().error("%s", error)
    return Decision(says=str(error), refused=True)
