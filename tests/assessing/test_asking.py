"""A decision that is owed is an issue and a thread of its own, that say all there is to know to take it."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from riskloop import accepting
from riskloop.approvals import Decision
from riskloop.assessing.muting import begin_mute, end_mute
from riskloop.errors import Refused
from riskloop.mutes import Mute, Muting
from riskloop.notifications import Facts, Reach
from riskloop.project import now
from riskloop.risks import SlackChannel
from riskloop.status import describe, read_status
from riskloop.store import Store, history, timeline
from riskloop.store.marks import Page
from riskloop.store.tables import deliveries, transitions
from riskloop.story import tell
from riskloop.thresholds import Verdict
from riskloop.wording import github, slack
from tests.shredding import Office
from tests.toys import LEAD, QA, Clock

FORM = "http://127.0.0.1:4210/deployments/deployment/d/run?parameters="


@pytest.fixture
def office(store: Store, tmp_path: Path, clock: Clock) -> Office:
    return Office(store, tmp_path, clock)


def silence(office: Office) -> Mute:
    mute = Mute(
        id=history.new_id(),
        muting=Muting.SILENCED,
        subject=office.mitigation.id,
        concern=None,
        severity=Verdict.UNKNOWN,
        who="Ada",
        why="moving house",
        since=office.clock(),
        until=office.clock() + timedelta(days=30),
    )
    begin_mute(office.store, mute, office.occasion())
    return mute


def sent(office: Office, change: str) -> list[str]:
    """Give where such changes were sent, in their order."""
    query = (
        select(deliveries.c.channel, deliveries.c.target)
        .join(transitions, transitions.c.number == deliveries.c.transition)
        .where(transitions.c.change == change)
        .order_by(deliveries.c.number)
    )
    with office.store.reading() as connection:
        return [f"{row.channel} {row.target}" for row in connection.execute(query)]


def test_the_issue_says_what_would_be_done_who_may_decide_by_when_and_how(office: Office) -> None:
    office.belong_to(LEAD)
    owed = office.ask()
    (facts,) = office.told()
    assert github.title(facts) == "Warning: Toys break: a plan to be decided about"
    body = github.body(facts, marker="m")
    by = "2 March 2026, 02:20 UTC"
    for words in (
        f"Last change, on 1 March 2026, 02:20 UTC: a decision is owed by {by}: 3 are more than 2.",
        "3 sheets would be shredded. Who may decide: SDK Lead (a name is recorded as given, not proven).",
        f"- If nobody decides by {by}, it is aborted: nothing is changed.",
        f"- Approved, just the plan {owed.plan[:12]} is carried out, without what has changed since.",
        f"[Approve it](<{FORM}%7B%22approval%22%3A%22{owed.id}%22%2C%22decision%22%3A%22approve%22%7D>)",
        f'`riskloop approvals approve {owed.id} --who "your name" --why "why"`',
        f"[Reject it](<{FORM}%7B%22approval%22%3A%22{owed.id}%22%2C%22decision%22%3A%22reject%22%7D>)",
        f'`riskloop approvals reject {owed.id} --who "your name" --why "why"`',
        "**What the plan holds**\n\n```\n3 sheets of @",
        "it reminds of the decision, says what came of it, and closes it then.",
    ):
        assert words in body, words
    assert "@everyone" not in body, "what stands in a plan mentions nobody"
    assert "Accept it until" not in body


def test_the_message_says_the_same(office: Office) -> None:
    owed = office.ask()
    (facts,) = office.told()
    message = str(slack.message(facts))
    assert "Warning: a plan to be decided about for Toys break" in message
    for words in (
        owed.id,
        "Who may decide: SDK Lead",
        "is aborted",
        "Approve it",
        "Reject it",
        owed.plan[:12],
    ):
        assert words in message, words
    assert f"riskloop approvals reject {owed.id}" in message


def test_hostile_texts_of_a_plan_or_an_owner_mention_nobody_and_close_nothing(office: Office) -> None:
    hostile = "@everyone closes #1 <!-- riskloop:1 --> <!channel> ``` /close"
    office.belong_to(replace(LEAD, name=hostile))
    office.ask(says=hostile, asks=hostile, summary=hostile)
    office.wait(12)
    office.follow_up()
    office.act(office.plan())
    office.decide(office.approval().id, who=hostile)
    for facts in office.told():
        for text in (github.body(facts, marker="m"), github.comment(facts, marker="m")):
            outside = "".join(text.split("```")[::2])
            assert "@everyone" not in outside
            assert "closes #1" not in outside
            assert "<!-- riskloop" not in text
        assert "<!channel>" not in str(slack.message(facts)) + str(slack.reply(facts))


def comment_and_reply(facts: Facts) -> tuple[str, str]:
    return github.comment(facts, marker="m"), str(slack.reply(facts))


def test_a_reminder_names_the_owner_the_deadline_and_both_decisions(office: Office) -> None:
    owed = office.ask()
    office.wait(12)
    office.follow_up()
    for said in comment_and_reply(office.told()[-1]):
        assert "no decision yet; if nobody decides by 2 March 2026, 02:20 UTC, it is aborted" in said
        assert f"approvals approve {owed.id}" in said
        assert f"approvals reject {owed.id}" in said
        assert "octo-lead" in said or "U024BE7LH" in said


def test_at_the_deadline_it_is_critical_and_says_how_to_be_asked_anew(office: Office) -> None:
    owed = office.ask()
    office.wait(24)
    office.follow_up()
    facts = office.told()[-1]
    for said in comment_and_reply(facts):
        assert "nobody decided by 2 March 2026, 02:20 UTC: aborted, nothing was changed" in said
        assert owed.id not in said
    assert github.title(facts) == "Critical: Toys break: a plan to be decided about"
    assert f"riskloop run {owed.mitigation}" in github.body(facts, marker="m")
    assert owed.id not in github.body(facts, marker="m"), "nothing can be decided any more"
    assert sent(office, "worsened") == ["github acme/sdk", "slack C0123456789"]


def test_the_end_says_who_decided_and_what_came_of_it(office: Office) -> None:
    office.decide(office.ask().id)
    said = "approved by Mia: they are old; 3 sheets shredded"
    facts = office.told()[-1]
    assert "3 sheets would be shredded. One was blank." in github.body(facts, marker="m")
    for words in comment_and_reply(facts):
        assert said in words


def test_an_issue_closed_by_hand_is_told_that_it_decides_nothing(office: Office) -> None:
    owed = office.ask()
    (facts,) = office.told()
    said = github.comment(replace(facts, change=facts.change.DISMISSED), marker="m")
    assert "To close this issue decides nothing: approve the plan or reject it." in said
    assert "left closed for 24 hours" not in said
    assert f"approvals approve {owed.id}" in said
    office.wait(24)
    office.follow_up()
    aborted = office.told()[-1]
    said = github.comment(replace(aborted, change=aborted.change.DISMISSED), marker="m")
    assert "approve the plan or reject it" not in said, "there is nothing to decide any more"
    assert "It is opened again with the next reminder, or when it is asked anew." in said
    assert f"riskloop run {owed.mitigation}" in said


def test_a_silence_hushes_it_and_after_its_end_it_is_told_as_it_is(office: Office) -> None:
    mute = silence(office)
    office.ask()
    office.wait(12)
    office.follow_up()
    office.wait(12)
    office.follow_up()
    assert [change[:2] for change in office.changes()] == [
        ("(opened)", "warning"),
        ("(reminded)", "warning"),
        ("(worsened)", "critical"),
    ]
    end_mute(office.store, mute, "by Bob: we have moved", office.occasion())
    (facts,) = office.told()
    assert (facts.change, facts.severity, facts.quiet) == ("unmuted", Verdict.CRITICAL, False)


def test_a_decision_taken_in_a_silence_is_carried_out_and_told(office: Office) -> None:
    silence(office)
    office.decide(office.ask().id)
    assert office.changes()[-1][0] == "resolved"
    assert sum(office.shredded().values()) == 1


@pytest.mark.parametrize("state", ["pending", "deadline", "reminder"])
def test_an_owner_who_moved_hears_of_it_there_and_no_longer_here(office: Office, state: str) -> None:
    owed = office.ask()
    office.told()
    office.belong_to(replace(QA, channel=SlackChannel(channel="C9999999999")))
    office.wait({"pending": 1, "reminder": 12, "deadline": 24}[state])
    office.follow_up()
    closed, opened = office.told()
    assert (closed.change, closed.reason) == (
        "resolved",
        "it goes on elsewhere, where QA is told of it now",
    )
    assert (opened.change, opened.owners[0].name) == ("opened", "QA")
    assert opened.severity is (Verdict.CRITICAL if state == "deadline" else Verdict.WARNING)
    assert sent(office, "resolved") == ["github acme/sdk", "slack C0123456789"]
    assert sent(office, "opened")[2:] == ["github acme/qa-issues", "slack C9999999999"]
    office.follow_up()
    assert office.told() == []
    if state != "deadline":
        office.decide(owed.id, Decision.REJECT)
        assert sent(office, "resolved")[2:] == ["github acme/qa-issues", "slack C9999999999"]


def test_a_channel_that_is_added_is_told_of_it_too(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.shredding.LIVE", Reach(github=True))
    office.belong_to(replace(LEAD, channel=None))
    office.ask()
    office.belong_to(replace(LEAD, channel=SlackChannel(channel="C0123456789")))
    office.follow_up()
    office.follow_up()
    assert sent(office, "updated") == ["github acme/sdk", "console slack:C0123456789"]


def test_it_cannot_be_accepted_and_stands_in_nobodys_way_who_accepts_a_breach(office: Office) -> None:
    office.ask()
    with office.store.reading() as connection:
        (incident,) = history.list_incidents(connection, resolved=False, limit=9)
    for name in (incident.id, incident.subject):
        with pytest.raises(Refused, match="cannot be accepted; approve it or reject it") as refused:
            accepting.accept(
                office.services(),
                office.register(),
                name,
                until=office.clock() + timedelta(days=3),
                who="Mia",
                why="why not",
                at=office.occasion(),
            )
        assert f"riskloop approvals show {incident.subject}" in refused.value.remedy


def test_the_status_shows_what_is_owed_and_that_nobody_decided(office: Office) -> None:
    owed = office.ask()
    shown = describe(read_status(office.services(), office.register()))
    assert f"approval {owed.id} waits for a decision; if nobody decides by 2 March 2026, 02:20 UTC" in shown
    assert f"riskloop approvals show {owed.id}" in shown
    office.wait(24)
    office.follow_up()
    found = read_status(office.services(), office.register())
    assert found.open
    assert found.rows[0].approval is None
    assert "nobody decided by 2 March 2026, 02:20 UTC: aborted" in describe(found)


def test_the_story_tells_what_was_asked_decided_and_done(office: Office) -> None:
    owed = office.ask()
    office.wait(1)
    office.decide(owed.id)
    with office.store.reading() as connection:
        past = timeline.read_past(connection, owed.mitigation, incident="", metrics=(), page=Page(limit=None))
    story = [(str(entry.what), entry.says, entry.why) for entry in tell(past, office.mitigation, now=now())]
    assert (
        "decision",
        f"approve {owed.id} by Mia: they are old",
        "whoever hears of the approval: see its incident",
    ) in story
    said = [says for what, says, _ in story if what == "transition"]
    assert said[0].startswith("approval opened (warning): a decision is owed by")
    assert said[-1] == "approval resolved (ok): approved by Mia: they are old; 3 sheets shredded"
