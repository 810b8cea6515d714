"""Acts on what a look made ready: proposes it, carries it out, or asks a person to approve it first."""

import time
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from datetime import timedelta

from riskloop import proposing
from riskloop.approvals import CARRIED_OUT_WITHIN, Approval, State, approved_by, asked, moment
from riskloop.assessing import Occasion, asking
from riskloop.errors import RiskloopError, StoreError
from riskloop.looking import Trouble, isolated
from riskloop.measurements import Look
from riskloop.plans import Plan
from riskloop.project import site
from riskloop.receipts import Receipt
from riskloop.register import Register
from riskloop.risks import Mitigation
from riskloop.services import Services
from riskloop.store import approvals, chores, history
from riskloop.store.turns import one_at_a_time

_DEED = "carried out"


def carry_out(
    services: Services,
    register: Register,
    mitigation: Mitigation,
    look: Look,
    occasion: Occasion,
    *,
    dry_run: bool = False,
) -> Look:
    """Do what a look made ready, if it did; give the look with what came of it.

    A failure of any sort is in the receipt; running it again finishes or repeats it, and doubles nothing.

    Args:
        dry_run: do all the same but the changes; propose, ask and store nothing.
    """
    seen = look.observation
    if seen is None:
        return look
    if seen.proposal is not None:
        return look if dry_run else proposing.carry_out(services, mitigation, look)
    if mitigation.kind.mitigate is None:
        return look
    hand = Hand(services=services, register=register, mitigation=mitigation, occasion=occasion)
    receipt = isolated(mitigation, lambda: hand.rehearse(seen.plan) if dry_run else hand.act(seen.plan))
    return replace(look, receipt=failed(receipt) if isinstance(receipt, Trouble) else receipt)


def failed(trouble: Trouble) -> Receipt:
    """Make the receipt of what could not be carried out."""
    return Receipt(says=trouble.words, failed=True, failure=trouble.failure, deed=_DEED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hand:
    """What acts on one mitigation, whose kind can; there is one at work at a time."""

    services: Services
    register: Register
    mitigation: Mitigation
    occasion: Occasion
    begun: float = field(default_factory=time.monotonic)

    def rehearse(self, plan: Plan | None) -> Receipt:
        """Do all the same but the changes; say that an approval would be asked, where it would be."""
        wanted = None if plan is None or plan.empty else plan
        receipt = self._mitigate(wanted, warrant=self._warrant, dry_run=True)
        if wanted is None or not wanted.asks:
            return receipt
        return _beside(f"an approval would be asked: {wanted.asks}", receipt)

    def act(self, plan: Plan | None) -> Receipt:
        """Carry a plan out, or one that was approved, or ask for an approval; finish what is left over.

        Raises:
            RiskloopError: it could not be done.
        """
        with self._alone() as alone:
            if not alone:
                return Receipt(says="nothing was done: another run is at work on it just now")
            owed = self._owed()
            if owed is not None and owed.state is State.APPROVED:
                return self._fulfil(owed)
            wanted = None if plan is None or plan.empty else plan
            if owed is None and (wanted is None or not wanted.asks):
                asking.settle(self.services.store, self.mitigation, self.occasion)
                return self._tried(wanted, warrant=self._warrant)
            left_over = self._mitigate(None, warrant=self._warrant)
            if owed is None and wanted is not None:
                owed = self._ask(wanted)
            return _beside(_waits(owed), left_over) if owed else left_over

    def fulfil(self, name: str) -> Receipt:
        """Carry out what was approved, unless somebody else is at it, or has been.

        Args:
            name: the approval's id.

        Raises:
            StoreError: the store failed; what is left is carried out by the next round.
        """
        with self._alone() as alone:
            if not alone:
                return Receipt(says="another run is at work on it just now; then the next round goes on")
            with self.services.store.reading() as connection:
                known = approvals.find(connection, name)
            if known is None or known.state is not State.APPROVED:
                return Receipt(says=known.outcome if known else "it is no longer known")
            now = asking.end_if_too_late(self.services.store, known, self.mitigation, self.occasion)
            return self._fulfil(now) if now.open else Receipt(says=now.outcome)

    @property
    def _warrant(self) -> str:
        return f"{self.occasion.run}:{self.mitigation.id}"

    def _alone(self) -> AbstractContextManager[bool]:
        state = self.services.settings.state
        return one_at_a_time(self.services.store, self.mitigation.id, state=state)

    def _owed(self) -> Approval | None:
        """Give the approval of which something is still to come; one that is void or too late ends first."""
        with self.services.store.reading() as connection:
            owed = approvals.of_mitigation(connection, self.mitigation.id)
        if owed is None:
            return None
        now = asking.end_if_too_late(self.services.store, owed, self.mitigation, self.occasion)
        return now if now.open else None

    def _ask(self, plan: Plan) -> Approval:
        approval = asked(
            plan,
            name=history.new_id(),
            mitigation=self.mitigation.id,
            deciders=tuple(owner.name for owner in self.mitigation.risk.owners),
            state=self.services.settings.state,
            now=self.occasion.now,
        )
        return asking.ask(self.services.store, approval, self.mitigation, self.occasion)

    def _fulfil(self, approval: Approval) -> Receipt:
        """Carry out the stored plan of what was approved, and end the approval with what came of it."""
        by = approved_by(approval)
        if approval.is_stale(self.occasion.now):
            hours = int(CARRIED_OUT_WITHIN.total_seconds()) // 3600
            late = f"it was not done within {hours} hours, and what is left of it is not done any more"
            receipt = Receipt(says=late, failed=True, deed=_DEED)
        else:
            receipt = self._carried_out(approval)
        came_to = receipt.sentence or "nothing was left to do"
        asking.end(
            self.services.store,
            approval,
            self.mitigation,
            self._later(),
            state=State.FAILED if receipt.failed else State.DONE,
            outcome=f"{by}; {came_to}",
            notes=receipt.notes,
        )
        return receipt if receipt.failed else replace(receipt, says=f"{by}; {came_to}")

    def _carried_out(self, approval: Approval) -> Receipt:
        plan = approval.stored_plan(self.services.settings.state)

        def carry() -> Receipt | StoreError:
            try:
                return self._tried(plan, warrant=approval.id, approved=True)
            except StoreError as error:
                return error

        done = isolated(self.mitigation, carry)
        if isinstance(done, StoreError):
            raise done  # Nothing is lost: it stays approved, and the next round goes on.
        return failed(done) if isinstance(done, Trouble) else done

    def _later(self) -> Occasion:
        """Give the occasion as it is now: carrying out may have taken hours."""
        took = timedelta(seconds=time.monotonic() - self.begun)
        return replace(self.occasion, now=self.occasion.now + took)

    def _tried(self, plan: Plan | None, *, warrant: str, approved: bool = False) -> Receipt:
        """Let the kind do all it has to do, and note whether it did, for how long it has not to be known."""
        try:
            receipt = self._mitigate(plan, warrant=warrant, approved=approved)
        except RiskloopError:
            self._note(succeeded=False)
            raise
        self._note(succeeded=not receipt.failed)
        return receipt

    def _note(self, *, succeeded: bool) -> None:
        with self.services.store.writing() as connection:
            chores.note_try(connection, self.mitigation.id, succeeded=succeeded, now=self.occasion.now)

    def _mitigate(
        self, plan: Plan | None, *, warrant: str, approved: bool = False, dry_run: bool = False
    ) -> Receipt:
        mitigate = self.mitigation.kind.mitigate
        if mitigate is None:
            return Receipt()
        there = replace(site(self.register, self.services.settings), mitigation=self.mitigation.id)
        return mitigate(
            self.mitigation.settings,
            there,
            plan,
            self.services.store,
            warrant=warrant,
            approved=approved,
            dry_run=dry_run,
        )


def _waits(approval: Approval) -> str:
    return f"it waits for the approval {approval.id}, asked until {moment(approval.deadline)}"


def _beside(says: str, receipt: Receipt) -> Receipt:
    """Say one thing more with a receipt, before what it came to; after it, where that is a failure."""
    if receipt.failed:
        return replace(receipt, notes=(*receipt.notes, says))
    return replace(receipt, says="; ".join(part for part in (says, receipt.says) if part))
