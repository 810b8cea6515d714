"""What is not on a page of a story but has to do with it: the incidents that stood, what waits, who owns."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, RowMapping, func, select

from riskloop.incidents import Concern
from riskloop.store import circuits
from riskloop.store.among import among
from riskloop.store.circuits import Circuit
from riskloop.store.entries import Case, Changed, Stands, case_of, changed_of, hush_of, stands_of
from riskloop.store.letters import Delivery
from riskloop.store.marks import Mark, Page, What
from riskloop.store.tables import deliveries, incidents, observations, postings, transitions
from riskloop.thresholds import Verdict

_LONGEST_STREAK = 1_000
"""Looks before the first one that is told of which are counted for its streak."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """What is not told of itself on a page, but has to do with what is.

    Args:
        verdicts: on the looks right before the first one of the page, the oldest first.
        cases: the incidents that its entries belong to, and those that stood at its looks; by their opening.
        followed: the transitions that follow from its looks.
        owners: whom the deliveries of its transitions are for, by the transition's number.
        quiet: the numbers of the transitions that its deliveries tell of and that were not told aloud.
        standing: what the incidents of its deliveries have become.
        circuits: those that are open.
    """

    verdicts: Sequence[Verdict]
    cases: Sequence[Case]
    followed: Sequence[Changed]
    owners: Mapping[int, str]
    quiet: Collection[int]
    standing: Sequence[Stands]
    circuits: Sequence[Circuit]


def read_around(
    connection: Connection,
    subject: str,
    case: Case | None,
    *,
    looks: Sequence[RowMapping],
    changes: Sequence[Changed],
    sent: Sequence[Delivery],
) -> Around:
    """Read what has to do with the looks, transitions and deliveries of a page.

    Args:
        case: the incident whose story it is; None for the subject's.
    """
    numbers = [row["number"] for row in looks]
    rows = among(connection, select(transitions), transitions.c.observation, numbers)
    followed = [
        changed_of(row)
        for row in rows
        if row["subject"] == subject and (case is None or row["incident"] == case.id)
    ]
    told = {*(one.incident for one in (*changes, *followed)), *(one.incident for one in sent)}
    cases = (
        [case]
        if case
        else [
            *(case_of(row) for row in among(connection, select(incidents), incidents.c.id, told)),
            *_stood(connection, subject, looks),
        ]
    )
    owners = select(deliveries.c.transition, deliveries.c.owner)
    facts = select(transitions.c.number, transitions.c.facts)
    return Around(
        verdicts=_before(connection, looks),
        cases=sorted({one.id: one for one in cases}.values(), key=lambda one: one.opened_at),
        followed=sorted(followed, key=lambda one: one.number),
        owners={
            row["transition"]: row["owner"]
            for row in among(connection, owners, deliveries.c.transition, [one.number for one in changes])
        },
        quiet={
            row["number"]
            for row in among(connection, facts, transitions.c.number, {one.transition for one in sent})
            if hush_of(row["facts"]).quiet
        },
        standing=[
            stands_of(row)
            for row in among(
                connection, select(postings), postings.c.incident, {one.incident for one in sent}
            )
        ],
        circuits=circuits.list_circuits(connection),
    )


def _stood(connection: Connection, subject: str, looks: Sequence[RowMapping]) -> Iterator[Case]:
    """Read the incidents of a subject that may have stood at one of these looks.

    Of one concern at most one stands at a time: of those that were opened before the first look, only the
    last can have been there still.
    """
    if not looks:
        return
    row = incidents.c
    for concern in Concern:
        whose = (row.subject == subject, row.concern == concern)
        last = select(func.max(row.opened_at)).where(*whose, row.opened_at <= looks[0]["at"])
        since = connection.execute(last).scalar() or looks[0]["at"]
        query = select(incidents).where(*whose, row.opened_at.between(since, looks[-1]["at"]))
        yield from map(case_of, connection.execute(query).mappings())


def _before(connection: Connection, looks: Sequence[RowMapping]) -> Sequence[Verdict]:
    if not looks:
        return ()
    first = looks[0]
    row = observations.c
    query = select(row.verdict).where(row.mitigation == first["mitigation"])
    mark = Mark(at=first["at"], what=What.LOOK, number=first["number"])
    page = Page(limit=_LONGEST_STREAK, before=mark)
    rows = page.newest(connection, query, What.LOOK, row.at, row.number)
    return [Verdict(one["verdict"]) for one in rows]
