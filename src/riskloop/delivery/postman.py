"""Takes deliveries out of the store one by one, hands each to its channel, and notes what came of it."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from sqlalchemy import Connection
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_before_delay, wait_random_exponential

from riskloop.channels import Channel
from riskloop.delivery.pacing import PATIENCE_SECONDS, NoRoom, Overtaken, Pacer
from riskloop.delivery.packing import Packed, Packer
from riskloop.errors import Ambiguous, GaveUp, Gone, TryAgain, Undelivered
from riskloop.identity import Identity
from riskloop.incidents import Change
from riskloop.notifications import Posting, Route, belongs, name_realm
from riskloop.store import Store, circuits, outbox, postings
from riskloop.store.budget import Budget
from riskloop.store.outbox import Claim, Closed

MAXIMUM_ATTEMPTS = 8
"""After so many attempts a delivery is a dead letter: a person must look."""

ROUND = timedelta(minutes=8)
"""How long one worker goes on; what is left then is taken up by the next run."""

_QUEUE = 20
_PROVE_EVERY = timedelta(minutes=1)
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
        budgets: by channel, how often it may be written to; a channel without one as often as it takes.
        clock: says what time it is.
        sleep: waits so many seconds.
    """

    store: Store
    channels: Mapping[str, Channel]
    identity: Identity
    worker: str
    settle: timedelta
    budgets: Mapping[str, Budget]
    clock: Callable[[], datetime]
    sleep: Callable[[float], None]

    def deliver(self) -> tuple[Delivered, ...]:
        """Deliver everything that may go out now; what must wait stays pending with its time.

        Raises:
            StoreError: the store cannot be written; deliveries in hand are taken up by a later run.
        """
        ends_at = self.clock() + ROUND
        closed = self._try_circuits()
        packer = Packer(store=self.store, channels=self.channels, identity=self.identity, clock=self.clock)
        results: list[Delivered] = []
        while waiting := self._queue(closed):
            before, told = len(closed), len(results)
            for delivery in waiting:
                if self.clock() >= ends_at:
                    return tuple(results)
                with self.store.writing() as connection:
                    claim = outbox.claim(connection, delivery, worker=self.worker, now=self.clock())
                if claim is not None:
                    results.append(self._attempt(claim, packer, closed))
                if len(closed) > before:
                    break  # What is next in the queue may be closed now.
            if len(results) == told and len(closed) == before:
                self.sleep(1)  # Others have all of it in hand: the store is not asked without a pause.
        return tuple(results)

    def _queue(self, closed: set[Closed]) -> tuple[str, ...]:
        names = self.channels.keys()
        with self.store.reading() as connection:
            return outbox.queue(connection, channels=names, closed=closed, now=self.clock(), limit=_QUEUE)

    def _try_circuits(self) -> set[Closed]:
        """Try the token behind each open circuit; give those that stay open."""
        with self.store.reading() as connection:
            found = circuits.list_circuits(connection)
        closed = set()
        for circuit in found:
            channel = self.channels.get(circuit.realm.partition(":")[0])
            # A try that is yet to come was noted by a clock that was wrong.
            just_tried = abs(self.clock() - circuit.tried_at) < _PROVE_EVERY
            if channel is None or just_tried:
                closed.add(Closed(realm=circuit.realm))
                continue
            try:
                channel.prove(circuit.realm)
            except Undelivered as error:
                # A network that is down says nothing about the token.
                reason = str(error) if isinstance(error, GaveUp) else circuit.reason
                with self.store.writing() as connection:
                    circuits.open_circuit(connection, circuit.realm, reason=reason, now=self.clock())
                closed.add(Closed(realm=circuit.realm))
            else:
                with self.store.writing() as connection:
                    circuits.close_circuit(connection, circuit.realm, now=self.clock())
                _log.warning(
                    "%s: the token works again; what waited for it goes out now", name_realm(circuit.realm)
                )
        return closed

    def _attempt(self, claim: Claim, packer: Packer, closed: set[Closed]) -> Delivered:
        now = self.clock()
        if claim.uncertain_since is not None and now < claim.uncertain_since + self.settle:
            # An attempt that is yet to come was noted by a clock that was wrong: it settles from now on.
            since = min(claim.uncertain_since, now)
            return self._put_back(
                claim,
                "its last attempt may still arrive",
                not_before=since + self.settle,
                uncertain_since=since,
                counts=False,
            )
        # An outcome that was unknown stays so until a look has settled it: sent unseen, it could double.
        uncertain = claim.uncertain_since
        sending = False
        try:
            packed = packer.pack(claim)
            found = None
            if claim.uncertain_since is not None:
                found = self.channels[claim.channel].find(packed.parcel)
            uncertain = None
            if found is None and (given_up := _given_up(claim, now, tried=claim.attempts - 1)):
                return self._bury(claim, given_up, uncertain_since=None)
            sending = True
            posting = self._send(claim, packed, found)
        except Overtaken:
            return _overtaken(claim)
        except Undelivered as error:
            return self._undelivered(claim, error, closed, sending=sending, uncertain=uncertain)
        return self._finish(claim, packed, posting)

    def _send(self, claim: Claim, packed: Packed, found: Posting | None) -> Posting | None:
        parcel = packed.parcel
        if parcel.posting is None and found is None:
            ends = parcel.facts.change in {Change.RESOLVED, Change.DISMISSED, Change.MUTED, Change.ENDING}
            if ends or parcel.facts.quiet:
                return None  # It was never told here: there is nothing to end, or to keep current.
        # Its end is told wherever it was told of, though its owner be heard elsewhere by then.
        if parcel.facts.change is not Change.RESOLVED and not belongs(parcel.facts, claim.route):
            raise GaveUp(
                f"{claim.channel} {claim.target} is no place of {parcel.facts.owners[0].name}, "
                "whom this is for",
                remedy="this is a fault of riskloop: report it with this line",
            )
        pacer = Pacer(store=self.store, budgets=self.budgets, clock=self.clock, sleep=self.sleep)
        patience = Retrying(
            retry=retry_if_exception(_worth_waiting),
            wait=_wait,
            stop=_waited_enough,
            sleep=self.sleep,
            reraise=True,
        )
        channel = self.channels[claim.channel]
        return patience(channel.send, parcel, turn=pacer.turn(claim), found=found)

    def _finish(self, claim: Claim, packed: Packed, posting: Posting | None) -> Delivered:
        now = self.clock()
        with self.store.writing() as connection:
            held = outbox.finish(connection, claim, posting, opening=packed.opening, now=now)
            if held and posting and packed.parcel.reopen:
                postings.change_posting(connection, claim.incident, claim.route, state="open", now=now)
        if not held:
            return _overtaken(claim)
        return _delivered(claim, "done", url=posting.url if posting else "")

    def _undelivered(
        self,
        claim: Claim,
        error: Undelivered,
        closed: set[Closed],
        *,
        sending: bool,
        uncertain: datetime | None,
    ) -> Delivered:
        """Put a delivery back, or make it a dead letter.

        Args:
            closed: gets what is not to be tried again in this round.
            sending: whether something may have been posted; else only looking has failed.
            uncertain: since when the outcome of an earlier attempt is unknown; None if it is known.
        """
        now = self.clock()
        match error:
            case NoRoom():
                closed.add(error.place)
                return self._put_back(
                    claim, str(error), not_before=None, uncertain_since=uncertain, counts=False
                )
            case Gone():
                # The next attempt opens it anew, or has nothing left to do.
                gone = partial(
                    postings.change_posting, incident=claim.incident, route=claim.route, state="gone", now=now
                )
                return self._put_back(
                    claim, str(error), not_before=None, uncertain_since=uncertain, noting=gone
                )
            case GaveUp(authentication=True):
                # Nothing more is sent with this token; what waits behind it loses no attempt by it.
                realm = claim.route.realm
                closed.add(Closed(realm=realm))
                refused = partial(circuits.open_circuit, realm=realm, reason=str(error), now=now)
                return self._put_back(
                    claim,
                    str(error),
                    not_before=None,
                    uncertain_since=uncertain,
                    counts=False,
                    noting=refused,
                )
            case GaveUp():
                return self._bury(claim, str(error), uncertain_since=uncertain)
            case Ambiguous():
                # It may have been sent at the very end of the attempt, and takes its time from there.
                uncertain = now if sending else uncertain
                not_before = now + max(self.settle, timedelta(seconds=_backoff(claim.attempts)))
            case _:
                # What else goes there would wait as long, and hold up everybody: it is left to a later round.
                asked = error.after if isinstance(error, TryAgain) else None
                closed.add(_takes_nothing(claim.route, asked_to_wait=asked is not None))
                not_before = now + timedelta(seconds=max(asked or 0.0, _backoff(claim.attempts)))
        if given_up := _given_up(claim, now, tried=claim.attempts):
            return self._bury(claim, f"{given_up}: {error}", uncertain_since=uncertain)
        return self._put_back(claim, str(error), not_before=not_before, uncertain_since=uncertain)

    def _put_back(
        self,
        claim: Claim,
        error: str,
        *,
        not_before: datetime | None,
        uncertain_since: datetime | None,
        counts: bool = True,
        noting: Callable[[Connection], None] | None = None,
    ) -> Delivered:
        """Return a delivery to the outbox, and in the same transaction note what was learnt by it."""
        with self.store.writing() as connection:
            # First, as whoever closes a circuit takes it first: PostgreSQL's workers never wait in a ring.
            if noting:
                noting(connection)
            held = outbox.put_back(
                connection,
                claim,
                error=error,
                not_before=not_before,
                uncertain_since=uncertain_since,
                counts=counts,
            )
            if not held:
                connection.rollback()
        if not held:
            return _overtaken(claim)
        _log.warning(
            "%s: %s not told on %s yet: %s", claim.facts.subject, claim.facts.change, claim.channel, error
        )
        return _delivered(claim, "pending", error=error)

    def _bury(self, claim: Claim, error: str, *, uncertain_since: datetime | None) -> Delivered:
        with self.store.writing() as connection:
            held = outbox.bury(
                connection, claim, error=error, uncertain_since=uncertain_since, now=self.clock()
            )
        if not held:
            return _overtaken(claim)
        _log.error(
            "%s: %s is a dead letter on %s: %s", claim.facts.subject, claim.facts.change, claim.channel, error
        )
        return _delivered(claim, "dead", error=error)


def _overtaken(claim: Claim) -> Delivered:
    _log.warning("delivery %s: another worker took it over while it was sent", claim.id)
    return _delivered(claim, "pending", error="another worker took it over")


def _takes_nothing(route: Route, *, asked_to_wait: bool) -> Closed:
    """Name what is left alone for a round: Slack limits a channel; what is not there, is there for nobody."""
    if route.channel == "slack" and asked_to_wait:
        return Closed(channel=route.channel, target=route.target)
    return Closed(realm=route.realm)


def _given_up(claim: Claim, now: datetime, *, tried: int) -> str:
    """Say why a delivery is given up, if it is."""
    if tried >= MAXIMUM_ATTEMPTS:
        return f"given up after {MAXIMUM_ATTEMPTS} attempts"
    return "given up after 24 hours" if now >= claim.expires_at else ""


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


def _worth_waiting(error: BaseException) -> bool:
    return isinstance(error, TryAgain) and not isinstance(error, NoRoom)


def _waited_enough(state: RetryCallState) -> bool:
    waited = state.idle_for + state.upcoming_sleep >= PATIENCE_SECONDS
    return waited or stop_before_delay(PATIENCE_SECONDS)(state)


def _backoff(attempts: int) -> float:
    """Seconds until a later run tries again, if not asked for more: one minute, doubled, at most an hour."""
    return float(min(60 * 2 ** (attempts - 1), 3600))
