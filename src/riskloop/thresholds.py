"""How bad a number is: each measurement held against the numbers the register gives for it."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from riskloop.measurements import Look, Metric, Worse


class Verdict(StrEnum):
    """`ok`, `warning`, `critical`, or `unknown`: we could not look, which is never the same as ok."""

    OK = "ok"
    WARNING = "warning"
    CRITICAL = "critical"
    UNKNOWN = "unknown"

    @property
    def rank(self) -> int:
        """0 for ok and unknown, 1 for warning, 2 for critical."""
        return {Verdict.WARNING: 1, Verdict.CRITICAL: 2}.get(self, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """From which value a metric is a warning, and from which it is critical; either may be missing."""

    warning: float | None = None
    critical: float | None = None

    def judge(self, value: float, worse: Worse) -> Verdict:
        """Judge one value; the bound itself already counts as passed."""

        def passed(bound: float | None) -> bool:
            return bound is not None and (value >= bound if worse is Worse.HIGHER else value <= bound)

        if passed(self.critical):
            return Verdict.CRITICAL
        return Verdict.WARNING if passed(self.warning) else Verdict.OK


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One measurement beside its threshold."""

    metric: str
    unit: str
    value: float
    warning: float | None
    critical: float | None
    verdict: Verdict

    @property
    def breached(self) -> bool:
        return self.verdict.rank > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """The verdict on one look: the worst of its readings, or what went wrong with it, and the reason."""

    verdict: Verdict
    readings: tuple[Reading, ...] = ()
    reason: str = ""

    @property
    def breaches(self) -> tuple[Reading, ...]:
        return tuple(reading for reading in self.readings if reading.breached)


def assess_look(look: Look, metrics: tuple[Metric, ...], thresholds: Mapping[str, Threshold]) -> Assessment:
    """Judge every measurement; without a threshold one is shown, and breached only if its metric warns.

    Where it should have been acted on and could not be, that is a warning at least: somebody asked for it.
    """
    if look.observation is None:
        return Assessment(verdict=Verdict.UNKNOWN, reason=look.reason)
    known = {metric.name: metric for metric in metrics}
    readings = []
    for measurement in look.observation.measurements:
        metric = known[measurement.metric]
        threshold = thresholds.get(metric.name, Threshold(warning=metric.warns))
        readings.append(
            Reading(
                metric=metric.name,
                unit=metric.unit,
                value=measurement.value,
                warning=threshold.warning,
                critical=threshold.critical,
                verdict=threshold.judge(measurement.value, metric.worse),
            ),
        )
    verdicts = (reading.verdict for reading in readings)
    worst = max(verdicts, key=lambda verdict: verdict.rank, default=Verdict.OK)
    if look.receipt and look.receipt.failed:
        worst = max(worst, Verdict.WARNING, key=lambda verdict: verdict.rank)
        return Assessment(verdict=worst, readings=tuple(readings), reason=look.receipt.sentence)
    return Assessment(verdict=worst, readings=tuple(readings))
