"""What one look at a mitigation found: numbers with units, and the evidence to believe them by."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from riskloop.plans import Plan
from riskloop.proposals import Proposal
from riskloop.receipts import Receipt


class Worse(StrEnum):
    """Which way a metric gets worse."""

    HIGHER = "higher"
    LOWER = "lower"


HIGHER = Worse.HIGHER
LOWER = Worse.LOWER


@dataclass(frozen=True, slots=True)
class Metric:
    """A number a kind measures: its name, its unit, which way is worse, and what it counts in one phrase.

    Args:
        warns: from which value it is a warning where the register gives it no threshold; None for never.
    """

    name: str
    unit: str
    worse: Worse = field(kw_only=True)
    says: str = field(kw_only=True)
    warns: float | None = field(kw_only=True, default=None)


@dataclass(frozen=True, slots=True)
class Measurement:
    """One metric of one mitigation at one moment; the unit is the metric's."""

    metric: str
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A titled piece of evidence, as plain text that may come from anywhere: each channel escapes it.

    Args:
        language: how to colour it where that is possible: `diff`, `json` or nothing.
    """

    title: str
    body: str
    language: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Why to believe the numbers.

    Args:
        summary: one or two plain sentences.
        sections: what a message or an issue shows inline, most telling first.
        document: the whole of it, kept as a file; empty when the sections already say everything.
        fingerprint: a digest of what was found, so that a person's decision can be held against it.
        details: further facts for programs, JSON values only.
    """

    summary: str
    sections: tuple[Section, ...] = ()
    document: str = ""
    fingerprint: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """All measurements of one look, with their evidence.

    Args:
        proposal: what may be proposed for the project's repository; None if this is not asked for.
        plan: what its kind may carry out; None if this is not asked for.
    """

    measurements: tuple[Measurement, ...]
    evidence: Evidence
    proposal: Proposal | None = None
    plan: Plan | None = None

    def value(self, metric: str) -> float | None:
        return next((m.value for m in self.measurements if m.metric == metric), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What looking at one mitigation gave: an observation, or the reason there is none.

    Args:
        mitigation: the mitigation's id.
        at: when the look began.
        observation: what was seen; None when we could not look.
        reason: why there is no observation, in words; empty when there is one.
        failure: the unexpected exception behind the reason, if it was one: a bug, to be raised at the end.
        receipt: what acting on it came to; None if nobody acted.
    """

    mitigation: str
    at: datetime
    observation: Observation | None = None
    reason: str = ""
    failure: Exception | None = None
    receipt: Receipt | None = None
