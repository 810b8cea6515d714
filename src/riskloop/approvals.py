"""What a person must decide before it is done: by when, what happens if nobody does, and what came of it."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path

from riskloop.errors import Refused
from riskloop.plans import Plan

SHORTEST, LONGEST = timedelta(minutes=10), timedelta(days=30)
"""Between these is how long a person has to decide: a round of `follow_up`, and before it is forgotten."""

REMINDED = (0.5, 0.9)
"""After which part of that time those who owe the decision are reminded of it."""

CARRIED_OUT_WITHIN = timedelta(hours=24)
"""How long what was approved may take, whatever kills it; then it ends as failed, and is asked anew."""


class Default(StrEnum):
    """What happens if nobody decides in time."""

    ABORT = "abort"
    PROCEED = "proceed"


class State(StrEnum):
    """How an approval stands; all but the first two are ends, and each approval has one end.

    It is `void` when the settings changed or the mitigation left the register, `aborted` when nobody decided,
    `done` when what was approved was carried out, and `failed` when it could not be.
    """

    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"
    ABORTED = "aborted"
    VOID = "void"
    DONE = "done"
    FAILED = "failed"


class Decision(StrEnum):
    """What a person may decide."""

    APPROVE = "approve"
    REJECT = "reject"


OPEN = frozenset({State.PENDING, State.APPROVED})
"""The states in which something is still to come; at most one approval of a mitigation is in one of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """A decision that a person owes before a plan is carried out.

    Args:
        what: what would be done, one sentence without a full stop.
        asks: why a person must approve it, likewise.
        summary: what a person needs to see to decide; lines of text that may come from anywhere.
        plan: the SHA-256 of the plan, 64 hexadecimal digits.
        file: where the plan is, relative to the state directory unless it is elsewhere.
        settings: the digest of the mitigation's settings that the plan was made under.
        deciders: the names of the risk's owners. They are shown and not enforced: names are only claimed.
        reminded: how many of REMINDED were told.
        decision: `approve` or `reject`; empty if nobody decided.
        who: as they gave their name; empty where the default stood in for a decision.
        record: the number of the decision in the store; None if nobody decided.
        outcome: how it ended, one sentence without a full stop; empty while something is still to come.
    """

    id: str
    mitigation: str
    what: str
    asks: str
    summary: str
    plan: str
    file: str
    settings: str
    destroys: bool
    deciders: tuple[str, ...]
    asked_at: datetime
    deadline: datetime
    default: Default
    reminded: int = 0
    state: State = State.PENDING
    decision: str = ""
    decided_at: datetime | None = None
    who: str = ""
    why: str = ""
    record: int | None = None
    ended_at: datetime | None = None
    outcome: str = ""

    @property
    def open(self) -> bool:
        """Whether something is still to come of it."""
        return self.state in OPEN

    def is_over(self, now: datetime) -> bool:
        """Say whether the time to decide is over."""
        return now >= self.deadline

    def reminder(self, now: datetime) -> int | None:
        """Say how many reminders were told after one that is due now; None if none is due.

        Of several that are due at once, as after a time out of service, only the last is told.
        """
        if self.state is not State.PENDING or self.is_over(now):
            return None
        passed = (now - self.asked_at) / (self.deadline - self.asked_at)
        due = sum(passed >= part for part in REMINDED)
        return due if due > self.reminded else None

    def rebased(self, now: datetime) -> "Approval | None":
        """Give it with its time counted from now, where it was asked by a clock that was ahead; else None.

        Otherwise it would wait for as long as that clock was wrong.
        """
        if self.state is not State.PENDING or now >= self.asked_at:
            return None
        return replace(self, asked_at=now, deadline=now + (self.deadline - self.asked_at), reminded=0)

    def is_stale(self, now: datetime) -> bool:
        """Say whether it was approved so long ago that it is no longer to be carried out."""
        return self.decided_at is not None and abs(now - self.decided_at) > CARRIED_OUT_WITHIN

    def stored_plan(self, state: Path) -> Plan:
        """Give the plan that was asked about, and no other.

        Args:
            state: the state directory.
        """
        return Plan(
            digest=self.plan,
            file=state / self.file,
            says=self.what,
            summary=self.summary,
            settings=self.settings,
            asks=self.asks,
            destroys=self.destroys,
            decide_within=self.deadline - self.asked_at,
        )


def asked(
    plan: Plan, *, name: str, mitigation: str, deciders: tuple[str, ...], state: Path, now: datetime
) -> Approval:
    """Make the approval that a plan asks for; its deadline is set, and never further than 30 days away.

    Args:
        name: its id.
        deciders: who may decide, the accountable owner first.
        state: the state directory.

    Raises:
        Refused: nobody's silence may stand for a yes to what destroys something.
    """
    if plan.proceeds and plan.destroys:
        raise Refused(
            "a plan that destroys something would be carried out if nobody decides",
            rule="default",
            remedy="let it be aborted then; only what destroys nothing may go on by itself",
        )
    inside = plan.file.is_relative_to(state)
    return Approval(
        id=name,
        mitigation=mitigation,
        what=plan.says,
        asks=plan.asks,
        summary=plan.summary,
        plan=plan.digest,
        file=(plan.file.relative_to(state) if inside else plan.file).as_posix(),
        settings=plan.settings,
        destroys=plan.destroys,
        deciders=deciders,
        asked_at=now,
        deadline=now + min(max(plan.decide_within, SHORTEST), LONGEST),
        default=Default.PROCEED if plan.proceeds else Default.ABORT,
    )


def decided(approval: Approval, decision: Decision, *, who: str, why: str, now: datetime) -> Approval:
    """Give an approval as it is once somebody has decided; rejected, it is over with that."""
    approves = decision is Decision.APPROVE
    after = replace(approval, decision=str(decision), decided_at=now, who=who, why=why)
    if approves:
        return replace(after, state=State.APPROVED)
    return ended(after, State.REJECTED, f"rejected by {who}: {why}; nothing was changed", now=now)


def expired(approval: Approval, *, now: datetime) -> Approval:
    """Give an approval as it is when its time is over and nobody decided."""
    by = moment(approval.deadline)
    if approval.default is Default.PROCEED:
        why = f"nobody decided by {by}, and it destroys nothing"
        return replace(
            approval, state=State.APPROVED, decision=str(Decision.APPROVE), decided_at=now, why=why
        )
    return ended(approval, State.ABORTED, f"nobody decided by {by}: aborted, nothing was changed", now=now)


def ended(approval: Approval, state: State, outcome: str, *, now: datetime) -> Approval:
    """Give an approval as it is at its end.

    Args:
        outcome: how it ended, one sentence without a full stop.
    """
    return replace(approval, state=state, outcome=outcome, ended_at=now)


def approved_by(approval: Approval) -> str:
    """Say by whom it was approved and why: by a person, or by its default."""
    return f"approved by {approval.who}: {approval.why}" if approval.who else f"approved: {approval.why}"


def what_then(approval: Approval) -> str:
    """Say what happens if nobody decides in time, one sentence without a full stop."""
    by = moment(approval.deadline)
    if approval.default is Default.PROCEED:
        return f"if nobody decides by {by}, it is carried out: it destroys nothing"
    return f"if nobody decides by {by}, it is aborted: nothing is changed"


def stands(approval: Approval) -> str:
    """Say how an approval stands, one sentence without a full stop."""
    match approval.state:
        case State.PENDING:
            return f"waits for a decision; {what_then(approval)}"
        case State.APPROVED:
            return f"{approved_by(approval)}; it is being carried out, or is with the next round"
        case _:
            return approval.outcome


def refuse(approval: Approval) -> Refused:
    """Say to whoever decides what is decided or over already: who decided what when, and what to do now."""
    again = f"to be asked anew, run it: riskloop run {approval.mitigation}"
    when = moment(approval.decided_at or approval.ended_at or approval.deadline)
    match approval.state:
        case State.APPROVED if approval.who:
            says, rule = f"{approval.who} approved it on {when} ({approval.why})", "decided"
            remedy = f"what comes of it is shown by: riskloop approvals show {approval.id}"
        case State.APPROVED:
            says, rule = f"it is too late: {approval.why}", "deadline"
            remedy = f"what comes of it is shown by: riskloop approvals show {approval.id}"
        case State.REJECTED:
            says, rule, remedy = f"{approval.who} rejected it on {when} ({approval.why})", "decided", again
        case State.ABORTED:
            says, rule, remedy = f"it is too late: {approval.outcome}", "deadline", again
        case State.VOID:
            says, rule, remedy = f"it is void: {approval.outcome}", "void", again
        case _:
            says, rule, remedy = f"it is over: {approval.outcome}", "decided", again
    return Refused(f"{approval.id} cannot be decided any more: {says}", rule=rule, remedy=remedy)


def moment(at: datetime) -> str:
    """Write a moment in UTC: `2 March 2026, 02:20 UTC`."""
    at = at.astimezone(UTC)
    return f"{at.day} {at:%B %Y, %H:%M} UTC"
