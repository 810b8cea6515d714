"""Records what a person decided about a plan, carries out what was approved, and does what is due by then."""

from dataclasses import dataclass

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from riskloop import approving
from riskloop.approvals import Decision
from riskloop.errors import RiskloopError
from riskloop.measurements import Look
from riskloop.project import now
from riskloop.receipts import Receipt
from riskloop.register import Register
from riskloop.risks import Mitigation
from riskloop.services import open_services
from riskloop.settings import read_settings
from tasks.occasion import occasion


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """What came of a decision.

    Args:
        says: in a sentence.
        wrong: it was refused, or could not be carried out.
        failure: the unexpected exception behind that, if it was one.
        chosen: whose plan was carried out; none if there is nothing to look at again.
        looks: what to look at again, one for each of them.
    """

    says: str
    wrong: bool = False
    failure: Exception | None = None
    chosen: tuple[Mitigation, ...] = ()
    looks: tuple[Look, ...] = ()

    def conclude(self) -> State[None]:
        """End the run with the sentence, Failed where it was refused or could not be carried out.

        Raises:
            Exception: what failed unexpectedly, once everyone was told.
        """
        if self.failure:
            raise self.failure
        return Failed(message=self.says) if self.wrong else Completed(message=self.says)


@task(name="decide", cache_policy=NO_CACHE, persist_result=False, retries=0)
def decide(register: Register, approval: str, decision: str, *, who: str, why: str) -> Decided:
    """Record the decision, and carry out what is approved with it.

    Raises:
        StoreError: the store cannot be used.
    """
    log = get_run_logger()
    with open_services(read_settings()) as services:
        at = occasion(services, register)
        try:
            done = approving.decide(services, register, approval, Decision(decision), who=who, why=why, at=at)
        except RiskloopError as error:
            # Whoever filled in the form is told what is wrong with it, without a traceback.
            log.error("%s", error)  # noqa: TRY400 - as above
            return Decided(says=str(error), wrong=True)
    receipt = done.receipt or Receipt()
    log.log(40 if receipt.failed else 20, "%s", done.says)
    again = (done.mitigation,) if done.mitigation and receipt.changed else ()
    return Decided(
        says=done.says,
        wrong=receipt.failed,
        failure=receipt.failure,
        chosen=again,
        looks=tuple(Look(mitigation=one.id, at=now(), receipt=receipt) for one in again),
    )


def finish_approved(register: Register) -> bool:
    """Carry out what was approved by a run that was killed before it was done; say whether there was any."""
    with open_services(read_settings()) as services:
        left = approving.is_anything_left(services)
    return left and finish(register)


@task(name="finish", cache_policy=NO_CACHE, persist_result=False, retries=0)
def finish(register: Register) -> bool:
    """Carry out everything that was approved and is not carried out; one that fails hides no other.

    Raises:
        ExceptionGroup: what failed unexpectedly, once everything was tried.
        StoreError: the store cannot be used.
    """
    log = get_run_logger()
    with open_services(read_settings()) as services:
        done = approving.finish(services, register, occasion(services, register))
    for mitigation, receipt in done:
        log.log(40 if receipt.failed else 20, "%s: %s", mitigation, receipt.sentence)
    bugs = [receipt.failure for _, receipt in done if receipt.failure]
    if bugs:
        raise ExceptionGroup("some mitigations failed unexpectedly", bugs)
    return bool(done)
