"""Acceptances and silences in the life of an incident: begun, announced before their end, and over."""

from collections.abc import Iterator
from datetime import timedelta

from sqlalchemy import Connection

from riskloop.assessing.facts import Occasion
from riskloop.assessing.following import retell
from riskloop.incidents import Change, Incident, Transition
from riskloop.mutes import ANNOUNCED, Mute
from riskloop.store import Store, history, mutes, observations, outbox


def begin_mute(store: Store, mute: Mute, occasion: Occasion) -> tuple[Incident, ...]:
    """Store an acceptance or a silence, and tell of it where the incidents it covers are told of."""
    with store.writing() as connection:
        observations.lock_every_mitigation(connection)
        mutes.add(connection, mute)
        words = f"{mute.muting} until {_moment(mute)} by {mute.who}: {mute.why}"
        return tuple(_tell(connection, mute, Change.MUTED, words, occasion))


def end_mute(store: Store, mute: Mute, how: str, occasion: Occasion) -> tuple[Incident, ...]:
    """End one before its time, and let the incidents it covered speak again; nothing if it is over by now."""
    with store.writing() as connection:
        observations.lock_every_mitigation(connection)
        if not mutes.end(connection, mute, how=how, now=occasion.now):
            return ()
        return tuple(_tell(connection, mute, Change.UNMUTED, _over(mute, how), occasion))


def follow_mutes(store: Store, occasion: Occasion) -> tuple[Incident, ...]:
    """Announce the end of what ends soon, and end what is over; the incidents it covered speak again."""
    spoken: list[Incident] = []
    with store.reading() as connection:
        waiting = any(_due(mute, occasion) for mute in mutes.unended(connection))
    if not waiting:
        return ()
    with store.writing() as connection:
        observations.lock_every_mitigation(connection)
        for mute in mutes.unended(connection):
            if mute.until <= occasion.now:
                mutes.end(connection, mute, how="its time was over", now=occasion.now)
                words = _over(mute, "its time was over")
                spoken += _tell(connection, mute, Change.UNMUTED, words, occasion)
            elif (before := mute.announcement(occasion.now)) is not None:
                mutes.announced(connection, mute, count=ANNOUNCED.index(before) + 1)
                left = _days(mute.until - occasion.now)
                words = f"{mute.muting} by {mute.who} for {left}, until {_moment(mute)}"
                spoken += _tell(connection, mute, Change.ENDING, words, occasion)
    return tuple(spoken)


def _due(mute: Mute, occasion: Occasion) -> bool:
    return mute.until <= occasion.now or mute.announcement(occasion.now) is not None


def _tell(
    connection: Connection, mute: Mute, change: Change, reason: str, occasion: Occasion
) -> Iterator[Incident]:
    found = history.open_incidents(connection, mute.subject)
    holding = mutes.holding(connection, [mute.subject], now=occasion.now).get(mute.subject, ())
    for concern, incident in found.items():
        if not mute.covers(concern):
            continue
        transition = Transition(
            change=change, severity=incident.severity, reason=reason, breaches=incident.breaches
        )
        places = sorted(outbox.addressed(connection, [incident.id])[incident.id])
        yield retell(connection, incident, transition, occasion, places, mutes=holding)[0]


def _over(mute: Mute, how: str) -> str:
    return f"no longer {mute.muting}: what {mute.who} decided on {mute.since:%d %B %Y} is over ({how})"


def _moment(mute: Mute) -> str:
    return f"{mute.until:%d %B %Y %H:%M} UTC"


def _days(left: timedelta) -> str:
    # An announcement may be late, after a time out of service.
    days = max(1, round(left / timedelta(days=1)))
    return "1 more day" if days == 1 else f"{days} more days"
