"""Acceptances and silences as they are stored: who decided, why, until when, and how each ended."""

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import Connection, RowMapping, insert, select, update

from riskloop.incidents import Concern
from riskloop.mutes import Mute, Muting
from riskloop.store.tables import mutes
from riskloop.store.text import storable
from riskloop.thresholds import Verdict


def add(connection: Connection, mute: Mute) -> None:
    """Store a decision; what held of the same sort for the same subject ends with it."""
    for before in holding(connection, [mute.subject], now=mute.since).get(mute.subject, ()):
        if before.muting is mute.muting and before.concern is mute.concern:
            end(connection, before, how=f"replaced by {mute.id}", now=mute.since)
    connection.execute(
        insert(mutes).values(
            id=mute.id,
            muting=mute.muting,
            subject=mute.subject,
            concern=mute.concern,
            severity=mute.severity,
            who=storable(mute.who),
            why=storable(mute.why),
            since=mute.since,
            until=mute.until,
            announced=mute.announced,
            ended="",
        )
    )


def end(connection: Connection, mute: Mute, *, how: str, now: datetime) -> bool:
    """Note that one ended, and how: by its time, or by whom and why; False if it had ended already."""
    result = connection.execute(
        update(mutes)
        .where(mutes.c.id == mute.id, mutes.c.ended_at.is_(None))
        .values(ended_at=now, ended=storable(how))
    )
    return result.rowcount == 1


def announced(connection: Connection, mute: Mute, *, count: int) -> None:
    """Note how many announcements of its end were made."""
    connection.execute(update(mutes).where(mutes.c.id == mute.id).values(announced=count))


def holding(connection: Connection, subjects: Collection[str], *, now: datetime) -> dict[str, Sequence[Mute]]:
    """Read what holds now for these subjects; one whose time is over holds no longer, ended or not."""
    query = select(mutes).where(
        mutes.c.subject.in_(subjects), mutes.c.ended_at.is_(None), mutes.c.until > now
    )
    found: dict[str, list[Mute]] = {}
    for row in connection.execute(query.order_by(mutes.c.number)).mappings():
        found.setdefault(row["subject"], []).append(mute_of(row))
    return dict(found)


def unended(connection: Connection) -> tuple[Mute, ...]:
    """Read every one that has not ended, those included whose time is over; the oldest first."""
    query = select(mutes).where(mutes.c.ended_at.is_(None)).order_by(mutes.c.number)
    return tuple(mute_of(row) for row in connection.execute(query).mappings())


def mute_of(row: RowMapping) -> Mute:
    """Read one from a row of the table."""
    return Mute(
        id=row["id"],
        muting=Muting(row["muting"]),
        subject=row["subject"],
        concern=Concern(row["concern"]) if row["concern"] else None,
        severity=Verdict(row["severity"]),
        who=row["who"],
        why=row["why"],
        since=row["since"],
        until=row["until"],
        announced=row["announced"],
        ended_at=row["ended_at"],
    )
