"""When an incident opens, worsens, eases and resolves: one pure function, and the streaks it reads."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from riskloop.thresholds import Assessment, Reading, Verdict

BLIND_AFTER = 2
"""Looks in a row that gave nothing before that is an incident of its own."""


REMIND_AFTER = {Verdict.CRITICAL: timedelta(hours=24), Verdict.WARNING: timedelta(days=7)}
"""How long an open incident may be silent before its owner is reminded of it."""


class Concern(StrEnum):
    """Why an incident exists.

    A threshold is passed, we could not look, a review is due, many opened at once, or a person must decide
    about a plan.
    """

    BREACH = "breach"
    BLIND = "blind"
    OVERDUE = "overdue"
    FLOOD = "flood"
    APPROVAL = "approval"


class Change(StrEnum):
    """What happened to an incident, or to what it has become in a channel.

    `updated` is silent: new numbers under the same severity. `muted`, `ending` and `unmuted` tell of an
    acceptance or a silence: that it began, that it will end soon, and that it is over. `dismissed` and
    `reopened` tell of an issue or a message that a person closed or took away while the incident stands.
    """

    OPENED = "opened"
    WORSENED = "worsened"
    EASED = "eased"
    UPDATED = "updated"
    REMINDED = "reminded"
    MUTED = "muted"
    ENDING = "ending"
    UNMUTED = "unmuted"
    DISMISSED = "dismissed"
    REOPENED = "reopened"
    RESOLVED = "resolved"

    @property
    def aloud(self) -> bool:
        """Whether it is told in a comment and a reply of its own, not only by editing what is there."""
        return self not in {Change.OPENED, Change.UPDATED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """A subject with a concern, from opening to resolution; at most one is open for each pair.

    Args:
        fingerprint: what the evidence it shows was found by, for a decision to be held against.
        spoken_at: when it was last told of aloud; a reminder counts from then.
        flood: the incident that told of this one together with many others; empty if none did.
    """

    id: str
    subject: str
    concern: Concern
    severity: Verdict
    opened_at: datetime
    reason: str = ""
    breaches: tuple[Reading, ...] = ()
    fingerprint: str = ""
    resolved_at: datetime | None = None
    spoken_at: datetime | None = None
    flood: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Streaks:
    """Looks in a row: breached and fine ones skip over unknown ones, which are counted apart."""

    breached: int = 0
    fine: int = 0
    unknown: int = 0

    def after(self, verdict: Verdict) -> "Streaks":
        if verdict is Verdict.UNKNOWN:
            return replace(self, unknown=self.unknown + 1)
        if verdict is Verdict.OK:
            return Streaks(fine=self.fine + 1)
        return Streaks(breached=self.breached + 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """A change of an incident, with the sentence that says why."""

    change: Change
    severity: Verdict
    reason: str
    breaches: tuple[Reading, ...] = ()


def next_transition(
    concern: Concern,
    incident: Incident | None,
    assessment: Assessment,
    streaks: Streaks,
    *,
    after: int = 1,
    resolve_after: int = 1,
) -> Transition | None:
    """Say what one more look means for an incident, or None when nobody need hear of it.

    Args:
        concern: `breach` or `blind`; an overdue review does not come from a look.
        incident: the open incident of this subject and concern, if there is one.
        assessment: the verdict on the look.
        streaks: the looks in a row, this one included.
        after: breaches in a row that open an incident.
        resolve_after: good looks in a row that resolve it.
    """
    if concern is Concern.BLIND:
        return _blind(incident, assessment, streaks)
    if assessment.verdict is Verdict.UNKNOWN:
        return None
    if incident is None:
        if assessment.verdict is Verdict.OK or streaks.breached < after:
            return None
        return _breach(Change.OPENED, assessment, _passed(assessment))
    if assessment.verdict is Verdict.OK:
        if streaks.fine < resolve_after:
            return None
        return Transition(
            change=Change.RESOLVED,
            severity=Verdict.OK,
            reason=_ended(incident),
        )
    return _still_breached(incident, assessment)


def reminder(incident: Incident, *, now: datetime) -> Transition | None:
    """Say whether its owner should hear again of an open incident that has been silent for too long."""
    patience = REMIND_AFTER.get(incident.severity)
    last = incident.spoken_at or incident.opened_at
    # One that spoke far in the future spoke by a clock that was wrong.
    if patience is None or abs(now - last) < patience:
        return None
    return Transition(
        change=Change.REMINDED,
        severity=incident.severity,
        reason=incident.reason,
        breaches=incident.breaches,
    )


def _still_breached(incident: Incident, assessment: Assessment) -> Transition | None:
    before = {reading.metric for reading in incident.breaches}
    fresh = tuple(reading for reading in assessment.breaches if reading.metric not in before)
    if assessment.verdict.rank > incident.severity.rank:
        return _breach(Change.WORSENED, assessment, f"from {incident.severity} to {assessment.verdict}")
    if fresh:
        return _breach(Change.WORSENED, assessment, f"{_names(fresh)} passed the threshold as well")
    if assessment.verdict.rank < incident.severity.rank:
        return _breach(Change.EASED, assessment, f"from {incident.severity} to {assessment.verdict}")
    if assessment.breaches != incident.breaches:
        return _breach(
            Change.UPDATED, assessment, "new numbers" if assessment.breaches else assessment.reason
        )
    return None


def _blind(incident: Incident | None, assessment: Assessment, streaks: Streaks) -> Transition | None:
    if assessment.verdict is not Verdict.UNKNOWN:
        if incident is None:
            return None
        return Transition(change=Change.RESOLVED, severity=Verdict.OK, reason="we can look again")
    if incident is None:
        if streaks.unknown < BLIND_AFTER:
            return None
        return Transition(change=Change.OPENED, severity=Verdict.WARNING, reason=assessment.reason)
    if assessment.reason != incident.reason:
        return Transition(change=Change.UPDATED, severity=incident.severity, reason=assessment.reason)
    return None


def _breach(change: Change, assessment: Assessment, reason: str) -> Transition:
    return Transition(change=change, severity=assessment.verdict, reason=reason, breaches=assessment.breaches)


def _passed(assessment: Assessment) -> str:
    """Say what a breach is: metrics past their thresholds, or else what could not be done."""
    if not assessment.breaches:
        return assessment.reason
    return f"{_names(assessment.breaches)} passed the threshold"


def _ended(incident: Incident) -> str:
    if not incident.breaches:
        return "what could not be done went well this time"
    return f"{_names(incident.breaches)} back within the threshold"


def _names(readings: tuple[Reading, ...]) -> str:
    return ", ".join(reading.metric for reading in readings)
