"""A person decides about a plan: carried out once, or not at all, and everybody hears who decided what."""

import threading
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from riskloop.approvals import Decision, State
from riskloop.assessing import retire
from riskloop.errors import Refused, Unmeasurable
from riskloop.receipts import Receipt
from riskloop.store import RowsRefused, Store, approvals, history, open_store, tables
from riskloop.store.turns import one_at_a_time
from tests.shredding import Office
from tests.store.shelf import count
from tests.toys import Clock

APPROVE, REJECT = Decision.APPROVE, Decision.REJECT
DONE = "approved by Mia: they are old; 3 sheets shredded"
BY = "2 March 2026, 02:20 UTC"


@pytest.fixture
def office(store: Store, tmp_path: Path, clock: Clock) -> Office:
    return Office(store, tmp_path, clock)


def recorded(office: Office) -> list[tuple[str, str, str, bool]]:
    """Give what people decided: what, who, why, and whether it was carried out."""
    with office.store.reading() as connection:
        rows = connection.execute(select(tables.decisions).order_by(tables.decisions.c.number))
        return [(row.decision, row.who, row.why, row.completed_at is not None) for row in rows]


@pytest.mark.parametrize("by", ["id", "mitigation"])
def test_approved_the_stored_plan_is_carried_out_under_the_approval_and_it_is_told(
    office: Office, by: str
) -> None:
    owed = office.ask()
    office.wait(1)
    done = office.decide(owed.id if by == "id" else owed.mitigation)
    assert done.says == DONE
    assert done.mitigation == office.mitigation
    assert done.receipt is not None
    assert done.receipt.changed
    assert office.shredded() == office.begun() == Counter([owed.id])
    after = office.approval()
    assert (after.state, after.who, after.why, after.outcome) == (State.DONE, "Mia", "they are old", DONE)
    assert after.decided_at == office.clock()
    assert office.changes() == [
        ("opened", "warning", f"a decision is owed by {BY}: 3 are more than 2"),
        ("updated", "warning", "approved by Mia: they are old"),
        ("resolved", "ok", DONE),
    ]
    assert recorded(office) == [("approve", "Mia", "they are old", True)]


def test_rejected_nothing_is_changed_and_it_is_told_at_once(office: Office) -> None:
    owed = office.ask()
    done = office.decide(owed.id, REJECT)
    assert done.says == "rejected by Mia: I need them; nothing was changed"
    assert (done.mitigation, done.receipt) == (None, None)
    assert [change[::2] for change in office.changes()][1:] == [("resolved", done.says)]
    assert office.approval().state is State.REJECTED
    assert recorded(office) == [("reject", "Mia", "I need them", True)]
    assert not office.begun()


@pytest.mark.parametrize("first", [APPROVE, REJECT])
@pytest.mark.parametrize("second", [APPROVE, REJECT])
def test_a_second_decision_hears_who_decided_what_and_when(
    office: Office, first: Decision, second: Decision
) -> None:
    owed = office.ask()
    office.decide(owed.id, first)
    office.changes()
    with pytest.raises(Refused) as refused:
        office.decide(owed.id, second, who="Bob")
    assert refused.value.rule == "decided"
    assert f"{owed.id} cannot be decided any more" in str(refused.value)
    assert "Mia" in str(refused.value)
    assert f"riskloop run {owed.mitigation}" in refused.value.remedy
    assert office.changes() == []
    assert len(recorded(office)) == 1
    assert sum(office.shredded().values()) == (first is APPROVE)


def test_too_late_is_said_even_before_anything_noticed_that_the_time_is_over(office: Office) -> None:
    owed = office.ask()
    office.wait(24)
    with pytest.raises(Refused) as refused:
        office.decide(owed.id)
    assert refused.value.rule == "deadline"
    aborted = f"nobody decided by {BY}: aborted, nothing was changed"
    assert str(refused.value) == (
        f"{owed.id} cannot be decided any more: it is too late: {aborted}; "
        f"to be asked anew, run it: riskloop run {owed.mitigation}"
    )
    assert office.approval().state is State.ABORTED
    assert office.changes()[1:] == [("worsened", "critical", aborted)]
    assert recorded(office) == []
    assert not office.begun()
    assert office.follow_up() == []


def test_what_nothing_waits_for_or_nobody_signs_is_refused(office: Office) -> None:
    with pytest.raises(
        Refused, match="nothing waits for a decision under 'a1'; see what does: riskloop appr"
    ):
        office.decide("a1")
    owed = office.ask()
    for who in ("", " \n ", "w" * 101):
        with pytest.raises(Refused, match="name"):
            office.decide(owed.id, who=who)
    assert office.approval().state is State.PENDING


@pytest.mark.parametrize("decision", [APPROVE, REJECT])
def test_changed_settings_make_it_void_for_whoever_decides(office: Office, decision: Decision) -> None:
    owed = office.ask()
    office.configure(limit=1)
    with pytest.raises(
        Refused, match=r"it is void: the settings of toys\.shredder-000 have changed"
    ) as refused:
        office.decide(owed.id, decision)
    assert refused.value.rule == "void"
    assert [change[0] for change in office.changes()] == ["opened", "resolved"]
    assert office.approval().state is State.VOID
    assert not office.begun()


def test_a_mitigation_that_is_switched_off_or_gone_makes_it_void(office: Office) -> None:
    owed = office.ask()
    office.mitigations = [replace(office.mitigation, enabled=False)]
    with pytest.raises(
        Refused, match=r"it is void: .* is no longer in the register, or is switched off there"
    ):
        office.decide(owed.id)
    assert [change[0] for change in office.changes()] == ["opened", "resolved"]


def test_reminders_come_at_half_and_at_nine_tenths_and_then_it_is_aborted_aloud(office: Office) -> None:
    office.ask()
    office.told()
    then = f"if nobody decides by {BY}, it is aborted: nothing is changed"
    told = []
    for _ in range(6 * 26):
        office.follow_up()
        told += [(office.clock().strftime("%d %H:%M"), *change) for change in office.changes()]
        office.wait(1 / 6)
    reminder = ("reminded", "warning", f"no decision yet; {then}")
    assert told == [
        ("01 14:20", *reminder),
        ("02 00:00", *reminder),
        ("02 02:20", "worsened", "critical", f"nobody decided by {BY}: aborted, nothing was changed"),
    ]
    assert count(office.store, "deliveries") == 2 * 4, "each on both channels"


def test_after_a_time_out_of_service_one_reminder_is_told_and_not_two(office: Office) -> None:
    office.ask()
    office.wait(22)
    office.follow_up()
    office.follow_up()
    assert [change[0] for change in office.changes()] == ["opened", "reminded"]
    assert office.approval().reminded == 2


def test_the_usual_reminder_leaves_alone_what_is_pending_and_not_what_was_aborted(office: Office) -> None:
    office.ask(decide_within=timedelta(days=20))
    office.told()
    office.wait(24 * 8)
    assert office.follow_up() == []
    office.wait(24 * 12)
    office.follow_up()
    office.wait(24)
    assert office.follow_up() == ["reminded of approval"]
    assert [change[:2] for change in office.changes()] == [
        ("worsened", "critical"),
        ("reminded", "critical"),
    ]


def test_what_destroys_nothing_goes_on_by_its_default_and_is_carried_out_once(office: Office) -> None:
    owed = office.ask(destroys=False, proceeds=True)
    office.wait(24)
    by = f"approved: nobody decided by {BY}, and it destroys nothing"
    assert office.follow_up() == [by, f"{by}; 3 sheets shredded"]
    assert office.follow_up() == []
    assert [change[0] for change in office.changes()] == ["opened", "updated", "resolved"]
    assert office.shredded() == Counter([owed.id])
    assert recorded(office) == [], "nobody decided"
    with pytest.raises(Refused, match="it is over: approved: nobody decided"):
        office.decide(owed.id, REJECT)


def test_whoever_rejects_too_late_what_goes_on_by_its_default_is_told_so(office: Office) -> None:
    owed = office.ask(destroys=False, proceeds=True)
    office.wait(25)
    with pytest.raises(Refused, match="it is too late: nobody decided by"):
        office.decide(owed.id, REJECT)
    assert office.approval().state is State.APPROVED
    office.follow_up()
    assert office.approval().state is State.DONE


def test_asked_again_it_speaks_up_in_the_incident_that_tells_of_the_one_that_was_aborted(
    office: Office,
) -> None:
    office.ask()
    office.wait(24)
    office.follow_up()
    office.told()
    office.wait(1)
    again = office.ask()
    reason = "asked again: a decision is owed by 3 March 2026, 03:20 UTC: 3 are more than 2"
    (facts,) = office.told()
    assert (facts.change, facts.severity, facts.reason) == ("reminded", "warning", reason)
    assert [again.id in action.command for action in facts.actions] == [True, True]
    assert count(office.store, "incidents") == 1
    office.decide(again.id)
    assert count(office.store, "incidents WHERE resolved_at IS NULL") == 0


def test_what_could_not_be_carried_out_ends_so_is_told_as_an_error_and_asked_anew(office: Office) -> None:
    office.shredder.fails = Unmeasurable("the shredder is gone", remedy="plug it in")
    owed = office.ask()
    done = office.decide(owed.id)
    words = "approved by Mia: they are old; it could not be carried out: the shredder is gone; plug it in"
    assert done.says == words
    assert done.receipt is not None
    assert done.receipt.failed
    assert (office.approval().state, office.approval().outcome) == (State.FAILED, words)
    assert office.changes()[1:] == [
        ("updated", "warning", "approved by Mia: they are old"),
        ("worsened", "critical", words),
    ]
    assert recorded(office) == [("approve", "Mia", "they are old", False)]
    assert office.follow_up() == [], "it is not tried for ever"
    office.shredder.fails = None
    again = office.ask()
    assert again.id != owed.id
    office.decide(again.id)
    assert office.shredded() == Counter([again.id])


@pytest.mark.parametrize("harm", ["gone", "changed"])
def test_a_plan_that_is_gone_or_not_what_was_stored_ends_plainly_and_not_in_a_loop(
    office: Office, harm: str
) -> None:
    owed = office.ask()
    file = owed.stored_plan(office.settings.state).file
    file.write_text("every sheet there is") if harm == "changed" else file.unlink()
    done = office.decide(owed.id)
    assert done.says.endswith("could not be carried out: the plan is not what was stored; run it again")
    assert office.approval().state is State.FAILED
    assert office.follow_up() == []
    assert not office.begun()


def test_a_bug_while_carrying_out_ends_it_and_is_kept_to_be_raised(office: Office) -> None:
    office.shredder.fails = KeyError("a bug")
    owed = office.ask()
    done = office.decide(owed.id)
    assert done.receipt is not None
    assert isinstance(done.receipt.failure, KeyError)
    assert office.approval().state is State.FAILED


def test_a_receipt_that_failed_is_said_with_its_deed(office: Office) -> None:
    office.shredder.fails = Receipt(says="it jammed", failed=True, deed="shredded", notes=("Call Bob",))
    office.decide(office.ask().id)
    assert office.approval().outcome.endswith("it could not be shredded: it jammed")
    assert office.told()[-1].summary == "3 sheets would be shredded. Call Bob."


def test_while_a_run_is_at_work_a_decision_is_recorded_and_the_next_round_carries_it_out(
    office: Office,
) -> None:
    owed = office.ask()
    with one_at_a_time(office.store, owed.mitigation, state=office.settings.state):
        said = office.decide(owed.id).says
        assert (
            said == "approved by Mia: they are old; another run is at work on it just now; "
            "then the next round goes on"
        )
        assert office.follow_up() == ["another run is at work on it just now; then the next round goes on"]
        with pytest.raises(Refused, match="Mia approved it on"):
            office.decide(owed.id, REJECT, who="Bob")
    assert office.follow_up() == [DONE]
    assert office.shredded() == Counter([owed.id])


def test_what_was_approved_a_day_ago_and_never_done_is_not_done_any_more(office: Office) -> None:
    owed = office.ask()
    with one_at_a_time(office.store, owed.mitigation, state=office.settings.state):
        office.decide(owed.id)
    office.wait(25)
    late = "it was not done within 24 hours, and what is left of it is not done any more"
    assert office.follow_up() == [f"it could not be carried out: {late}"]
    assert office.approval().state is State.FAILED
    assert office.changes()[-1] == (
        "worsened",
        "critical",
        f"approved by Mia: they are old; it could not be carried out: {late}",
    )
    assert not office.begun()


@pytest.mark.parametrize("edit", ["settings", "gone"])
def test_what_was_approved_and_holds_no_longer_is_void_and_not_carried_out(office: Office, edit: str) -> None:
    owed = office.ask()
    with one_at_a_time(office.store, owed.mitigation, state=office.settings.state):
        office.decide(owed.id)
        if edit == "settings":
            office.configure(limit=1)
        else:
            office.mitigations = [replace(office.mitigation, enabled=False)]
            retire(office.store, set(), office.occasion())
            assert office.approval().state is State.APPROVED, "whoever is at work on it ends it"
    (said,) = office.follow_up()
    assert said.endswith("what was not carried out by then is left")
    assert office.approval().state is State.VOID
    assert office.changes()[-1][:2] == ("resolved", "ok")
    assert not office.begun()


def test_what_left_the_register_is_void_and_its_incident_ends_with_the_others(office: Office) -> None:
    owed = office.ask()
    retire(office.store, set(), office.occasion())
    assert office.approval(owed.id).state is State.VOID
    assert [change[0] for change in office.changes()] == ["opened", "resolved"]
    assert office.follow_up() == []


def test_of_many_who_decide_at_once_one_does_and_the_others_hear_of_it(
    office: Office, store_url: str
) -> None:
    owed = office.ask()
    ready, said, refused = threading.Barrier(6), [], []

    def decide(number: int) -> None:
        store = open_store(store_url)
        ready.wait()
        try:
            done = office.decide(owed.id, APPROVE if number % 2 else REJECT, who=f"Mia {number}", store=store)
            said.append(done.says)
        except Refused as error:
            refused.append(str(error))
        store.close()

    threads = [threading.Thread(target=decide, args=[number]) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(said) == 1
    assert len(refused) == 5
    (decided,) = recorded(office)
    assert all(decided[1] in words for words in refused)
    assert sum(office.begun().values()) == (decided[0] == "approve")
    assert not office.approval().open


def test_a_clock_that_was_ahead_when_it_was_asked_lets_nobody_wait_for_ever(office: Office) -> None:
    right = office.clock()
    office.wait(24 * 400)
    owed = office.ask()
    office.clock.now = right
    office.follow_up()
    rebased = office.approval()
    assert rebased.deadline < owed.deadline
    assert office.changes()[1:] == [
        (
            "updated",
            "warning",
            f"the clock was set back; if nobody decides by {BY}, it is aborted: nothing is changed",
        )
    ]
    office.wait(24)
    office.follow_up()
    assert office.approval().state is State.ABORTED


def test_a_clock_that_goes_back_and_forth_by_little_changes_nothing_that_can_be_seen(office: Office) -> None:
    office.ask()
    for seconds in (-30, 60, -90, 60):
        office.clock.advance(seconds)
        office.follow_up()
    office.wait(12)
    office.follow_up()
    assert [change[0] for change in office.changes() if change[0] != "updated"] == ["opened", "reminded"]
    office.decide(office.approval().id)
    assert office.approval().state is State.DONE


def test_the_store_itself_refuses_a_second_one_that_is_open(office: Office) -> None:
    owed = office.ask()

    with pytest.raises(RowsRefused), office.store.writing() as connection:
        approvals.add(connection, replace(owed, id="second"))
    office.decide(owed.id, REJECT)
    with office.store.writing() as connection:
        approvals.add(connection, replace(owed, id="second"))
        approvals.add(connection, replace(owed, id="third", state=State.ABORTED))


def test_of_two_changes_of_the_same_the_second_is_told_that_another_got_there_first(office: Office) -> None:

    owed = office.ask()
    with office.store.writing() as connection:
        assert approvals.change(connection, owed, replace(owed, reminded=1))
        assert not approvals.change(connection, owed, replace(owed, state=State.APPROVED))
        assert not approvals.change(connection, replace(owed, id="b2"), owed)
    assert office.approval().state is State.PENDING


def test_what_is_stored_is_read_back_as_it_was(office: Office) -> None:
    owed = office.ask()
    with office.store.reading() as connection:
        row = connection.execute(select(tables.approvals)).one()
        assert history.open_incidents(connection, owed.mitigation)
    assert row.file == f"plans/{owed.plan}"
    assert row.deciders == '["SDK Lead"]'
    assert owed.stored_plan(office.settings.state) == office.plan()
