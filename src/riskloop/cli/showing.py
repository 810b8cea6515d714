"""The commands that only look: at mitigations, at how they stand, at what was told."""

from typing import Annotated

from cyclopts import Parameter

from riskloop import looking, tables
from riskloop.cli.place import COULD_NOT, FINE, HERE, OPEN, Flag, Json, Place, opened
from riskloop.measurements import Look
from riskloop.risks import Mitigation
from riskloop.services import now, read_register, site
from riskloop.status import describe, read_status
from riskloop.store import history, outbox
from riskloop.thresholds import Assessment, Reading, assess_look

All = Annotated[bool, Parameter(name="--all", negative="")]


def measure(*ids: str, json: Json = False, place: Place = HERE) -> int:
    """Look at mitigations now, print what is found, and store nothing.

    Args:
        ids: the mitigations; all if none is named.
        json: print JSON.
    """
    settings = place.settings()
    register = read_register(settings)
    chosen = register.mitigations(only=ids or None)
    judged = []
    for mitigation in chosen:
        look = looking.look(mitigation, site(register, settings))
        judged.append((mitigation, look, assess_look(look, mitigation.kind.metrics, mitigation.thresholds)))
    if json:
        tables.print_json([_measured(*one) for one in judged])
    else:
        for one in judged:
            _print_measured(*one)
    return COULD_NOT if any(look.observation is None for _, look, _ in judged) else FINE


def _measured(mitigation: Mitigation, look: Look, assessment: Assessment) -> dict[str, object]:
    evidence = look.observation.evidence if look.observation else None
    return {
        "mitigation": mitigation.id,
        "at": look.at,
        "verdict": assessment.verdict,
        "reason": assessment.reason,
        "readings": assessment.readings,
        "evidence": evidence,
    }


def _print_measured(mitigation: Mitigation, look: Look, assessment: Assessment) -> None:
    rows = [
        (reading.metric, f"{reading.value:g}", reading.unit, _bounds(reading), reading.verdict)
        for reading in assessment.readings
    ]
    tables.print_text(f"{mitigation.id}: {assessment.verdict}")
    if look.observation is None:
        tables.print_text(look.reason)
        return
    tables.print_table(("metric", "value", "unit", "threshold", "verdict"), rows, empty="it measured nothing")
    evidence = look.observation.evidence
    tables.print_text(evidence.summary)
    for section in evidence.sections:
        tables.print_text(f"\n{section.title}\n{section.body}")


def _bounds(reading: Reading) -> str:
    bounds = (("warning", reading.warning), ("critical", reading.critical))
    return ", ".join(f"{name} {bound:g}" for name, bound in bounds if bound is not None)


def status(*, json: Json = False, exit_status: Flag = False, place: Place = HERE) -> int:
    """Show how every mitigation stands, where its incident is told, and what is on its way.

    Args:
        json: print JSON.
        exit_status: exit with 3 if anything is open.
    """
    with opened(place) as (services, register):
        found = read_status(services, register)
    if json:
        tables.print_json(found)
    else:
        tables.print_text(describe(found))
    return OPEN if exit_status and found.open else FINE


def incidents(
    *,
    everything: All = False,
    json: Json = False,
    place: Place = HERE,
) -> int:
    """List the open incidents, newest first.

    Args:
        everything: the resolved ones too, up to 500.
        json: print JSON.
    """
    with opened(place) as (services, _), services.store.reading() as connection:
        found = history.list_incidents(connection, resolved=everything, limit=500)
    if json:
        tables.print_json(found)
        return FINE
    rows = [
        (
            incident.id,
            incident.subject,
            incident.concern,
            incident.severity,
            tables.ago(incident.opened_at, now()),
            tables.ago(incident.resolved_at, now()) if incident.resolved_at else "",
            incident.reason,
        )
        for incident in found
    ]
    columns = ("incident", "subject", "concern", "severity", "opened", "resolved", "why")
    tables.print_table(columns, rows, empty="nothing is open")
    return FINE


def deliveries(
    *,
    dead: Flag = False,
    everything: All = False,
    json: Json = False,
    place: Place = HERE,
) -> int:
    """List what is on its way to a channel, or cannot be delivered, newest first.

    Args:
        dead: only those that need a person.
        everything: those that arrived too, up to 500.
        json: print JSON.
    """
    states = {"dead"} if dead else {"pending", "sending", "dead"}
    if everything:
        states = {"pending", "sending", "dead", "done"}
    with opened(place) as (services, _), services.store.reading() as connection:
        found = outbox.list_deliveries(connection, states=states, limit=500)
    if json:
        tables.print_json(found)
        return FINE
    rows = [
        (
            one.id,
            one.subject,
            one.change,
            f"{one.channel} {one.target}",
            one.state,
            one.attempts,
            one.last_error,
        )
        for one in found
    ]
    columns = ("delivery", "subject", "what", "where", "state", "attempts", "why")
    tables.print_table(columns, rows, empty="everything was delivered")
    return FINE
