"""The outbox: every transition on its way to every channel, claimed, fenced, and ended or dead-lettered."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import TypeAdapter
from sqlalchemy import (
    ColumnElement,
    Connection,
    RowMapping,
    Select,
    and_,
    exists,
    func,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from riskloop.notifications import Facts, Posting, Route
from riskloop.store.history import new_id
from riskloop.store.tables import deliveries, incidents, postings, transitions

_facts = TypeAdapter(Facts)

LEASE = timedelta(minutes=5)
"""How long a claimed delivery belongs to its worker; longer than any wait a worker does with it in hand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A delivery in a worker's hands: nothing is written for it unless the fence still stands.

    Args:
        uncertain_since: when an earlier attempt with unknown outcome began; None if there was none.
    """

    id: str
    incident: str
    channel: str
    target: str
    facts: Facts
    attempts: int
    fence: int
    uncertain_since: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A delivery as people see it."""

    id: str
    incident: str
    subject: str
    change: str
    channel: str
    target: str
    state: str
    attempts: int
    created_at: datetime
    not_before: datetime | None
    last_error: str


def add_deliveries(
    connection: Connection, *, transition: int, incident: str, places: Sequence[Route], now: datetime
) -> None:
    """Put a transition into the outbox for each of these places, in their order."""
    if not places:
        return
    connection.execute(
        insert(deliveries),
        [
            {
                "id": new_id(),
                "transition": transition,
                "incident": incident,
                "channel": route.channel,
                "target": route.target,
                "state": "pending",
                "attempts": 0,
                "fence": 0,
                "last_error": "",
                "created_at": now,
            }
            for route in places
        ],
    )


def addressed(connection: Connection, of: Collection[str]) -> dict[str, frozenset[Route]]:
    """List everywhere each of these incidents was sent, or is on its way to."""
    found: dict[str, set[Route]] = {incident: set() for incident in of}
    if found:
        query = select(deliveries.c.incident, deliveries.c.channel, deliveries.c.target)
        for row in connection.execute(query.where(deliveries.c.incident.in_(found)).distinct()):
            found[row.incident].add(Route(channel=row.channel, target=row.target))
    return {incident: frozenset(places) for incident, places in found.items()}


def claim(connection: Connection, *, channels: Collection[str], worker: str, now: datetime) -> Claim | None:
    """Take the oldest delivery that may go out now; its state is `sending` when the transaction ends.

    Only the oldest unfinished delivery of an incident and channel can be taken, so that an incident's
    messages arrive in order. One left in `sending` by a worker that died is taken over after its lease.
    """
    row = connection.execute(_claimable(channels, now)).mappings().first()
    if row is None:
        return None
    # A worker that died in `sending` may have been heard: what it began has an unknown outcome.
    uncertain_since = row["attempted_at"] if row["state"] == "sending" else row["uncertain_since"]
    connection.execute(
        update(deliveries)
        .where(deliveries.c.id == row["id"])
        .values(
            state="sending",
            attempts=row["attempts"] + 1,
            attempted_at=now,
            uncertain_since=uncertain_since,
            not_before=None,
            lease_owner=worker,
            lease_until=now + LEASE,
            fence=row["fence"] + 1,
        ),
    )
    return Claim(
        id=row["id"],
        incident=row["incident"],
        channel=row["channel"],
        target=row["target"],
        facts=_facts.validate_json(row["facts"]),
        attempts=row["attempts"] + 1,
        fence=row["fence"] + 1,
        uncertain_since=uncertain_since,
    )


def _claimable(channels: Collection[str], now: datetime) -> Select[tuple[object, ...]]:
    earlier = deliveries.alias("earlier")
    blocked = exists().where(
        earlier.c.incident == deliveries.c.incident,
        earlier.c.channel == deliveries.c.channel,
        earlier.c.target == deliveries.c.target,
        earlier.c.number < deliveries.c.number,
        earlier.c.state.in_(("pending", "sending")),
    )
    ready = or_(
        and_(
            deliveries.c.state == "pending",
            or_(deliveries.c.not_before.is_(None), deliveries.c.not_before <= now),
        ),
        and_(deliveries.c.state == "sending", deliveries.c.lease_until < now),
    )
    return (
        select(deliveries, transitions.c.facts)
        .join(transitions, transitions.c.number == deliveries.c.transition)
        .where(deliveries.c.channel.in_(sorted(channels)), ready, ~blocked)
        .order_by(deliveries.c.number)
        .limit(1)
        # PostgreSQL's workers step over each other's rows; on SQLite the transaction is IMMEDIATE already.
        .with_for_update(skip_locked=True, of=deliveries)
    )


def finish(
    connection: Connection, claim: Claim, posting: Posting | None, *, opening: str, now: datetime
) -> bool:
    """Mark a delivery as done and remember what it became; False if another worker holds it by now.

    Args:
        opening: the delivery that opened the posting.
    """
    if not _end(connection, claim, state="done", error="", now=now, uncertain_since=None):
        return False
    if posting is not None:
        values = {
            "incident": claim.incident,
            "channel": claim.channel,
            "target": claim.target,
            "reference": posting.reference,
            "url": posting.url,
            "opening_delivery": opening,
            "at": now,
        }
        insert_new = sqlite_insert if connection.dialect.name == "sqlite" else postgresql_insert
        connection.execute(
            insert_new(postings)
            .values(values)
            .on_conflict_do_update(
                index_elements=["incident", "channel", "target"],
                set_={"reference": posting.reference, "url": posting.url},
            ),
        )
    return True


def bury(
    connection: Connection, claim: Claim, *, error: str, uncertain_since: datetime | None, now: datetime
) -> bool:
    """Make a delivery a dead letter; False if another worker holds it by now.

    Args:
        uncertain_since: when an attempt began of which it was never found out whether it arrived.
    """
    return _end(connection, claim, state="dead", error=error, now=now, uncertain_since=uncertain_since)


def _end(
    connection: Connection,
    claim: Claim,
    *,
    state: str,
    error: str,
    now: datetime,
    uncertain_since: datetime | None,
) -> bool:
    result = connection.execute(
        update(deliveries)
        .where(_held(claim))
        .values(
            state=state,
            last_error=error,
            uncertain_since=uncertain_since,
            ended_at=now,
            lease_owner=None,
            lease_until=None,
        ),
    )
    return result.rowcount == 1


def put_back(
    connection: Connection,
    claim: Claim,
    *,
    error: str,
    not_before: datetime,
    uncertain_since: datetime | None,
    counts: bool = True,
) -> bool:
    """Return a delivery to the outbox; False if another worker holds it by now.

    Args:
        uncertain_since: when the attempt of unknown outcome began; None if it surely did not arrive.
        counts: whether this was an attempt; waiting for the settle time is none.
    """
    result = connection.execute(
        update(deliveries)
        .where(_held(claim))
        .values(
            state="pending",
            attempts=claim.attempts if counts else claim.attempts - 1,
            last_error=error,
            not_before=not_before,
            uncertain_since=uncertain_since,
            lease_owner=None,
            lease_until=None,
        ),
    )
    return result.rowcount == 1


def _held(claim: Claim) -> ColumnElement[bool]:
    return and_(
        deliveries.c.id == claim.id, deliveries.c.fence == claim.fence, deliveries.c.state == "sending"
    )


def posting_of(
    connection: Connection, incident: str, *, channel: str, target: str
) -> tuple[Posting, str] | None:
    """Read what an incident has become in one place, and the delivery that opened it there."""
    row = connection.execute(
        select(postings).where(
            postings.c.incident == incident, postings.c.channel == channel, postings.c.target == target
        ),
    ).first()
    if row is None:
        return None
    return Posting(reference=row.reference, url=row.url), row.opening_delivery


def unsettled(connection: Connection, claim: Claim) -> dict[str, datetime]:
    """List the dead letters of an incident in a claim's place that may have arrived; when each was made."""
    rows = connection.execute(
        select(deliveries.c.id, deliveries.c.created_at)
        .where(
            deliveries.c.incident == claim.incident,
            deliveries.c.channel == claim.channel,
            deliveries.c.target == claim.target,
            deliveries.c.state == "dead",
            deliveries.c.uncertain_since.is_not(None),
        )
        .order_by(deliveries.c.number),
    )
    return {row.id: row.created_at for row in rows}


def previous_url(connection: Connection, claim: Claim) -> str:
    """Find where the last resolved incident like this one was told of in the same place; empty if none."""
    query = (
        select(postings.c.url)
        .join(incidents, incidents.c.id == postings.c.incident)
        .where(
            incidents.c.subject == claim.facts.subject,
            incidents.c.concern == claim.facts.concern,
            incidents.c.resolved_at.is_not(None),
            incidents.c.id != claim.incident,
            postings.c.channel == claim.channel,
            postings.c.target == claim.target,
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


def count_deliveries(connection: Connection) -> dict[str, int]:
    """Count the deliveries in each state."""
    rows = connection.execute(select(deliveries.c.state, func.count()).group_by(deliveries.c.state))
    return dict.fromkeys(("pending", "sending", "done", "dead"), 0) | {row[0]: row[1] for row in rows}


def list_deliveries(connection: Connection, *, states: Collection[str], limit: int) -> tuple[Delivery, ...]:
    """List deliveries in these states, newest first."""
    query = (
        select(deliveries, transitions.c.change, incidents.c.subject)
        .join(transitions, transitions.c.number == deliveries.c.transition)
        .join(incidents, incidents.c.id == deliveries.c.incident)
        .where(deliveries.c.state.in_(sorted(states)))
        .order_by(deliveries.c.number.desc())
        .limit(limit)
    )
    return tuple(_delivery(row) for row in connection.execute(query).mappings())


def _delivery(row: RowMapping) -> Delivery:
    names = ("id", "incident", "subject", "change", "channel", "target", "state", "attempts")
    return Delivery(
        **{name: row[name] for name in names},
        created_at=row["created_at"],
        not_before=row["not_before"],
        last_error=row["last_error"],
    )
