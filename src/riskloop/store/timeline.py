"""Everything that is known of one subject, or of one incident of it: what was seen, decided and told."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, RowMapping, Select, func, or_, select

from riskloop.store.among import among
from riskloop.store.around import Around, read_around
from riskloop.store.entries import Case, Changed, Decided, Muted, Seen, Stands, case_of, changed_of, stands_of
from riskloop.store.history import decision_of
from riskloop.store.letters import Delivery, delivery_of, people_see
from riskloop.store.marks import Mark, Page, What
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """What is known of a subject, or of one incident of it; every list goes from the oldest to the newest.

    Args:
        before: some of what is here may come after this place all the same; None if there is no end.
        deliveries: in the order in which they are sent.
        standing: what people changed.
    """

    subject: str
    before: Mark | None
    looks: Sequence[Seen]
    changes: Sequence[Changed]
    deliveries: Sequence[Delivery]
    standing: Sequence[Stands]
    mutes: Sequence[Muted]
    decisions: Sequence[Decided]
    around: Around


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
    connection: Connection, subject: str, *, incident: str, metrics: Collection[str], page: Page
) -> Past:
    """Read what is known of a subject.

    Args:
        incident: of this one alone, with the looks from the one that opened it; empty for all of them.
        metrics: of which the measured values are wanted.
        page: so much of each sort of entry, and where there is more, one more.
    """
    row = connection.execute(select(incidents).where(incidents.c.id == incident)).mappings().first()
    case = case_of(row) if row else None
    looks = _looks(connection, subject, case, page)
    changes = _changes(connection, subject, case, page)
    sent = _deliveries(connection, subject, case, page)
    decided = page.newest(
        connection, _decisions(subject, case), What.DECISION, decisions.c.at, decisions.c.number
    )
    return Past(
        subject=subject,
        before=page.before,
        looks=_seen(connection, looks, metrics),
        changes=changes,
        deliveries=sent,
        standing=_standing(connection, subject, case, page),
        mutes=_mutes(connection, subject, case),
        decisions=[
            Decided(number=row["number"], decision=decision_of(row), completed_at=row["completed_at"])
            for row in decided
        ],
        around=read_around(connection, subject, case, looks=looks, changes=changes, sent=sent),
    )


def _looks(connection: Connection, subject: str, case: Case | None, page: Page) -> Sequence[RowMapping]:
    row = observations.c
    query = select(observations).where(row.mitigation == subject)
    if case is not None:
        number = select(func.min(transitions.c.observation)).where(transitions.c.incident == case.id)
        opening = select(row.at, row.number).where(row.number == number.scalar_subquery())
        first = connection.execute(opening).first()
        if first is None:
            return ()
        query = query.where(row.at >= first.at, or_(row.at > first.at, row.number >= first.number))
        if case.resolved_at is not None:
            query = query.where(row.at <= case.resolved_at)
    return page.newest(connection, query, What.LOOK, row.at, row.number)


def _changes(connection: Connection, subject: str, case: Case | None, page: Page) -> Sequence[Changed]:
    row = transitions.c
    query = select(transitions).where(row.incident == case.id if case else row.subject == subject)
    return [changed_of(one) for one in page.newest(connection, query, What.TRANSITION, row.at, row.number)]


def _deliveries(connection: Connection, subject: str, case: Case | None, page: Page) -> Sequence[Delivery]:
    """Read the deliveries of a page that have ended, and all that have not: one may wait for another."""
    row = deliveries.c
    query = people_see().where(row.incident == case.id if case else row.subject == subject)
    ended = query.where(row.ended_at.is_not(None))
    found = [
        *page.newest(connection, ended, What.DELIVERY, row.ended_at, row.number),
        *connection.execute(query.where(row.ended_at.is_(None))).mappings(),
    ]
    return sorted((delivery_of(one) for one in found), key=lambda one: one.number)


def _standing(connection: Connection, subject: str, case: Case | None, page: Page) -> Sequence[Stands]:
    row = postings.c
    query = select(postings).where(
        row.state_at.is_not(None), row.incident == case.id if case else row.subject == subject
    )
    # As Python compares texts: the databases must put those of one moment in the order that we put them in.
    bytewise = "BINARY" if connection.dialect.name == "sqlite" else "C"
    place = (row.incident + " " + row.channel + " " + row.target).collate(bytewise)
    return [stands_of(one) for one in page.newest(connection, query, What.POSTING, row.state_at, place)]


def _seen(connection: Connection, looks: Sequence[RowMapping], metrics: Collection[str]) -> Sequence[Seen]:
    values: dict[int, list[tuple[str, float]]] = {}
    if metrics:
        query = select(measurements).where(measurements.c.metric.in_(sorted(metrics)))
        numbers = [row["number"] for row in looks]
        for row in among(connection, query, measurements.c.observation, numbers):
            values.setdefault(row["observation"], []).append((row["metric"], row["value"]))
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
    return [Muted(number=row["number"], mute=mute_of(row), ended=row["ended"]) for row in rows]
