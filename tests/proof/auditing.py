"""Holds what a team heard against what is in the store: nothing lost, doubled, out of order, or astray."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Row, select

from riskloop.channels.markers import Marker, read_marker
from riskloop.delivery import GRACE
from riskloop.incidents import REMIND_AFTER, Change, Concern
from riskloop.mutes import Mute
from riskloop.notifications import Facts
from riskloop.store import tables
from riskloop.store.mutes import mute_of
from riskloop.thresholds import Verdict
from tests.emulator.emulator import STRANGER
from tests.proof.team import Team, places_of
from tests.proxy.traffic import busiest

Place = tuple[str, str]
"""A channel and a target in it."""

_facts = TypeAdapter(Facts)
_LATE = timedelta(minutes=40)
_TOUCHED = timedelta(hours=28)
"""How long after a person closed or took away something it may be missing: the day of grace, and a sweep."""
_ASKED = timedelta(hours=5)
"""How long after a person closed an issue it is asked about: some sweeps fail."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """One posting of ours, and what was said about it below.

    Args:
        said: the deliveries that its comments or replies tell of, in their order.
        says: the words of all of it.
    """

    place: Place
    reference: str
    marker: Marker
    is_open: bool
    said: tuple[str, ...]
    says: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """What the store says, read once."""

    incidents: Mapping[str, Row[Any]]
    transitions: Mapping[str, list[Facts]]
    facts: Mapping[int, Facts]
    deliveries: Mapping[str, Row[Any]]
    postings: Mapping[tuple[str, Place], Row[Any]]
    mutes: list[Mute]

    def muted(self, subject: str, begins: datetime, ends: datetime) -> bool:
        """Say whether anything was accepted or silenced for a subject at any time between."""
        return any(
            mute.subject == subject and mute.since <= ends and (mute.ended_at or mute.until) >= begins
            for mute in self.mutes
        )


class Auditor:
    """Audits a team, day by day, and remembers what people did that excuses what would be wrong.

    Args:
        touched: by incident and place, when a person last did something to its posting.
        did: what people did, and when: `closes`, `deletes`, ….
        deaf: from when to when a channel's token did not work.
        archived: repositories, and from when to when they could not be written.
        twice: the times that the clock showed twice, as it was set back.
        breaks: moments at which the clock or the store went back, or jumped ahead.
    """

    def __init__(self, team: Team) -> None:
        self.team = team
        self.touched: dict[tuple[str, Place], datetime] = {}
        self.did: dict[tuple[str, Place], list[tuple[datetime, str]]] = defaultdict(list)
        self.deaf: list[tuple[str, datetime, datetime]] = []
        self.archived: list[tuple[str, datetime, datetime]] = []
        self.breaks: list[datetime] = []
        self.twice: list[tuple[datetime, datetime]] = []
        self._writes: dict[str, list[float]] = defaultdict(list)
        self._cached: dict[tuple[Place, str], tuple[int, list[str]]] = {}

    def note(self, heard: "Heard", does: str) -> None:
        """Note that a person does something to a posting."""
        key = (heard.marker.incident, heard.place)
        self.touched[key] = self.team.clock()
        self.did[key].append((self.team.clock(), does))

    def note_break(self) -> None:
        """Note that time or the store is another from now on.

        What people did lately counts from now, or from when it was done by a clock that was ahead.
        """
        now = self.team.clock()
        self.breaks.append(now)
        for key, moment in self.touched.items():
            if abs(now - moment) < timedelta(days=5):
                self.touched[key] = max(moment, now)

    def audit(self, *, at_rest: bool = False) -> None:
        """Make sure that all is as promised.

        Args:
            at_rest: everything has been delivered and swept, nothing is excused any more.
        """
        books = self._read()
        heard = [
            one
            for place in sorted(set().union(*places_of(self.team.owners).values()))
            for one in self.heard(place)
        ]
        self._nothing_is_said_twice(books, heard)
        self._everything_is_said(books, heard)
        self._nobody_hears_of_others(books, heard)
        self._each_is_told_of_once(books, heard, at_rest=at_rest)
        self._reminders_come_in_time(books)
        self._people_are_heard(books)
        self._dead_letters_have_a_reason(books)
        self._writes_are_within_the_budget()
        self._looks_are_what_counts(books)
        if at_rest:
            assert {row.state for row in books.deliveries.values()} <= {"done", "dead"}

    def _nothing_is_said_twice(self, books: Books, heard: list[Heard]) -> None:
        bodies = Counter(one.marker.delivery for one in heard)
        assert not [one for one, times in bodies.items() if times > 1], "each posting is there once"
        said = Counter(delivery for one in heard for delivery in one.said)
        assert not [one for one, times in said.items() if times > 1], "each comment and reply is there once"
        for one in heard:
            numbers = [books.deliveries[each].number for each in one.said if each in books.deliveries]
            assert numbers == sorted(numbers), f"{one.place} {one.reference}: its messages are in order"

    def _everything_is_said(self, books: Books, heard: list[Heard]) -> None:
        """Whatever the store calls delivered is there, unless a person did something about it."""
        said = {delivery for one in heard for delivery in one.said}
        dead = {(row.incident, row.channel) for row in books.deliveries.values() if row.state == "dead"}
        for row in books.deliveries.values():
            place = (row.channel, row.target)
            incident = books.incidents[row.incident]
            ends = incident.resolved_at or self.team.clock()
            if (
                row.state == "done"
                and Change(row.change).aloud
                and (row.incident, place) not in self.touched
                and (row.incident, row.channel) not in dead
                and not books.facts[row.transition].quiet
                and not books.muted(incident.subject, incident.opened_at, ends)
                and not any(incident.opened_at <= moment for moment in self.breaks)
            ):
                assert row.id in said, f"{row.change} of {incident.subject} was told in {place}"

    def _nobody_hears_of_others(self, books: Books, heard: list[Heard]) -> None:
        places = places_of(self.team.owners)
        for one in heard:
            if one.marker.incident in books.incidents:
                owner = books.incidents[one.marker.incident].owner
                assert one.place in places[owner], f"{owner}'s incident is told in {one.place}"
            for owner in re.findall(r"Secrets of (SDK Lead|QA|Docs)", one.says):
                assert one.place in places[owner], f"{owner}'s secrets are in {one.place}"

    def _each_is_told_of_once(self, books: Books, heard: list[Heard], *, at_rest: bool) -> None:
        now = self.team.clock()
        is_open: dict[tuple[str, Place], list[str]] = defaultdict(list)
        for one in heard:
            if one.is_open:
                is_open[one.marker.incident, one.place].append(one.reference)
        unfinished = {
            (row.incident, (row.channel, row.target))
            for row in books.deliveries.values()
            if row.state in {"pending", "sending"}
        }
        last = {(row.incident, (row.channel, row.target)): row.state for row in books.deliveries.values()}
        for (incident, place), found in is_open.items():
            key = (incident, place)
            assert len(found) <= 1, f"{incident} is told of once in {place}, not in {found}"
            if incident not in books.incidents:
                assert not at_rest, f"what {incident} told of in {place} is over, or is another's now"
            elif books.incidents[incident].resolved_at and key not in unfinished and last[key] == "done":
                assert key in self.touched, f"{incident} is resolved, and open in {place}: {found}"
        for key, state in last.items():
            row, posting = books.incidents[key[0]], books.postings.get(key)
            touched = self.touched.get(key)
            if (
                row.resolved_at is None
                and key not in unfinished
                and state == "done"
                and not books.muted(row.subject, now, now)
                and (touched is None or now > touched + _TOUCHED)
                and row.concern != Concern.FLOOD
            ):
                assert posting, f"{row.subject} {row.concern} is told of in {key[1]}"
                assert is_open[key] == [posting.reference], f"{row.subject} {row.concern} in {key[1]}"

    def _reminders_come_in_time(self, books: Books) -> None:
        for incident, told in books.transitions.items():
            row = books.incidents[incident]
            if row.concern == Concern.APPROVAL:
                continue  # It is reminded of by its own deadline.
            spoken = None
            for facts in told:
                if facts.change is Change.REMINDED:
                    assert spoken is not None
                    patience = REMIND_AFTER[spoken.severity]
                    # What was said by a clock that was ahead is behind us, however long ago it was.
                    after = facts.at - spoken.at
                    early = timedelta(0) <= after < patience and not self._is_broken(spoken.at, facts.at)
                    assert not early, f"{row.subject} is reminded of {after} later"
                    hushed = [
                        mute
                        for mute in books.mutes
                        if mute.subject == row.subject
                        and mute.since <= facts.at < min(mute.ended_at or mute.until, mute.until)
                        and not any(begins <= facts.at <= ends for begins, ends in self.twice)
                        and mute.hushes(Concern(row.concern), facts.change, facts.severity)
                    ]
                    assert not hushed, f"{row.subject} is {hushed[0].muting}, and reminded of"
                if not facts.quiet and facts.change is not Change.UPDATED:
                    self._is_not_silent_for_too_long(books, row, spoken, facts.at)
                    spoken = facts
            if row.resolved_at is None:
                self._is_not_silent_for_too_long(books, row, spoken, self.team.clock())

    def _is_not_silent_for_too_long(
        self, books: Books, row: Row[Any], spoken: Facts | None, until: datetime
    ) -> None:
        patience = REMIND_AFTER.get(spoken.severity) if spoken else None
        if spoken is None or patience is None or row.concern == Concern.FLOOD:
            return
        if books.muted(row.subject, spoken.at, until) or self._is_broken(spoken.at, until):
            return
        silent = until - spoken.at
        assert silent <= patience + _LATE, f"{row.subject} {row.concern}: nothing said for {silent}"

    def _people_are_heard(self, books: Books) -> None:
        """What a person closed is asked about soon, and comes back a day later; not before."""
        for (incident, place), done in self.did.items():
            row = books.incidents.get(incident)
            told = [
                (facts.at, facts.change)
                for delivery in books.deliveries.values()
                if (delivery.incident, (delivery.channel, delivery.target)) == (incident, place)
                for facts in [books.facts[delivery.transition]]
            ]
            for at, does in done:
                until = at + _ASKED
                others = [when for when, _ in done if at < when <= until]
                if row is None or self._is_broken(at, at + GRACE):
                    continue
                early = [
                    when for when, change in told if change is Change.REOPENED and at < when < at + GRACE
                ]
                assert not early, f"{row.subject} {does} {place}: it comes back too early"
                changes = {change for when, change in told if at <= when <= until}
                if (
                    does == "closes"
                    and not others
                    and until <= min(row.resolved_at or self.team.clock(), self.team.clock())
                    and not books.muted(row.subject, at, until)
                    and not changes & {Change.WORSENED, Change.UNMUTED, Change.REOPENED}
                    and not any(
                        channel == place[0] and begins <= until and ends >= at
                        for channel, begins, ends in self.deaf
                    )
                    and row.concern != Concern.FLOOD
                ):
                    assert Change.DISMISSED in changes, f"{row.subject} {does} {place}: nobody asks why"

    def _is_broken(self, begins: datetime, ends: datetime) -> bool:
        return any(begins <= moment <= ends for moment in self.breaks)

    def _dead_letters_have_a_reason(self, books: Books) -> None:
        for row in books.deliveries.values():
            if row.state == "dead":
                excused = any(
                    row.target == place and begins <= row.ended_at <= ends
                    for place, begins, ends in self.archived
                )
                assert excused, f"{row.channel} {row.target} {row.change} is dead: {row.last_error}"

    def _writes_are_within_the_budget(self) -> None:
        github, slack = self.team.rig.github, self.team.rig.slack
        for request in github.recorded:
            if request.method != "GET":
                self._writes["github"].append(request.at)
        for request in slack.recorded:
            if request.path.endswith(("chat.postMessage", "chat.update")):
                self._writes[str(request.sent["channel"])].append(request.at)
        github.recorded.clear()
        slack.recorded.clear()
        for place, moments in self._writes.items():
            # A moment in seconds since 1970 is exact to a microsecond at best.
            assert busiest(moments, 0.999) <= 1, f"at most one write a second to {place}"
        assert busiest(self._writes["github"], 60.0) <= 80
        assert busiest(self._writes["github"], 3_600.0) <= 400

    def _looks_are_what_counts(self, books: Books) -> None:
        """By a rule that has nothing of ours in it: what is open for those that need no two looks."""
        is_open = {
            row.subject: row.severity
            for row in books.incidents.values()
            if row.resolved_at is None and row.concern == Concern.BREACH
        }
        for one in self.team.everything:
            known = [seen for seen in self.team.verdicts[one.id] if seen is not Verdict.UNKNOWN]
            if one.after == 1 and known:
                expected = None if known[-1] is Verdict.OK else known[-1]
                assert is_open.get(one.id) == expected, f"{one.id} was {known[-1]} when it was seen last"

    def _read(self) -> Books:
        t, d = tables.transitions, tables.deliveries
        with self.team.store.reading() as connection:
            incidents = {row.id: row for row in connection.execute(select(tables.incidents))}
            told: dict[str, list[Facts]] = defaultdict(list)
            every = {}
            for row in connection.execute(select(t.c.number, t.c.incident, t.c.facts).order_by(t.c.number)):
                facts = _facts.validate_json(row.facts)
                told[row.incident].append(facts)
                every[row.number] = facts
            query = select(d, t.c.change).join(t, t.c.number == d.c.transition).order_by(d.c.number)
            deliveries = {row.id: row for row in connection.execute(query)}
            posted = {
                (row.incident, (row.channel, row.target)): row
                for row in connection.execute(select(tables.postings))
            }
            mutes = [mute_of(row) for row in connection.execute(select(tables.mutes)).mappings()]
        return Books(
            incidents=incidents,
            transitions=told,
            facts=every,
            deliveries=deliveries,
            postings=posted,
            mutes=mutes,
        )

    def heard(self, place: Place) -> list[Heard]:
        """List what is in a place that is ours."""
        channel, target = place
        return list(self._heard_on_github(target) if channel == "github" else self._heard_on_slack(target))

    def _heard_on_github(self, repository: str) -> Iterator[Heard]:
        place = ("github", repository)
        for issue in self.team.rig.issues(repository):
            marker = self._ours(issue)
            if marker is None:
                continue
            number = str(issue["number"])
            known = self._cached.get((place, number))
            if known is None or known[0] != issue["comments"]:
                rows = self.team.rig.comments(repository, number)
                known = len(rows), [f"{row['user']['login']}\n{row['body']}" for row in rows]
                self._cached[place, number] = known
            ours = [one.partition("\n")[2] for one in known[1] if not one.startswith(STRANGER)]
            yield Heard(
                place=place,
                reference=number,
                marker=marker,
                is_open=issue["state"] == "open",
                said=tuple(self._deliveries(ours)),
                says="\n".join([issue["title"], issue["body"], *ours]),
            )

    def _heard_on_slack(self, channel: str) -> Iterator[Heard]:
        place = ("slack", channel)
        for message in self._shown(channel, "conversations.history"):
            payload = _payload(message)
            marker = read_marker(str(payload.get("marker")), self.team.identity.key)
            if marker is None:
                continue
            ts = str(message["ts"])
            known = self._cached.get((place, ts))
            if known is None or known[0] != message.get("reply_count", 0):
                rows = [row for row in self._shown(channel, "conversations.replies", ts) if row["ts"] != ts]
                known = len(rows), [f"{_payload(row).get('marker')} {row}" for row in rows]
                self._cached[place, ts] = known
            yield Heard(
                place=place,
                reference=ts,
                marker=marker,
                is_open=payload.get("state") == "open",
                said=tuple(self._deliveries(known[1])),
                says="\n".join([f"{message}", *known[1]]),
            )

    def _shown(self, channel: str, method: str, ts: str = "") -> list[dict[str, Any]]:
        sent: dict[str, Any] = {"channel": channel, "limit": 1000, "include_all_metadata": True}
        if ts:
            sent["ts"] = ts
        found = self.team.rig.ask_slack(method, sent)["messages"]
        return self.team.rig.slack.deleted_messages.shown(channel, found)

    def _ours(self, issue: Mapping[str, Any]) -> Marker | None:
        if issue["user"]["login"] == STRANGER:
            return None
        return read_marker(issue["body"].partition("\n")[0], self.team.identity.key)

    def _deliveries(self, texts: list[str]) -> Iterator[str]:
        for one in texts:
            if marker := read_marker(one.partition("\n")[0], self.team.identity.key):
                yield marker.delivery


def _payload(message: Mapping[str, Any]) -> Mapping[str, Any]:
    payload: Mapping[str, Any] = (message.get("metadata") or {}).get("event_payload") or {}
    return payload
