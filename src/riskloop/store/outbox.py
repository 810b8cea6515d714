"""The outbox: every transition on its way to every channel, claimed, fenced, and ended or dead-lettered."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import TypeAdapter
from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    bindparam,
    exists,
    false,
    func,
    insert,
    or_,
    select,
    update,
)

from riskloop.incidents import Concern
from riskloop.notifications import Facts, Posting, Route
from riskloop.redaction import redacted
from riskloop.store.circuits import in_realm
from riskloop.store.history import new_id
from riskloop.store.postings import keep_posting
from riskloop.store.tables import deliveries, incidents, transitions, writes
from riskloop.thresholds import Verdict

_facts = TypeAdapter(Facts)

LEASE = timedelta(minutes=5)
"""How long a claimed delivery belongs to its worker; longer than any wait a worker does with it in hand."""

LIFETIME = timedelta(hours=24)
"""How long after its first attempt a delivery becomes a dead letter; time behind an open circuit excluded."""

_LONGEST_WAIT = timedelta(hours=25)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A delivery in a worker's hands: nothing is written for it unless the fence still stands.

    Args:
        owner: the name of the owner it is for.
        uncertain_since: since when the outcome of an earlier attempt is unknown; None if none is.
        expires_at: when it becomes a dead letter, if it is not delivered before.
    """

    id: str
    incident: str
    channel: str
    target: str
    owner: str
    facts: Facts
    attempts: int
    fence: int
    uncertain_since: datetime | None
    expires_at: datetime

    @property
    def route(self) -> Route:
        return Route(channel=self.channel, target=self.target)


@dataclass(frozen=True, slots=True, kw_only=True)
class Closed:
    """Where nothing is to be sent for now: a realm behind its circuit, or a place without budget.

    Args:
        realm: as its route names it; empty if it is a place.
        channel: of the place; the whole of it where no target is named.
        owner: whose budget there is used up; empty for everybody's.
    """

    realm: str = ""
    channel: str = ""
    target: str = ""
    owner: str = ""

    @property
    def covers(self) -> ColumnElement[bool]:
        if self.realm:
            return in_realm(self.realm)
        named = {"channel": self.channel, "target": self.target, "owner": self.owner}
        return and_(*(deliveries.c[name] == value for name, value in named.items() if value))


def add_deliveries(
    connection: Connection,
    *,
    transition: int,
    facts: Facts,
    places: Sequence[Route],
    now: datetime,
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
                "incident": facts.incident,
                "subject": facts.subject,
                "channel": route.channel,
                "target": route.target,
                "owner": facts.owners[0].name,
                "urgency": urgency(facts),
                "state": "pending",
                "attempts": 0,
                "fence": 0,
                "last_error": "",
                "created_at": now,
            }
            for route in places
        ],
    )


def urgency(facts: Facts) -> int:
    """Say how soon a transition is to be told: 0 for many at once, 1 for critical, 2 for the rest."""
    if facts.concern is Concern.FLOOD:
        return 0
    return 1 if Verdict.CRITICAL in {facts.severity, facts.previous} else 2


def addressed(connection: Connection, of: Collection[str]) -> dict[str, frozenset[Route]]:
    """List everywhere each of these incidents was sent, or is on its way to."""
    found: dict[str, set[Route]] = {incident: set() for incident in of}
    if found:
        query = select(deliveries.c.incident, deliveries.c.channel, deliveries.c.target)
        for row in connection.execute(query.where(deliveries.c.incident.in_(found)).distinct()):
            found[row.incident].add(Route(channel=row.channel, target=row.target))
    return {incident: frozenset(places) for incident, places in found.items()}


def queue(
    connection: Connection,
    *,
    channels: Collection[str],
    closed: Collection[Closed],
    now: datetime,
    limit: int,
) -> tuple[str, ...]:
    """List the deliveries to send next: owners take turns, and of each owner's the most urgent comes first.

    Of two owners whose turn it is, and whose matters are as urgent, the one who was written to last waits.
    Only the oldest unfinished delivery of an incident and place is among them, so that an incident's messages
    arrive in order. One left in `sending` by a worker that died is taken over after its lease.

    Args:
        closed: where nothing is to be sent now.
    """
    turn = (
        func.row_number()
        .over(
            partition_by=(deliveries.c.channel, deliveries.c.owner),
            order_by=(deliveries.c.urgency, deliveries.c.number),
        )
        .label("turn")
    )
    served = select(writes.c.owner, func.max(writes.c.at).label("at")).group_by(writes.c.owner).subquery()
    query = select(deliveries.c.id, deliveries.c.urgency, deliveries.c.owner, deliveries.c.number, turn)
    waiting = query.where(
        # Written out, as the index of the unfinished has them: only so does SQLite use it.
        deliveries.c.state.in_(
            bindparam("unfinished", ["pending", "sending"], expanding=True, literal_execute=True)
        ),
        deliveries.c.channel.in_(sorted(channels)),
        _ready(now),
        ~_follows_another(),
        ~or_(false(), *(one.covers for one in closed)),
    ).subquery()
    ordered = (
        select(waiting.c.id)
        .outerjoin(served, served.c.owner == waiting.c.owner)
        .order_by(waiting.c.turn, waiting.c.urgency, served.c.at.nulls_first(), waiting.c.number)
    )
    return tuple(connection.execute(ordered.limit(limit)).scalars())


def claim(connection: Connection, delivery: str, *, worker: str, now: datetime) -> Claim | None:
    """Take one delivery: it is `sending` when the transaction ends; None if another worker has it."""
    query = (
        select(deliveries, transitions.c.facts)
        .join(transitions, transitions.c.number == deliveries.c.transition)
        .where(deliveries.c.id == delivery, _ready(now), ~_follows_another())
        # PostgreSQL's workers step over each other's rows; on SQLite the transaction is IMMEDIATE already.
        .with_for_update(skip_locked=True, of=deliveries)
    )
    row = connection.execute(query).mappings().first()
    if row is None:
        return None
    # A worker that died in `sending` may have been heard: what it began has an unknown outcome.
    uncertain_since = row["attempted_at"] if row["state"] == "sending" else row["uncertain_since"]
    first_attempt_at = row["first_attempt_at"] or now
    connection.execute(
        update(deliveries)
        .where(deliveries.c.id == row["id"])
        .values(
            state="sending",
            attempts=row["attempts"] + 1,
            attempted_at=now,
            first_attempt_at=first_attempt_at,
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
        owner=row["owner"],
        facts=_facts.validate_json(row["facts"]),
        attempts=row["attempts"] + 1,
        fence=row["fence"] + 1,
        uncertain_since=uncertain_since,
        expires_at=first_attempt_at + LIFETIME + timedelta(seconds=row["held_seconds"]),
    )


def extend(connection: Connection, claim: Claim, *, now: datetime) -> bool:
    """Begin a delivery's lease anew; False if another worker holds it by now."""
    result = connection.execute(update(deliveries).where(_held(claim)).values(lease_until=now + LEASE))
    return result.rowcount == 1


def _ready(now: datetime) -> ColumnElement[bool]:
    # A moment further ahead than we ever set one was written by a clock that was wrong.
    row = deliveries.c
    waited = or_(row.not_before.is_(None), row.not_before <= now, row.not_before > now + _LONGEST_WAIT)
    lapsed = or_(row.lease_until < now, row.lease_until > now + LEASE)
    return or_(and_(row.state == "pending", waited), and_(row.state == "sending", lapsed))


def _follows_another() -> ColumnElement[bool]:
    earlier = deliveries.alias("earlier")
    return exists().where(
        earlier.c.incident == deliveries.c.incident,
        earlier.c.channel == deliveries.c.channel,
        earlier.c.target == deliveries.c.target,
        earlier.c.number < deliveries.c.number,
        earlier.c.state.in_(("pending", "sending")),
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
        keep_posting(connection, claim.incident, claim.route, posting, opening=opening, now=now)
    return True


def bury(
    connection: Connection, claim: Claim, *, error: str, uncertain_since: datetime | None, now: datetime
) -> bool:
    """Make a delivery a dead letter; False if another worker holds it by now.

    Args:
        uncertain_since: since when it is not known whether it has arrived; None if it surely has not.
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
            last_error=redacted(error),
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
    not_before: datetime | None,
    uncertain_since: datetime | None,
    counts: bool = True,
) -> bool:
    """Return a delivery to the outbox; False if another worker holds it by now.

    Args:
        not_before: None if it may go out again at once.
        uncertain_since: since when it is not known whether it has arrived; None if it surely has not.
        counts: whether this was an attempt; waiting for the settle time or for the budget is none. The
            lifetime begins with the first that was.
    """
    began = {"first_attempt_at": None} if not counts and claim.attempts == 1 else {}
    result = connection.execute(
        update(deliveries)
        .where(_held(claim))
        .values(
            state="pending",
            attempts=claim.attempts if counts else claim.attempts - 1,
            last_error=redacted(error),
            not_before=not_before,
            uncertain_since=uncertain_since,
            lease_owner=None,
            lease_until=None,
            **began,
        ),
    )
    return result.rowcount == 1


def _held(claim: Claim) -> ColumnElement[bool]:
    return and_(
        deliveries.c.id == claim.id, deliveries.c.fence == claim.fence, deliveries.c.state == "sending"
    )


def waits_in_flood(connection: Connection, flood: str) -> bool:
    """Say whether an open incident that was told of with others still waits to be told of by itself."""
    query = select(deliveries.c.id).join_from(deliveries, incidents)
    query = query.where(
        incidents.c.flood == flood,
        incidents.c.resolved_at.is_(None),
        deliveries.c.state.in_(("pending", "sending")),
    )
    return connection.execute(query.limit(1)).first() is not None


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
