"""Acceptances and silences: until when an incident is not spoken of, who decided that, and why."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from riskloop.incidents import Change, Concern
from riskloop.thresholds import Verdict

LONGEST = timedelta(days=180)
"""The longest time for which one may be given: after half a year somebody should look again."""

ANNOUNCED = (timedelta(days=7), timedelta(days=1))
"""How long before its end that end is announced."""


class Muting(StrEnum):
    """The two ways to be quiet.

    A risk is *accepted* as it was shown: what grows worse is told all the same. A subject is *silenced*
    whatever happens to it, as during maintenance.
    """

    ACCEPTED = "accepted"
    SILENCED = "silenced"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mute:
    """One decision not to be told of a subject for a while.

    Args:
        subject: as incidents name it: a mitigation's id.
        concern: of the incident that was accepted; None for a silence, which covers every concern.
        severity: of the incident that was accepted; `unknown` for a silence.
        who: claimed, not proven.
        announced: how many of ANNOUNCED have been told.
        ended_at: when it ended, by time or by a person; None while it holds.
    """

    id: str
    muting: Muting
    subject: str
    concern: Concern | None
    severity: Verdict
    who: str
    why: str
    since: datetime
    until: datetime
    announced: int = 0
    ended_at: datetime | None = None

    def covers(self, concern: Concern) -> bool:
        return self.concern is None or self.concern is concern

    def hushes(self, concern: Concern, change: Change, severity: Verdict) -> bool:
        """Say whether a change is not told of: it is stored, and what stands in a channel silently edited.

        Args:
            concern: of the incident.
            change: what happened to it.
            severity: of the incident after it.
        """
        if not self.covers(concern) or change in {
            Change.RESOLVED,
            Change.MUTED,
            Change.ENDING,
            Change.UNMUTED,
        }:
            return False
        if self.muting is Muting.SILENCED:
            return True
        return change is not Change.WORSENED and severity.rank <= self.severity.rank

    def announcement(self, now: datetime) -> timedelta | None:
        """Say whether its end must be announced now: how long before the end that is due; None if not."""
        due = [before for before in ANNOUNCED[self.announced :] if now >= self.until - before]
        # One that is shorter than the announcement's lead is not announced at its very beginning.
        due = [before for before in due if self.until - self.since > before]
        return due[-1] if due and now < self.until else None
