"""Many incidents of one owner at once: one message tells of them all, while their own follow as they can."""

from collections.abc import Sequence

from sqlalchemy import Connection

from riskloop.assessing.facts import Occasion, facts_of_flood
from riskloop.assessing.following import changed, close, record
from riskloop.incidents import Change, Concern, Incident, Transition
from riskloop.measurements import Section
from riskloop.notifications import Facts, routes
from riskloop.store import Store, history, observations, outbox

MANY = 20
"""More new incidents than this of one owner in one run are told of together first."""

_LISTED = 500


def flood_subject(owner: str) -> str:
    """Name the subject of the incident that tells of many of one owner's."""
    return f"owner:{owner}"


def tell_of_floods(store: Store, occasion: Occasion) -> tuple[tuple[Incident, Transition], ...]:
    """Tell each owner of whom more than 20 incidents opened in this run of all of them at once.

    Told once for each incident, however often this is repeated for the run.
    """
    with store.reading() as connection:
        counts = history.count_opened(connection, run=occasion.run, phase=occasion.phase)
    told = []
    for owner in sorted(name for name, count in counts.items() if count > MANY):
        with store.writing() as connection:
            observations.lock_every_mitigation(connection)
            opened = history.opened(connection, owner, run=occasion.run, phase=occasion.phase)
            if len(opened) > MANY:
                told.append(_tell(connection, opened, occasion))
    return tuple(told)


def settle_floods(store: Store, occasion: Occasion) -> tuple[Incident, ...]:
    """Resolve what told of many once each of them has been told of by itself, or is over."""
    with store.reading() as connection:
        if not history.open_of_concern(connection, Concern.FLOOD):
            return ()
    settled = []
    with store.writing() as connection:
        observations.lock_every_mitigation(connection)
        for incident in history.open_of_concern(connection, Concern.FLOOD):
            if not outbox.waits_in_flood(connection, incident.id):
                places = sorted(outbox.addressed(connection, [incident.id])[incident.id])
                reason = "each of these incidents has been told of by itself"
                settled.append(close(connection, incident, reason, occasion, places)[0])
    return tuple(settled)


def _tell(connection: Connection, opened: Sequence[Facts], occasion: Occasion) -> tuple[Incident, Transition]:
    owner = opened[0].owners[0]
    subject = flood_subject(owner.name)
    before = history.open_incidents(connection, subject).get(Concern.FLOOD)
    severity = max((facts.severity for facts in opened), key=lambda verdict: verdict.rank)
    if before and before.severity.rank > severity.rank:
        severity = before.severity
    more = "more " if before else ""
    reason = f"{len(opened)} {more}incidents opened in one run"
    change = Change.WORSENED if before else Change.OPENED
    transition = Transition(change=change, severity=severity, reason=reason)
    told = changed(before, transition, subject=subject, concern=Concern.FLOOD, now=occasion.now)
    facts = facts_of_flood(told, owner, occasion, sections=(_listed(opened),))
    record(connection, told, facts, routes((owner,), occasion.reach))
    history.put_into_flood(connection, [one.incident for one in opened], told.incident.id)
    return told.incident, transition


def _listed(opened: Sequence[Facts]) -> Section:
    worst_first = sorted(opened, key=lambda facts: (-facts.severity.rank, facts.subject))
    lines = [f"{one.severity:<8}  {one.subject}: {one.risk_title}" for one in worst_first[:_LISTED]]
    if len(opened) > _LISTED:
        lines.append(f"and {len(opened) - _LISTED} more")
    return Section(title="What opened", body="\n".join(lines))
