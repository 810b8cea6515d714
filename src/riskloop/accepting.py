"""Lets a person accept an incident, or silence a mitigation, until a day they name; and end either early."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from riskloop.assessing import SERVICE, Occasion
from riskloop.assessing.muting import begin_mute, end_mute
from riskloop.attribution import attributed
from riskloop.errors import Refused
from riskloop.incidents import Concern, Incident
from riskloop.mutes import LONGEST, Mute, Muting
from riskloop.register import Register
from riskloop.services import Services
from riskloop.store import history, mutes
from riskloop.thresholds import Verdict

_ALL = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """What a decision came to.

    Args:
        says: in one sentence, without a full stop.
        told: the open incidents it is told of with; empty if nothing is open.
    """

    says: str
    told: tuple[Incident, ...]


def accept(
    services: Services, register: Register, name: str, *, until: datetime, who: str, why: str, at: Occasion
) -> Decided:
    """Accept an open incident as it stands: it is told of again when it worsens, or when the time is over.

    What was accepted before for the same concern of the same mitigation is replaced.

    Args:
        name: the incident's id, or that of a mitigation with one open incident.
        until: at most 180 days ahead (`mutes.LONGEST`).
        who: claimed, not proven.

    Raises:
        Refused: nothing is open under that name, the time is no good, or there is no name or no reason.
    """
    who, why = attributed(who, why)
    _bounded(until, at.now)
    with services.store.reading() as connection:
        is_open = history.list_incidents(connection, resolved=False, limit=_ALL)
    incident = _the_one(register, is_open, name)
    mute = Mute(
        id=history.new_id(),
        muting=Muting.ACCEPTED,
        subject=incident.subject,
        concern=incident.concern,
        severity=incident.severity,
        who=who,
        why=why,
        since=at.now,
        until=until,
    )
    return _begin(services, mute, at)


def silence(
    services: Services, register: Register, name: str, *, until: datetime, who: str, why: str, at: Occasion
) -> Decided:
    """Be silent about a mitigation whatever happens to it; looks are stored as ever, and told afterwards.

    A silence that holds already is replaced.

    Args:
        name: the mitigation's id; whether anything is open does not matter.
        until: at most 180 days ahead (`mutes.LONGEST`).
        who: claimed, not proven.

    Raises:
        Refused: the time is no good, or there is no name or no reason.
        RiskloopError: the register has no such mitigation.
    """
    who, why = attributed(who, why)
    _bounded(until, at.now)
    (mitigation,) = register.mitigations(only=[name])
    mute = Mute(
        id=history.new_id(),
        muting=Muting.SILENCED,
        subject=mitigation.id,
        concern=None,
        severity=Verdict.UNKNOWN,
        who=who,
        why=why,
        since=at.now,
        until=until,
    )
    return _begin(services, mute, at)


def end_early(services: Services, name: str, muting: Muting, *, who: str, why: str, at: Occasion) -> Decided:
    """End what holds for a mitigation before its time: its incidents are told of again, as they are now.

    Args:
        name: the mitigation's id, or that of an open incident of it.

    Raises:
        Refused: nothing of that sort holds, or there is no name or no reason.
    """
    who, why = attributed(who, why)
    with services.store.reading() as connection:
        is_open = history.list_incidents(connection, resolved=False, limit=_ALL)
        named = next((one for one in is_open if one.id == name), None)
        subject = named.subject if named else name
        held = mutes.holding(connection, [subject], now=at.now).get(subject, ())
    ending = [mute for mute in held if mute.muting is muting and (not named or mute.covers(named.concern))]
    if not ending:
        raise Refused(f"{name} is not {muting}", rule="nothing-holds", remedy="see what is: riskloop status")
    told = [
        incident for mute in ending for incident in end_mute(services.store, mute, f"by {who}: {why}", at)
    ]
    return Decided(says=f"{subject} is no longer {muting}", told=tuple(told))


def end_of(day: date) -> datetime:
    """Give the last second of a day, in UTC: whoever names a day means all of it."""
    return datetime.combine(day, time(23, 59, 59), tzinfo=UTC)


def read_until(words: str, *, now: datetime) -> datetime:
    """Read `2027-01-31`, the whole of that day in UTC, or `30d`, so many days from now.

    Raises:
        Refused: it is neither.
    """
    if re.fullmatch(r"[0-9]{1,4}d", words):
        return now + timedelta(days=int(words[:-1]))
    try:
        return end_of(date.fromisoformat(words))
    except ValueError as error:
        raise Refused(
            f"{words!r} is no day", rule="until", remedy="write one as 2027-01-31, or a number of days as 30d"
        ) from error


def _begin(services: Services, mute: Mute, at: Occasion) -> Decided:
    told = begin_mute(services.store, mute, at)
    says = f"{mute.subject} is {mute.muting} until {mute.until:%d %B %Y %H:%M} UTC by {mute.who}"
    return Decided(says=says, told=told)


def _the_one(register: Register, is_open: Sequence[Incident], name: str) -> Incident:
    """Find the open incident that is meant."""
    found = [one for one in is_open if name in {one.id, one.subject}]
    if len(found) > 1:
        found = [one for one in found if one.concern is not Concern.APPROVAL]
    if not found:
        known = name in {mitigation.id for mitigation in register.mitigations()}
        raise Refused(
            f"nothing is open to accept under {name!r}",
            rule="nothing-open",
            remedy=f"silence it instead: riskloop silence {name}" if known else "see: riskloop incidents",
        )
    if len(found) > 1:
        ids = ", ".join(f"{one.id} ({one.concern})" for one in found)
        raise Refused(
            f"{name} has more than one open incident", rule="which-incident", remedy=f"name one: {ids}"
        )
    (incident,) = found
    if incident.subject == SERVICE or incident.concern is Concern.FLOOD:
        raise Refused(
            f"{incident.id} tells of riskloop's own work, which cannot be accepted",
            rule="not-a-risk",
            remedy="accept the incident of a mitigation; see: riskloop incidents",
        )
    if incident.concern is Concern.APPROVAL:
        raise Refused(
            f"{incident.id} tells of a plan to be decided about, which cannot be accepted",
            rule="not-a-risk",
            remedy=f"approve it or reject it; see how: riskloop approvals show {incident.subject}",
        )
    return incident


def _bounded(until: datetime, now: datetime) -> None:
    if until <= now:
        raise Refused(f"{until:%Y-%m-%d} is over", rule="until", remedy="name a later day")
    last = (now + LONGEST).date()
    if until.date() > last:
        raise Refused(
            f"{until:%Y-%m-%d} is more than {LONGEST.days} days away",
            rule="until",
            remedy=f"name a day up to {last}, and look again then",
        )
