"""What was seen and what came of it: observations, measurements, mitigations, incidents and transitions."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from pydantic import TypeAdapter
from sqlalchemy import Connection, RowMapping, Select, insert, select, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from riskloop.incidents import Concern, Incident, Streaks, Transition
from riskloop.notifications import Facts
from riskloop.store.tables import (
    decisions,
    incidents,
    measurements,
    mitigations,
    observations,
    transitions,
)
from riskloop.thresholds import Reading, Verdict

_readings = TypeAdapter(tuple[Reading, ...])
_facts = TypeAdapter(Facts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """One look as it is stored: of which mitigation, in which run and phase, with which verdict."""

    mitigation: str
    run: str
    phase: str
    at: datetime
    verdict: Verdict
    reason: str
    register_digest: str
    summary: str = ""
    fingerprint: str = ""
    evidence: str | None = None


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


def lock_mitigation(
    connection: Connection, mitigation: str, *, kind: str, risk: str, now: datetime
) -> Streaks:
    """Take the mitigation's row for this transaction, made if it was not there; return its streaks."""
    row = connection.execute(
        select(mitigations.c.breached, mitigations.c.fine, mitigations.c.unknown)
        .where(mitigations.c.id == mitigation)
        .with_for_update(),
    ).first()
    if row is not None:
        return Streaks(breached=row.breached, fine=row.fine, unknown=row.unknown)
    insert_new = sqlite_insert if connection.dialect.name == "sqlite" else postgresql_insert
    connection.execute(
        insert_new(mitigations)
        .values(
            id=mitigation,
            kind=kind,
            risk=risk,
            breached=0,
            fine=0,
            unknown=0,
            verdict=Verdict.UNKNOWN,
            reason="never looked at",
            last_look_at=now,
        )
        .on_conflict_do_nothing(),
    )
    return lock_mitigation(connection, mitigation, kind=kind, risk=risk, now=now)


def is_observed(connection: Connection, mitigation: str, *, run: str, phase: str) -> bool:
    """Say whether this look was stored before: a run that is repeated stores it once."""
    found = select(observations.c.number).where(
        observations.c.mitigation == mitigation, observations.c.run == run, observations.c.phase == phase
    )
    return connection.execute(found).first() is not None


def add_observation(
    connection: Connection, observed: Observed, readings: Sequence[Reading], streaks: Streaks
) -> int:
    """Store one look with its measurements, and where it leaves the mitigation; return its number."""
    number: int = connection.execute(
        insert(observations).returning(observations.c.number),
        {
            "mitigation": observed.mitigation,
            "run": observed.run,
            "phase": observed.phase,
            "at": observed.at,
            "verdict": observed.verdict,
            "reason": observed.reason,
            "register_digest": observed.register_digest,
            "summary": observed.summary,
            "fingerprint": observed.fingerprint,
            "evidence": observed.evidence,
        },
    ).scalar_one()
    if readings:
        _add_measurements(connection, number, readings)
    known = {} if observed.verdict is Verdict.UNKNOWN else {"last_known_at": observed.at}
    connection.execute(
        update(mitigations)
        .where(mitigations.c.id == observed.mitigation)
        .values(
            breached=streaks.breached,
            fine=streaks.fine,
            unknown=streaks.unknown,
            verdict=observed.verdict,
            reason=observed.reason,
            last_look_at=observed.at,
            **known,
        ),
    )
    return number


def _add_measurements(connection: Connection, observation: int, readings: Sequence[Reading]) -> None:
    rows = [(observation, reading.metric, reading.value, reading.unit) for reading in readings]
    if connection.dialect.name == "sqlite":
        # The driver's own executemany: a look may bring thousands of rows, and Core would rebuild each.
        connection.exec_driver_sql(
            "INSERT INTO measurements (observation, metric, value, unit) VALUES (?, ?, ?, ?)", rows
        )
        return
    driver = connection.connection.cursor()
    with driver.copy("COPY measurements (observation, metric, value, unit) FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)


def open_incidents(connection: Connection, subject: str) -> dict[Concern, Incident]:
    """Read the open incidents of one subject, by concern."""
    rows = connection.execute(
        select(incidents).where(incidents.c.subject == subject, incidents.c.resolved_at.is_(None))
    ).mappings()
    return {Concern(row["concern"]): _incident(row) for row in rows}


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
            owner=owner,
            opened_at=incident.opened_at,
        ),
    )


def change_incident(connection: Connection, incident: Incident) -> None:
    """Write an incident's severity, reason, breaches and resolution."""
    connection.execute(
        update(incidents)
        .where(incidents.c.id == incident.id)
        .values(
            severity=incident.severity,
            reason=incident.reason,
            breaches=_readings.dump_json(incident.breaches).decode(),
            resolved_at=incident.resolved_at,
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
            facts=_facts.dump_json(facts).decode(),
        )
        .returning(transitions.c.number),
    ).scalar_one()
    return number


def last_transition(connection: Connection, incident: str) -> tuple[int, Facts]:
    """Read the newest transition of an incident: its number and its facts."""
    row = connection.execute(
        select(transitions.c.number, transitions.c.facts)
        .where(transitions.c.incident == incident)
        .order_by(transitions.c.number.desc())
        .limit(1),
    ).one()
    return row.number, _facts.validate_json(row.facts)


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


def list_incidents(connection: Connection, *, resolved: bool, limit: int) -> tuple[Incident, ...]:
    """List incidents, newest first: the open ones, or with `resolved` all of them."""
    query: Select[tuple[object, ...]] = select(incidents)
    if not resolved:
        query = query.where(incidents.c.resolved_at.is_(None))
    query = query.order_by(incidents.c.opened_at.desc(), incidents.c.id).limit(limit)
    return tuple(_incident(row) for row in connection.execute(query).mappings())


def add_decision(
    connection: Connection, decision: str, *, mitigation: str, who: str, why: str, at: datetime, details: str
) -> None:
    """Record what a person decided; `details` is JSON. The name is claimed, not proven."""
    connection.execute(
        insert(decisions).values(
            decision=decision, mitigation=mitigation, who=who, why=why, at=at, details=details
        ),
    )


def readings_of(connection: Connection, mitigation: str) -> dict[str, float]:
    """Read the measurements of a mitigation's newest successful look, by metric."""
    newest = (
        select(observations.c.number)
        .where(observations.c.mitigation == mitigation, observations.c.verdict != Verdict.UNKNOWN)
        .order_by(observations.c.at.desc(), observations.c.number.desc())
        .limit(1)
        .scalar_subquery()
    )
    rows = connection.execute(
        select(measurements.c.metric, measurements.c.value).where(measurements.c.observation == newest)
    )
    return {row.metric: row.value for row in rows}


def _incident(row: RowMapping) -> Incident:
    return Incident(
        id=row["id"],
        subject=row["subject"],
        concern=Concern(row["concern"]),
        severity=Verdict(row["severity"]),
        reason=row["reason"],
        breaches=_readings.validate_json(row["breaches"]),
        opened_at=row["opened_at"],
        resolved_at=row["resolved_at"],
    )
