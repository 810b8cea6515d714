"""What a look made ready is carried out, asked about, or left; what one mitigation does stays with it."""

import os
import threading
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from riskloop.approvals import Decision, State
from riskloop.errors import StoreError, Unmeasurable
from riskloop.incidents import Concern
from riskloop.measurements import Look
from riskloop.mitigating import carry_out
from riskloop.receipts import Receipt
from riskloop.store import Store, chores, history, open_store
from riskloop.store.turns import one_at_a_time
from tests.shredding import Office
from tests.store.children import together
from tests.store.shelf import count
from tests.toys import MITIGATION, Clock


@pytest.fixture
def office(store: Store, tmp_path: Path, clock: Clock) -> Office:
    return Office(store, tmp_path, clock)


def is_told(office: Office) -> list[tuple[str, str]]:
    """Give the concern and the severity of every open incident."""
    with office.store.reading() as connection:
        found = history.list_incidents(connection, resolved=False, limit=99)
    return [(str(one.concern), str(one.severity)) for one in found]


def test_a_plan_that_nobody_need_approve_is_carried_out_under_its_run(office: Office) -> None:
    receipt = office.act(office.plan(sheets=1))
    assert (receipt.says, receipt.changed, receipt.failed) == ("3 sheets shredded", True, False)
    assert office.shredded() == Counter([f"run-1-{os.getpid()}-{office.mitigation.id}"])
    assert count(office.store, "approvals") == 0
    assert is_told(office) == []


def test_a_plan_that_asks_is_asked_about_once_and_waited_for(office: Office) -> None:
    office.shredder.left_over = Receipt(says="2 sheets of yesterday shredded", changed=True)
    first, second = office.act(office.plan()), office.act(office.plan(sheets=4))
    owed = office.approval()
    waits = f"it waits for the approval {owed.id}, asked until 2 March 2026, 02:20 UTC"
    assert first.says == second.says == f"{waits}; 2 sheets of yesterday shredded"
    assert (first.changed, first.failed) == (True, False)
    assert owed.what == "3 sheets would be shredded", "the later plan is not asked about"
    assert count(office.store, "approvals") == 1
    assert is_told(office) == [("approval", "warning")]
    assert not office.begun()


def test_of_two_runs_at_once_one_asks_and_both_wait_for_the_same(office: Office, store_url: str) -> None:
    ready, said = threading.Barrier(4), []

    def act() -> None:
        store = open_store(store_url)
        ready.wait()
        said.append(office.act(office.plan(), store=store).says)
        store.close()

    threads = [threading.Thread(target=act) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert count(office.store, "approvals") == 1
    assert count(office.store, "incidents") == 1
    busy = "nothing was done: another run is at work on it just now"
    assert set(said) <= {
        busy,
        f"it waits for the approval {office.approval().id}, asked until 2 March 2026, 02:20 UTC",
    }


def test_of_two_processes_at_once_one_asks(office: Office, store_url: str) -> None:
    def act(store: Store) -> str:
        return office.act(office.plan(), store=store).says

    ended = together(store_url, act, act, act)
    assert {code for code, _ in ended} == {0}, ended
    assert count(office.store, "approvals") == 1


def test_with_nothing_to_do_only_what_is_left_over_is_done(office: Office) -> None:
    office.shredder.left_over = Receipt(says="2 sheets of yesterday shredded")
    assert office.act(None).says == "2 sheets of yesterday shredded"
    assert office.act(office.plan(sheets=0)).says == "2 sheets of yesterday shredded"
    assert not office.begun()


def test_a_dry_run_asks_nothing_and_stores_nothing_and_says_what_would_be(office: Office) -> None:
    small, large = (office.act(office.plan(sheets=sheets), dry_run=True) for sheets in (1, 3))
    assert small.says == "1 sheets would be shredded, dry"
    assert large.says == "an approval would be asked: 3 are more than 2; 3 sheets would be shredded, dry"
    assert office.act(None, dry_run=True).says == "nothing, dry"
    assert count(office.store, "approvals") == count(office.store, "incidents") == 0
    assert not office.begun()


def test_changed_settings_void_what_was_asked_and_the_run_goes_on(office: Office) -> None:
    before = office.ask()
    office.configure(limit=1)
    receipt = office.act(office.plan())
    after = office.approval()
    assert after.id != before.id
    assert receipt.says.startswith(f"it waits for the approval {after.id}")
    assert office.approval(before.id).state is State.VOID
    assert office.approval(before.id).outcome == (
        "the settings of toys.shredder-000 have changed since it was asked: nothing was changed"
    )
    assert is_told(office) == [("approval", "warning")]
    office.configure(limit=9)
    assert office.act(office.plan()).says == "3 sheets shredded"
    assert is_told(office) == []


def test_what_was_approved_and_not_done_is_done_by_the_next_run_whatever_that_looked_at(
    office: Office,
) -> None:
    owed = office.ask()
    office.shredder.fails = StoreError("the store is full", remedy="free some space")
    said = office.decide(owed.id).says
    assert (
        said == "approved by Mia: they are old; it could not be carried out: the store is full; "
        "free some space"
    )
    assert office.approval().state is State.APPROVED, "nothing is lost by a store that fails"
    office.shredder.fails = None
    receipt = office.act(office.plan(sheets=0))
    assert receipt.says == "approved by Mia: they are old; 3 sheets shredded"
    assert (receipt.changed, receipt.deed, receipt.notes) == (True, "shredded", ("one was blank",))
    assert office.approval().state is State.DONE
    assert office.shredded() == Counter([owed.id])
    assert office.act(office.plan(sheets=0)).says == ""


def test_a_look_that_needs_no_approval_leaves_one_that_is_pending_and_ends_the_word_of_one_that_is_not(
    office: Office,
) -> None:
    office.ask()
    assert office.act(office.plan(sheets=1)).says.startswith("it waits for the approval")
    office.wait(24)
    office.follow_up()
    assert is_told(office) == [("approval", "critical")]
    assert office.act(office.plan(sheets=1)).says == "3 sheets shredded"
    assert is_told(office) == []


def test_a_deadline_that_nobody_has_noticed_yet_is_applied_before_anything_is_asked(office: Office) -> None:
    first = office.ask()
    office.wait(25)
    office.act(office.plan())
    assert office.approval(first.id).state is State.ABORTED
    assert office.approval().state is State.PENDING
    assert is_told(office) == [("approval", "warning")], "asked again in the same incident"
    assert count(office.store, "incidents") == 1


def test_what_fails_is_in_the_receipt_with_the_deed_and_hides_no_other(office: Office) -> None:
    office.shredder.fails = Unmeasurable("the shredder is gone", remedy="plug it in")
    receipt = office.act(office.plan(sheets=1))
    assert receipt.sentence == "it could not be carried out: the shredder is gone; plug it in"
    office.shredder.fails = Receipt(says="it jammed", failed=True, deed="shredded")
    assert office.act(office.plan(sheets=1)).sentence == "it could not be shredded: it jammed"
    office.shredder.fails = KeyError("a bug")
    receipt = office.act(office.plan(sheets=1))
    assert isinstance(receipt.failure, KeyError)
    assert receipt.failed


def test_what_was_left_over_and_failed_stays_a_failure_beside_the_asking(office: Office) -> None:
    office.shredder.left_over = Receipt(says="it jammed", failed=True, deed="shredded")
    receipt = office.act(office.plan())
    assert receipt.sentence == "it could not be shredded: it jammed"
    assert receipt.notes == (
        f"it waits for the approval {office.approval().id}, asked until 2 March 2026, 02:20 UTC",
    )


def test_a_plan_that_would_destroy_by_silence_is_refused_and_not_asked_about(office: Office) -> None:
    receipt = office.act(office.plan(proceeds=True))
    assert receipt.failed
    assert "a plan that destroys something would be carried out if nobody decides" in receipt.says
    assert count(office.store, "approvals") == 0


def test_while_another_is_at_work_on_it_nothing_is_done_and_that_is_said(office: Office) -> None:
    state = office.services().settings.state
    with one_at_a_time(office.store, office.mitigation.id, state=state) as alone:
        assert alone
        assert office.act(office.plan(sheets=1)).says == (
            "nothing was done: another run is at work on it just now"
        )
        with one_at_a_time(office.store, "toys.other", state=state) as other:
            assert other
    assert office.act(office.plan(sheets=1)).says == "3 sheets shredded"


def test_a_process_that_dies_at_work_lets_the_next_one(office: Office, store_url: str) -> None:
    state = office.services().settings.state

    def die(store: Store) -> None:
        with one_at_a_time(store, office.mitigation.id, state=state) as alone:
            assert alone
            raise SystemExit(3)

    assert together(store_url, die) == [(1, "SystemExit: 3")]
    with one_at_a_time(office.store, office.mitigation.id, state=state) as alone:
        assert alone


def test_a_kind_that_only_looks_is_left_alone(office: Office) -> None:
    look = Look(mitigation="toys.toy", at=office.clock(), reason="the toy is broken")
    for mitigation in (MITIGATION, replace(office.mitigation)):
        done = carry_out(office.services(), office.register(), mitigation, look, office.occasion())
        assert done == look


def test_texts_of_a_plan_that_no_database_takes_are_made_so_that_it_does(office: Office) -> None:
    owed = office.ask(says="nul \x00 and \udc80 half a pair would be shredded", summary="\udc80\x00")
    assert "\x00" not in owed.what + owed.summary
    assert owed.summary.encode()
    assert is_told(office) == [(str(Concern.APPROVAL), "warning")]


def test_the_moment_at_which_something_long_has_ended_is_after_that_at_which_it_began(
    office: Office,
) -> None:
    owed = office.ask()
    office.decide(owed.id, Decision.APPROVE)
    ended = office.approval().ended_at
    assert ended is not None
    assert timedelta(0) < ended - office.clock() < timedelta(minutes=1)


def test_since_when_it_succeeds_and_since_when_it_tries_is_noted(office: Office) -> None:
    def noted() -> chores.Tried:
        with office.store.reading() as connection:
            return chores.tried(connection, office.mitigation.id)

    assert noted() == chores.Tried(succeeded_at=None, waited_since=None)
    first = office.clock.now
    office.shredder.fails = Unmeasurable("the shredder is gone", remedy="plug it in")
    office.act(office.plan(sheets=1))
    assert noted() == chores.Tried(succeeded_at=None, waited_since=first)
    office.clock.advance(3600)
    office.shredder.fails = None
    office.act(office.plan(sheets=1))
    assert noted() == chores.Tried(succeeded_at=office.clock.now, waited_since=first)
    office.clock.advance(3600)
    office.act(office.plan())
    assert noted().succeeded_at != office.clock.now, "it waits for an approval"
