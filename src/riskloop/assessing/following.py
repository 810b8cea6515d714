"""What follows from a look, or from there being none, for incidents: each change with its deliveries."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256

from sqlalchemy import Connection

from riskloop.assessing.facts import Occasion, Told, facts_again, facts_of_look, under_mutes
from riskloop.incidents import BLIND_AFTER, Change, Concern, Incident, Streaks, Transition, next_transition
from riskloop.measurements import Look
from riskloop.mutes import Mute
from riskloop.notifications import Facts, Route, belongs, routes
from riskloop.risks import Mitigation, Owner
from riskloop.store import history, outbox
from riskloop.thresholds import Assessment, Verdict

_AND = "+"
"""Between the fingerprint of what was found and that of what came of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One look, stored a moment ago, and the incidents that stood open before it.

    Args:
        document: where the whole evidence is kept, empty if nowhere.
        observation: the number it is stored under.
        is_open: the mitigation's open incidents.
        mutes: the acceptance and the silence that cover it.
        addressed: by incident, everywhere it was sent to.
    """

    occasion: Occasion
    mitigation: Mitigation
    look: Look
    assessment: Assessment
    streaks: Streaks
    document: str
    observation: int
    is_open: Mapping[Concern, Incident]
    mutes: Sequence[Mute]
    addressed: Mapping[str, Collection[Route]]


def follow(connection: Connection, case: Case) -> tuple[tuple[Incident, Transition], ...]:
    """Open, change, hand over or resolve a mitigation's incidents; the mitigation's row must be locked."""
    mitigation, occasion = case.mitigation, case.occasion
    owners = mitigation.risk.owners
    heard = routes(owners, occasion.reach)
    changes = []
    for concern in (Concern.BREACH, Concern.BLIND):
        incident = case.is_open.get(concern)
        known = case.addressed[incident.id] if incident else ()
        moved = incident is not None and has_moved(known, heard)
        if incident and moved and _stands(concern, case.assessment):
            reason = f"it goes on elsewhere, where {owners[0].name} is told of it now"
            changes.append(close(connection, incident, reason, occasion, sorted(known)))
            incident = None
        transition = next_transition(
            concern,
            incident,
            case.assessment,
            # It goes on: with its next owner too it has been standing for long enough.
            _long_enough(case) if moved else case.streaks,
            after=mitigation.after,
            resolve_after=mitigation.resolve_after,
        )
        if transition is None and concern is Concern.BREACH and incident:
            transition = _fresh_evidence(incident, case)
        if transition is not None:
            # A resolution is told wherever the incident was; all else where its owner is heard today.
            places = sorted(known) if transition.change is Change.RESOLVED else heard
            changes.append(_change(connection, incident, transition, case, concern=concern, places=places))
        elif incident and not moved:
            _address(connection, incident, [route for route in heard if route not in known], case)
    return tuple(changes)


def close(
    connection: Connection, incident: Incident, reason: str, occasion: Occasion, places: Sequence[Route]
) -> tuple[Incident, Transition]:
    """Resolve an incident for a reason that is no look, and tell of it in these places, in their order."""
    return retell(
        connection,
        replace(incident, resolved_at=occasion.now),
        Transition(change=Change.RESOLVED, severity=Verdict.OK, reason=reason),
        occasion,
        places,
    )


def retell(
    connection: Connection,
    incident: Incident,
    transition: Transition,
    occasion: Occasion,
    places: Sequence[Route],
    *,
    mutes: Sequence[Mute] = (),
    owners: tuple[Owner, ...] = (),
) -> tuple[Incident, Transition]:
    """Tell of an incident that no look has changed, with the facts that were told last.

    Args:
        places: only its end is told in those of them where its owner is no longer heard.
        owners: as the register names them now; as they were told last if empty.
    """
    told = Told(before=incident, incident=incident, transition=transition)
    last = history.last_facts(connection, incident.id)
    facts = under_mutes(facts_again(told, replace(last, owners=owners or last.owners), occasion), mutes)
    if transition.change is Change.UPDATED:
        facts = replace(facts, reason=incident.reason)  # What it tells of is still what it was.
    if transition.change is not Change.RESOLVED:
        places = [route for route in places if belongs(facts, route)]
    record(connection, told, facts, places)
    return incident, transition


def changed(
    incident: Incident | None,
    transition: Transition,
    *,
    subject: str,
    concern: Concern,
    now: datetime,
    fingerprint: str = "",
) -> Told:
    """Say what an incident is after a transition.

    Args:
        incident: as it was; None if it is yet to be opened.
        fingerprint: of the evidence that goes with the transition; empty if it has none.
    """
    if incident is None:
        after = Incident(
            id=history.new_id(),
            subject=subject,
            concern=concern,
            severity=transition.severity,
            opened_at=now,
            reason=transition.reason,
            breaches=transition.breaches,
            fingerprint=fingerprint,
        )
    elif transition.change is Change.RESOLVED:
        after = replace(incident, resolved_at=now)
    else:
        after = replace(
            incident,
            severity=transition.severity,
            reason=transition.reason,
            breaches=transition.breaches,
            fingerprint=fingerprint,
        )
    return Told(before=incident, incident=after, transition=transition)


def record(
    connection: Connection,
    told: Told,
    facts: Facts,
    places: Sequence[Route],
    *,
    observation: int | None = None,
) -> None:
    """Write a change of an incident, with a delivery for each of these places, in their order."""
    incident = told.incident
    if not facts.quiet and facts.change is not Change.UPDATED:
        incident = replace(incident, spoken_at=facts.at)
    if told.before is None:
        history.add_incident(connection, incident, owner=facts.owners[0].name)
    else:
        history.change_incident(connection, incident)
    number = history.add_transition(
        connection, incident.id, told.transition, facts, at=facts.at, observation=observation
    )
    outbox.add_deliveries(connection, transition=number, facts=facts, places=places, now=facts.at)


def _change(
    connection: Connection,
    incident: Incident | None,
    transition: Transition,
    case: Case,
    *,
    concern: Concern,
    places: Sequence[Route],
) -> tuple[Incident, Transition]:
    occasion = case.occasion
    if transition.change is Change.RESOLVED and occasion.because:
        transition = replace(transition, reason=f"{transition.reason}: {occasion.because}")
    told = changed(
        incident,
        transition,
        subject=case.mitigation.id,
        concern=concern,
        now=occasion.now,
        fingerprint=_fingerprint(case.look),
    )
    facts = facts_of_look(
        told,
        occasion,
        mitigation=case.mitigation,
        look=case.look,
        assessment=case.assessment,
        document=case.document,
    )
    facts = under_mutes(facts, case.mutes)
    record(connection, told, facts, places, observation=case.observation)
    return told.incident, transition


def _fresh_evidence(incident: Incident, case: Case) -> Transition | None:
    """Tell of the same numbers with another finding behind them, or if something else came of it.

    Decisions are held against what is told.
    """
    found = _fingerprint(case.look)
    if not case.assessment.verdict.rank or found == incident.fingerprint:
        return None
    receipt, same = case.look.receipt, found.partition(_AND)[0] == incident.fingerprint.partition(_AND)[0]
    done = receipt.sentence if receipt else "nothing was done about it this time"
    return Transition(
        change=Change.UPDATED,
        severity=incident.severity,
        reason=done if same and done else "the same numbers, and something else behind them",
        breaches=incident.breaches,
    )


def _fingerprint(look: Look) -> str:
    """Give the fingerprint of what was found, and behind it, if it was acted on, that of what came of it."""
    found = look.observation.evidence.fingerprint if look.observation else ""
    if look.receipt is None or not (look.receipt.sentence or look.receipt.url):
        return found
    came_of_it = f"{look.receipt.failed} {look.receipt.url} {look.receipt.says}"
    return f"{found}{_AND}{sha256(came_of_it.encode()).hexdigest()[:12]}"


def _address(connection: Connection, incident: Incident, missing: Sequence[Route], case: Case) -> None:
    """Tell of an open incident where a channel was added since it opened, and nowhere else."""
    if missing:
        transition = Transition(
            change=Change.UPDATED,
            severity=incident.severity,
            reason=f"told on {', '.join(route.channel for route in missing)} as well from now on",
            breaches=incident.breaches,
        )
        owners = case.mitigation.risk.owners
        retell(connection, incident, transition, case.occasion, missing, mutes=case.mutes, owners=owners)


def _stands(concern: Concern, assessment: Assessment) -> bool:
    """Say whether the look itself shows that an incident goes on; only then can it be handed over."""
    if concern is Concern.BLIND:
        return assessment.verdict is Verdict.UNKNOWN
    return assessment.verdict.rank > 0


def _long_enough(case: Case) -> Streaks:
    streaks, after = case.streaks, case.mitigation.after
    return replace(streaks, breached=max(streaks.breached, after), unknown=max(streaks.unknown, BLIND_AFTER))


def has_moved(known: Collection[Route], heard: Collection[Route]) -> bool:
    """Say whether the owner is heard elsewhere now: another repository, or another Slack channel."""
    now = dict(route.place for route in heard)
    return any(service in now and now[service] != place for service, place in (one.place for one in known))
