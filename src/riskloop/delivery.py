"""Delivers what nobody has heard yet: in order for each incident, once, and visibly dead if it cannot be."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    stop_before_delay,
    wait_random_exponential,
)

from riskloop.channels import Channel, Parcel
from riskloop.channels.markers import Marker
from riskloop.errors import Ambiguous, GaveUp, TryAgain
from riskloop.identity import Identity
from riskloop.incidents import Change
from riskloop.notifications import Posting
from riskloop.store import Store, outbox
from riskloop.store.outbox import Claim

MAXIMUM_ATTEMPTS = 8
"""After so many attempts a delivery is a dead letter: a person must look."""

PATIENCE_SECONDS = 60.0
"""The longest a worker waits with a delivery in hand; a longer wait is left to a later run."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """What became of one attempt: `done`, `pending` (tried again later) or `dead`."""

    delivery: str
    subject: str
    change: Change
    channel: str
    target: str
    state: str
    url: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Postman:
    """Carries deliveries from the store to the channels.

    Args:
        channels: those that can be spoken to now, by name; deliveries to others stay pending.
        worker: who holds a delivery while it is sent; any name of this process.
        settle: how long an attempt of unknown outcome may still land.
        interval: the least time between two sends to one place of a channel.
        clock: says what time it is.
        sleep: waits so many seconds.
    """

    store: Store
    channels: Mapping[str, Channel]
    identity: Identity
    worker: str
    settle: timedelta
    interval: timedelta
    clock: Callable[[], datetime]
    sleep: Callable[[float], None]

    def deliver(self) -> tuple[Delivered, ...]:
        """Deliver everything that may go out now; what must wait stays pending with its time.

        Raises:
            StoreError: the store cannot be written; deliveries in hand are taken up by a later run.
        """
        results: list[Delivered] = []
        last: dict[str, datetime] = {}
        while True:
            with self.store.writing() as connection:
                claim = outbox.claim(
                    connection, channels=self.channels.keys(), worker=self.worker, now=self.clock()
                )
            if claim is None:
                return tuple(results)
            results.append(self._attempt(claim, last))

    def _attempt(self, claim: Claim, last: dict[str, datetime]) -> Delivered:
        now = self.clock()
        if claim.uncertain_since is not None and now < claim.uncertain_since + self.settle:
            return self._put_back(
                claim,
                "its last attempt may still arrive",
                not_before=claim.uncertain_since + self.settle,
                uncertain_since=claim.uncertain_since,
                counts=False,
            )
        if claim.attempts > MAXIMUM_ATTEMPTS:
            given_up = f"given up after {MAXIMUM_ATTEMPTS} attempts"
            return self._bury(claim, given_up, uncertain_since=claim.uncertain_since)
        self._keep_distance(claim, last)
        # An outcome that was unknown stays so until a look has settled it: sent unseen, it could double.
        uncertain = claim.uncertain_since
        try:
            parcel, opening = self._parcel(claim)
            found = self._find(claim, parcel)
            uncertain = None
            posting = self._send(claim, parcel, found)
        except TryAgain as error:
            wait = timedelta(seconds=max(error.after or 0.0, _backoff(claim.attempts)))
            return self._put_back(
                claim, str(error), not_before=self.clock() + wait, uncertain_since=uncertain
            )
        except Ambiguous as error:
            since = claim.uncertain_since or now
            return self._put_back(
                claim, str(error), not_before=self.clock() + self.settle, uncertain_since=since
            )
        except GaveUp as error:
            return self._bury(claim, str(error), uncertain_since=uncertain)
        with self.store.writing() as connection:
            held = outbox.finish(connection, claim, posting, opening=opening, now=self.clock())
        if not held:
            _log.warning("delivery %s: another worker took it over while it was sent", claim.id)
        return _delivered(claim, "done", url=posting.url if posting else "")

    def _find(self, claim: Claim, parcel: Parcel) -> Posting | None:
        if claim.uncertain_since is None:
            return None
        return self.channels[claim.channel].find(parcel)

    def _send(self, claim: Claim, parcel: Parcel, found: Posting | None) -> Posting | None:
        if parcel.posting is None and found is None and claim.facts.change is Change.RESOLVED:
            return None  # It was never told here, so there is nothing to end.
        patience = Retrying(
            retry=retry_if_exception_type(TryAgain),
            wait=_wait,
            stop=_waited_enough,
            sleep=self.sleep,
            reraise=True,
        )
        return patience(self.channels[claim.channel].send, parcel, found=found)

    def _parcel(self, claim: Claim) -> tuple[Parcel, str]:
        """Pack a delivery; give with it the delivery that opened its posting, itself if there is none yet."""
        with self.store.reading() as connection:
            posted = outbox.posting_of(connection, claim.incident, channel=claim.channel, target=claim.target)
            previous = outbox.previous_url(connection, claim)
            issue = outbox.issue_url(connection, claim.incident)
            unsettled = {} if posted else outbox.unsettled(connection, claim)
        posting, opening = posted or (None, claim.id)
        parcel = Parcel(
            delivery=claim.id,
            target=claim.target,
            facts=claim.facts,
            marker=self._marker(claim, claim.id),
            opening_marker=self._marker(claim, opening),
            posting=posting,
            previous_url=previous,
            issue_url=issue,
            attempted_at=claim.uncertain_since,
        )
        # A dead letter may have arrived after all: opened unseen, the incident would have two postings.
        for lost, made_at in unsettled.items():
            marker = self._marker(claim, lost)
            before = replace(parcel, delivery=lost, marker=marker, attempted_at=made_at)
            if there := self.channels[claim.channel].find(before):
                return replace(parcel, opening_marker=marker, posting=there), lost
        return parcel, opening

    def _marker(self, claim: Claim, delivery: str) -> str:
        marker = Marker(installation=self.identity.installation, incident=claim.incident, delivery=delivery)
        return marker.signed(self.identity.key)

    def _keep_distance(self, claim: Claim, last: dict[str, datetime]) -> None:
        # GitHub counts writes for the whole token, Slack for each channel; a preview counts nothing.
        if claim.channel in {"console", "events"}:
            return
        place = claim.channel if claim.channel == "github" else claim.target
        if place in last:
            ahead = (last[place] + self.interval - self.clock()).total_seconds()
            if ahead > 0:
                self.sleep(ahead)
        last[place] = self.clock()

    def _put_back(
        self,
        claim: Claim,
        error: str,
        *,
        not_before: datetime,
        uncertain_since: datetime | None,
        counts: bool = True,
    ) -> Delivered:
        with self.store.writing() as connection:
            outbox.put_back(
                connection,
                claim,
                error=error,
                not_before=not_before,
                uncertain_since=uncertain_since,
                counts=counts,
            )
        _log.warning(
            "%s: %s not told on %s yet: %s", claim.facts.subject, claim.facts.change, claim.channel, error
        )
        return _delivered(claim, "pending", error=error)

    def _bury(self, claim: Claim, error: str, *, uncertain_since: datetime | None) -> Delivered:
        with self.store.writing() as connection:
            outbox.bury(connection, claim, error=error, uncertain_since=uncertain_since, now=self.clock())
        _log.error(
            "%s: %s is a dead letter on %s: %s", claim.facts.subject, claim.facts.change, claim.channel, error
        )
        return _delivered(claim, "dead", error=error)


def _delivered(claim: Claim, state: str, *, url: str = "", error: str = "") -> Delivered:
    return Delivered(
        delivery=claim.id,
        subject=claim.facts.subject,
        change=claim.facts.change,
        channel=claim.channel,
        target=claim.target,
        state=state,
        url=url,
        error=error,
    )


def _wait(state: RetryCallState) -> float:
    """As long as the other side asked, but a second at least; else one to ten at random, growing."""
    error = state.outcome.exception() if state.outcome else None
    if isinstance(error, TryAgain) and error.after is not None:
        return max(error.after, 1.0)
    return wait_random_exponential(multiplier=1, min=1, max=10)(state)


def _waited_enough(state: RetryCallState) -> bool:
    waited = state.idle_for + state.upcoming_sleep >= PATIENCE_SECONDS
    return waited or stop_before_delay(PATIENCE_SECONDS)(state)


def _backoff(attempts: int) -> float:
    """Seconds until a later run tries again, if not asked for more: one minute, doubled, at most an hour."""
    return float(min(60 * 2 ** (attempts - 1), 3600))
