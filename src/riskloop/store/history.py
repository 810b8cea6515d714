"""What came of what was seen: how mitigations stand, their incidents and transitions, people's decisions."""

import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import ColumnElement, Connection, RowMapping, Select, func, insert, or_, select, update

from riskloop.incidents import Change, Concern, Incident, Streaks, Transition
from riskloop.notifications import Facts
from riskloop.redaction import without_secrets
from riskloop.risks import Decision
from riskloop.store.tables import (
    decisions,
    incidents,
    mitigations,
    observations,
    transitions,
)
from riskloop.store.text import storable
from riskloop.thresholds import Reading, Verdict

_readings = TypeAdapter(tuple[Reading, ...])
_facts = TypeAdapter(Facts)
_details = TypeAdapter(dict[str, Any])


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a mitigation stands after its last look."""

    mitigation: str
    verdict: Verdict
    reason: str
    streaks: Streaks
    last_look_at: datetime


def new_id() -> str:
    """Make an identity for an incident, a transition or a delivery: 12 characters, 48 random bits."""
    return secrets.token_hex(6)


def open_incidents(connection: Connection, subject: str) -> dict[Concern, Incident]:
    """Read the open incidents of one subject, by concern."""
    return open_incidents_of(connection, [subject])[subject]


def open_incidents_of(
    connection: Connection, subjects: Collection[str]
) -> dict[str, dict[Concern, Incident]]:
    """Read the open incidents of many subjects at once, by subject and concern."""
    found: dict[str, dict[Concern, Incident]] = {subject: {} for subject in subjects}
    query = select(incidents).where(incidents.c.subject.in_(found), incidents.c.resolved_at.is_(None))
    for row in connection.execute(query).mappings():
        found[row["subject"]][Concern(row["concern"])] = _incident(row)
    return found


def known_incidents(connection: Connection, among: Collection[str]) -> frozenset[str]:
    """Say which of these incidents the store has, open or resolved."""
    query = select(incidents.c.id).where(incidents.c.id.in_(among))
    return frozenset(connection.execute(query).scalars())


def open_of_concern(connection: Connection, concern: Concern) -> tuple[Incident, ...]:
    """Read every open incident of one concern, by subject."""
    query = select(incidents).where(incidents.c.concern == concern, incidents.c.resolved_at.is_(None))
    return tuple(_incident(row) for row in connection.execute(query.order_by(incidents.c.subject)).mappings())


def count_opened(connection: Connection, *, run: str, phase: str) -> dict[str, int]:
    """Count by owner the incidents that one run opened, still open, and not yet told of with others."""
    query = select(incidents.c.owner, func.count()).join_from(incidents, transitions)
    query = query.where(*_opened_in(run, phase)).group_by(incidents.c.owner)
    return {row[0]: row[1] for row in connection.execute(query)}


def opened(connection: Connection, owner: str, *, run: str, phase: str) -> tuple[Facts, ...]:
    """Read the facts of those of one owner which are told of aloud."""
    query = select(transitions.c.facts).join_from(incidents, transitions)
    query = query.where(*_opened_in(run, phase), incidents.c.owner == owner).order_by(transitions.c.number)
    found = (_facts.validate_json(text) for text in connection.execute(query).scalars())
    return tuple(facts for facts in found if not facts.quiet)


def put_into_flood(connection: Connection, among: Collection[str], flood: str) -> None:
    """Note which incident told of these together."""
    connection.execute(update(incidents).where(incidents.c.id.in_(among)).values(flood=flood))


def _opened_in(run: str, phase: str) -> tuple[ColumnElement[bool], ...]:
    looked = select(observations.c.number).where(observations.c.run == run, observations.c.phase == phase)
    return (
        transitions.c.change == Change.OPENED,
        transitions.c.observation.in_(looked),
        incidents.c.resolved_at.is_(None),
        incidents.c.flood == "",
    )


def open_subjects(connection: Connection) -> tuple[str, ...]:
    """List every subject with an open incident."""
    query = select(incidents.c.subject).where(incidents.c.resolved_at.is_(None)).distinct()
    return tuple(connection.execute(query.order_by(incidents.c.subject)).scalars())


def add_incident(connection: Connection, incident: Incident, *, owner: str) -> None:
    connection.execute(
        insert(incidents).values(
            id=incident.id,
            subject=incident.subject,
            concern=incident.concern,
            severity=incident.severity,
            reason=incident.reason,
            breaches=_readings.dump_json(incident.breaches).decode(),
            fingerprint=incident.fingerprint,
            owner=owner,
            opened_at=incident.opened_at,
            spoken_at=incident.spoken_at,
        ),
    )


def change_incident(connection: Connection, incident: Incident) -> None:
    """Write an incident's severity, reason, breaches, fingerprint, resolution, and when it was told of."""
    connection.execute(
        update(incidents)
        .where(incidents.c.id == incident.id)
        .values(
            severity=incident.severity,
            reason=incident.reason,
            breaches=_readings.dump_json(incident.breaches).decode(),
            fingerprint=incident.fingerprint,
            resolved_at=incident.resolved_at,
            spoken_at=incident.spoken_at,
        ),
    )


def add_transition(
    connection: Connection,
    incident: str,
    transition: Transition,
    facts: Facts,
    *,
    at: datetime,
    observation: int | None,
) -> int:
    """Store one transition with the facts to tell of it; return its number."""
    number: int = connection.execute(
        insert(transitions)
        .values(
            id=new_id(),
            incident=incident,
            change=transition.change,
            severity=transition.severity,
            reason=transition.reason,
            at=at,
            observation=observation,
            facts=without_secrets(_facts.dump_json(facts).decode()),
            subject=facts.subject,
        )
        .returning(transitions.c.number),
    ).scalar_one()
    return number


def last_facts(connection: Connection, incident: str) -> Facts:
    """Read the facts of an incident's newest transition."""
    told = select(transitions.c.facts).where(transitions.c.incident == incident)
    return _facts.validate_json(
        connection.execute(told.order_by(transitions.c.number.desc()).limit(1)).scalar_one()
    )


def last_fingerprint(connection: Connection, mitigation: str) -> str | None:
    """Read what the newest successful look at a mitigation found; None if there was none."""
    fingerprint: str | None = connection.execute(
        select(observations.c.fingerprint)
        .where(observations.c.mitigation == mitigation, observations.c.verdict != Verdict.UNKNOWN)
        .order_by(observations.c.at.desc(), observations.c.number.desc())
        .limit(1),
    ).scalar()
    return fingerprint


def standings(connection: Connection) -> dict[str, Standing]:
    """Read how every mitigation stands, by id."""
    rows = connection.execute(select(mitigations).order_by(mitigations.c.id))
    return {
        row.id: Standing(
            mitigation=row.id,
            verdict=Verdict(row.verdict),
            reason=row.reason,
            streaks=Streaks(breached=row.breached, fine=row.fine, unknown=row.unknown),
            last_look_at=row.last_look_at,
        )
        for row in rows
    }


def list_incidents(
    connection: Connection, *, resolved: bool, limit: int, before: str = ""
) -> tuple[Incident, ...]:
    """List incidents, newest first: the open ones, or with `resolved` all of them.

    Args:
        before: the id of one that the store has; only those that come after it in the list.
    """
    row = incidents.c
    query: Select[tuple[object, ...]] = select(incidents)
    if not resolved:
        query = query.where(row.resolved_at.is_(None))
    if before:
        at = connection.execute(select(row.opened_at).where(row.id == before)).scalar_one()
        query = query.where(row.opened_at <= at, or_(row.opened_at < at, row.id < before))
    query = query.order_by(row.opened_at.desc(), row.id.desc()).limit(limit)
    return tuple(_incident(found) for found in connection.execute(query).mappings())


def add_decision(
    connection: Connection, decision: str, *, mitigation: str, who: str, why: str, at: datetime
) -> int:
    """Record what a person decided, before it is carried out; return its number.

    The name is claimed, not proven.
    """
    number: int = connection.execute(
        insert(decisions)
        .values(
            decision=decision,
            mitigation=mitigation,
            who=storable(who),
            why=storable(why),
            at=at,
            details="{}",
        )
        .returning(decisions.c.number),
    ).scalar_one()
    return number


def complete_decision(connection: Connection, number: int, *, details: str, at: datetime) -> None:
    """Record that a decision was carried out, and what that changed, as JSON."""
    connection.execute(
        update(decisions)
        .where(decisions.c.number == number)
        .values(details=without_secrets(details), completed_at=at)
    )


def list_decisions(
    connection: Connection, about: Collection[str], names: Collection[str]
) -> dict[str, tuple[Decision, ...]]:
    """Read the decisions of these names that were carried out, by mitigation, the newest first."""
    query = select(decisions).where(
        decisions.c.mitigation.in_(about),
        decisions.c.decision.in_(names),
        decisions.c.completed_at.is_not(None),
    )
    found: dict[str, tuple[Decision, ...]] = dict.fromkeys(about, ())
    for row in connection.execute(query.order_by(decisions.c.number.desc())).mappings():
        found[row["mitigation"]] += (decision_of(row),)
    return found


def decision_of(row: RowMapping) -> Decision:
    """Make a decision of its row."""
    return Decision(
        decision=row["decision"],
        who=row["who"],
        why=row["why"],
        at=row["at"],
        details=_details.validate_json(row["details"]),
    )


def _incident(row: RowMapping) -> Incident:
    return Incident(
        id=row["id"],
        subject=row["subject"],
        concern=Concern(row["concern"]),
        severity=Verdict(row["severity"]),
        reason=row["reason"],
        breaches=_readings.validate_json(row["breaches"]),
        fingerprint=row["fingerprint"],
        opened_at=row["opened_at"],
        resolved_at=row["resolved_at"],
        spoken_at=row["spoken_at"],
        flood=row["flood"],
    )
