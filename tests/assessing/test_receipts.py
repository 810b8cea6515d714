"""What acting on a look came to is told with its incident; what could not be done is a warning by itself."""

from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import TypeAdapter
from sqlalchemy import select

from riskloop.assessing import Assessed, assess, judge
from riskloop.incidents import Change, Concern
from riskloop.measurements import Evidence
from riskloop.notifications import Action, Facts
from riskloop.receipts import Receipt
from riskloop.store import Store, history
from riskloop.store.tables import transitions
from riskloop.thresholds import Verdict
from riskloop.wording import github, slack
from tests.store.shelf import occasion, seen, toy

_facts = TypeAdapter(Facts)
TOY = toy(0)
OPENED = Receipt(says="opened and ready for review", url="https://github.com/acme/sdk/pull/12")
PERSONS = Receipt(says="the branch has a commit of Ada's, and is left to her")
REFUSED = Receipt(says="GitHub refused the push: the token may not write contents", failed=True)


class Weeks:
    """Looks at a toy again and again, with a receipt each time, and reads what was stored to be told."""

    def __init__(self, store: Store, directory: Path) -> None:
        self.store = store
        self.directory = directory
        self.run = 0

    def look(self, leaks: float, receipt: Receipt | None, *, found: str = "f") -> Assessed:
        self.run += 1
        evidence = Evidence(summary="Two commits behind.", fingerprint=found)
        look = replace(seen(TOY, {"leaks": leaks}, evidence), receipt=receipt)
        (assessed,) = assess(self.store, [(TOY, look)], occasion(f"run-{self.run}", self.directory))
        return assessed

    def changes(self, leaks: float, receipt: Receipt | None, *, found: str = "f") -> list[tuple[str, str]]:
        told = self.look(leaks, receipt, found=found).transitions
        return [(str(transition.change), transition.reason) for _, transition in told]

    def last(self) -> Facts:
        with self.store.reading() as connection:
            query = select(transitions.c.facts).order_by(transitions.c.number.desc()).limit(1)
            return _facts.validate_json(connection.execute(query).scalar_one())


@pytest.fixture
def weeks(store: Store, tmp_path: Path) -> Weeks:
    return Weeks(store, tmp_path)


def test_a_pull_request_is_the_first_thing_to_do_in_issue_and_thread(weeks: Weeks) -> None:
    weeks.look(2, OPENED)
    facts = weeks.last()
    assert facts.actions[0] == Action(says=f"Pull request: {OPENED.says}", url=OPENED.url)
    body = github.body(facts, marker="m")
    assert f"### What to do\n\n- [Pull request: {OPENED.says}](<{OPENED.url}>)\n- " in body
    assert facts.summary == "Two commits behind."
    message = str(slack.message(facts))
    assert f"*What to do*\\n• <{OPENED.url}|Pull request: {OPENED.says}>" in message


def test_words_without_a_pull_request_are_a_sentence(weeks: Weeks) -> None:
    weeks.look(2, PERSONS)
    facts = weeks.last()
    assert facts.summary == "Two commits behind. The branch has a commit of Ada's, and is left to her."
    assert not [action for action in facts.actions if action.says.startswith("Pull request")]


def test_a_receipt_of_nothing_is_told_as_nothing(weeks: Weeks) -> None:
    weeks.look(2, Receipt())
    assert weeks.last().summary == "Two commits behind."
    assert weeks.changes(2, None) == []


def test_a_failure_is_said_as_one_and_still_leads_to_the_pull_request_there_is(weeks: Weeks) -> None:
    weeks.look(2, replace(REFUSED, url=OPENED.url))
    facts = weeks.last()
    assert facts.summary == f"Two commits behind. It could not be proposed: {REFUSED.says}."
    assert facts.actions[0] == Action(says="Pull request", url=OPENED.url)


def test_another_receipt_under_the_same_numbers_is_a_silent_update_that_says_it(weeks: Weeks) -> None:
    assert [change for change, _ in weeks.changes(2, OPENED)] == ["opened"]
    assert weeks.changes(2, OPENED) == []
    merged = replace(OPENED, says="brought up to date")
    assert weeks.changes(2, merged) == [("updated", "brought up to date")]
    assert not weeks.last().aloud
    assert weeks.changes(2, merged) == []
    other = [("updated", "the same numbers, and something else behind them")]
    assert weeks.changes(2, merged, found="another") == other
    nothing = [("updated", "nothing was done about it this time")]
    assert weeks.changes(2, None, found="another") == nothing


def test_a_decision_is_held_against_what_was_found_whatever_came_of_it(weeks: Weeks) -> None:
    weeks.look(2, None)
    with weeks.store.reading() as connection:
        (incident,) = history.open_incidents(connection, TOY.id).values()
        assert incident.fingerprint == history.last_fingerprint(connection, TOY.id) == "f"


def test_what_could_not_be_done_is_told_although_every_number_is_fine_and_ends_when_it_can(
    weeks: Weeks,
) -> None:
    failed = f"it could not be proposed: {REFUSED.says}"
    assert weeks.changes(0, None) == []
    (opened,) = weeks.look(0, REFUSED).transitions
    incident, transition = opened
    assert (incident.concern, incident.severity) == (Concern.BREACH, Verdict.WARNING)
    assert (transition.change, transition.reason) == (Change.OPENED, failed)
    facts = weeks.last()
    assert github.title(facts) == "Warning: Toys break"
    assert "GitHub refused the push" in github.body(facts, marker="m")
    assert weeks.changes(0, REFUSED) == []
    later = replace(REFUSED, says="GitHub did not answer")
    assert weeks.changes(0, later) == [("updated", "it could not be proposed: GitHub did not answer")]
    assert weeks.changes(0, OPENED) == [("resolved", "what could not be done went well this time")]


def test_a_number_that_passes_its_threshold_beside_a_failure_worsens_it_and_back_again_it_stands(
    weeks: Weeks,
) -> None:
    weeks.look(0, REFUSED)
    assert weeks.changes(2, REFUSED) == [("worsened", "leaks passed the threshold as well")]
    assert weeks.changes(0, REFUSED) == [("updated", f"it could not be proposed: {REFUSED.says}")]
    assert weeks.changes(0, None) == [("resolved", "what could not be done went well this time")]


def test_a_failure_is_a_warning_at_least_and_never_makes_a_verdict_better() -> None:
    for leaks, verdict in ((0, Verdict.WARNING), (2, Verdict.WARNING), (20, Verdict.CRITICAL)):
        judged = judge(TOY, replace(seen(TOY, {"leaks": leaks}), receipt=REFUSED))
        assert (judged.assessment.verdict, judged.look.receipt) == (verdict, REFUSED)
        assert judged.assessment.reason == f"it could not be proposed: {REFUSED.says}"


def test_a_receipt_is_cleaned_as_every_text_is(weeks: Weeks) -> None:
    stored = weeks.look(2, Receipt(says="nul \x00 and \ud800 half a pair")).look
    assert stored.receipt is not None
    assert "\x00" not in stored.receipt.says
    assert stored.receipt.says.encode()
