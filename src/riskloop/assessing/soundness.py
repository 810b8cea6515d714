"""Makes a look fit to be judged and stored: numbers that are numbers, and text that every database takes."""

import math
from dataclasses import replace

from riskloop.measurements import Look, Metric, Observation, Section
from riskloop.redaction import redacted
from riskloop.store.text import storable


def made_sound(look: Look, metrics: tuple[Metric, ...]) -> Look:
    """Clean a look's text; one whose numbers cannot be believed becomes one that failed, with the reason.

    Args:
        metrics: every metric the mitigation's kind can report.
    """
    if look.receipt:
        says, url, *notes = (
            storable(redacted(text)) for text in (look.receipt.says, look.receipt.url, *look.receipt.notes)
        )
        look = replace(look, receipt=replace(look.receipt, says=says, url=url, notes=tuple(notes)))
    seen = look.observation
    if seen is None:
        return replace(look, reason=storable(redacted(look.reason)))
    if flaw := _flaw(seen, metrics):
        return replace(look, observation=None, reason=storable(flaw))
    evidence = replace(
        seen.evidence,
        summary=storable(seen.evidence.summary),
        sections=tuple(_storable_section(section) for section in seen.evidence.sections),
        fingerprint=storable(seen.evidence.fingerprint),
    )
    return replace(look, observation=replace(seen, evidence=evidence))


def _storable_section(section: Section) -> Section:
    return replace(section, title=storable(section.title), body=storable(section.body))


def _flaw(seen: Observation, metrics: tuple[Metric, ...]) -> str:
    """Say what is wrong with the numbers; empty if nothing is. No threshold is ever passed by a NaN."""
    values = {measurement.metric: measurement.value for measurement in seen.measurements}
    if len(values) < len(seen.measurements):
        return "a metric was measured twice in one look"
    unknown = values.keys() - {metric.name for metric in metrics}
    if unknown:
        return f"{', '.join(sorted(unknown))} was measured, which is no metric of its kind"
    if not all(map(math.isfinite, values.values())):
        endless = (f"{name} is {value}" for name, value in values.items() if not math.isfinite(value))
        return f"{', '.join(endless)}, which is not a number to judge by"
    return ""
