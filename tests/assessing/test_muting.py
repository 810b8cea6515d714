"""What is accepted or silenced is stored and not told of, until it worsens or the time is over."""

import pytest

from riskloop.assessing import retire
from riskloop.mutes import Muting
from riskloop.thresholds import Verdict
from tests.assessing.days import Days


def test_an_acceptance_is_told_where_the_incident_is_with_who_until_when_and_why(days: Days) -> None:
    days.look(2)
    days.accept(days=30)
    opened, muted = days.told()
    assert opened.mutes == ()
    assert muted.change == "muted"
    assert muted.aloud
    assert muted.reason == "accepted until 31 March 2026 02:20 UTC by Ada: known"
    assert [mute.who for mute in muted.mutes] == ["Ada"]
    assert days.places("muted") == ["github", "slack"]


def test_what_is_accepted_is_kept_current_and_told_of_only_when_it_worsens(days: Days) -> None:
    days.look(2)
    days.accept(days=30)
    days.look(3)
    days.look(30)
    days.look(3)
    assert days.changes() == ["opened", "muted", "(updated)", "worsened", "(eased)"]


def test_what_is_told_by_the_clock_alone_names_the_run_that_found_it_and_not_the_one_that_tells(
    days: Days,
) -> None:
    days.look(2)
    days.accept(days=2)
    for wait in (1, 1, 8):
        days.wait(wait)
        days.follow_up()
    told = days.told()
    assert [facts.change for facts in told] == ["opened", "muted", "ending", "unmuted", "reminded"]
    assert {facts.run_url for facts in told} == {told[0].run_url}


def test_beyond_what_was_accepted_the_owner_is_reminded_as_ever(days: Days) -> None:
    days.look(2)
    days.accept(days=30)
    days.look(30)
    days.wait(1)
    days.follow_up()
    assert days.changes() == ["opened", "muted", "worsened", "reminded"]


def test_what_resolves_says_so_and_a_new_breach_of_what_is_accepted_opens_quietly(days: Days) -> None:
    days.look(2)
    days.accept(days=30)
    days.look(0)
    days.look(2)
    days.look(20)
    assert days.changes() == ["opened", "muted", "resolved", "(opened)", "worsened"]


def test_a_silence_hushes_everything_and_its_end_tells_the_state_as_it_is_then(days: Days) -> None:
    days.silence(days=3)
    days.look(2)
    days.look(30)
    days.wait(1)
    days.follow_up()
    days.wait(1)
    days.follow_up()
    assert days.changes() == ["(opened)", "(worsened)", "ending"]
    days.wait(1)
    assert days.follow_up() == 1
    (facts,) = days.told()
    assert facts.change == "unmuted"
    assert facts.aloud
    assert facts.severity is Verdict.CRITICAL
    assert [reading.value for reading in facts.readings] == [30, 0]
    assert facts.mutes == ()
    assert facts.reason == (
        "no longer silenced: what Ada decided on 01 March 2026 is over (its time was over)"
    )
    assert days.places("unmuted") == ["github", "slack"]


def test_a_silence_over_nothing_tells_nothing_when_it_ends(days: Days) -> None:
    days.silence(days=30)
    for _ in range(31):
        days.wait(1)
        assert days.follow_up() == 0
    assert days.changes() == []
    days.look(2)
    assert days.changes() == ["opened"]


def test_the_end_is_announced_seven_days_and_one_day_before_each_once(days: Days) -> None:
    days.look(2)
    days.accept(days=30)
    days.changes()
    found = []
    for hour in range(31 * 24):
        days.wait(1 / 24)
        days.follow_up()
        found += [(hour + 1, facts) for facts in days.told()]
    assert [(hour, facts.change, facts.reason) for hour, facts in found] == [
        (23 * 24, "ending", "accepted by Ada for 7 more days, until 31 March 2026 02:20 UTC"),
        (29 * 24, "ending", "accepted by Ada for 1 more day, until 31 March 2026 02:20 UTC"),
        (
            30 * 24,
            "unmuted",
            "no longer accepted: what Ada decided on 01 March 2026 is over (its time was over)",
        ),
    ]
    assert all(facts.aloud for _, facts in found)


@pytest.mark.parametrize(
    ("back_after", "said"),
    [
        (26, ["ending", "ending", "unmuted"]),
        (29.5, ["ending", "unmuted"]),
        (31, ["unmuted"]),
    ],
)
def test_what_was_due_while_the_service_was_down_is_told_once_when_it_is_back(
    days: Days, back_after: float, said: list[str]
) -> None:
    days.look(2)
    days.accept(days=30)
    days.changes()
    days.wait(back_after)
    for _ in range(5):
        days.follow_up()
        days.wait(1)
    assert days.changes() == said


def test_an_announcement_that_was_late_says_how_long_it_really_is(days: Days) -> None:
    days.look(2)
    days.accept(days=30)
    days.changes()
    days.wait(25.9)
    days.follow_up()
    (facts,) = days.told()
    assert facts.reason == "accepted by Ada for 4 more days, until 31 March 2026 02:20 UTC"


def test_ended_early_it_speaks_again_at_once_and_says_who_ended_it(days: Days) -> None:
    days.look(2)
    mute = days.accept(days=30)
    days.changes()
    days.wait(2)
    days.end(mute)
    (facts,) = days.told()
    assert facts.reason == (
        "no longer accepted: what Ada decided on 01 March 2026 is over (by Bob: all is mended)"
    )
    assert days.holding() == []
    days.look(2.5)
    days.look(20)
    days.look(2)
    assert days.changes() == ["updated", "worsened", "eased"]
    days.wait(60)
    assert days.follow_up() == 1, "a reminder, and no end of what has ended"
    assert days.changes() == ["reminded"]


@pytest.mark.parametrize("muting", Muting)
def test_a_later_decision_takes_the_place_of_the_earlier(days: Days, muting: Muting) -> None:
    days.look(2)
    days.mute(muting, days=30)
    days.wait(1)
    days.mute(muting, days=10, who="Bob")
    assert [mute.who for mute in days.holding()] == ["Bob"]
    assert days.changes() == ["opened", "muted", "muted"]
    days.wait(10)
    days.follow_up()
    (facts,) = days.told()
    assert (facts.change, facts.mutes) == ("unmuted", ())
    days.wait(20)
    days.follow_up()
    assert days.changes() == ["reminded"]


def test_an_acceptance_and_a_silence_hold_side_by_side(days: Days) -> None:
    days.look(2)
    days.accept(days=30)
    days.silence(days=2)
    both = days.told()[-1]
    assert [mute.muting for mute in both.mutes] == [Muting.SILENCED, Muting.ACCEPTED]
    days.look(20)
    days.look(2)
    assert days.changes() == ["(worsened)", "(eased)"]
    days.wait(2)
    days.follow_up()
    (facts,) = days.told()
    assert facts.change == "unmuted"
    assert [mute.muting for mute in facts.mutes] == [Muting.ACCEPTED]
    days.look(3)
    assert days.changes() == ["(updated)"]


def test_one_that_resolved_meanwhile_is_announced_and_ended_without_a_word(days: Days) -> None:
    days.look(2)
    days.accept(days=30)
    days.look(0)
    assert days.changes() == ["opened", "muted", "resolved"]
    for _ in range(31):
        days.wait(1)
        assert days.follow_up() == 0
    assert days.changes() == []
    assert days.holding() == []


def test_one_whose_mitigation_left_the_register_ends_without_a_word(days: Days) -> None:
    days.look(2)
    days.silence(days=30)
    retire(days.store, set(), days.at())
    assert days.changes() == ["opened", "muted", "resolved"]
    days.wait(31)
    assert days.follow_up() == 0


def test_what_is_over_holds_no_longer_though_nobody_has_followed_up(days: Days) -> None:
    days.look(2)
    days.accept(days=2)
    days.wait(2)
    days.look(20)
    days.look(2)
    assert days.changes() == ["opened", "muted", "worsened", "eased"]


def test_what_two_people_end_at_once_ends_once(days: Days) -> None:
    days.look(2)
    mute = days.silence(days=30)
    days.end(mute)
    days.end(mute)
    assert days.changes() == ["opened", "muted", "unmuted"]
