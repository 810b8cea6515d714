"""Turns looks into history: one transaction holds the look, its incident and deliveries, or none of them."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import orjson
from sqlalchemy import Connection

from riskloop.incidents import BLIND_AFTER, Change, Concern, Incident, Streaks, Transition, next_transition
from riskloop.measurements import Look
from riskloop.notifications import Action, Facts, Links, Reach, routes
from riskloop.risks import Mitigation, Owner
from riskloop.store import Store, evidence, history, outbox
from riskloop.store.history import Observed
from riskloop.thresholds import Assessment, Verdict, assess_look

SERVICE = "service"
"""The subject of riskloop's own incidents."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessed:
    """What became of one look.

    Args:
        transitions: what happened to the mitigation's incidents, in order; empty if nobody need hear.
    """

    mitigation: Mitigation
    look: Look
    assessment: Assessment
    transitions: tuple[tuple[Incident, Transition], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Occasion:
    """What the looks of one run have in common.

    Args:
        run: the run's identity: each look of it is stored once, however often it is repeated.
        phase: `look`, or `after` for the look after mitigating.
        because: what a person decided that led to this run, to be told with a resolution.
        evidence: the directory for evidence files.
    """

    project: str
    run: str
    register_digest: str
    reach: Reach
    links: Links
    evidence: Path
    now: datetime
    phase: str = "look"
    because: str = ""


def assess(store: Store, mitigation: Mitigation, look: Look, occasion: Occasion) -> Assessed:
    """Store one look and everything that follows from it, in one transaction.

    Raises:
        StoreError: nothing was stored.
    """
    assessment = assess_look(look, mitigation.kind.metrics, mitigation.thresholds)
    document = look.observation.evidence.document if look.observation else ""
    digest, file = evidence.keep_document(document, occasion.evidence) if document else (None, None)
    with store.writing() as connection:
        streaks = history.lock_mitigation(
            connection,
            mitigation.id,
            kind=mitigation.kind.name,
            risk=mitigation.risk.id,
            now=look.at,
        )
        if history.is_observed(connection, mitigation.id, run=occasion.run, phase=occasion.phase):
            return Assessed(mitigation=mitigation, look=look, assessment=assessment)
        if digest is not None:
            evidence.add_evidence(connection, digest, size=len(document.encode()), at=occasion.now)
        streaks = streaks.after(assessment.verdict)
        observation = history.add_observation(
            connection, _observed(look, assessment, occasion, digest), assessment.readings, streaks
        )
        case = _Case(
            mitigation=mitigation,
            look=look,
            assessment=assessment,
            occasion=occasion,
            document=str(file or ""),
            observation=observation,
        )
        changes = _follow(connection, case, streaks)
    return Assessed(mitigation=mitigation, look=look, assessment=assessment, transitions=changes)


def assess_service(
    store: Store, *, owner: Owner, problem: str, remedy: str, occasion: Occasion
) -> tuple[tuple[Incident, Transition], ...]:
    """Open, update or resolve the service's own incident: something is wrong with riskloop itself, or not.

    Args:
        problem: what is wrong, in words; empty if all is well.
        remedy: what to do about it.
    """
    with store.writing() as connection:
        incident = history.open_incidents(connection, SERVICE).get(Concern.BLIND)
        assessment = Assessment(verdict=Verdict.UNKNOWN if problem else Verdict.OK, reason=problem)
        # Unlike a look, which may fail once, a service that is unwell says so at once.
        transition = next_transition(
            Concern.BLIND, incident, assessment, Streaks(unknown=BLIND_AFTER if problem else 0)
        )
        if transition is None:
            return ()
        changed = _changed(incident, transition, SERVICE, Concern.BLIND, occasion.now)
        facts = _facts(changed, transition, incident, (owner,), occasion, summary=problem, remedy=(remedy,))
        _record(connection, changed, transition, facts, occasion, is_new=incident is None)
        return ((changed, transition),)


def retire(
    store: Store, kept: Collection[str], occasion: Occasion
) -> tuple[tuple[Incident, Transition], ...]:
    """Resolve the open incidents of mitigations that left the register, or were switched off there.

    Args:
        kept: the ids of the mitigations that are in the register and enabled.
    """
    closed: list[tuple[Incident, Transition]] = []
    with store.writing() as connection:
        for subject in history.open_subjects(connection):
            if subject in kept or subject == SERVICE:
                continue
            reason = f"{subject} is no longer in the register, or is switched off there"
            found = history.open_incidents(connection, subject).values()
            closed.extend(_close(connection, incident, reason, occasion) for incident in found)
    return tuple(closed)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    """One look on its way into history."""

    mitigation: Mitigation
    look: Look
    assessment: Assessment
    occasion: Occasion
    document: str
    observation: int


def _observed(look: Look, assessment: Assessment, occasion: Occasion, digest: str | None) -> Observed:
    seen = look.observation.evidence if look.observation else None
    return Observed(
        mitigation=look.mitigation,
        run=occasion.run,
        phase=occasion.phase,
        at=look.at,
        verdict=assessment.verdict,
        reason=assessment.reason,
        register_digest=occasion.register_digest,
        summary=seen.summary if seen else "",
        fingerprint=seen.fingerprint if seen else "",
        evidence=digest,
    )


def _follow(connection: Connection, case: _Case, streaks: Streaks) -> tuple[tuple[Incident, Transition], ...]:
    mitigation, occasion = case.mitigation, case.occasion
    is_open = history.open_incidents(connection, mitigation.id)
    changes = []
    for concern in (Concern.BREACH, Concern.BLIND):
        incident = is_open.get(concern)
        if incident is not None and _has_moved(connection, incident, case):
            owner = mitigation.risk.owners[0].name
            changes.append(
                _close(connection, incident, f"it is with {owner} now, and goes on there", occasion)
            )
            incident = None
        transition = next_transition(
            concern,
            incident,
            case.assessment,
            streaks,
            after=mitigation.after,
            resolve_after=mitigation.resolve_after,
        )
        if transition is not None:
            changes.append(_change(connection, incident, transition, concern, case))
        elif incident is not None:
            _address_new_routes(connection, incident, case)
    return tuple(changes)


def _change(
    connection: Connection,
    incident: Incident | None,
    transition: Transition,
    concern: Concern,
    case: _Case,
) -> tuple[Incident, Transition]:
    occasion, mitigation, risk = case.occasion, case.mitigation, case.mitigation.risk
    if transition.change is Change.RESOLVED and occasion.because:
        transition = replace(transition, reason=f"{transition.reason}: {occasion.because}")
    changed = _changed(incident, transition, mitigation.id, concern, occasion.now)
    seen = case.look.observation.evidence if case.look.observation else None
    is_breach = concern is Concern.BREACH
    facts = _facts(
        changed,
        transition,
        incident,
        risk.owners,
        occasion,
        risk_id=risk.id,
        risk_title=risk.title,
        risk_score=risk.score,
        contingency=risk.contingency,
        runbook=risk.runbook,
        kind=mitigation.kind.name,
        kind_says=mitigation.kind.says,
        readings=case.assessment.readings,
        summary=seen.summary if seen else case.assessment.reason,
        sections=seen.sections if seen else (),
        document=case.document,
        remedy=mitigation.kind.remedy if is_breach else (),
        actions=_actions(mitigation, occasion.links) if is_breach else (),
    )
    _record(
        connection,
        changed,
        transition,
        facts,
        occasion,
        is_new=incident is None,
        observation=case.observation,
    )
    return changed, transition


def _close(
    connection: Connection, incident: Incident, reason: str, occasion: Occasion
) -> tuple[Incident, Transition]:
    """Resolve an incident for a reason that is no look, telling its last facts once more."""
    transition = Transition(change=Change.RESOLVED, severity=Verdict.OK, reason=reason)
    changed = _changed(incident, transition, incident.subject, incident.concern, occasion.now)
    _, last = history.last_transition(connection, incident.id)
    facts = replace(
        last,
        change=Change.RESOLVED,
        severity=Verdict.OK,
        previous=incident.severity,
        reason=reason,
        at=occasion.now,
        run_url=occasion.links.run,
    )
    _record(connection, changed, transition, facts, occasion, is_new=False)
    return changed, transition


def _changed(
    incident: Incident | None, transition: Transition, subject: str, concern: Concern, now: datetime
) -> Incident:
    if incident is None:
        return Incident(
            id=history.new_id(),
            subject=subject,
            concern=concern,
            severity=transition.severity,
            opened_at=now,
            reason=transition.reason,
            breaches=transition.breaches,
        )
    if transition.change is Change.RESOLVED:
        return replace(incident, resolved_at=now)
    return replace(
        incident, severity=transition.severity, reason=transition.reason, breaches=transition.breaches
    )


def _facts(
    incident: Incident,
    transition: Transition,
    before: Incident | None,
    owners: tuple[Owner, ...],
    occasion: Occasion,
    **more: Any,
) -> Facts:
    return Facts(
        project=occasion.project,
        incident=incident.id,
        subject=incident.subject,
        concern=incident.concern,
        change=transition.change,
        severity=transition.severity,
        previous=before.severity if before else Verdict.OK,
        reason=transition.reason,
        at=occasion.now,
        opened_at=incident.opened_at,
        owners=owners,
        run_url=occasion.links.run,
        **more,
    )


def _record(
    connection: Connection,
    incident: Incident,
    transition: Transition,
    facts: Facts,
    occasion: Occasion,
    *,
    is_new: bool,
    observation: int | None = None,
) -> None:
    if is_new:
        history.add_incident(connection, incident, owner=facts.owners[0].name)
    else:
        history.change_incident(connection, incident)
    number = history.add_transition(
        connection, incident.id, transition, facts, at=occasion.now, observation=observation
    )
    # A resolution is told wherever the incident was; every other change where its owner is heard today.
    places = (
        sorted(outbox.addressed(connection, incident.id))
        if transition.change is Change.RESOLVED
        else routes(facts.owners, occasion.reach)
    )
    for route in places:
        outbox.add_delivery(
            connection, transition=number, incident=incident.id, route=route, now=occasion.now
        )


def _address_new_routes(connection: Connection, incident: Incident, case: _Case) -> None:
    """Tell of an open incident where a channel was added since it opened."""
    known = outbox.addressed(connection, incident.id)
    missing = [
        route for route in routes(case.mitigation.risk.owners, case.occasion.reach) if route not in known
    ]
    if not missing:
        return
    number, _ = history.last_transition(connection, incident.id)
    for route in missing:
        outbox.add_delivery(
            connection, transition=number, incident=incident.id, route=route, now=case.occasion.now
        )


def _has_moved(connection: Connection, incident: Incident, case: _Case) -> bool:
    """Say whether the owner is heard elsewhere now: another repository, or another Slack channel."""
    now = dict(route.place for route in routes(case.mitigation.risk.owners, case.occasion.reach))
    before = (route.place for route in outbox.addressed(connection, incident.id))
    return any(service in now and now[service] != place for service, place in before)


def _actions(mitigation: Mitigation, links: Links) -> tuple[Action, ...]:
    parameters = quote(orjson.dumps({"mitigation": mitigation.id}).decode())
    return tuple(
        Action(
            says=form.says,
            url=f"{links.forms[form.flow]}?parameters={parameters}" if form.flow in links.forms else "",
            command=form.command.format(mitigation=mitigation.id),
        )
        for form in mitigation.kind.forms
    )
