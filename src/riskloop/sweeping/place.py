"""Puts one place in order: for each open incident one open issue, or one message, and none besides."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from sqlalchemy import Connection

from riskloop.assessing import Occasion
from riskloop.assessing.following import retell
from riskloop.channels import Kept, Posting, Standing, Turn
from riskloop.channels.markers import about
from riskloop.delivery import GRACE
from riskloop.errors import GaveUp, Gone
from riskloop.identity import Identity
from riskloop.incidents import Change, Concern, Incident, Transition
from riskloop.mutes import Mute
from riskloop.notifications import Route, belongs
from riskloop.store import Store, chores, history, mutes, observations, places, postings
from riskloop.store.places import Here
from riskloop.sweeping.planning import Extra, Plan, plan
from riskloop.sweeping.subjects import CLOCKS_DIFFER, Subject

AT_ONCE = 40
"""Postings looked at one by one, or closed, in one place and sweep, at most; the next sweep goes on."""

_REASONS = {
    Change.DISMISSED: "a person closed it here",
    Change.UPDATED: "its issue was opened after it was told here, and is linked now",
    Change.REOPENED: "it was closed or taken away here a day ago, and what it tells of stands",
}


class _Wanted(Exception):
    """What was to be closed is wanted after all."""


class Swept(Protocol):
    """What a channel does for the sweeper; its verbs raise Undelivered, and nothing else."""

    def look_around(self, target: str, *, since: datetime | None) -> Iterable[Kept]: ...

    def standing(self, target: str, posting: Posting) -> Standing: ...

    def close_extra(
        self, target: str, posting: Posting, *, says: str, duplicate: bool, marker: str, turn: Turn
    ) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One repository or Slack channel, to be swept.

    Args:
        turn: called before each write.
        subjects: what the register gives rise to, as markers shorten it.
        in_time: says whether there is time to close one more.
        said: what was done, a sentence each; it grows while the place is swept.
    """

    store: Store
    channel: Swept
    identity: Identity
    route: Route
    turn: Turn
    subjects: Mapping[str, Subject]
    occasion: Occasion
    in_time: Callable[[], bool]
    said: list[str] = field(default_factory=list)

    def sweep(self) -> None:
        """Put the place in order; whatever changes meanwhile is left for the next sweep.

        Raises:
            Undelivered: the place cannot be looked at or written; what was said until then was done.
        """
        before = self._read(())
        there = self._look_around()
        looked_at = self._look_one_by_one(before, {kept.posting.reference for kept in there})
        after = self._read({kept.marker.incident for kept in there})
        planned = plan(before, after, there, looked_at, self.subjects)
        self._record(planned, after)
        self._link()
        done = [extra for extra in planned.close[:AT_ONCE] if self.in_time() and self._close(extra)]
        if len(done) == len(planned.close) and not planned.later:
            with self.store.writing() as connection:
                chores.done(connection, self._name, now=self.occasion.now)

    @property
    def _name(self) -> str:
        return f"sweep {self.route.channel} {self.route.target}"

    def _read(self, named: Iterable[str]) -> dict[str, Here]:
        with self.store.reading() as connection:
            return places.here(connection, self.route, frozenset(named))

    def _look_around(self) -> list[Kept]:
        since = None
        if self.route.channel != "github":
            # GitHub lists what is open; Slack all that anybody wrote, of which only the newest part is read.
            with self.store.reading() as connection:
                last = chores.last_done(connection, self._name)
            since = last - CLOCKS_DIFFER if last and last <= self.occasion.now else None
        found = self.channel.look_around(self.route.target, since=since)
        ours = [kept for kept in found if kept.marker.installation == self.identity.installation]
        return sorted(ours, key=lambda kept: (kept.made_at, kept.posting.reference))

    def _look_one_by_one(self, before: Mapping[str, Here], listed: set[str]) -> dict[str, Standing]:
        """See how the postings are that are not among the open ones; of very many some, and later others."""
        missing = [
            (incident, here.posted.posting)
            for incident, here in sorted(before.items())
            if here.incident and here.posted and not here.unfinished
            if here.posted.posting.reference not in listed
        ]
        turns = int(self.occasion.now.timestamp()) // 3600
        start = turns * AT_ONCE % len(missing) if len(missing) > AT_ONCE else 0
        chosen = [*missing[start:], *missing[:start]][:AT_ONCE]
        return {incident: self.channel.standing(self.route.target, posting) for incident, posting in chosen}

    def _record(self, planned: Plan, after: Mapping[str, Here]) -> None:
        """Store what was found, in one transaction, wherever the store still says what it said before."""
        news = {
            incident: standing
            for incident, standing in planned.standings.items()
            if _is_news(after[incident], standing, self.occasion.now)
        }
        if not news and not planned.adopt:
            return
        said = []
        with self.store.writing() as connection:
            observations.lock_every_mitigation(connection)
            now = places.here(connection, self.route, ())
            still = {one: after[one] for one in (*news, *planned.adopt) if now.get(one) == after[one]}
            subjects = {here.incident.subject for here in still.values() if here.incident}
            held = mutes.holding(connection, subjects, now=self.occasion.now)
            for name, here in still.items():
                if here.incident is None:
                    continue
                if name in planned.adopt:
                    said.append(self._adopt(connection, here.incident, planned.adopt[name]))
                else:
                    muted = held.get(here.incident.subject, ())
                    said.append(self._follow(connection, here.incident, here, news[name], muted))
        self.said.extend(sentence for sentence in said if sentence)

    def _adopt(self, connection: Connection, incident: Incident, kept: Kept) -> str:
        opening, now = kept.marker.delivery, self.occasion.now
        postings.keep_posting(connection, incident.id, self.route, kept.posting, opening=opening, now=now)
        postings.change_posting(connection, incident.id, self.route, state="open", now=now)
        return f"{incident.subject}: {self._called(kept.posting)} is its own from now on"

    def _follow(
        self,
        connection: Connection,
        incident: Incident,
        here: Here,
        standing: Standing,
        muted: Sequence[Mute],
    ) -> str:
        """Note what a person did to an incident's posting, and say what follows: once, and a day later."""
        if here.posted is None:
            return ""
        before, called = here.posted.state, self._called(here.posted.posting)
        postings.change_posting(connection, incident.id, self.route, state=standing, now=self.occasion.now)
        if standing is Standing.OPEN:
            return f"{incident.subject}: {called} was opened again by a person"
        if before == standing:
            told = self._tell(connection, incident, Change.REOPENED, muted)
            return (
                f"{incident.subject}: {called} comes back, a day after it was {_DONE[standing]}"
                if told
                else ""
            )
        if standing is Standing.CLOSED and before == Standing.OPEN:
            told = self._tell(connection, incident, Change.DISMISSED, muted)
            asks = "asks there whether the risk is accepted"
            if incident.concern is Concern.APPROVAL:
                asks = "says there that this decides nothing"
            follows = asks if told else "is left so"
            return f"{incident.subject}: {called} was closed by a person; riskloop {follows}"
        return f"{incident.subject}: {called} was {_DONE[standing]} by a person"

    def _tell(
        self, connection: Connection, incident: Incident, change: Change, muted: Sequence[Mute]
    ) -> bool:
        """Tell of it in this place only; not aloud of what is accepted or silenced, nor of a list of many."""
        hushed = any(mute.hushes(incident.concern, change, incident.severity) for mute in muted)
        if change.aloud and (hushed or incident.concern is Concern.FLOOD):
            return False
        if not belongs(history.last_facts(connection, incident.id), self.route):
            return False  # Its owner is heard elsewhere by now.
        transition = Transition(
            change=change,
            severity=incident.severity,
            reason=_REASONS[change],
            breaches=incident.breaches,
        )
        retell(connection, incident, transition, self.occasion, [self.route], mutes=muted)
        return True

    def _link(self) -> None:
        """Edit each message here that could not link to its incident's issue, which was opened after it."""
        if self.route.channel != "slack":
            return
        with self.store.reading() as connection:
            if not places.without_link(connection, self.route, now=self.occasion.now):
                return
        with self.store.writing() as connection:
            observations.lock_every_mitigation(connection)
            found = places.without_link(connection, self.route, now=self.occasion.now)
            held = mutes.holding(connection, {one.subject for one in found}, now=self.occasion.now)
            told = [
                incident.subject
                for incident in found
                if self._tell(connection, incident, Change.UPDATED, held.get(incident.subject, ()))
            ]
        self.said.extend(f"{subject}: its message links to its issue now" for subject in told)

    def _close(self, extra: Extra) -> bool:
        """Close what is extra; False if that is left for the next sweep."""
        kept = extra.kept

        def turn() -> None:
            self.turn()
            # It may have been waited for; what is adopted meanwhile must not be closed.
            if extra.beside is None and self._is_wanted(kept):
                raise _Wanted

        try:
            self.channel.close_extra(
                self.route.target,
                kept.posting,
                says=_says(extra),
                duplicate=extra.beside is not None,
                marker=kept.marker.signed(self.identity.key),
                turn=turn,
            )
        except _Wanted:
            return False
        except Gone:
            return True
        except GaveUp as error:
            if error.authentication:
                raise
            self.said.append(f"{self._called(kept.posting)} could not be closed: {error}")
            return False
        why = "one too many" if extra.beside else extra.why
        self.said.append(f"{self._called(kept.posting)} is closed: {why}")
        return True

    def _is_wanted(self, kept: Kept) -> bool:
        """Say whether a posting whose incident the store does not have is about one that is open by now."""
        known = self._read({kept.marker.incident})
        open_now = (here.incident for here in known.values() if here.incident)
        return kept.marker.incident not in known and kept.marker.about in {
            about(one.subject, one.concern) for one in open_now
        }

    def _called(self, posting: Posting) -> str:
        return posting.url or f"{self.route.channel} {self.route.target} {posting.reference}"


_DONE = {Standing.CLOSED: "closed", Standing.GONE: "taken away"}


def _says(extra: Extra) -> str:
    if extra.beside is None:
        return f"This is over: {extra.why}."
    other = extra.beside.url or "another message in this channel"
    return f"This is one too many: {other} tells of the same, and goes on."


def _is_news(here: Here, standing: Standing, now: datetime) -> bool:
    """Say whether a person did something since the store was told, or whether a day has passed since."""
    if here.posted is None or here.unfinished:
        return False
    if here.posted.state != standing:
        return True
    if standing is Standing.OPEN or here.posted.state_at is None:
        return False
    # A dead letter needs a person: it is not written a second time by us.
    is_dead = here.last == (Change.REOPENED, "dead")
    # A moment in the future was noted by a clock that was wrong: a day from then may be a year away.
    was_wrong = here.posted.state_at > now + CLOCKS_DIFFER
    return not is_dead and (was_wrong or now >= here.posted.state_at + GRACE)
