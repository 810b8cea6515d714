"""What incidents have become: the issue or the message in each place, and what people did to it."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, case, or_, select, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from riskloop.notifications import Facts, Posting, Route
from riskloop.store.tables import incidents, postings


@dataclass(frozen=True, slots=True, kw_only=True)
class Posted:
    """What an incident has become in one place.

    Args:
        opening: the delivery that opened it there.
        state: `open`, `closed` by a person, or `gone`.
        state_at: when that was noticed; None if it was never anything but open.
    """

    posting: Posting
    opening: str
    state: str
    state_at: datetime | None


def posted(connection: Connection, incident: str, route: Route) -> Posted | None:
    """Read what an incident has become in one place; None if nothing yet."""
    row = connection.execute(
        select(postings).where(
            postings.c.incident == incident,
            postings.c.channel == route.channel,
            postings.c.target == route.target,
        ),
    ).first()
    if row is None:
        return None
    return Posted(
        posting=Posting(reference=row.reference, url=row.url),
        opening=row.opening_delivery,
        state=row.state,
        state_at=row.state_at,
    )


def keep_posting(
    connection: Connection, incident: str, route: Route, posting: Posting, *, opening: str, now: datetime
) -> None:
    """Remember what an incident has become in one place, in the stead of what it was there before.

    Args:
        opening: the delivery that opened the posting.
    """
    insert_new = sqlite_insert if connection.dialect.name == "sqlite" else postgresql_insert
    # Written again it is as old as it was; another one is new.
    at = case((postings.c.reference == posting.reference, postings.c.at), else_=now)
    subject = select(incidents.c.subject).where(incidents.c.id == incident).scalar_subquery()
    said = {"reference": posting.reference, "url": posting.url, "opening_delivery": opening}
    connection.execute(
        insert_new(postings)
        .values(
            incident=incident, channel=route.channel, target=route.target, at=now, subject=subject, **said
        )
        .on_conflict_do_update(index_elements=["incident", "channel", "target"], set_=said | {"at": at})
    )


def change_posting(connection: Connection, incident: str, route: Route, *, state: str, now: datetime) -> None:
    """Note that a posting is `open` again, was `closed` by a person, or is `gone`: deleted or moved away.

    The moment is that of the change: noting the same state twice keeps the first.
    """
    connection.execute(
        update(postings)
        .where(
            postings.c.incident == incident,
            postings.c.channel == route.channel,
            postings.c.target == route.target,
            postings.c.state != state,
        )
        .values(state=state, state_at=now)
    )


def holder(connection: Connection, route: Route, posting: Posting) -> str | None:
    """Say which incident a posting in a place is of; None if of none."""
    query = select(postings.c.incident).where(
        postings.c.channel == route.channel,
        postings.c.target == route.target,
        postings.c.reference == posting.reference,
    )
    found: str | None = connection.execute(query.order_by(postings.c.at.desc()).limit(1)).scalar()
    return found


def previous_url(connection: Connection, facts: Facts, route: Route) -> str:
    """Find where the last resolved incident like this one was told of in the same place; empty if none."""
    query = (
        select(postings.c.url)
        .join(incidents, incidents.c.id == postings.c.incident)
        .where(
            incidents.c.subject == facts.subject,
            incidents.c.concern == facts.concern,
            incidents.c.resolved_at.is_not(None),
            incidents.c.id != facts.incident,
            postings.c.channel == route.channel,
            postings.c.target == route.target,
        )
        .order_by(incidents.c.resolved_at.desc())
        .limit(1)
    )
    return connection.execute(query).scalar() or ""


def issue_url(connection: Connection, incident: str) -> str:
    """Find the incident's GitHub issue; empty if it has none yet."""
    query = select(postings.c.url).where(
        postings.c.incident == incident,
        or_(postings.c.channel == "github", postings.c.target.startswith("github:")),
    )
    return connection.execute(query.order_by(postings.c.at.desc()).limit(1)).scalar() or ""


def list_postings(connection: Connection, incident: str) -> dict[Route, Posting]:
    """Read everything an incident has become."""
    rows = connection.execute(
        select(postings).where(postings.c.incident == incident).order_by(postings.c.at)
    ).mappings()
    return {
        Route(channel=row["channel"], target=row["target"]): Posting(
            reference=row["reference"], url=row["url"]
        )
        for row in rows
    }
