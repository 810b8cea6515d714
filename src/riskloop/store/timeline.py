"""Everything that is known of one subject, or of one incident of it: what was seen, decided and told."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Column, ColumnElement, Connection, RowMapping, Select, func, or_, select

from riskloop.incidents import Change, Concern
from riskloop.mutes import Mute
from riskloop.notifications import Route
from riskloop.risks import Decision
from riskloop.store import circuits
from riskloop.store.circuits import Circuit
from riskloop.store.history import decision_of
from riskloop.store.letters import Delivery, delivery_of, people_see
from riskloop.store.mutes import mute_of
from riskloop.store.tables import (
    decisions,
    deliveries,
    incidents,
    measurements,
    mitigations,
    mutes,
    observations,
    postings,
    transitions,
)
from riskloop.thresholds import Verdict

_LONGEST_STREAK = 1_000
"""Looks before the first one that is told of which are counted for its streak."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One look.

    Args:
        summary: of what was found, in the kind's words.
        values: what was measured of the metrics that were asked for.
    """

    number: int
    at: datetime
    phase: str
    verdict: Verdict
    reason: str
    summary: str
    values: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One incident, as far as its time goes."""

    id: str
    concern: Concern
    opened_at: datetime
    resolved_at: datetime | None
    flood: str


@dataclass(frozen=True, slots=True)
class Hush:
    """What a transition's facts say of why it is not told aloud."""

    quiet: bool = False
    mutes: tuple[Mute, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """One transition.

    Args:
        observation: the number of the look that it follows from; None if it follows from none.
        hush: whether it was told aloud.
    """

    number: int
    id: str
    at: datetime
    incident: str
    change: Change
    severity: Verdict
    reason: str
    observation: int | None
    hush: Hush


@dataclass(frozen=True, slots=True, kw_only=True)
class Stands:
    """What an incident has become in one place; `state` is `open`, `closed` by a person, or `gone`."""

    incident: str
    route: Route
    url: str
    state: str
    state_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Muted:
    """One acceptance or silence, and how it ended; empty while it holds."""

    mute: Mute
    ended: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """One decision about the mitigation, and when it was carried out; None if it was not."""

    number: int
    decision: Decision
    completed_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """What is known of a subject, or of one incident of it; every list goes from the oldest to the newest.

    Args:
        before: the verdicts on the looks right before the first one here.
        cut: there is more, and older, than was asked for.
    """

    subject: str
    looks: Sequence[Seen]
    before: Sequence[Verdict]
    cases: Sequence[Case]
    changes: Sequence[Changed]
    deliveries: Sequence[Delivery]
    standing: Sequence[Stands]
    mutes: Sequence[Muted]
    decisions: Sequence[Decided]
    circuits: Sequence[Circuit]
    cut: bool


_hush = TypeAdapter(Hush)


def find_subject(connection: Connection, name: str) -> tuple[str, str] | None:
    """Find what a name means: the subject, and the incident if it is one's id; None if it means nothing."""
    subject = connection.execute(select(incidents.c.subject).where(incidents.c.id == name)).scalar()
    if subject is not None:
        return subject, name
    known = or_(
        select(mitigations.c.id).where(mitigations.c.id == name).exists(),
        select(incidents.c.id).where(incidents.c.subject == name).exists(),
        select(mutes.c.id).where(mutes.c.subject == name).exists(),
    )
    return (name, "") if connection.execute(select(known)).scalar_one() else None


def known_names(connection: Connection, *, limit: int) -> tuple[str, ...]:
    """List what can be asked for: what was looked at, other subjects, the newest incidents."""
    looked_at = connection.execute(select(mitigations.c.id).order_by(mitigations.c.id).limit(limit))
    subjects = connection.execute(
        select(incidents.c.subject).distinct().order_by(incidents.c.subject).limit(limit)
    )
    newest = connection.execute(select(incidents.c.id).order_by(incidents.c.opened_at.desc()).limit(limit))
    return tuple(dict.fromkeys([*looked_at.scalars(), *subjects.scalars(), *newest.scalars()]))


def read_past(
    connection: Connection, subject: str, *, incident: str, metrics: Collection[str], limit: int | None
) -> Past:
    """Read what is known of a subject.

    Args:
        incident: of this one alone, with the looks from the one that opened it; empty for all of them.
        metrics: of which the measured values are wanted.
        limit: at most so many looks, transitions, deliveries and decisions each, the newest; None for all.
    """
    whose: list[ColumnElement[bool]] = [
        incidents.c.subject == subject,
        *([incidents.c.id == incident] if incident else []),
    ]
    those = select(incidents.c.id).where(*whose)
    cases = [
        Case(
            id=row.id,
            concern=Concern(row.concern),
            opened_at=row.opened_at,
            resolved_at=row.resolved_at,
            flood=row.flood,
        )
        for row in connection.execute(select(incidents).where(*whose).order_by(incidents.c.opened_at))
    ]
    looks = _looks(connection, subject, cases[0] if incident else None, limit)
    told = select(transitions).where(transitions.c.incident.in_(those))
    changes = _newest(connection, told, transitions.c.number, limit)
    sent = _newest(
        connection, people_see().where(deliveries.c.incident.in_(those)), deliveries.c.number, limit
    )
    decided = _newest(
        connection, _decisions(subject, cases[0] if incident else None), decisions.c.number, limit
    )
    return Past(
        subject=subject,
        looks=_seen(connection, looks, metrics),
        before=_before(connection, looks),
        cases=cases,
        changes=[_changed(row) for row in changes],
        deliveries=[delivery_of(row) for row in sent],
        standing=[
            Stands(
                incident=row.incident,
                route=Route(channel=row.channel, target=row.target),
                url=row.url or row.reference,
                state=row.state,
                state_at=row.state_at,
            )
            for row in connection.execute(select(postings).where(postings.c.incident.in_(those)))
        ],
        mutes=_mutes(connection, subject, cases[0] if incident else None),
        decisions=[
            Decided(number=row["number"], decision=decision_of(row), completed_at=row["completed_at"])
            for row in decided
        ],
        circuits=circuits.list_circuits(connection),
        cut=limit is not None and any(len(rows) > limit for rows in (looks, changes, sent, decided)),
    )


def _looks(
    connection: Connection, subject: str, case: Case | None, limit: int | None
) -> Sequence[RowMapping]:
    query = select(observations).where(observations.c.mitigation == subject)
    if case is not None:
        opening = select(func.min(transitions.c.observation)).where(transitions.c.incident == case.id)
        first = connection.execute(opening).scalar()
        if first is None:
            return ()
        query = query.where(observations.c.number >= first)
        if case.resolved_at is not None:
            query = query.where(observations.c.at <= case.resolved_at)
    return _newest(connection, query, observations.c.number, limit)


def _newest(
    connection: Connection, query: Select[Any], number: Column[int], limit: int | None
) -> Sequence[RowMapping]:
    """Read the newest rows, one more than asked for where there are more; the oldest of them first."""
    query = query.order_by(number.desc())
    if limit is not None:
        query = query.limit(limit + 1)
    return connection.execute(query).mappings().all()[::-1]


def _seen(connection: Connection, looks: Sequence[RowMapping], metrics: Collection[str]) -> Sequence[Seen]:
    values: dict[int, list[tuple[str, float]]] = {}
    if looks and metrics:
        query = (
            select(measurements.c.observation, measurements.c.metric, measurements.c.value)
            .join(observations, observations.c.number == measurements.c.observation)
            .where(
                observations.c.mitigation == looks[0]["mitigation"],
                observations.c.number.between(looks[0]["number"], looks[-1]["number"]),
                measurements.c.metric.in_(sorted(metrics)),
            )
        )
        for observation, metric, value in connection.execute(query):
            values.setdefault(observation, []).append((metric, value))
    return [
        Seen(
            number=row["number"],
            at=row["at"],
            phase=row["phase"],
            verdict=Verdict(row["verdict"]),
            reason=row["reason"],
            summary=row["summary"],
            values=tuple(sorted(values.get(row["number"], ()))),
        )
        for row in looks
    ]


def _before(connection: Connection, looks: Sequence[RowMapping]) -> Sequence[Verdict]:
    if not looks:
        return ()
    query = (
        select(observations.c.verdict)
        .where(
            observations.c.mitigation == looks[0]["mitigation"], observations.c.number < looks[0]["number"]
        )
        .order_by(observations.c.number.desc())
        .limit(_LONGEST_STREAK)
    )
    return [Verdict(word) for word in connection.execute(query).scalars()][::-1]


def _changed(row: RowMapping) -> Changed:
    names = ("number", "id", "at", "incident", "reason", "observation")
    return Changed(
        change=Change(row["change"]),
        severity=Verdict(row["severity"]),
        hush=_hush.validate_json(row["facts"]),
        **{name: row[name] for name in names},
    )


def _decisions(subject: str, case: Case | None) -> Select[Any]:
    """Ask for the decisions about a subject, or those that were taken while an incident of it stood."""
    query = select(decisions).where(decisions.c.mitigation == subject)
    if case is not None:
        query = query.where(decisions.c.at >= case.opened_at)
        if case.resolved_at is not None:
            query = query.where(decisions.c.at <= case.resolved_at)
    return query


def _mutes(connection: Connection, subject: str, case: Case | None) -> Sequence[Muted]:
    """Read the acceptances and silences of a subject, or those that held while an incident of it stood."""
    query = select(mutes).where(mutes.c.subject == subject)
    if case is not None:
        query = query.where(
            or_(mutes.c.concern.is_(None), mutes.c.concern == case.concern),
            or_(mutes.c.ended_at.is_(None), mutes.c.ended_at >= case.opened_at),
        )
        if case.resolved_at is not None:
            query = query.where(mutes.c.since <= case.resolved_at)
    rows = connection.execute(query.order_by(mutes.c.number)).mappings()
    return [Muted(mute=mute_of(row), ended=row["ended"]) for row in rows]
