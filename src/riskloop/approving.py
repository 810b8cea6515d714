"""Lets a person approve or reject what waits for it, and carries out what was approved, once."""

from dataclasses import dataclass

from riskloop.approvals import Approval, Decision, State, approved_by
from riskloop.assessing import Occasion, asking
from riskloop.attribution import attributed
from riskloop.errors import Refused
from riskloop.looking import Trouble, isolated
from riskloop.mitigating import Hand, failed
from riskloop.receipts import Receipt
from riskloop.redaction import without_secrets
from riskloop.register import Register
from riskloop.risks import Mitigation
from riskloop.services import Services
from riskloop.store import approvals
from riskloop.store.turns import one_at_a_time


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """What a decision came to.

    Args:
        says: in one sentence, without a full stop.
        mitigation: whose plan was approved; None if it was rejected.
        receipt: what carrying it out came to; None if it was rejected.
    """

    says: str
    mitigation: Mitigation | None = None
    receipt: Receipt | None = None


def decide(
    services: Services,
    register: Register,
    name: str,
    decision: Decision,
    *,
    who: str,
    why: str,
    at: Occasion,
) -> Decided:
    """Record a decision, and carry out what is approved with it.

    Killed after it is recorded, the next round of `follow_up` carries it out, or the next run of the kind.

    Args:
        name: the approval's id, or that of a mitigation that waits for one.
        who: claimed, not proven.

    Raises:
        Refused: nothing waits under that name, it is decided already, too late or void, or there is no name
            or no reason.
    """
    who, why = attributed(who, why)
    with services.store.reading() as connection:
        approval = approvals.find(connection, name)
    if approval is None:
        raise Refused(
            f"nothing waits for a decision under {name!r}",
            rule="no-approval",
            remedy="see what does: riskloop approvals",
        )
    mitigation = _enabled(register).get(approval.mitigation)
    after = asking.decide(services.store, approval, mitigation, decision, who=who, why=why, occasion=at)
    if mitigation is None or after.state is not State.APPROVED:
        return Decided(says=without_secrets(after.outcome))
    receipt = fulfil(services, register, mitigation, after, at)
    by, came_to = approved_by(after), receipt.sentence
    says = came_to if came_to.startswith(by) else f"{by}; {came_to}"
    return Decided(says=without_secrets(says), mitigation=mitigation, receipt=receipt)


def follow(services: Services, register: Register, at: Occasion) -> tuple[tuple[str, str], ...]:
    """Remind of every decision that is owed, and end those whose time is over or that hold no longer.

    Returns:
        Of which mitigation, and what was done.
    """
    return asking.follow(services.store, _enabled(register), at)


def is_anything_left(services: Services) -> bool:
    """Say whether anything was approved that is not carried out."""
    return bool(_left(services))


def finish(services: Services, register: Register, at: Occasion) -> tuple[tuple[str, Receipt], ...]:
    """Carry out everything that was approved and is not carried out; one that fails hides no other.

    Returns:
        Of which mitigation, and what it came to.
    """
    mitigations = _enabled(register)
    done = []
    for approval in _left(services):
        mitigation = mitigations.get(approval.mitigation)
        if mitigation is None:
            receipt = _give_up(services, approval, at)
        else:
            receipt = fulfil(services, register, mitigation, approval, at)
        done.append((approval.mitigation, receipt))
    return tuple(done)


def fulfil(
    services: Services, register: Register, mitigation: Mitigation, approval: Approval, at: Occasion
) -> Receipt:
    """Carry out what was approved, unless somebody else is at it or has been; failures are in the receipt."""
    hand = Hand(services=services, register=register, mitigation=mitigation, occasion=at)
    receipt = isolated(mitigation, lambda: hand.fulfil(approval.id))
    return failed(receipt) if isinstance(receipt, Trouble) else receipt


def _give_up(services: Services, approval: Approval, at: Occasion) -> Receipt:
    """End what was approved for a mitigation that has left the register since, unless somebody is at it."""
    state = services.settings.state
    with one_at_a_time(services.store, approval.mitigation, state=state) as alone:
        if alone:
            why = asking.void_reason(approval, None)
            asking.end(services.store, approval, None, at, state=State.VOID, outcome=why)
            return Receipt(says=why)
    return Receipt(says="another run is at work on it just now")


def _left(services: Services) -> tuple[Approval, ...]:
    with services.store.reading() as connection:
        found = approvals.list_open(connection)
    return tuple(approval for approval in found if approval.state is State.APPROVED)


def _enabled(register: Register) -> dict[str, Mitigation]:
    return {mitigation.id: mitigation for mitigation in register.mitigations()}
