"""A look is fit to be judged and stored, or it says why it is not."""

from datetime import UTC, datetime

import pytest

from riskloop.assessing.soundness import made_sound
from riskloop.measurements import Evidence, Look, Measurement, Observation, Section
from riskloop.store.text import storable
from tests.toys import METRICS


def seen(*found: Measurement, evidence: Evidence | None = None) -> Look:
    observation = Observation(measurements=found, evidence=evidence or Evidence(summary=""))
    return Look(mitigation="toys.toy", at=datetime(2026, 3, 1, tzinfo=UTC), observation=observation)


def test_a_sound_look_stays_as_it_is() -> None:
    look = seen(Measurement("leaks", 1), Measurement("margin", -2.5))
    assert made_sound(look, METRICS) == look


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (
            [Measurement("leaks", float("nan")), Measurement("spills", float("inf"))],
            "leaks is nan, spills is inf, which is not a number to judge by",
        ),
        ([Measurement("leaks", 1), Measurement("leaks", 2)], "a metric was measured twice in one look"),
        ([Measurement("luck", 1)], "luck was measured, which is no metric of its kind"),
    ],
)
def test_numbers_that_cannot_be_believed_are_a_failed_look(found: list[Measurement], reason: str) -> None:
    look = made_sound(seen(*found), METRICS)
    assert look.observation is None
    assert look.reason == reason


def test_text_is_made_storable_wherever_it_stands() -> None:
    evidence = Evidence(
        summary="a\0b", sections=(Section(title="\udc80", body="c\0"),), fingerprint="\0", document="\0"
    )
    look = made_sound(seen(evidence=evidence), METRICS)
    assert look.observation is not None
    cleaned = look.observation.evidence
    assert cleaned.summary == "a\N{REPLACEMENT CHARACTER}b"
    assert cleaned.sections == (Section(title=r"\udc80", body="c\N{REPLACEMENT CHARACTER}"),)
    assert cleaned.document == "\0", "a file takes everything"


def test_words_from_anywhere_keep_their_letters() -> None:
    assert storable("Grüße, 漢字, 🙂\n") == "Grüße, 漢字, 🙂\n"
