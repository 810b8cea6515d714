"""What an acceptance and a silence keep quiet, and when their end is announced."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from riskloop.incidents import Change, Concern, Incident, reminder
from riskloop.mutes import Mute, Muting
from riskloop.thresholds import Verdict

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)

ACCEPTED = Mute(
    id="m",
    muting=Muting.ACCEPTED,
    subject="toys.toy",
    concern=Concern.BREACH,
    severity=Verdict.WARNING,
    who="Ada",
    why="known",
    since=START,
    until=START + 30 * DAY,
)
SILENCED = replace(ACCEPTED, muting=Muting.SILENCED, concern=None, severity=Verdict.UNKNOWN)
SPOKEN_ALL_THE_SAME = {Change.RESOLVED, Change.MUTED, Change.ENDING, Change.UNMUTED}


@pytest.mark.parametrize("severity", [Verdict.WARNING, Verdict.CRITICAL])
@pytest.mark.parametrize("concern", [Concern.BREACH, Concern.BLIND])
@pytest.mark.parametrize("change", Change)
def test_a_silence_hushes_whatever_happens_and_never_that_it_is_over(
    change: Change, concern: Concern, severity: Verdict
) -> None:
    assert SILENCED.hushes(concern, change, severity) is (change not in SPOKEN_ALL_THE_SAME)


@pytest.mark.parametrize("change", Change)
def test_an_acceptance_hushes_all_but_a_worsening(change: Change) -> None:
    hushed = change not in {*SPOKEN_ALL_THE_SAME, Change.WORSENED}
    assert ACCEPTED.hushes(Concern.BREACH, change, Verdict.WARNING) is hushed


def test_an_acceptance_hushes_nothing_beyond_the_severity_that_was_accepted() -> None:
    assert ACCEPTED.hushes(Concern.BREACH, Change.OPENED, Verdict.WARNING)
    assert not ACCEPTED.hushes(Concern.BREACH, Change.OPENED, Verdict.CRITICAL)
    assert not ACCEPTED.hushes(Concern.BREACH, Change.REMINDED, Verdict.CRITICAL)
    worse = replace(ACCEPTED, severity=Verdict.CRITICAL)
    assert worse.hushes(Concern.BREACH, Change.REMINDED, Verdict.CRITICAL)


def test_an_acceptance_hushes_no_other_concern() -> None:
    assert not ACCEPTED.hushes(Concern.BLIND, Change.OPENED, Verdict.WARNING)


@pytest.mark.parametrize(
    ("length", "announced", "left", "due"),
    [
        (30, 0, 8, None),
        (30, 0, 7, 7),
        (30, 1, 6, None),
        (30, 1, 1, 1),
        (30, 2, 0.5, None),
        # While the service was down: what was missed is not made up for one by one.
        (30, 0, 0.5, 1),
        (30, 0, 3, 7),
        (30, 0, 0, None),
        (7, 0, 7, None),
        (7, 0, 3, None),
        (7, 0, 1, 1),
        (1, 0, 0.5, None),
    ],
)
def test_an_end_is_announced_seven_days_and_one_day_before(
    length: float, announced: int, left: float, due: int | None
) -> None:
    mute = replace(ACCEPTED, until=START + length * DAY, announced=announced)
    assert mute.announcement(mute.until - left * DAY) == (None if due is None else due * DAY)


@pytest.mark.parametrize(
    ("severity", "patience"), [(Verdict.CRITICAL, DAY), (Verdict.WARNING, 7 * DAY)], ids=str
)
def test_a_reminder_is_due_so_long_after_it_was_last_told_aloud(
    severity: Verdict, patience: timedelta
) -> None:
    never_told = Incident(
        id="i", subject="toys.toy", concern=Concern.BREACH, severity=severity, opened_at=START
    )
    for incident in (never_told, replace(never_told, spoken_at=START + 90 * DAY)):
        last = incident.spoken_at or incident.opened_at
        assert reminder(incident, now=last + patience - timedelta(seconds=1)) is None
        due = reminder(incident, now=last + patience)
        assert due is not None
        assert (due.change, due.severity) == (Change.REMINDED, severity)
