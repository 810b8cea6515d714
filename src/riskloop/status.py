"""How every risk stands right now: read from the store and the register, changed by nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from riskloop.approvals import Approval, stands
from riskloop.assessing import SERVICE
from riskloop.incidents import Concern, Incident
from riskloop.mutes import Mute
from riskloop.notifications import name_realm
from riskloop.project import now
from riskloop.register import Register
from riskloop.risks import Mitigation
from riskloop.services import Services
from riskloop.store import approvals, circuits, history, letters, mutes
from riskloop.store.circuits import Circuit
from riskloop.store.history import Standing
from riskloop.store.letters import Delivery
from riskloop.store.postings import list_postings
from riskloop.story import SHOWN, circuit_says, letter_says, waiting_says
from riskloop.tables import ago, table
from riskloop.thresholds import Reading, Verdict
from riskloop.wording import escaping, figures


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One mitigation.

    Args:
        verdict: of the last look; unknown if there was none.
        score: the risk's, from 1 to 12.
        readings: the breached metrics of the open incident.
        told: where the open incident can be read.
        mutes: the acceptances and the silence that hold now.
        approval: the decision that is owed, or is being carried out; None if there is none.
        owed: the same in words, or that nobody decided in time; empty if there is nothing to say.
    """

    mitigation: str
    risk: str
    score: int
    owner: str
    verdict: Verdict
    reason: str
    last_look_at: datetime | None
    since: datetime | None
    readings: tuple[Reading, ...]
    told: tuple[str, ...]
    mutes: tuple[Mute, ...] = ()
    approval: Approval | None = None
    owed: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """The whole of it.

    Args:
        service: what is wrong with riskloop itself; empty if nothing.
        waiting: deliveries that are on their way.
        waiting_since: when the oldest of them was made; None if there is none.
        dead: deliveries that need a person.
        dead_letters: the newest of them.
        circuits: places where nothing is sent, because the token for them was refused.
        previews: where messages are written while tokens are missing; None if none was written.
    """

    project: str
    rows: tuple[Row, ...]
    service: str
    waiting: int
    waiting_since: datetime | None
    dead: int
    dead_letters: tuple[Delivery, ...]
    circuits: tuple[Circuit, ...]
    previews: str | None

    @property
    def open(self) -> bool:
        """Whether anything is open: an incident, a dead letter, a circuit, or what we could not look at."""
        rows = any(row.since is not None or row.verdict is not Verdict.OK for row in self.rows)
        return bool(self.service or self.dead or self.circuits or rows)


def never_assessed(services: Services, register: Register) -> frozenset[str]:
    """List the kinds to run of which the store knows no look: it is new, or was lost."""
    with services.store.reading() as connection:
        known = history.standings(connection).keys()
    chosen = register.mitigations()
    return frozenset(one.kind.name for one in chosen) - {one.kind.name for one in chosen if one.id in known}


def read_status(services: Services, register: Register) -> Status:
    """Read how everything stands; the risks with the highest score first.

    Raises:
        StoreError: the store cannot be read.
    """
    with services.store.reading() as connection:
        known = history.standings(connection)
        is_open = history.list_incidents(connection, resolved=False, limit=100_000)
        told = {incident.id: list_postings(connection, incident.id) for incident in is_open}
        held = mutes.holding(connection, [one.id for one in register.mitigations()], now=now())
        owed = {approval.mitigation: approval for approval in approvals.list_open(connection)}
        counts = letters.count_deliveries(connection)
        waiting_since = letters.oldest_waiting(connection)
        dead_letters = letters.list_deliveries(connection, states={"dead"}, limit=SHOWN)
        broken = circuits.list_circuits(connection)
    by_subject: dict[str, list[Incident]] = {}
    for incident in is_open:
        by_subject.setdefault(incident.subject, []).append(incident)
    places = {
        incident: tuple(
            posting.url or posting.reference
            for route, posting in postings.items()
            if route.channel != "events"
        )
        for incident, postings in told.items()
    }
    rows = [
        _row(
            mitigation,
            known.get(mitigation.id),
            by_subject.get(mitigation.id, []),
            places,
            held.get(mitigation.id, ()),
            approval=owed.get(mitigation.id),
        )
        for mitigation in register.mitigations()
    ]
    unwell = by_subject.get(SERVICE, [])
    outbox_directory = services.settings.outbox
    return Status(
        project=register.project,
        rows=tuple(sorted(rows, key=lambda row: (-row.score, row.mitigation))),
        service=unwell[0].reason if unwell else "",
        waiting=counts["pending"] + counts["sending"],
        waiting_since=waiting_since,
        dead=counts["dead"],
        dead_letters=dead_letters,
        circuits=broken,
        previews=str(outbox_directory) if outbox_directory.is_dir() else None,
    )


def _row(
    mitigation: Mitigation,
    standing: Standing | None,
    incidents: list[Incident],
    places: dict[str, tuple[str, ...]],
    held: Sequence[Mute],
    *,
    approval: Approval | None,
) -> Row:
    is_open = {incident.concern: incident for incident in incidents}
    breach = is_open.get(Concern.BREACH)
    oldest = min((incident.opened_at for incident in incidents), default=None)
    return Row(
        mitigation=mitigation.id,
        risk=mitigation.risk.title,
        score=mitigation.risk.score,
        owner=mitigation.risk.owners[0].name,
        verdict=standing.verdict if standing else Verdict.UNKNOWN,
        reason=standing.reason if standing else "never looked at",
        last_look_at=standing.last_look_at if standing else None,
        since=oldest,
        readings=breach.breaches if breach else (),
        told=tuple(place for incident in incidents for place in places[incident.id]),
        mutes=tuple(held),
        approval=approval,
        owed=_owed(approval, is_open.get(Concern.APPROVAL)),
    )


def describe(found: Status) -> str:
    """Write the table of `riskloop status`, and below it whatever needs a person."""
    moment = now()
    rows = [
        (
            row.mitigation,
            row.score,
            row.owner,
            row.verdict,
            ago(row.last_look_at, moment),
            ago(row.since, moment) if row.since else "",
        )
        for row in found.rows
    ]
    columns = ("mitigation", "score", "owner", "verdict", "looked", "open since")
    lines = [table(columns, rows, empty="no mitigation is enabled in the register")]
    for row in found.rows:
        if what := _what(row):
            lines += ["", f"{row.mitigation}: {what}", *(f"  told in {place}" for place in row.told)]
            lines += (f"  {_muted(mute)}" for mute in row.mutes)
        else:
            lines += (f"\n{row.mitigation}: {_muted(mute)}" for mute in row.mutes)
    lines.append("")
    if found.service:
        lines.append(f"riskloop itself: {found.service}")
    lines += (f"{name_realm(circuit.realm)}: {circuit_says(circuit)}" for circuit in found.circuits)
    if found.waiting:
        waiting = waiting_says(found.waiting, found.waiting_since, now=moment)
        lines.append(f"deliveries on their way: {waiting}; see: riskloop deliveries")
    if found.dead:
        lines.append(f"deliveries that need a person: {found.dead}; see: riskloop deliveries --dead")
        lines += (f"  {letter_says(letter)}" for letter in found.dead_letters)
    if found.previews:
        lines.append(f"where a token is missing, what would be sent is written under {found.previews}")
    return "\n".join(lines).rstrip()


def _owed(approval: Approval | None, told: Incident | None) -> str:
    """Say which decision is owed, or that none was taken; empty if there is nothing to say."""
    if approval is not None:
        says = escaping.visible(stands(approval))
        return f"approval {approval.id} {says}; see: riskloop approvals show {approval.id}"
    return escaping.visible(told.reason) if told else ""


def _muted(mute: Mute) -> str:
    return f"{mute.muting} until {mute.until:%d %B %Y %H:%M} UTC by {mute.who}: {mute.why}"


def _what(row: Row) -> str:
    breached = ", ".join(
        f"{reading.metric} {figures.bound(reading.value, reading.unit)}" for reading in row.readings
    )
    reason = "" if row.verdict is Verdict.OK or (breached and not row.verdict.rank) else row.reason
    # A breach has a reason of its own where what should have been done about it could not be.
    return "; ".join(part for part in (breached, reason, row.owed) if part)
