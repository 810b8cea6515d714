"""Tells what was seen and decided of a mitigation, and each time why somebody was told, or was not."""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from riskloop.approvals import Decision
from riskloop.incidents import BLIND_AFTER, Change, Concern, Streaks
from riskloop.mutes import Mute
from riskloop.notifications import Route, name_realm
from riskloop.risks import Mitigation
from riskloop.store.circuits import Circuit
from riskloop.store.entries import Case, Changed, Decided, Muted, Seen, Stands
from riskloop.store.letters import Delivery
from riskloop.store.marks import Mark, What
from riskloop.store.timeline import Past
from riskloop.thresholds import Verdict
from riskloop.wording import escaping, figures

ROUND = "the next round"
"""What takes up what waits: the flow `follow_up`, or the end of any run."""


SHOWN = 3
"""So many dead letters are said with their reason, the newest; the rest are counted."""

_LONG = timedelta(hours=1)
_MUTES_ARE_TOLD = "whoever hears of its open incidents, if there are any"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One thing that happened.

    Args:
        mark: its place in the story, which a page may end at.
        id: of the incident's transition, the mute or the delivery; the look's or the decision's number.
        incident: which it belongs to; empty for a look, a mute and a decision.
        says: what happened.
        why: why somebody was told, or nobody was.
        url: where it is told; empty if nowhere.
    """

    at: datetime
    what: What
    mark: str
    id: str
    incident: str
    says: str
    why: str
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Told:
    """An entry as it is put into words here: in several lines perhaps, and not yet in its place."""

    mark: Mark
    id: str
    incident: str = ""
    says: str
    why: str
    url: str = ""


def tell(past: Past, mitigation: Mitigation | None, *, now: datetime) -> tuple[Entry, ...]:
    """Tell a subject's past, from the oldest to the newest.

    Of a page only so many of the newest entries are whole as were asked for.

    Args:
        mitigation: as the register has it today; None for the service, and for one that has left it.
    """
    told = [
        *(_decision(decided) for decided in past.decisions),
        *_looks(past, mitigation),
        *(entry for muted in past.mutes for entry in _mute(muted)),
        *_changes(past),
        *_postings(past.standing),
        *_deliveries(past, now),
    ]
    end = past.before
    return tuple(
        Entry(
            at=one.mark.at,
            what=one.mark.what,
            mark=str(one.mark),
            id=one.id,
            incident=one.incident,
            says=_one_line(one.says),
            why=_one_line(one.why),
            url=one.url,
        )
        for one in sorted(told, key=lambda one: one.mark.key)
        if end is None or one.mark.key < end.key
    )


def deliveries_stand(
    deliveries: Iterable[Delivery], circuits: Iterable[Circuit], *, now: datetime
) -> dict[str, str]:
    """Say of each delivery in a sentence how it stands, and why; by id.

    Args:
        deliveries: in the order in which they were made; one waits behind another only if both are here.
        circuits: those that are open.
    """
    broken = {circuit.realm: circuit for circuit in circuits}
    first: dict[tuple[str, Route], Delivery] = {}
    says = {}
    for one in deliveries:
        place = (one.incident, one.route)
        says[one.id] = _stands(one, first.get(place), broken.get(one.route.realm), now)
        if one.unfinished:
            first.setdefault(place, one)
    return says


def circuit_says(circuit: Circuit) -> str:
    """Say of an open circuit since when it is open, why, and when it closes."""
    return (
        f"nothing is sent since {_moment(circuit.opened_at)}: {_one_line(circuit.reason)}; "
        "it goes on by itself when the token works again"
    )


def waiting_says(count: int, since: datetime | None, *, now: datetime) -> str:
    """Say how many deliveries are on their way, and for how long the oldest if that is over an hour.

    Args:
        since: when the oldest was made; None if there is none.
    """
    if since is None or now - since <= _LONG:
        return str(count)
    return f"{count}, the oldest for {figures.duration(now - since)}"


def letter_says(delivery: Delivery) -> str:
    """Say of a dead letter what did not get where, and why."""
    where = f"{delivery.channel} {delivery.target}"
    why = _one_line(delivery.last_error)
    return f"{delivery.id}: {delivery.subject}, '{delivery.change}' to {where}: {why}"


def _looks(past: Past, mitigation: Mitigation | None) -> Iterator[_Told]:
    followed: dict[int, list[Changed]] = {}
    for change in past.around.followed:
        if change.observation is not None:
            followed.setdefault(change.observation, []).append(change)
    concerns = {case.id: case.concern for case in past.around.cases}
    streaks = Streaks()
    for verdict in past.around.verdicts:
        streaks = streaks.after(verdict)
    to_come = deque(past.around.cases)
    stood: list[Case] = []
    for look in past.looks:
        while to_come and to_come[0].opened_at <= look.at:
            stood.append(to_come.popleft())
        stood = [case for case in stood if case.resolved_at is None or case.resolved_at > look.at]
        streaks = streaks.after(look.verdict)
        if changes := followed.get(look.number):
            why = _followed(changes, concerns)
        else:
            is_open = {case.concern for case in stood}
            why = _nobody(look.verdict, streaks, is_open, mitigation)
        mark = Mark(at=look.at, what=What.LOOK, number=look.number)
        yield _Told(mark=mark, id=str(look.number), says=_look(look), why=why)


def _followed(changes: Sequence[Changed], concerns: Mapping[str, Concern]) -> str:
    told = (f"{concerns[one.incident]} incident {one.incident} {one.change}" for one in changes)
    return f"{', '.join(told)}: see there"


def _look(look: Seen) -> str:
    if look.verdict is Verdict.UNKNOWN:
        return f"could not look: {look.reason}"
    values = ", ".join(f"{metric} {figures.number(value)}" for metric, value in look.values)
    after = " after what a person decided" if look.phase == "after" else ""
    undone = f"; {look.reason}" if look.reason else ""
    return f"{look.verdict}{after}: {values or look.summary or 'nothing was measured'}{undone}"


def _nobody(verdict: Verdict, streaks: Streaks, is_open: set[Concern], mitigation: Mitigation | None) -> str:
    """Say why a look that changed nothing is told to nobody."""
    after = mitigation.after if mitigation else 1
    resolve_after = mitigation.resolve_after if mitigation else 1
    if verdict is Verdict.UNKNOWN:
        if Concern.BLIND in is_open:
            return "nobody: the same reason as told before"
        return f"nobody: {streaks.unknown} of {BLIND_AFTER} looks in a row that gave nothing"
    if verdict is Verdict.OK:
        if Concern.BREACH in is_open:
            return f"nobody: {streaks.fine} of {resolve_after} good looks in a row that resolve the incident"
        return "nobody: within the thresholds"
    if Concern.BREACH in is_open:
        return "nobody: the same numbers as told before"
    return f"nobody: {streaks.breached} of {after} breaches in a row"


def _decision(decided: Decided) -> _Told:
    """Tell of a decision; the commit or the approval it names is its own, where it names one."""
    decision = decided.decision
    named = str(decision.details.get("commit") or decision.details.get("approval") or "")[:12]
    what = " ".join(part for part in (decision.decision, named) if part)
    told = "nobody by itself: the look that follows tells what it changed"
    if decision.decision in set(Decision):
        told = "whoever hears of the approval: see its incident"
    return _Told(
        mark=Mark(at=decision.at, what=What.DECISION, number=decided.number),
        id=str(decided.number),
        says=f"{what} by {decision.who}: {decision.why}",
        why=told if decided.completed_at else "nobody: it was not carried out",
    )


def _mute(muted: Muted) -> Iterator[_Told]:
    mute = muted.mute
    begun = f"{mute.muting} until {_moment(mute.until)} by {mute.who}: {mute.why}"
    # Each has two entries, so that its number alone would be the place of both.
    mark = Mark(at=mute.since, what=What.MUTE, number=2 * muted.number)
    yield _Told(mark=mark, id=mute.id, says=begun, why=_MUTES_ARE_TOLD)
    if mute.ended_at is not None:
        mark = Mark(at=mute.ended_at, what=What.MUTE, number=2 * muted.number + 1)
        yield _Told(mark=mark, id=mute.id, says=f"no longer {mute.muting}", why=muted.ended)


def _changes(past: Past) -> Iterator[_Told]:
    cases = {case.id: case for case in past.around.cases}
    for change in past.changes:
        case = cases[change.incident]
        yield _Told(
            mark=Mark(at=change.at, what=What.TRANSITION, number=change.number),
            id=change.id,
            incident=change.incident,
            says=f"{case.concern} {change.change} ({change.severity}): {change.reason}",
            why=_aloud(change, case, past.around.owners.get(change.number)),
        )


def _aloud(change: Changed, case: Case, owner: str | None) -> str:
    """Say who is to hear of a change, or why nobody is.

    Args:
        owner: whom its deliveries are for; None if there are none.
    """
    hush = change.hush
    if hush.quiet and hush.mutes:
        return f"nobody: {_until(hush.mutes[0])}; what stands in a channel already is kept current"
    if owner is None:
        return "nobody: its owner has no place where to hear of it"
    if change.change is Change.UPDATED:
        return "nobody: what stands in a channel is edited silently"
    if change.change is Change.OPENED and case.flood:
        return f"{owner} is to hear of it with many others first (incident {case.flood}), then by itself"
    return f"{owner} is to hear of it: see its deliveries"


def _until(mute: Mute) -> str:
    return f"{mute.muting} until {_moment(mute.until)} by {mute.who} ({mute.why})"


def _postings(standing: Iterable[Stands]) -> Iterator[_Told]:
    words = {
        "closed": ("was closed by a person", "it is left so for a day, unless the incident worsens"),
        "gone": ("was deleted, or moved away", "it is left so for a day, unless the incident worsens"),
        "open": ("is open again", "it is kept current as before"),
    }
    for one in standing:
        if one.state_at is not None:
            says, why = words[one.state]
            place = f"{one.route.channel} {one.route.target}"
            yield _Told(
                mark=Mark(at=one.state_at, what=What.POSTING, text=f"{one.incident} {place}"),
                id=place,
                incident=one.incident,
                says=f"{one.url} {says}",
                why=why,
                url=one.url,
            )


def _deliveries(past: Past, now: datetime) -> Iterator[_Told]:
    stands = deliveries_stand(past.deliveries, past.around.circuits, now=now)
    standing = {(one.incident, one.route): one for one in past.around.standing}
    owed = {case.id for case in past.around.cases if case.concern is Concern.APPROVAL}
    for one in past.deliveries:
        there = standing.get((one.incident, one.route))
        silent = one.change is Change.UPDATED or one.transition in past.around.quiet
        comes_back = one.incident in owed
        why = (
            _done(one, there, silent=silent, comes_back=comes_back) if one.state == "done" else stands[one.id]
        )
        at = one.ended_at or one.attempted_at or one.created_at
        yield _Told(
            mark=Mark(at=at, what=What.DELIVERY, number=one.number),
            id=one.id,
            incident=one.incident,
            says=f"{one.change} to {one.channel} {one.target}: {one.state}",
            why=why,
            url=there.url if there and one.state == "done" else "",
        )


def _stands(delivery: Delivery, ahead: Delivery | None, circuit: Circuit | None, now: datetime) -> str:
    match delivery.state:
        case "done":
            return f"told on {_moment(delivery.ended_at)}"
        case "dead" if delivery.dropped:
            return f"not sent: dropped by {delivery.dropped}"
        case "dead":
            return f"dead letter after {_attempts(delivery)}: {_one_line(delivery.last_error)}"
        case "sending" if delivery.lease_until is None or delivery.lease_until >= now:
            held = f"{ROUND} after {_moment(delivery.lease_until)}"
            return f"being sent; if its worker has ended, {held} takes it up"
        case "sending":
            return f"its worker ended while it was sent: {ROUND} looks whether it arrived"
    if ahead is not None:
        return f"waiting behind '{ahead.change}' ({ahead.id}), so that its incident is told in order"
    if circuit is not None:
        refused = f"the token for {name_realm(circuit.realm)} is refused since {_moment(circuit.opened_at)}"
        return f"waiting: {refused}; it goes out by itself when the token works again"
    waits = delivery.not_before is not None and delivery.not_before > now
    when = f"not before {_moment(delivery.not_before)}" if waits else f"with {ROUND}"
    if delivery.last_error:
        return f"waiting: sent again {when}, after {_attempts(delivery)}: {_one_line(delivery.last_error)}"
    return f"waiting: sent {when}"


def _done(delivery: Delivery, there: Stands | None, *, silent: bool, comes_back: bool) -> str:
    if there is None:
        return "nobody: the incident was never told there, so there was nothing to edit or to end"
    place = there.url
    if silent:
        return f"nobody: edited silently in {place}"
    left_closed = {Change.EASED} if comes_back else {Change.EASED, Change.REMINDED}
    if _was_closed(there, delivery.ended_at) and delivery.change in left_closed:
        return f"nobody: edited silently in {place}, which a person had closed"
    return f"told as event {place}" if delivery.channel == "events" else f"told in {place}"


def _was_closed(there: Stands, at: datetime | None) -> bool:
    return there.state != "open" and there.state_at is not None and at is not None and there.state_at <= at


def _attempts(delivery: Delivery) -> str:
    return "1 attempt" if delivery.attempts == 1 else f"{delivery.attempts} attempts"


def _one_line(text: str) -> str:
    """Write what a service answered as one line that shows what is in it."""
    return escaping.visible(" ".join(text.split()))


def _moment(at: datetime | None) -> str:
    return f"{at.astimezone(UTC):%d %B %Y %H:%M} UTC" if at else "a time unknown"
