"""Open circuits: realms whose token was refused, where nothing is sent until it works again."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, case, delete, select, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from riskloop.redaction import redacted
from riskloop.store.tables import circuits, deliveries

_AT_ONCE = 1_000
"""Rows in one statement: a database takes only so many parameters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Circuit:
    """An open circuit.

    Args:
        realm: whose token it is: `github`, or `slack:<workspace>`.
        reason: what the service said, and the remedy.
        tried_at: when the token was tried last.
    """

    realm: str
    reason: str
    opened_at: datetime
    tried_at: datetime


def list_circuits(connection: Connection) -> tuple[Circuit, ...]:
    """List the open circuits."""
    rows = connection.execute(select(circuits).order_by(circuits.c.realm))
    return tuple(
        Circuit(realm=row.realm, reason=row.reason, opened_at=row.opened_at, tried_at=row.tried_at)
        for row in rows
    )


def open_circuit(connection: Connection, realm: str, *, reason: str, now: datetime) -> None:
    """Open a circuit, or note that its token was tried in vain once more."""
    reason = redacted(reason)
    insert_new = sqlite_insert if connection.dialect.name == "sqlite" else postgresql_insert
    connection.execute(
        insert_new(circuits)
        .values(realm=realm, reason=reason, opened_at=now, tried_at=now)
        .on_conflict_do_update(index_elements=["realm"], set_={"reason": reason, "tried_at": now})
    )


def close_circuit(connection: Connection, realm: str, *, now: datetime) -> None:
    """Close a circuit; the time it was open is not held against the deliveries that waited behind it.

    They need not wait any longer, but for one that may still arrive.
    """
    opened_at = connection.execute(
        delete(circuits).where(circuits.c.realm == realm).returning(circuits.c.opened_at)
    ).scalar()
    if opened_at is None:
        return
    # One that was opened in the future was opened by a clock that was wrong.
    held = max((now - opened_at).total_seconds(), 0.0)
    row = deliveries.c
    waiting = select(row.number).where(
        in_realm(realm), row.state.in_(("pending", "sending")), row.first_attempt_at.is_not(None)
    )
    # Locked in one order, as whoever takes several in hand does, so that PostgreSQL's never wait in a ring.
    numbers = connection.execute(waiting.order_by(row.number).with_for_update()).scalars().all()
    for start in range(0, len(numbers), _AT_ONCE):
        connection.execute(
            update(deliveries)
            .where(row.number.in_(numbers[start : start + _AT_ONCE]))
            .values(
                held_seconds=row.held_seconds + held,
                not_before=case((row.uncertain_since.is_(None), None), else_=row.not_before),
            )
        )


def in_realm(realm: str) -> ColumnElement[bool]:
    """Match the deliveries of a realm."""
    channel, _, workspace = realm.partition(":")
    if channel != "slack":
        return deliveries.c.channel == channel
    place = deliveries.c.target
    here = place.startswith(f"{workspace}/", autoescape=True) if workspace else ~place.contains("/")
    return (deliveries.c.channel == channel) & here
