"""Turns looks into history: a look, its incident and deliveries are stored together, or none of them."""

import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from riskloop.assessing import asking
from riskloop.assessing.facts import Occasion, facts_of_service
from riskloop.assessing.flooding import MANY, settle_floods, tell_of_floods
from riskloop.assessing.following import Case, changed, close, follow, record
from riskloop.assessing.muting import begin_mute, end_mute, follow_mutes
from riskloop.assessing.reminding import remind
from riskloop.assessing.soundness import made_sound
from riskloop.errors import StoreError
from riskloop.incidents import BLIND_AFTER, Change, Concern, Incident, Streaks, Transition, next_transition
from riskloop.measurements import Look
from riskloop.notifications import routes
from riskloop.redaction import redacted
from riskloop.risks import Mitigation, Owner
from riskloop.store import RowsRefused, Store, evidence, history, mutes, observations, outbox
from riskloop.store.evidence import Kept
from riskloop.store.observations import Observed
from riskloop.store.text import storable
from riskloop.thresholds import Assessment, Verdict, assess_look

__all__ = [
    "CHUNK",
    "SERVICE",
    "Assessed",
    "Occasion",
    "assess",
    "assess_service",
    "begin_mute",
    "end_mute",
    "follow_mutes",
    "judge",
    "remind",
    "retire",
    "settle_floods",
]

SERVICE = "service"
"""The subject of riskloop's own incidents."""

CHUNK = 500
"""Looks in one transaction: with 50 metrics each it is over in 0.2 s, so nobody waits long for their turn."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessed:
    """What became of one look.

    Args:
        look: as it was stored: its text cleaned, and without an observation if that could not be stored.
        kept: its whole evidence, where that is more than a message holds.
        transitions: what happened to the mitigation's incidents, in order; empty if nobody need hear.
    """

    mitigation: Mitigation
    look: Look
    assessment: Assessment
    kept: Kept | None = None
    transitions: tuple[tuple[Incident, Transition], ...] = ()


def judge(mitigation: Mitigation, look: Look) -> Assessed:
    """Judge one look and store nothing; one whose numbers cannot be believed counts as one that failed."""
    sound = made_sound(look, mitigation.kind.metrics)
    assessment = assess_look(sound, mitigation.kind.metrics, mitigation.thresholds)
    return Assessed(mitigation=mitigation, look=sound, assessment=assessment)


def assess(
    store: Store, looks: Sequence[tuple[Mitigation, Look]], occasion: Occasion
) -> tuple[Assessed, ...]:
    """Judge looks and store each with everything that follows from it, in the order they were given.

    Looks are stored a chunk at a time. One that the store refuses for a reason of its own is stored as one
    that failed, with the reason; the others of its chunk are stored as they are. Repeating this for the same
    run stores nothing twice.

    Args:
        looks: at most one for each mitigation.

    Raises:
        StoreError: the store cannot be written; the looks of earlier chunks stay stored.
    """
    occasion = replace(occasion, because=storable(occasion.because))
    done: dict[str, Assessed] = {}
    ordered = sorted(looks, key=lambda pair: pair[0].id)
    for start in range(0, len(ordered), CHUNK):
        chunk = [judge(mitigation, look) for mitigation, look in ordered[start : start + CHUNK]]
        chunk = [_keep_document(one, occasion) for one in chunk]
        done |= {one.mitigation.id: one for one in _store(store, chunk, occasion)}
    if len(looks) > MANY:
        tell_of_floods(store, occasion)
    return tuple(done[mitigation.id] for mitigation, _ in looks)


def assess_service(
    store: Store, *, owner: Owner, problem: str, remedy: str, occasion: Occasion
) -> tuple[tuple[Incident, Transition], ...]:
    """Open, update or resolve the service's own incident: something is wrong with riskloop itself, or not.

    Args:
        problem: what is wrong, in words; empty if all is well.
        remedy: what to do about it.
    """
    problem = storable(redacted(problem))
    with store.writing() as connection:
        observations.lock_every_mitigation(connection)
        incident = history.open_incidents(connection, SERVICE).get(Concern.BLIND)
        assessment = Assessment(verdict=Verdict.UNKNOWN if problem else Verdict.OK, reason=problem)
        # Unlike a look, which may fail once, a service that is unwell says so at once.
        transition = next_transition(
            Concern.BLIND, incident, assessment, Streaks(unknown=BLIND_AFTER if problem else 0)
        )
        if transition is None:
            return ()
        told = changed(incident, transition, subject=SERVICE, concern=Concern.BLIND, now=occasion.now)
        facts = facts_of_service(told, owner, occasion, problem=problem, remedy=remedy)
        if incident and transition.change is Change.RESOLVED:
            places = sorted(outbox.addressed(connection, [incident.id])[incident.id])
        else:
            places = list(routes((owner,), occasion.reach))
        record(connection, told, facts, places)
        return ((told.incident, transition),)


def retire(
    store: Store, kept: Collection[str], occasion: Occasion
) -> tuple[tuple[Incident, Transition], ...]:
    """Resolve the open incidents of mitigations that left the register, or were switched off there.

    Args:
        kept: the ids of the mitigations that are in the register and enabled.
    """
    closed: list[tuple[Incident, Transition]] = []
    with store.writing() as connection:
        observations.lock_every_mitigation(connection)
        ours = {SERVICE, *(one.subject for one in history.open_of_concern(connection, Concern.FLOOD))}
        gone = [one for one in history.open_subjects(connection) if one not in kept and one not in ours]
        # What was approved is ended by whoever carries it out, who may be at it now.
        at_it = asking.void_pending(connection, gone, occasion)
        for subject, found in history.open_incidents_of(connection, gone).items():
            addressed = outbox.addressed(connection, [incident.id for incident in found.values()])
            for incident in found.values():
                if incident.concern is Concern.APPROVAL and subject in at_it:
                    continue
                reason = f"{subject} is no longer in the register, or is switched off there"
                closed.append(close(connection, incident, reason, occasion, sorted(addressed[incident.id])))
    return tuple(closed)


def _store(store: Store, judged: Sequence[Assessed], occasion: Occasion) -> list[Assessed]:
    """Store looks in one transaction; if the database refuses one of them, each in its own."""
    try:
        with store.writing() as connection:
            return _write(connection, judged, occasion)
    except RowsRefused as refused:
        if len(judged) > 1:
            return [done for one in judged for done in _store(store, [one], occasion)]
        (one,) = judged
        _log.warning("%s: could not be stored: %s", one.mitigation.id, refused)
        failed = judge(
            one.mitigation,
            replace(one.look, observation=None, reason=f"could not be stored: {refused}", failure=refused),
        )
        if one.look.observation is None:
            # Not even the failure can be stored: whoever asked raises it when everyone else was told.
            return [failed]
        return _store(store, [failed], occasion)


def _keep_document(one: Assessed, occasion: Occasion) -> Assessed:
    """Keep a look's whole evidence; where that fails a breach is told all the same, with a word about it."""
    seen = one.look.observation
    if seen is None or not seen.evidence.document:
        return one
    try:
        return replace(one, kept=evidence.keep_document(seen.evidence.document, occasion.evidence))
    except StoreError as error:
        _log.warning("%s: %s", one.mitigation.id, error)
        summary = f"{seen.evidence.summary} (The whole evidence is missing: {error.what}.)".lstrip()
        told = replace(seen, evidence=replace(seen.evidence, summary=summary))
        return replace(one, look=replace(one.look, observation=told))


def _write(connection: Connection, judged: Sequence[Assessed], occasion: Occasion) -> list[Assessed]:
    mitigations = [one.mitigation for one in judged]
    before = observations.lock_mitigations(connection, mitigations, now=occasion.now)
    known = observations.already_observed(connection, mitigations, run=occasion.run, phase=occasion.phase)
    new = [one for one in judged if one.mitigation.id not in known]
    streaks = {one.mitigation.id: before[one.mitigation.id].after(one.assessment.verdict) for one in new}
    evidence.add_evidence(connection, [one.kept for one in new if one.kept], at=occasion.now)
    seen = [_observed(one, occasion, streaks[one.mitigation.id]) for one in new]
    numbers = observations.add_observations(connection, seen)
    is_open = history.open_incidents_of(connection, list(streaks))
    incidents = [incident.id for found in is_open.values() for incident in found.values()]
    addressed = outbox.addressed(connection, incidents)
    muted = mutes.holding(connection, list(streaks), now=occasion.now)
    transitions = {}
    for one in new:
        subject = one.mitigation.id
        if one.assessment.verdict is Verdict.OK and not is_open[subject]:
            continue
        case = Case(
            occasion=occasion,
            mitigation=one.mitigation,
            look=one.look,
            assessment=one.assessment,
            streaks=streaks[subject],
            document=one.kept.file.relative_to(occasion.evidence.parent).as_posix() if one.kept else "",
            observation=numbers[subject],
            is_open=is_open[subject],
            mutes=muted.get(subject, ()),
            addressed=addressed,
        )
        transitions[subject] = follow(connection, case)
    return [replace(one, transitions=transitions.get(one.mitigation.id, ())) for one in judged]


def _observed(one: Assessed, occasion: Occasion, streaks: Streaks) -> Observed:
    seen = one.look.observation.evidence if one.look.observation else None
    return Observed(
        mitigation=one.mitigation,
        run=occasion.run,
        phase=occasion.phase,
        at=one.look.at,
        verdict=one.assessment.verdict,
        reason=one.assessment.reason,
        register_digest=occasion.register_digest,
        readings=one.assessment.readings,
        streaks=streaks,
        summary=seen.summary if seen else "",
        fingerprint=seen.fingerprint if seen else "",
        evidence=one.kept.sha256 if one.kept else None,
    )
