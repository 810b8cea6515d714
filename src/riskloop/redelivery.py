"""Lets a person see a delivery as it will be sent, send a dead letter after all, or drop what need not be."""

import tempfile
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection

from riskloop.attribution import attributed
from riskloop.channels.console import Console
from riskloop.delivery.packing import Packer
from riskloop.errors import RiskloopError
from riskloop.incidents import Change
from riskloop.notifications import Facts, name_realm
from riskloop.register.mistakes import hint
from riskloop.services import Services
from riskloop.store import Store, circuits, history, letters, postings
from riskloop.store.letters import Delivery
from riskloop.store.outbox import Claim
from riskloop.story import deliveries_stand

_NEWEST = 500
_UNSIGNED = "here stands the signed line by which riskloop knows this again"
_ALL = 1_000_000
_ENDS = frozenset({Change.RESOLVED, Change.DISMISSED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a decision about one delivery came to.

    Args:
        done: whether it was carried out.
        says: what was done, or why not and what to do instead.
    """

    id: str
    done: bool
    says: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """Everything about one delivery.

    Args:
        why: the incident changed: the sentence of the transition that this tells of.
        stands: how it stands, and why.
        url: where the incident is told in its place; empty if nowhere yet.
        to_retry: the command that sends it again, or why that cannot be; empty where there is no need.
        wording: what is sent, as a preview shows it; empty if nothing is.
    """

    delivery: Delivery
    why: str
    stands: str
    url: str
    to_retry: str
    wording: str


def show(services: Services, name: str, *, now: datetime) -> Shown:
    """Read everything about one delivery; nothing is asked of any channel.

    Raises:
        RiskloopError: there is none of that id.
    """
    with services.store.reading() as connection:
        delivery, facts = _named(connection, name)
        others = letters.in_order(connection, delivery)
        is_open = _is_open(connection, delivery)
        posted = postings.posted(connection, delivery.incident, delivery.route)
        broken = circuits.list_circuits(connection)
    to_retry = ""
    if delivery.state == "dead":
        refused = _refusal(delivery, others, is_open=is_open)
        to_retry = refused or f"riskloop deliveries retry {delivery.id}"
    return Shown(
        delivery=delivery,
        why=facts.reason,
        stands=deliveries_stand(others, broken, now=now)[name],
        url=posted.posting.url if posted else "",
        to_retry=to_retry,
        wording=_wording(services, delivery, facts, now),
    )


def retry(store: Store, names: Sequence[str], *, now: datetime) -> tuple[Outcome, ...]:
    """Put dead letters back on their way, to be looked for and sent by the next round.

    Each takes with it the later dead letters of its incident in its place, so that the last word there is the
    newest. One is refused where something newer was told already: sent now, it would tell old news.

    Args:
        names: their ids; every dead letter that nobody dropped if empty.

    Raises:
        RiskloopError: there is no delivery of one of these ids; nothing was changed.
    """
    chosen = _chosen(store, names)
    outcomes = []
    taken: set[str] = set()
    for name in chosen:
        if name in taken:
            continue
        with store.writing() as connection:
            outcome, along = _retry(connection, name, now)
        taken |= along
        outcomes.append(outcome)
    return tuple(outcomes)


def drop(store: Store, names: Sequence[str], *, who: str, why: str, now: datetime) -> tuple[Outcome, ...]:
    """Note that deliveries are not to be sent, and need nobody any more.

    Args:
        names: their ids; dead letters, or deliveries that wait.
        who: claimed, not proven.

    Raises:
        RiskloopError: there is no delivery of one of these ids; nothing was changed.
        Refused: there is no name or no reason, or too much of it.
    """
    who, why = attributed(who, why)
    outcomes = []
    for name in _chosen(store, names):
        with store.writing() as connection:
            dropped = letters.drop(connection, name, who=who, why=why, now=now)
            delivery, _ = _named(connection, name)
        if dropped:
            says = f"{_what(delivery)} is not sent: dropped by {who}"
        elif delivery.state == "sending":
            says = "it is being sent right now; see what becomes of it, and try again in a few minutes"
        elif delivery.dropped:
            says = f"it was dropped already by {delivery.dropped}"
        else:
            says = "it has arrived: there is nothing to drop"
        outcomes.append(Outcome(id=name, done=dropped, says=says))
    return tuple(outcomes)


def _retry(connection: Connection, name: str, now: datetime) -> tuple[Outcome, set[str]]:
    delivery, _ = _named(connection, name)
    others = letters.in_order(connection, delivery, lock=True)
    delivery = next(one for one in others if one.id == name)
    if refusal := _refusal(delivery, others, is_open=_is_open(connection, delivery)):
        return Outcome(id=name, done=False, says=refusal), {name}
    later = _after(delivery, others)
    along = [one for one in later if one.state == "dead" and not one.dropped]
    behind = [one for one in later if one.unfinished]
    letters.revive(connection, [delivery, *along], behind, now=now)
    realm = delivery.route.realm
    refused = any(one.realm == realm for one in circuits.list_circuits(connection))
    when = f"when the token for {name_realm(realm)} works again" if refused else "with the next round"
    says = f"{_what(delivery)} goes out {when}"
    if along:
        count = "1 later one" if len(along) == 1 else f"{len(along)} later ones"
        says += f", and {count} of the same incident there after it"
    if delivery.uncertain_since:
        says += "; first it is looked whether it has arrived after all"
    return Outcome(id=name, done=True, says=says), {name, *(one.id for one in along)}


def _refusal(delivery: Delivery, others: Sequence[Delivery], *, is_open: bool) -> str:
    """Say why a delivery cannot be sent again; nothing if it can.

    Args:
        others: every delivery of its incident in its place, in their order.
        is_open: whether the incident still stands.
    """
    if delivery.state != "dead":
        stands = "has arrived" if delivery.state == "done" else "is on its way already"
        return f"it is no dead letter: it {stands}"
    later = _after(delivery, others)
    drop_it = f"riskloop deliveries drop {delivery.id} --who … --why …"
    if newer := next((one for one in reversed(later) if one.state == "done"), None):
        when = f" on {newer.ended_at:%d %B %Y %H:%M} UTC" if newer.ended_at else ""
        return (
            f"something newer is done with there ('{newer.change}'{when}), so that this would be old news; "
            f"drop it with: {drop_it}"
        )
    if any(one.state == "sending" for one in later):
        return "a later change of its incident is being sent there right now; try again in a few minutes"
    to_come = [delivery, *(one for one in later if not one.dropped)]
    if not is_open and not any(one.change is Change.RESOLVED for one in to_come):
        return f"its incident is over, and nothing after it would say so there; drop it with: {drop_it}"
    return ""


def _after(delivery: Delivery, others: Sequence[Delivery]) -> Sequence[Delivery]:
    ids = [one.id for one in others]
    return others[ids.index(delivery.id) + 1 :]


def _chosen(store: Store, names: Sequence[str]) -> tuple[str, ...]:
    """List the ids that are meant, each once, after making sure that there are such deliveries."""
    with store.reading() as connection:
        if not names:
            dead = letters.list_deliveries(connection, states={"dead"}, limit=_ALL)
            return tuple(one.id for one in reversed(dead))
        for name in names:
            _named(connection, name)
    return tuple(dict.fromkeys(names))


def _named(connection: Connection, name: str) -> tuple[Delivery, Facts]:
    found = letters.read_delivery(connection, name)
    if found is None:
        known = letters.newest_ids(connection, limit=_NEWEST)
        raise RiskloopError(
            f"there is no delivery '{name}'",
            remedy=hint(name, known, otherwise="the newest are") if known else "nothing was ever sent",
        )
    return found


def _is_open(connection: Connection, delivery: Delivery) -> bool:
    found = history.open_incidents(connection, delivery.subject).values()
    return any(one.id == delivery.incident for one in found)


def _wording(services: Services, delivery: Delivery, facts: Facts, now: datetime) -> str:
    """Write what is sent: packed as the postman does it, and given to a console in a place of its own."""
    service, place = delivery.route.place
    if service == "events":
        return f"the Prefect event riskloop.incident.{delivery.change}"
    claim = Claim(
        id=delivery.id,
        incident=delivery.incident,
        channel=delivery.channel,
        target=delivery.target,
        owner=delivery.owner,
        facts=facts,
        attempts=delivery.attempts,
        fence=0,
        uncertain_since=delivery.uncertain_since,
        expires_at=now,
    )
    with tempfile.TemporaryDirectory(prefix="riskloop-") as directory:
        console = Console(Path(directory))
        packer = Packer(
            store=services.store,
            channels={delivery.channel: console},
            identity=services.identity,
            clock=_at(now),
            strays={delivery.route: []},  # Nobody is to look around there for the sake of a preview.
        )
        parcel = packer.pack(claim).parcel
        if parcel.posting is None and (parcel.facts.change in _ENDS or parcel.facts.quiet):
            return ""
        # Signed, the words would be known for ours wherever somebody pastes them.
        unsigned = replace(parcel, marker=_UNSIGNED, opening_marker=_UNSIGNED)
        console.send(replace(unsigned, target=f"{service}:{place}"), turn=_at_once)
        written = [file for file in Path(directory).rglob("*") if file.suffix in {".md", ".txt"}]
        # The issue or message has the incident's name, and the comment or reply a longer one.
        return "\n".join(_read(sorted(written, key=lambda file: len(file.name))))


def _read(files: Collection[Path]) -> list[str]:
    return [file.read_text(encoding="utf-8") for file in files]


def _at(now: datetime) -> Callable[[], datetime]:
    return lambda: now


def _at_once() -> None:
    """Need not wait: nothing leaves this machine."""


def _what(delivery: Delivery) -> str:
    return f"{delivery.subject}: '{delivery.change}' to {delivery.channel} {delivery.target}"
