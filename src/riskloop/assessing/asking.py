"""Asks a person to decide about a plan, and tells what came of it: each change with its deliveries."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from pydantic import TypeAdapter
from sqlalchemy import Connection

from riskloop.approvals import (
    Approval,
    Decision,
    State,
    approved_by,
    decided,
    ended,
    expired,
    moment,
    refuse,
    what_then,
)
from riskloop.assessing.facts import Occasion, facts_of_approval, under_mutes
from riskloop.assessing.following import changed, close, has_moved, record
from riskloop.incidents import Change, Concern, Incident, Transition
from riskloop.notifications import Route, routes
from riskloop.plans import digest_of
from riskloop.risks import Mitigation
from riskloop.store import Store, approvals, history, mutes, observations, outbox
from riskloop.store.text import storable
from riskloop.thresholds import Verdict

_details = TypeAdapter(dict[str, str])
_CAME_TO_NOTHING = frozenset({State.ABORTED, State.FAILED})


def ask(store: Store, approval: Approval, mitigation: Mitigation, occasion: Occasion) -> Approval:
    """Ask for an approval, and tell of it; where one is owed already, that one is given, and nothing is told.

    What tells of an earlier one that came to nothing speaks up again.
    """
    approval = replace(
        approval,
        what=storable(approval.what),
        asks=storable(approval.asks),
        summary=storable(approval.summary),
    )
    with store.writing() as connection:
        observations.lock_every_mitigation(connection)
        owed = approvals.of_mitigation(connection, mitigation.id)
        if owed is not None:
            return owed
        approvals.add(connection, approval)
        _Desk(connection, mitigation, occasion).ask(approval)
    return approval


def decide(
    store: Store,
    approval: Approval,
    mitigation: Mitigation | None,
    decision: Decision,
    *,
    who: str,
    why: str,
    occasion: Occasion,
) -> Approval:
    """Record what a person decided, and tell of it; what is approved is yet to be carried out.

    Args:
        mitigation: as the register has it; None if it has left it, or is switched off.

    Raises:
        Refused: it was decided already, by whom and when; or it is too late, or void.
    """
    with store.writing() as connection:
        observations.lock_every_mitigation(connection)
        before = approvals.find(connection, approval.id) or approval
        after = before
        if before.state is State.PENDING:
            desk = _Desk(connection, mitigation, occasion)
            words = {"who": storable(who), "why": storable(why)}
            after = desk.end_if_too_late(before) or desk.decide(before, decision, **words)
    if before.state is not State.PENDING or not after.decision or not after.who:
        raise refuse(after)
    return after


def end(
    store: Store,
    approval: Approval,
    mitigation: Mitigation | None,
    occasion: Occasion,
    *,
    state: State,
    outcome: str,
    notes: Sequence[str] = (),
) -> Approval:
    """End an approval, and tell of it; if it has ended otherwise by now, it is given as it is.

    Args:
        outcome: how it ended, one sentence without a full stop.
        notes: what else is to be known of what was done, a sentence each.
    """
    with store.writing() as connection:
        observations.lock_every_mitigation(connection)
        before = approvals.find(connection, approval.id)
        if before is None or not before.open:
            return before or approval
        after = ended(before, state, storable(outcome), now=occasion.now)
        noted = [storable(note) for note in notes]
        _Desk(connection, mitigation, occasion).end(before, after, notes=noted)
        return after


def end_if_too_late(store: Store, approval: Approval, mitigation: Mitigation, occasion: Occasion) -> Approval:
    """Apply what has happened to an approval by the clock and the register; give it as it is then."""
    if not (void_reason(approval, mitigation) or approval.is_over(occasion.now)):
        return approval
    with store.writing() as connection:
        observations.lock_every_mitigation(connection)
        now = approvals.find(connection, approval.id) or approval
        late = _Desk(connection, mitigation, occasion).end_if_too_late(now) if now.open else None
    return late or now


def settle(store: Store, mitigation: Mitigation, occasion: Occasion) -> bool:
    """Resolve what still tells of an approval that came to nothing, as no approval is needed any more."""
    with store.reading() as connection:
        if _incident(connection, mitigation.id) is None:
            return False
    with store.writing() as connection:
        observations.lock_every_mitigation(connection)
        incident = _incident(connection, mitigation.id)
        if incident is None or approvals.of_mitigation(connection, mitigation.id) is not None:
            return False
        places = sorted(outbox.addressed(connection, [incident.id])[incident.id])
        close(connection, incident, "the last look needs no approval any more", occasion, places)
        return True


def follow(
    store: Store, mitigations: Mapping[str, Mitigation], occasion: Occasion
) -> tuple[tuple[str, str], ...]:
    """Do what is due by the clock or by an edit of the register for every decision that is owed.

    Args:
        mitigations: those in the register that are enabled, by id.

    Returns:
        Of which mitigation, and what was done.
    """
    with store.reading() as connection:
        if not approvals.list_open(connection):
            return ()
    said = []
    with store.writing() as connection:
        observations.lock_every_mitigation(connection)
        for approval in approvals.list_open(connection):
            desk = _Desk(connection, mitigations.get(approval.mitigation), occasion)
            if words := desk.follow(approval):
                said.append((approval.mitigation, words))
    return tuple(said)


def void_pending(connection: Connection, gone: Collection[str], occasion: Occasion) -> frozenset[str]:
    """End what is pending for mitigations that are gone; give those of them for which one is approved."""
    approved = set()
    for approval in approvals.list_open(connection, gone):
        if approval.state is State.PENDING:
            _Desk(connection, None, occasion).end_if_too_late(approval)
        else:
            approved.add(approval.mitigation)
    return frozenset(approved)


def void_reason(approval: Approval, mitigation: Mitigation | None) -> str:
    """Say why an approval holds no longer, one sentence without a full stop; empty if it holds."""
    left = "nothing was changed"
    if approval.state is State.APPROVED:
        left = "what was not carried out by then is left"
    if mitigation is None:
        return f"{approval.mitigation} is no longer in the register, or is switched off there: {left}"
    if digest_of(mitigation.settings) != approval.settings:
        return f"the settings of {approval.mitigation} have changed since it was asked: {left}"
    return ""


@dataclass(frozen=True, slots=True)
class _Desk:
    """Where the approval of one mitigation is changed, and each change told of, in one transaction.

    Args:
        mitigation: as the register has it now; None if it has left it, or is switched off.
    """

    connection: Connection
    mitigation: Mitigation | None
    occasion: Occasion

    def ask(self, approval: Approval) -> None:
        reason = f"a decision is owed by {moment(approval.deadline)}: {approval.asks}"
        again = _incident(self.connection, approval.mitigation) is not None
        if again:
            self._speak(approval, Change.REMINDED, f"asked again: {reason}")
        else:
            self._speak(approval, Change.OPENED, reason)

    def decide(self, before: Approval, decision: Decision, *, who: str, why: str) -> Approval:
        now = self.occasion.now
        number = history.add_decision(
            self.connection, decision, mitigation=before.mitigation, who=who, why=why, at=now
        )
        after = replace(decided(before, decision, who=who, why=why, now=now), record=number)
        if after.open:
            approvals.change(self.connection, before, after)
            self._speak(after, Change.UPDATED, approved_by(after))
        else:
            self.end(before, after)
        return after

    def end(self, before: Approval, after: Approval, *, notes: Sequence[str] = ()) -> None:
        """Write how an approval ended; one that came to nothing stays told of until it is asked anew."""
        approvals.change(self.connection, before, after)
        if after.record is not None and after.state in {State.DONE, State.REJECTED}:
            details = {"approval": after.id, "plan": after.plan, "outcome": after.outcome}
            text = _details.dump_json(details).decode()
            history.complete_decision(self.connection, after.record, details=text, at=self.occasion.now)
        change = Change.WORSENED if after.state in _CAME_TO_NOTHING else Change.RESOLVED
        self._speak(after, change, after.outcome, notes=notes)

    def end_if_too_late(self, before: Approval) -> Approval | None:
        """Apply what the clock or the register did to an approval; give it then, None if they did nothing."""
        now = self.occasion.now
        if reason := void_reason(before, self.mitigation):
            after = ended(before, State.VOID, reason, now=now)
        elif before.state is State.PENDING and before.is_over(now):
            after = expired(before, now=now)
        else:
            return None
        if after.open:
            approvals.change(self.connection, before, after)
            self._speak(after, Change.UPDATED, approved_by(after))
        else:
            self.end(before, after)
        return after

    def follow(self, approval: Approval) -> str:
        """Do what is due; say what was done, empty if nothing was."""
        if approval.state is State.PENDING:
            if late := self.end_if_too_late(approval):
                return late.outcome or approved_by(late)
            if rebased := approval.rebased(self.occasion.now):
                return self._remind(approval, rebased, Change.UPDATED, "the clock was set back")
            if (count := approval.reminder(self.occasion.now)) is not None:
                reminded = replace(approval, reminded=count)
                return self._remind(approval, reminded, Change.REMINDED, "no decision yet")
        return self._address(approval)

    def _remind(self, before: Approval, after: Approval, change: Change, words: str) -> str:
        approvals.change(self.connection, before, after)
        words = f"{words}; {what_then(after)}"
        self._speak(after, change, words)
        return words

    def _address(self, approval: Approval) -> str:
        """Tell of it where its owner is heard since it was asked, and not where it is told of already."""
        incident = _incident(self.connection, approval.mitigation)
        if self.mitigation is None or incident is None:
            return ""
        missing = {*self._heard((), self.mitigation)} - self._known(incident)
        if not missing:
            return ""
        self._speak(approval, Change.UPDATED, incident.reason)
        return f"told on {', '.join(sorted(route.channel for route in missing))} as well from now on"

    def _speak(self, approval: Approval, change: Change, reason: str, *, notes: Sequence[str] = ()) -> None:
        """Tell of an approval where its owner is heard now, and of its end wherever it was told of."""
        connection, occasion, subject = self.connection, self.occasion, approval.mitigation
        incident = _incident(connection, subject)
        if incident is None and change is Change.RESOLVED:
            return
        known = sorted(self._known(incident))
        heard = self._heard(known, self.mitigation)
        last = history.last_facts(connection, incident.id) if incident else None
        if self.mitigation and incident and change is not Change.RESOLVED and has_moved(known, heard):
            name = self.mitigation.risk.owners[0].name
            elsewhere = f"it goes on elsewhere, where {name} is told of it now"
            close(connection, incident, elsewhere, occasion, known)
            incident = None
        if incident is None:
            change = Change.OPENED
        told = changed(
            incident,
            Transition(change=change, severity=_severity(approval, change), reason=reason),
            subject=subject,
            concern=Concern.APPROVAL,
            now=occasion.now,
            fingerprint=approval.plan,
        )
        facts = facts_of_approval(
            told, occasion, approval, mitigation=self.mitigation, last=last, notes=notes
        )
        muted = mutes.holding(connection, [subject], now=occasion.now).get(subject, ())
        places = known if change is Change.RESOLVED else heard
        record(connection, told, under_mutes(facts, muted), places)

    def _known(self, incident: Incident | None) -> frozenset[Route]:
        return frozenset(outbox.addressed(self.connection, [incident.id])[incident.id] if incident else ())

    def _heard(self, known: Sequence[Route], mitigation: Mitigation | None) -> Sequence[Route]:
        return routes(mitigation.risk.owners, self.occasion.reach) if mitigation else known


def _severity(approval: Approval, change: Change) -> Verdict:
    if change is Change.RESOLVED:
        return Verdict.OK
    return Verdict.CRITICAL if approval.state in _CAME_TO_NOTHING else Verdict.WARNING


def _incident(connection: Connection, mitigation: str) -> Incident | None:
    return history.open_incidents(connection, mitigation).get(Concern.APPROVAL)
