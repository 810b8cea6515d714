"""Packs a delivery for its channel: with what it has become there, and what people did to that."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from riskloop.channels import Channel, Kept, Parcel
from riskloop.channels.markers import Marker, about
from riskloop.delivery.pacing import Overtaken
from riskloop.identity import Identity
from riskloop.incidents import Change, Concern
from riskloop.notifications import Facts, Route
from riskloop.store import Store, chores, outbox, places, postings
from riskloop.store.outbox import Claim
from riskloop.store.postings import Posted

GRACE = timedelta(hours=24)
"""How long what a person closed or took away is left so, unless the incident worsens."""

_CLOCKS_DIFFER = timedelta(minutes=10)
_COMES_BACK_AT_ONCE = frozenset({Change.WORSENED, Change.REOPENED, Change.UNMUTED})
_HEARD_ALL_THE_SAME = frozenset({Change.RESOLVED, Change.DISMISSED, Change.MUTED, Change.ENDING})


@dataclass(frozen=True, slots=True, kw_only=True)
class Packed:
    """A parcel, and the delivery that opened its posting: the parcel's own if there is none yet."""

    parcel: Parcel
    opening: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Packer:
    """Packs the deliveries of one round.

    Args:
        strays: by place, what stands open there and whether its incident is in the store; looked at once.
    """

    store: Store
    channels: Mapping[str, Channel]
    identity: Identity
    clock: Callable[[], datetime]
    strays: dict[Route, list[tuple[Kept, bool]]] = field(default_factory=dict)

    def pack(self, claim: Claim) -> Packed:
        """Pack a delivery.

        Raises:
            Undelivered: it had to be looked for in its channel, and that failed.
            Overtaken: meanwhile another worker took it over.
        """
        facts = claim.facts
        with self.store.reading() as connection:
            known = postings.posted(connection, claim.incident, claim.route)
            previous = postings.previous_url(connection, facts, claim.route)
            issue = postings.issue_url(connection, claim.incident)
            unsettled = {} if known else outbox.unsettled(connection, claim)
        # What is accepted or silenced comes back for nothing that is not told of.
        quiet = facts.quiet or facts.still_quiet
        back = known is not None and not quiet and _comes_back(facts, known, self.clock())
        left_alone = known is not None and known.state != "open" and not back
        gone = known is not None and known.state == "gone"
        hushed = left_alone and (gone or facts.change not in _HEARD_ALL_THE_SAME)
        hushed = hushed or (facts.still_quiet and known is None)
        opening = claim.id if known is None or gone else known.opening
        parcel = Parcel(
            delivery=claim.id,
            target=claim.target,
            facts=replace(facts, quiet=facts.quiet or hushed),
            marker=self._marker(claim, claim.id),
            opening_marker=self._marker(claim, opening),
            posting=None if known is None or gone else known.posting,
            previous_url=known.posting.url if known and gone else previous,
            issue_url=issue,
            attempted_at=claim.uncertain_since,
            reopen=not quiet and (back or _comes_back_at_once(facts)),
        )
        # A dead letter may have arrived after all: opened unseen, the incident would have two postings.
        for lost, made_at in unsettled.items():
            marker = self._marker(claim, lost)
            before = replace(parcel, delivery=lost, marker=marker, attempted_at=made_at)
            if there := self.channels[claim.channel].find(before):
                return Packed(parcel=replace(parcel, opening_marker=marker, posting=there), opening=lost)
        opens = parcel.posting is None and facts.change is not Change.RESOLVED and not parcel.facts.quiet
        if opens and claim.uncertain_since is None and (stray := self._stray(claim)):
            return Packed(parcel=replace(parcel, posting=stray.posting), opening=claim.id)
        return Packed(parcel=parcel, opening=opening)

    def _stray(self, claim: Claim) -> Kept | None:
        """Find what an incident had become here, if the store has lost that: its open posting is adopted.

        One look around in each place and round, no further back than the store has looked already, tells of
        a store that was lost, or restored from a copy.
        """
        if claim.route not in self.strays:
            self.strays[claim.route] = self._look_around(claim)
        about_it = about(claim.facts.subject, claim.facts.concern)
        for kept, known in self.strays[claim.route]:
            if kept.marker.about == about_it and (not known or kept.marker.incident == claim.incident):
                with self.store.reading() as connection:
                    holder = postings.holder(connection, claim.route, kept.posting)
                if holder in {None, claim.incident}:
                    return kept
        return None

    def _look_around(self, claim: Claim) -> list[tuple[Kept, bool]]:
        """List what stands open in a place, the oldest first, and whether its incident is in the store."""
        route, begun = claim.route, self.clock()
        name = f"look around {route.channel} {route.target}"
        with self.store.reading() as connection:
            last = chores.last_done(connection, name)
        # A look in the future was noted by a clock that was wrong.
        since = last - _CLOCKS_DIFFER if last and last <= begun else None
        there = sorted(
            (
                kept
                for kept in self.channels[route.channel].look_around(route.target, since=since)
                if kept.marker.installation == self.identity.installation
            ),
            key=lambda kept: kept.made_at,
        )
        with self.store.reading() as connection:
            known = places.here(connection, route, {kept.marker.incident for kept in there})
        found = [(kept, kept.marker.incident in known) for kept in there]
        # While one is left to adopt, the next round must find it again, however long it takes to get there.
        if all(is_known and known[kept.marker.incident].posted for kept, is_known in found):
            with self.store.writing() as connection:
                if not outbox.extend(connection, claim, now=self.clock()):
                    raise Overtaken
                chores.done(connection, name, now=begun)
        return found

    def _marker(self, claim: Claim, delivery: str) -> str:
        marker = Marker(
            installation=self.identity.installation,
            incident=claim.incident,
            delivery=delivery,
            about=about(claim.facts.subject, claim.facts.concern),
        )
        return marker.signed(self.identity.key)


def _comes_back(facts: Facts, known: Posted, now: datetime) -> bool:
    """Say whether what a person closed or took away is opened again by a change of its incident."""
    if known.state == "open" or facts.change in _HEARD_ALL_THE_SAME:
        return False
    since = known.state_at or now
    return _comes_back_at_once(facts) or now >= since + GRACE


def _comes_back_at_once(facts: Facts) -> bool:
    # A decision is not taken by closing what asks for it: its few reminders must be heard.
    owed = facts.concern is Concern.APPROVAL and facts.change is Change.REMINDED
    return owed or facts.change in _COMES_BACK_AT_ONCE
