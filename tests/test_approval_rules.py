"""What is due of a decision that is owed, by the clock alone, and what whoever is too late is told."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from riskloop.approvals import (
    CARRIED_OUT_WITHIN,
    LONGEST,
    OPEN,
    SHORTEST,
    Approval,
    Decision,
    Default,
    State,
    approved_by,
    asked,
    decided,
    ended,
    expired,
    refuse,
    stands,
    what_then,
)
from riskloop.errors import Refused
from riskloop.plans import Plan

NOW = datetime(2026, 3, 1, 2, 20, tzinfo=UTC)
HOUR = timedelta(hours=1)
STATE = Path("/project/.riskloop")
PLAN = Plan(
    digest="ab" * 32,
    file=STATE / "plans" / "abab.jsonl.gz",
    says="3 sheets would be shredded",
    summary="a, b, c",
    settings="5e771165",
    asks="3 are more than 2",
)
HARMLESS = replace(PLAN, destroys=False, proceeds=True)


def ask(plan: Plan = PLAN) -> Approval:
    return asked(plan, name="a1", mitigation="toys.toy", deciders=("Lead", "QA"), state=STATE, now=NOW)


APPROVED = decided(ask(), Decision.APPROVE, who="Mia", why="old", now=NOW + HOUR)
REJECTED = decided(ask(), Decision.REJECT, who="Mia", why="mine", now=NOW + HOUR)


def test_an_approval_says_what_would_be_done_to_whom_it_is_owed_and_by_when() -> None:
    owed = ask()
    assert (owed.what, owed.asks, owed.summary) == (PLAN.says, PLAN.asks, PLAN.summary)
    assert (owed.plan, owed.settings, owed.deciders) == (PLAN.digest, PLAN.settings, ("Lead", "QA"))
    assert (owed.asked_at, owed.deadline) == (NOW, NOW + 24 * HOUR)
    assert (owed.state, owed.default, owed.open) == (State.PENDING, Default.ABORT, True)


def test_the_plan_is_the_one_that_was_asked_about_also_when_the_state_directory_has_moved() -> None:
    assert ask().stored_plan(STATE) == PLAN
    assert ask().stored_plan(Path("/elsewhere")).file == Path("/elsewhere/plans/abab.jsonl.gz")
    outside = ask(replace(PLAN, file=Path("/mnt/plans/p")))
    assert outside.stored_plan(STATE).file == Path("/mnt/plans/p")


@pytest.mark.parametrize(
    ("within", "bounded"),
    [
        (timedelta(0), SHORTEST),
        (timedelta(days=-1), SHORTEST),
        (HOUR, HOUR),
        (timedelta(days=400), LONGEST),
    ],
)
def test_the_deadline_is_never_now_and_never_far(within: timedelta, bounded: timedelta) -> None:
    assert ask(replace(PLAN, decide_within=within)).deadline == NOW + bounded


def test_silence_never_stands_for_a_yes_to_what_destroys_something() -> None:
    with pytest.raises(Refused, match="a plan that destroys something would be carried out if nobody dec"):
        ask(replace(PLAN, proceeds=True))
    assert ask(HARMLESS).default is Default.PROCEED


def test_reminders_are_due_at_half_of_the_time_and_at_nine_tenths() -> None:
    owed = ask()
    due = [(hours, owed.reminder(NOW + hours * HOUR)) for hours in (0, 11.9, 12, 21.5, 21.6, 23.9, 24, 99)]
    assert due == [(0, None), (11.9, None), (12, 1), (21.5, 1), (21.6, 2), (23.9, 2), (24, None), (99, None)]
    once = replace(owed, reminded=1)
    assert [once.reminder(NOW + hours * HOUR) for hours in (12, 21, 22)] == [None, None, 2]
    assert replace(owed, reminded=2).reminder(NOW + 23 * HOUR) is None


def test_nobody_is_reminded_of_what_is_decided() -> None:
    assert [one.reminder(NOW + 13 * HOUR) for one in (APPROVED, REJECTED)] == [None, None]


def test_the_moment_of_the_deadline_is_too_late() -> None:
    assert not ask().is_over(NOW + 24 * HOUR - timedelta(microseconds=1))
    assert ask().is_over(NOW + 24 * HOUR)


def test_after_a_clock_that_was_ahead_the_time_is_counted_anew_and_never_gets_longer() -> None:
    owed = replace(ask(), reminded=1)
    assert owed.rebased(NOW) is None
    assert owed.rebased(NOW + HOUR) is None
    year = timedelta(days=365)
    again = owed.rebased(NOW - year)
    assert again is not None
    assert (again.asked_at, again.deadline, again.reminded) == (NOW - year, NOW - year + 24 * HOUR, 0)
    assert again.is_over(NOW), "when the clock is right again, its time is over; that changes nothing"
    assert APPROVED.rebased(NOW - year) is None


def test_what_was_approved_is_no_longer_carried_out_a_day_later_whatever_the_clock_does() -> None:
    decided_at = NOW + HOUR
    assert not ask().is_stale(NOW)
    assert not APPROVED.is_stale(decided_at + CARRIED_OUT_WITHIN)
    assert APPROVED.is_stale(decided_at + CARRIED_OUT_WITHIN + timedelta(seconds=1))
    assert APPROVED.is_stale(decided_at - timedelta(days=30))


def test_nobody_decided_is_aborted_or_goes_on_as_its_default_says() -> None:
    aborted = expired(ask(), now=NOW + 25 * HOUR)
    assert (aborted.state, aborted.open, aborted.decision) == (State.ABORTED, False, "")
    assert aborted.outcome == "nobody decided by 2 March 2026, 02:20 UTC: aborted, nothing was changed"
    went_on = expired(ask(HARMLESS), now=NOW + 25 * HOUR)
    assert (went_on.state, went_on.decision, went_on.who) == (State.APPROVED, "approve", "")
    assert approved_by(went_on) == (
        "approved: nobody decided by 2 March 2026, 02:20 UTC, and it destroys nothing"
    )


def test_what_happens_if_nobody_decides_is_said_beforehand() -> None:
    assert (
        what_then(ask()) == "if nobody decides by 2 March 2026, 02:20 UTC, it is aborted: nothing is changed"
    )
    assert what_then(ask(HARMLESS)).endswith("it is carried out: it destroys nothing")
    assert stands(ask()) == f"waits for a decision; {what_then(ask())}"
    assert stands(APPROVED).startswith("approved by Mia: old; it is being carried out")
    assert stands(REJECTED) == "rejected by Mia: mine; nothing was changed"


def test_whoever_decides_too_late_or_again_hears_who_decided_what_and_when() -> None:
    late = expired(ask(), now=NOW + 25 * HOUR)
    void = ended(ask(), State.VOID, "the settings changed", now=NOW)
    done = ended(APPROVED, State.DONE, "approved by Mia: old; 3 sheets shredded", now=NOW + 2 * HOUR)
    failed = ended(APPROVED, State.FAILED, "approved by Mia: old; it could not be", now=NOW + 2 * HOUR)
    on = "on 1 March 2026, 03:20 UTC"
    says = {
        APPROVED: f"Mia approved it {on} (old); what comes of it is shown by: riskloop approvals show a1",
        REJECTED: f"Mia rejected it {on} (mine); to be asked anew, run it: riskloop run toys.toy",
        late: f"it is too late: {late.outcome}; to be asked anew, run it: riskloop run toys.toy",
        void: "it is void: the settings changed; to be asked anew, run it: riskloop run toys.toy",
        done: f"it is over: {done.outcome}; to be asked anew, run it: riskloop run toys.toy",
        failed: f"it is over: {failed.outcome}; to be asked anew, run it: riskloop run toys.toy",
        expired(ask(HARMLESS), now=NOW + 25 * HOUR): (
            "it is too late: nobody decided by 2 March 2026, 02:20 UTC, and it destroys nothing; "
            "what comes of it is shown by: riskloop approvals show a1"
        ),
    }
    assert {one.state for one in says} == set(State) - {State.PENDING}
    for approval, words in says.items():
        assert str(refuse(approval)) == f"a1 cannot be decided any more: {words}"


def test_only_two_states_are_open_and_every_other_is_an_end() -> None:
    ends = [REJECTED, expired(ask(), now=NOW), ended(ask(), State.VOID, "v", now=NOW)]
    assert all(one.ended_at and one.outcome and not one.open for one in ends)
    assert {State.PENDING, State.APPROVED} == OPEN
