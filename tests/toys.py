"""A toy kind that measures what a test tells it to, the little register it stands in, and a clock."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from riskloop.errors import Unmeasurable
from riskloop.measurements import HIGHER, LOWER, Evidence, Measurement, Metric, Observation
from riskloop.risks import Form, Kind, Mitigation, Owner, Risk, Site, SlackChannel
from riskloop.thresholds import Threshold

METRICS = (
    Metric("leaks", "leaks", worse=HIGHER, says="things that got out"),
    Metric("spills", "spills", worse=HIGHER, says="things that fell over"),
    Metric("margin", "days", worse=LOWER, says="time that is left"),
)


@dataclass
class ToySettings:
    """The values to measure; None when it cannot be looked at."""

    values: dict[str, float] | None = field(default_factory=dict)
    failure: Exception | None = None
    document: str = ""


def measure(settings: ToySettings, site: Site) -> Observation:
    del site
    if settings.failure:
        raise settings.failure
    if settings.values is None:
        raise Unmeasurable("the toy is broken", remedy="mend it")
    found = tuple(Measurement(name, value) for name, value in settings.values.items())
    evidence = Evidence(summary=f"{settings.values}", document=settings.document)
    return Observation(measurements=found, evidence=evidence)


TOY = Kind(
    name="toy",
    says="Toys break.",
    settings=ToySettings,
    metrics=METRICS,
    remedy=("mend the toy",),
    forms=(Form("adopt_toys", "adopt the toy", "riskloop adopt {mitigation}"),),
    measure=measure,
)

LEAD = Owner(
    name="SDK Lead",
    github="octo-lead",
    slack="U024BE7LH",
    repository="acme/sdk",
    channel=SlackChannel(channel="C0123456789"),
)
QA = replace(LEAD, name="QA", github="acme/qa", repository="acme/qa-issues")

RISK = Risk(id="toys", title="Toys break", likelihood="medium", impact="high", owners=(LEAD,))

MITIGATION = Mitigation(
    id="toys.toy",
    kind=TOY,
    risk=RISK,
    settings=ToySettings(),
    thresholds={
        "leaks": Threshold(warning=1, critical=10),
        "spills": Threshold(warning=1),
        "margin": Threshold(warning=7, critical=1),
    },
)


class Clock:
    """A clock that stands still until it is told."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 1, 2, 20, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
