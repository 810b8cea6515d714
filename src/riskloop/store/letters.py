"""Deliveries as people see them and take them in hand: listed, read whole, sent again after all, dropped."""

from collections.abc import Collection
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Connection, RowMapping, Select, case, func, select, update

from riskloop.incidents import Change
from riskloop.notifications import Facts, Route
from riskloop.store.tables import deliveries, transitions
from riskloop.store.text import storable

_facts = TypeAdapter(Facts)

_BEHIND = timedelta(seconds=2)
"""How long what follows a revived delivery waits: longer than a claim that began before it was revived."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A delivery as people see it.

    Args:
        number: they are sent in the order of these.
        transition: the number of what happened to the incident, which this tells of; `change` says what.
        owner: the name of the owner it is for.
        first_attempt_at: None if it was never tried, or was put back as if it never had been.
        not_before: when it is tried again; None if as soon as its turn comes.
        uncertain_since: since when it is not known of an attempt whether it arrived; None if of none.
        lease_until: until when it belongs to the worker that sends it now.
        ended_at: when it arrived, or was given up.
        last_error: why the last attempt failed, with the remedy; empty if none did.
        dropped: who decided that it is not to be sent, and why; empty if nobody did.
    """

    id: str
    number: int
    incident: str
    transition: int
    subject: str
    change: Change
    channel: str
    target: str
    owner: str
    state: str
    attempts: int
    created_at: datetime
    first_attempt_at: datetime | None
    attempted_at: datetime | None
    not_before: datetime | None
    uncertain_since: datetime | None
    lease_until: datetime | None
    ended_at: datetime | None
    last_error: str
    dropped: str

    @property
    def route(self) -> Route:
        return Route(channel=self.channel, target=self.target)

    @property
    def unfinished(self) -> bool:
        """Whether it is still on its way."""
        return self.state in {"pending", "sending"}


_NAMES = tuple(field.name for field in fields(Delivery) if field.name != "change")


def count_deliveries(connection: Connection) -> dict[str, int]:
    """Count the deliveries in each state; those that a person dropped are `dropped`, not `dead`."""
    dropped = deliveries.c.dropped != ""
    query = select(deliveries.c.state, dropped, func.count()).group_by(deliveries.c.state, dropped)
    counts = dict.fromkeys(("pending", "sending", "done", "dead", "dropped"), 0)
    for state, is_dropped, count in connection.execute(query):
        counts["dropped" if is_dropped else state] += count
    return counts


def list_deliveries(
    connection: Connection, *, states: Collection[str], limit: int, dropped: bool = False
) -> tuple[Delivery, ...]:
    """List deliveries in these states, newest first.

    Args:
        dropped: those too that a person dropped.
    """
    query = people_see().where(deliveries.c.state.in_(sorted(states)))
    if not dropped:
        query = query.where(deliveries.c.dropped == "")
    query = query.order_by(deliveries.c.number.desc()).limit(limit)
    return tuple(delivery_of(row) for row in connection.execute(query).mappings())


def oldest_waiting(connection: Connection) -> datetime | None:
    """Say since when the oldest delivery is on its way; None if none is."""
    query = select(func.min(deliveries.c.created_at)).where(deliveries.c.state.in_(("pending", "sending")))
    found: datetime | None = connection.execute(query).scalar()
    return found


def read_delivery(connection: Connection, delivery: str) -> tuple[Delivery, Facts] | None:
    """Read one delivery and the facts it is to tell; None if there is none of that id."""
    query = people_see().add_columns(transitions.c.facts).where(deliveries.c.id == delivery)
    row = connection.execute(query).mappings().first()
    return (delivery_of(row), _facts.validate_json(row["facts"])) if row else None


def newest_ids(connection: Connection, *, limit: int) -> tuple[str, ...]:
    """List the ids of the newest deliveries that have not arrived, and after them those of the others."""
    arrived = case((deliveries.c.state == "done", 1), else_=0)
    query = select(deliveries.c.id).order_by(arrived, deliveries.c.number.desc()).limit(limit)
    return tuple(connection.execute(query).scalars())


def in_order(connection: Connection, of: Delivery, *, lock: bool = False) -> tuple[Delivery, ...]:
    """List every delivery of the same incident in the same place, in the order in which they are sent.

    Args:
        lock: let no worker claim one of them until this transaction ends.
    """
    query = people_see().where(
        deliveries.c.incident == of.incident,
        deliveries.c.channel == of.channel,
        deliveries.c.target == of.target,
    )
    if lock:
        query = query.with_for_update(of=deliveries)
    query = query.order_by(deliveries.c.number)
    return tuple(delivery_of(row) for row in connection.execute(query).mappings())


def revive(
    connection: Connection, dead: Collection[Delivery], behind: Collection[Delivery], *, now: datetime
) -> None:
    """Make dead letters pending, with all their attempts and their whole lifetime before them.

    What is not known of an attempt stays so: the worker looks whether it arrived before it sends again. Their
    incident's deliveries there must be locked by `in_order`.

    Args:
        behind: those on their way that come after them. PostgreSQL shows a worker that is about to claim one
            of these a moment before this one, in which nothing was ahead of it; so none is due until then.
    """
    connection.execute(
        update(deliveries)
        .where(deliveries.c.id.in_([one.id for one in dead]), deliveries.c.state == "dead")
        .values(
            state="pending",
            attempts=0,
            first_attempt_at=None,
            held_seconds=0.0,
            not_before=None,
            ended_at=None,
            dropped="",
        )
    )
    later = [one.id for one in behind if one.not_before is None or one.not_before < now + _BEHIND]
    connection.execute(
        update(deliveries)
        .where(deliveries.c.id.in_(later), deliveries.c.state == "pending")
        .values(not_before=now + _BEHIND)
    )


def drop(connection: Connection, delivery: str, *, who: str, why: str, now: datetime) -> bool:
    """Note that a delivery which waits, or is dead, is not to be sent; False if it is neither by now."""
    row = deliveries.c
    result = connection.execute(
        update(deliveries)
        .where(row.id == delivery, row.state.in_(("pending", "dead")), row.dropped == "")
        .values(
            state="dead",
            dropped=storable(f"{who}: {why}"),
            ended_at=func.coalesce(row.ended_at, now),
            not_before=None,
        )
    )
    return result.rowcount == 1


def people_see() -> Select[Any]:
    """Select what `delivery_of` reads."""
    return select(deliveries, transitions.c.change).join(
        transitions, transitions.c.number == deliveries.c.transition
    )


def delivery_of(row: RowMapping) -> Delivery:
    """Read a delivery from a row of `people_see`."""
    return Delivery(change=Change(row["change"]), **{name: row[name] for name in _NAMES})
