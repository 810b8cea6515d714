"""What a story is made of: looks, incidents and their changes, and what people decided and did."""

from dataclasses import dataclass
from datetime import datetime

from pydantic import TypeAdapter
from sqlalchemy import RowMapping

from riskloop.incidents import Change, Concern
from riskloop.mutes import Mute
from riskloop.notifications import Route
from riskloop.risks import Decision
from riskloop.thresholds import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One look.

    Args:
        summary: of what was found, in the kind's words.
        values: what was measured of the metrics that were asked for.
    """

    number: int
    at: datetime
    phase: str
    verdict: Verdict
    reason: str
    summary: str
    values: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One incident, as far as its time goes."""

    id: str
    concern: Concern
    opened_at: datetime
    resolved_at: datetime | None
    flood: str


@dataclass(frozen=True, slots=True)
class Hush:
    """What a transition's facts say of why it is not told aloud."""

    quiet: bool = False
    mutes: tuple[Mute, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """One transition.

    Args:
        observation: the number of the look that it follows from; None if it follows from none.
        hush: whether it was told aloud.
    """

    number: int
    id: str
    at: datetime
    incident: str
    change: Change
    severity: Verdict
    reason: str
    observation: int | None
    hush: Hush


@dataclass(frozen=True, slots=True, kw_only=True)
class Stands:
    """What an incident has become in one place; `state` is `open`, `closed` by a person, or `gone`."""

    incident: str
    route: Route
    url: str
    state: str
    state_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Muted:
    """One acceptance or silence, and how it ended; empty while it holds."""

    number: int
    mute: Mute
    ended: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """One decision about the mitigation, and when it was carried out; None if it was not."""

    number: int
    decision: Decision
    completed_at: datetime | None


_hush = TypeAdapter(Hush)


def case_of(row: RowMapping) -> Case:
    """Read an incident from its row."""
    names = ("id", "opened_at", "resolved_at", "flood")
    return Case(concern=Concern(row["concern"]), **{name: row[name] for name in names})


def changed_of(row: RowMapping) -> Changed:
    """Read a transition from its row."""
    names = ("number", "id", "at", "incident", "reason", "observation")
    return Changed(
        change=Change(row["change"]),
        severity=Verdict(row["severity"]),
        hush=hush_of(row["facts"]),
        **{name: row[name] for name in names},
    )


def hush_of(facts: str) -> Hush:
    """Read from a transition's facts why it is not told aloud."""
    return _hush.validate_json(facts)


def stands_of(row: RowMapping) -> Stands:
    """Read what an incident has become from the row of its posting."""
    return Stands(
        incident=row["incident"],
        route=Route(channel=row["channel"], target=row["target"]),
        url=row["url"] or row["reference"],
        state=row["state"],
        state_at=row["state_at"],
    )
