"""How every incident stands in one place: what it has become there, and what is on its way there."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, and_, case, func, or_, select

from riskloop.incidents import Incident
from riskloop.notifications import Posting, Route
from riskloop.store import history
from riskloop.store.postings import Posted
from riskloop.store.tables import deliveries, incidents, postings, transitions

_ALL = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Here:
    """How an incident stands in one place.

    Args:
        incident: as it is; None once it is resolved.
        posted: what it has become here; None if nothing.
        addressed: it was sent here, or is on its way.
        unfinished: deliveries are on their way.
        uncertain: one of them may have arrived, and we do not know yet.
        last: the change and the state of the newest delivery; both empty if there is none.
    """

    incident: Incident | None
    posted: Posted | None = None
    addressed: bool = False
    unfinished: bool = False
    uncertain: bool = False
    last: tuple[str, str] = ("", "")


def here(connection: Connection, route: Route, named: Collection[str]) -> dict[str, Here]:
    """Read how incidents stand in a place: the open ones, those with deliveries on their way, and the named.

    Args:
        named: incidents whatever they are; those that the store does not have are left out.
    """
    is_open = {one.id: one for one in history.list_incidents(connection, resolved=False, limit=_ALL)}
    known = history.known_incidents(connection, named)
    found = {incident: Here(incident=is_open.get(incident)) for incident in {*is_open, *known}}
    row, on_its_way = deliveries.c, deliveries.c.state.in_(("pending", "sending"))
    unsure = or_(row.state == "sending", and_(row.state == "pending", row.uncertain_since.is_not(None)))
    wanted = or_(
        row.incident.in_(select(incidents.c.id).where(incidents.c.resolved_at.is_(None))),
        row.incident.in_(select(row.incident).where(on_its_way)),
        row.incident.in_(known),
    )
    traffic = (
        select(
            row.incident,
            func.max(row.number).label("newest"),
            func.sum(case((on_its_way, 1), else_=0)).label("unfinished"),
            func.sum(case((unsure, 1), else_=0)).label("uncertain"),
        )
        .where(row.channel == route.channel, row.target == route.target, wanted)
        .group_by(row.incident)
        .subquery()
    )
    query = (
        select(
            traffic,
            row.state.label("last_state"),
            transitions.c.change,
            postings.c.reference,
            postings.c.url,
            postings.c.opening_delivery,
            postings.c.state,
            postings.c.state_at,
        )
        .join(deliveries, row.number == traffic.c.newest)
        .join(transitions, transitions.c.number == row.transition)
        .outerjoin(
            postings,
            and_(
                postings.c.incident == traffic.c.incident,
                postings.c.channel == route.channel,
                postings.c.target == route.target,
            ),
        )
    )
    for told in connection.execute(query):
        posted = None
        if told.reference is not None:
            posted = Posted(
                posting=Posting(reference=told.reference, url=told.url),
                opening=told.opening_delivery,
                state=told.state,
                state_at=told.state_at,
            )
        found[told.incident] = Here(
            incident=is_open.get(told.incident),
            posted=posted,
            addressed=True,
            unfinished=told.unfinished > 0,
            uncertain=told.uncertain > 0,
            last=(told.change, told.last_state),
        )
    return found


def without_link(connection: Connection, route: Route, *, now: datetime) -> tuple[Incident, ...]:
    """List the open incidents whose GitHub issue is younger than all that was said of them in a place.

    Not those of which something is on its way there, nor an issue from a clock that was wrong.
    """
    issue, said, row = postings.alias("issue"), postings.alias("said"), deliveries.c
    unfinished = func.sum(case((row.state.in_(("pending", "sending")), 1), else_=0))
    query = (
        select(row.incident)
        .where(row.channel == route.channel, row.target == route.target)
        .group_by(row.incident, issue.c.at)
        .having(unfinished == 0, func.max(row.ended_at) < issue.c.at)
        .join(issue, and_(issue.c.incident == row.incident, issue.c.channel == "github"))
        .join(
            said,
            and_(
                said.c.incident == row.incident,
                said.c.channel == route.channel,
                said.c.target == route.target,
            ),
        )
        .where(said.c.state == "open", issue.c.at <= now)
    )
    found = frozenset(connection.execute(query).scalars())
    is_open = history.list_incidents(connection, resolved=False, limit=_ALL) if found else ()
    return tuple(one for one in is_open if one.id in found)


def in_use(connection: Connection, *, since: datetime) -> frozenset[Route]:
    """List the places where incidents were sent to that are open, or were resolved since a moment."""
    query = (
        select(deliveries.c.channel, deliveries.c.target)
        .join(incidents, incidents.c.id == deliveries.c.incident)
        .where(or_(incidents.c.resolved_at.is_(None), incidents.c.resolved_at >= since))
        .distinct()
    )
    return frozenset(Route(channel=row.channel, target=row.target) for row in connection.execute(query))
