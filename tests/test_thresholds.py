"""How bad a number is."""

from datetime import UTC, datetime

import pytest

from riskloop.measurements import HIGHER, LOWER, Evidence, Look, Measurement, Metric, Observation, Worse
from riskloop.thresholds import Threshold, Verdict, assess_look

RISING = Metric("rising", "things", worse=HIGHER, says="")
FALLING = Metric("falling", "things", worse=LOWER, says="")
NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "worse", "verdict"),
    [
        (0.9, HIGHER, Verdict.OK),
        (1, HIGHER, Verdict.WARNING),
        (9.9, HIGHER, Verdict.WARNING),
        (10, HIGHER, Verdict.CRITICAL),
        (10.1, LOWER, Verdict.OK),
        (10, LOWER, Verdict.WARNING),
        (1, LOWER, Verdict.CRITICAL),
    ],
)
def test_the_bound_itself_is_passed_in_the_metrics_own_direction(
    value: float, worse: Worse, verdict: Verdict
) -> None:
    bounds = Threshold(warning=1, critical=10) if worse is HIGHER else Threshold(warning=10, critical=1)
    assert bounds.judge(value, worse) is verdict


def test_either_bound_may_be_missing() -> None:
    assert Threshold(critical=5).judge(4, HIGHER) is Verdict.OK
    assert Threshold(critical=5).judge(5, HIGHER) is Verdict.CRITICAL
    assert Threshold(warning=5).judge(500, HIGHER) is Verdict.WARNING
    assert Threshold().judge(500, HIGHER) is Verdict.OK


def test_a_look_is_as_bad_as_its_worst_reading() -> None:
    observation = Observation(
        measurements=(Measurement("rising", 10), Measurement("falling", 10)), evidence=Evidence(summary="")
    )
    bounds = {"rising": Threshold(warning=1, critical=20), "falling": Threshold(critical=10)}
    assessment = assess_look(Look(mitigation="m", at=NOW, observation=observation), (RISING, FALLING), bounds)
    assert assessment.verdict is Verdict.CRITICAL
    assert [(r.metric, r.verdict) for r in assessment.breaches] == [
        ("rising", Verdict.WARNING),
        ("falling", Verdict.CRITICAL),
    ]


def test_a_failed_look_is_unknown_and_says_why() -> None:
    assessment = assess_look(Look(mitigation="m", at=NOW, reason="no such directory"), (RISING,), {})
    assert assessment.verdict is Verdict.UNKNOWN
    assert assessment.reason == "no such directory"
    assert assessment.breaches == ()
