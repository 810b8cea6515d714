"""The command that looks at mitigations and stores nothing; it needs no channel."""

from collections.abc import Sequence

from riskloop import looking, tables
from riskloop.cli.place import COULD_NOT, FINE, HERE, Json, Place
from riskloop.measurements import Look
from riskloop.project import read_register, site
from riskloop.risks import Mitigation, Site
from riskloop.settings import Settings
from riskloop.state_directory import prepare
from riskloop.thresholds import Assessment, Reading, assess_look
from riskloop.wording import figures


def measure(*ids: str, json: Json = False, place: Place = HERE) -> int:
    """Look at mitigations now, print what is found, and store nothing.

    Args:
        ids: the mitigations; all if none is named.
        json: print JSON.
    """
    settings = place.settings()
    register = read_register(settings)
    chosen = register.mitigations(only=ids or None)
    prepare(settings.state)
    places = _places(settings, site(register, settings), chosen)
    judged = []
    for mitigation, where in zip(chosen, places, strict=True):
        look = looking.look(mitigation, where)
        judged.append((mitigation, look, assess_look(look, mitigation.kind.metrics, mitigation.thresholds)))
    if json:
        tables.print_json([_measured(*one) for one in judged])
    else:
        for one in judged:
            _print_measured(*one)
    return COULD_NOT if any(look.observation is None for _, look, _ in judged) else FINE


def _places(settings: Settings, place: Site, mitigations: Sequence[Mitigation]) -> list[Site]:
    """Give each mitigation its place, with what is known of it; the store stays shut if none asks."""
    if not any(mitigation.kind.heeds or mitigation.kind.recalls for mitigation in mitigations):
        return [place for _ in mitigations]
    from riskloop.remembering import remembered  # noqa: PLC0415 - it imports the libraries of the store

    known = remembered(settings, mitigations)
    return [known[mitigation.id].at(place) for mitigation in mitigations]


def _measured(mitigation: Mitigation, look: Look, assessment: Assessment) -> dict[str, object]:
    evidence = look.observation.evidence if look.observation else None
    return {
        "mitigation": mitigation.id,
        "at": look.at,
        "verdict": assessment.verdict,
        "reason": assessment.reason,
        "readings": assessment.readings,
        "evidence": evidence,
        "proposal": look.observation.proposal if look.observation else None,
        "plan": look.observation.plan if look.observation else None,
    }


def _print_measured(mitigation: Mitigation, look: Look, assessment: Assessment) -> None:
    rows = [
        (reading.metric, *_written(reading), _bounds(reading), reading.verdict)
        for reading in assessment.readings
    ]
    tables.print_text(f"{mitigation.id}: {assessment.verdict}")
    if look.observation is None:
        tables.print_text(look.reason)
        return
    tables.print_table(("metric", "value", "unit", "threshold", "verdict"), rows, empty="it measured nothing")
    evidence = look.observation.evidence
    tables.print_text(evidence.summary)
    for ready in (look.observation.proposal, look.observation.plan):
        if ready:
            tables.print_text(ready.says)
    for section in evidence.sections:
        tables.print_text(f"\n{section.title}\n{section.body}")


def _written(reading: Reading) -> tuple[str, str]:
    """Write a value and its unit; what is in bytes has the unit of its size."""
    if reading.unit != "bytes":
        return figures.number(reading.value), reading.unit
    value, _, unit = figures.size(reading.value).partition(" ")
    return value, unit


def _bounds(reading: Reading) -> str:
    bounds = (("warning", reading.warning), ("critical", reading.critical))
    return ", ".join(
        f"{name} {figures.bound(bound, reading.unit)}" for name, bound in bounds if bound is not None
    )
