"""An open incident that has been silent for too long is told of again, by our own clock."""

from dataclasses import replace

import pytest

from riskloop.assessing import assess, retire
from tests.assessing.days import TOY, Days
from tests.store.shelf import seen
from tests.toys import LEAD, MITIGATION


@pytest.mark.parametrize(("leaks", "every"), [(20, 24), (2, 7 * 24)], ids=["critical", "warning"])
def test_a_critical_incident_is_told_again_each_day_and_a_warning_each_week(
    days: Days, leaks: float, every: int
) -> None:
    days.look(leaks)
    reminded = []
    for hour in range(1, 22 * 24):
        days.wait(1 / 24)
        if days.follow_up():
            reminded.append(hour)
    assert reminded == list(range(every, 22 * 24, every))
    assert set(days.changes()[1:]) == {"reminded"}
    assert days.places("reminded")[:2] == ["github", "slack"]


def test_it_counts_from_what_was_told_last_and_new_numbers_alone_are_not_told(days: Days) -> None:
    days.look(2)
    days.wait(5)
    days.look(20)
    days.wait(0.9)
    days.look(21)
    assert days.follow_up() == 0
    days.wait(0.1)
    assert days.follow_up() == 1
    assert days.follow_up() == 0, "told a moment ago"
    assert days.changes() == ["opened", "worsened", "updated", "reminded"]


def test_while_the_service_was_down_one_reminder_is_enough(days: Days) -> None:
    days.look(20)
    days.wait(10)
    assert days.follow_up() == 1
    assert days.follow_up() == 0


def test_a_reminder_repeats_what_stands(days: Days) -> None:
    days.look(2)
    days.look(3)
    days.wait(7)
    days.follow_up()
    facts = days.told()[-1]
    assert [reading.value for reading in facts.readings] == [3, 0]
    assert facts.aloud


@pytest.mark.parametrize("how", ["accepted", "silenced"])
def test_what_is_accepted_or_silenced_is_not_reminded_of(days: Days, how: str) -> None:
    days.look(2)
    if how == "accepted":
        days.accept(days=100)
    else:
        days.silence(days=100)
    for _ in range(90):
        days.wait(1)
        assert days.follow_up() == 0
    assert days.changes() == ["opened", "muted"]


def test_after_an_end_reminders_count_from_what_was_said_then(days: Days) -> None:
    days.look(2)
    days.accept(days=20)
    days.wait(13)
    days.follow_up()
    days.wait(6)
    days.follow_up()
    days.wait(1)
    days.follow_up()
    days.changes()
    days.wait(6.9)
    assert days.follow_up() == 0
    days.wait(0.1)
    assert days.follow_up() == 1
    assert days.changes() == ["reminded"]


def test_what_is_resolved_or_gone_is_not_reminded_of(days: Days) -> None:
    days.look(20)
    days.look(0)
    days.wait(30)
    assert days.follow_up() == 0
    days.look(20)
    retire(days.store, set(), days.at())
    days.wait(30)
    assert days.follow_up() == 0


def test_a_clock_that_was_ahead_does_not_keep_reminders_away(days: Days) -> None:
    days.wait(400)
    days.look(20)
    days.wait(-400)
    assert days.follow_up() == 1
    assert days.follow_up() == 0
    days.wait(1)
    assert days.follow_up() == 1


def test_nobody_is_reminded_where_the_owner_is_no_longer_heard(days: Days) -> None:
    days.look(2)
    owner = replace(LEAD, channel=None)
    elsewhere = replace(MITIGATION, id=TOY, risk=replace(MITIGATION.risk, owners=(owner,)))
    assess(days.store, [(elsewhere, seen(elsewhere, {"leaks": 20, "spills": 0}))], days.at())
    days.wait(1)
    assert days.follow_up() == 1
    assert days.places("reminded") == ["github"], "the channel may be somebody else's by now"
    retire(days.store, set(), days.at())
    assert days.places("resolved") == ["github", "slack"]
