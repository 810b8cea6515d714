"""When an incident opens, worsens, eases and resolves."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riskloop.incidents import Change, Concern, Incident, Streaks, Transition, next_transition
from riskloop.thresholds import Assessment, Reading, Verdict

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def reading(metric: str, value: float, verdict: Verdict) -> Reading:
    return Reading(metric=metric, unit="", value=value, warning=1, critical=10, verdict=verdict)


LEAK = reading("leaks", 2, Verdict.WARNING)
LEAKS = reading("leaks", 5, Verdict.WARNING)
FLOOD = reading("leaks", 20, Verdict.CRITICAL)
SPILL = reading("spills", 1, Verdict.WARNING)
DRY = reading("leaks", 0, Verdict.OK)

OK = Assessment(verdict=Verdict.OK, readings=(DRY,))
UNKNOWN = Assessment(verdict=Verdict.UNKNOWN, reason="no such directory")


def over(*readings: Reading) -> Assessment:
    worst = max((one.verdict for one in readings), key=lambda verdict: verdict.rank)
    return Assessment(verdict=worst, readings=readings)


def is_open(*readings: Reading, concern: Concern = Concern.BREACH, reason: str = "") -> Incident:
    severity = max(
        (one.verdict for one in readings), key=lambda verdict: verdict.rank, default=Verdict.WARNING
    )
    return Incident(
        id="1",
        subject="toys.toy",
        concern=concern,
        severity=severity,
        opened_at=NOW,
        reason=reason,
        breaches=readings,
    )


BREACH_RULES = [
    ("a first breach opens", None, over(LEAK), Streaks(breached=1), 1, 1, Change.OPENED),
    ("a first breach of two that are asked for waits", None, over(LEAK), Streaks(breached=1), 2, 1, None),
    ("a second breach of two opens", None, over(LEAK), Streaks(breached=2), 2, 1, Change.OPENED),
    ("a good look with nothing open says nothing", None, OK, Streaks(fine=1), 1, 1, None),
    ("a failed look opens no breach", None, UNKNOWN, Streaks(unknown=9), 1, 1, None),
    ("a failed look closes no breach", is_open(LEAK), UNKNOWN, Streaks(unknown=9), 1, 1, None),
    ("a higher severity worsens", is_open(LEAK), over(FLOOD), Streaks(breached=2), 1, 1, Change.WORSENED),
    ("another metric worsens", is_open(LEAK), over(LEAK, SPILL), Streaks(breached=2), 1, 1, Change.WORSENED),
    (
        "another metric under a lower severity still worsens",
        is_open(FLOOD),
        over(SPILL),
        Streaks(breached=2),
        1,
        1,
        Change.WORSENED,
    ),
    ("a lower severity eases", is_open(FLOOD), over(LEAK), Streaks(breached=2), 1, 1, Change.EASED),
    ("new numbers update", is_open(LEAK), over(LEAKS), Streaks(breached=2), 1, 1, Change.UPDATED),
    ("one metric fewer updates", is_open(LEAK, SPILL), over(LEAK), Streaks(breached=2), 1, 1, Change.UPDATED),
    ("nothing new says nothing", is_open(LEAK), over(LEAK), Streaks(breached=2), 1, 1, None),
    ("a good look resolves", is_open(LEAK), OK, Streaks(fine=1), 1, 1, Change.RESOLVED),
    ("a first good look of two waits", is_open(LEAK), OK, Streaks(fine=1), 1, 2, None),
    ("a second good look of two resolves", is_open(LEAK), OK, Streaks(fine=2), 1, 2, Change.RESOLVED),
]


@pytest.mark.parametrize(
    ("incident", "assessment", "streaks", "after", "resolve_after", "change"),
    [rule[1:] for rule in BREACH_RULES],
    ids=[rule[0] for rule in BREACH_RULES],
)
def test_of_a_breach(
    *,
    incident: Incident | None,
    assessment: Assessment,
    streaks: Streaks,
    after: int,
    resolve_after: int,
    change: Change | None,
) -> None:
    found = next_transition(
        Concern.BREACH, incident, assessment, streaks, after=after, resolve_after=resolve_after
    )
    assert (found.change if found else None) == change


BLIND = is_open(concern=Concern.BLIND, reason="no such directory")
BLIND_RULES = [
    ("one failed look waits", None, UNKNOWN, Streaks(unknown=1), None),
    ("two failed looks in a row open", None, UNKNOWN, Streaks(unknown=2), Change.OPENED),
    ("a third says nothing more", BLIND, UNKNOWN, Streaks(unknown=3), None),
    (
        "another reason updates",
        BLIND,
        Assessment(verdict=Verdict.UNKNOWN, reason="disk gone"),
        Streaks(unknown=3),
        Change.UPDATED,
    ),
    ("a look that breaches resolves", BLIND, over(LEAK), Streaks(breached=1), Change.RESOLVED),
    ("a good look resolves", BLIND, OK, Streaks(fine=1), Change.RESOLVED),
    ("a good look with nothing open says nothing", None, OK, Streaks(fine=1), None),
]


@pytest.mark.parametrize(
    ("incident", "assessment", "streaks", "change"),
    [rule[1:] for rule in BLIND_RULES],
    ids=[rule[0] for rule in BLIND_RULES],
)
def test_of_being_blind(
    incident: Incident | None, assessment: Assessment, streaks: Streaks, change: Change | None
) -> None:
    found = next_transition(Concern.BLIND, incident, assessment, streaks)
    assert (found.change if found else None) == change


def test_a_transition_says_why_in_a_sentence() -> None:
    opened = next_transition(Concern.BREACH, None, over(LEAK, SPILL), Streaks(breached=1))
    worsened = next_transition(Concern.BREACH, is_open(LEAK), over(FLOOD), Streaks(breached=2))
    resolved = next_transition(Concern.BREACH, is_open(LEAK), OK, Streaks(fine=1))
    assert opened is not None
    assert opened.reason == "leaks, spills passed the threshold"
    assert worsened is not None
    assert worsened.reason == "from warning to critical"
    assert resolved is not None
    assert resolved.reason == "leaks back within the threshold"


@pytest.mark.parametrize("verdict", [Verdict.OK, Verdict.WARNING, Verdict.CRITICAL])
def test_a_failed_look_counts_neither_for_nor_against_a_streak(verdict: Verdict) -> None:
    two = Streaks().after(verdict).after(Verdict.UNKNOWN).after(verdict)
    assert (two.breached, two.fine) == ((0, 2) if verdict is Verdict.OK else (2, 0))
    assert two.unknown == 0


looks = st.sampled_from([OK, UNKNOWN, over(LEAK), over(LEAKS), over(FLOOD), over(LEAK, SPILL), over(SPILL)])


def applied(incident: Incident | None, transition: Transition | None, concern: Concern) -> Incident | None:
    if transition is None:
        return incident
    if transition.change is Change.RESOLVED:
        return None
    return Incident(
        id="1",
        subject="toys.toy",
        concern=concern,
        severity=transition.severity,
        opened_at=NOW,
        reason=transition.reason,
        breaches=transition.breaches,
    )


@given(
    st.lists(looks, max_size=40),
    st.integers(1, 4),
    st.integers(1, 4),
    st.sampled_from([Concern.BREACH, Concern.BLIND]),
)
def test_any_history_opens_before_anything_else_and_never_twice(
    history: list[Assessment], after: int, resolve_after: int, concern: Concern
) -> None:
    incident, streaks = None, Streaks()
    for assessment in history:
        streaks = streaks.after(assessment.verdict)
        found = next_transition(
            concern, incident, assessment, streaks, after=after, resolve_after=resolve_after
        )
        if found is not None:
            assert (found.change is Change.OPENED) == (incident is None)
            if concern is Concern.BREACH:
                assert assessment.verdict is not Verdict.UNKNOWN
        incident = applied(incident, found, concern)
        if incident is not None and concern is Concern.BREACH and assessment.breaches:
            assert incident.severity is assessment.verdict
            assert incident.breaches == assessment.breaches


@given(st.lists(looks, max_size=40), looks)
def test_the_same_look_again_says_nothing(history: list[Assessment], last: Assessment) -> None:
    incident, streaks = None, Streaks()
    for assessment in [*history, last]:
        streaks = streaks.after(assessment.verdict)
        incident = applied(
            incident, next_transition(Concern.BREACH, incident, assessment, streaks), Concern.BREACH
        )
    assert next_transition(Concern.BREACH, incident, last, streaks.after(last.verdict)) is None
