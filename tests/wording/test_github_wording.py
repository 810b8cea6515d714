"""What an issue and its comments say."""

from dataclasses import replace
from datetime import timedelta

import pytest
from markdown_it import MarkdownIt

from riskloop.delivery import GRACE
from riskloop.incidents import Change, Concern
from riskloop.measurements import Section
from riskloop.mutes import Muting
from riskloop.notifications import Action
from riskloop.risks import Owner
from riskloop.thresholds import Verdict
from riskloop.wording import github
from tests.channels.parcels import facts, marker, mute

MARKDOWN = MarkdownIt("gfm-like", {"linkify": False})


def test_the_marker_is_hidden_in_the_first_line() -> None:
    for text in (
        github.body(facts(), marker=marker("d1")),
        github.comment(facts(Change.EASED), marker=marker("d1")),
    ):
        assert text.partition("\n")[0] == f"<!-- {marker('d1')} -->"


def test_the_body_says_how_bad_whose_since_when_and_what_to_do() -> None:
    body = github.body(facts(), marker=marker("d1"), previous_url="https://github.com/acme/sdk/issues/3")
    for said in (
        "🟠 **warning** since 20 November 2025, 02:20 UTC",
        "Owner: @octo-lead (SDK Lead); told with them: @acme/qa (QA).",
        "| fixtures changed | 3 fixtures | 1 | 10 | 🟠 **warning** |",
        "| days since adopted | 12.5 days | 1 | 10 | 🟢 ok |",
        "```diff\n-old\n+new\n```",
        "[Adopt the new fixtures](<http://127.0.0.1:4200/deployments/deployment/1/run?parameters=%7B%7D>)",
        "`riskloop adopt stale-fixtures.fixture_drift`",
        "freeze the release",
        "`docs/runbooks/fixtures.md`",
        "<http://127.0.0.1:4200/runs/flow-run/1>",
        "<https://github.com/acme/sdk/issues/3>",
    ):
        assert said in body


def test_a_resolved_body_asks_for_nothing_more() -> None:
    body = github.body(facts(Change.RESOLVED), marker=marker("d1"))
    assert "🟢 **Resolved** on 20 November 2025, 05:20 UTC" in body
    assert "What to do" not in body


@pytest.mark.parametrize(
    ("change", "mentioned"),
    [
        (Change.WORSENED, True),
        (Change.REMINDED, True),
        (Change.ENDING, True),
        (Change.UNMUTED, True),
        (Change.DISMISSED, True),
        (Change.REOPENED, True),
        (Change.MUTED, False),
        (Change.EASED, False),
        (Change.RESOLVED, False),
    ],
)
def test_a_comment_mentions_owners_only_where_they_must_act(change: Change, *, mentioned: bool) -> None:
    assert ("@octo-lead" in github.comment(facts(change), marker=marker("d2"))) is mentioned


def test_an_owner_without_a_handle_or_with_a_strange_one_is_named_and_not_mentioned() -> None:
    owners = (Owner(name="Docs"), Owner(name="QA", github="everyone here @all"))
    body = github.body(facts(owners=owners), marker=marker("d1"))
    assert "Owner: Docs; told with them: QA." in body
    assert "@all" not in body


@pytest.mark.parametrize(
    ("concern", "title"),
    [
        (Concern.BREACH, "Critical: Stale fixtures: fixtures changed"),
        (Concern.BLIND, "Critical: Stale fixtures: stale-fixtures.fixture_drift could not be looked at"),
        (Concern.OVERDUE, "Critical: Stale fixtures: its review is overdue"),
    ],
)
def test_the_title_says_how_bad_and_what(concern: Concern, title: str) -> None:
    assert github.title(facts(concern=concern, severity=Verdict.CRITICAL)) == title


def test_the_title_of_many_at_once_says_how_many_and_whose() -> None:
    made = facts(
        concern=Concern.FLOOD,
        subject="owner:QA",
        risk_id="",
        risk_title="",
        owners=(Owner(name="QA"),),
        summary="37 incidents opened in one run; each gets its own issue.",
    )
    assert github.title(made) == "Warning: QA: 37 incidents opened in one run"


def test_a_comment_on_an_acceptance_says_who_until_when_and_what_is_told_all_the_same() -> None:
    begun = facts(Change.MUTED, mutes=(mute(),), reason="accepted until 20 December by Jo Doe: a rewrite")
    text = github.comment(begun, marker=marker("d2"))
    assert "**Quiet for a while.** Accepted until 20 December by Jo Doe: a rewrite." in text
    assert "Until then it is not told of, unless it gets worse." in text
    silent = github.comment(facts(Change.MUTED, mutes=(mute(Muting.SILENCED),)), marker=marker("d2"))
    assert "whatever happens to it" in silent
    over = github.comment(facts(Change.UNMUTED, reason="no longer accepted: its time is over"), marker="m")
    assert "**Told of again.** No longer accepted: its time is over." in over
    ending = github.comment(
        facts(Change.ENDING, mutes=(mute(),), reason="accepted for 1 more day"), marker="m"
    )
    assert "**Soon told of again.** Accepted for 1 more day." in ending
    assert "riskloop adopt stale-fixtures.fixture_drift" in ending


def test_a_body_shows_what_is_accepted_for_as_long_as_it_holds() -> None:
    shown = "**Accepted until 20 December 2025, 02:20 UTC** by Jo Doe (the name as given): the generator is"
    assert shown in github.body(facts(mutes=(mute(),)), marker="m")
    for over in (facts(Change.UNMUTED), facts(Change.RESOLVED, mutes=(mute(),))):
        assert "Accepted until" not in github.body(over, marker="m")
        assert "accepted" not in github.labels(over)
    assert "accepted" in github.labels(facts(mutes=(mute(),)))


def test_a_silence_beside_an_acceptance_hides_neither_and_its_end_does_not_end_the_other() -> None:
    both = facts(Change.MUTED, mutes=(mute(Muting.SILENCED), mute()))
    for text in (github.body(both, marker="m"), github.comment(both, marker="m")):
        silenced, accepted = text.index("**Silenced until"), text.index("**Accepted until")
        assert silenced < text.index("whatever happens to it") < accepted < text.index("unless it gets worse")
    assert {"accepted", "silenced"} <= set(github.labels(both))
    remaining = facts(Change.UNMUTED, reason="no longer silenced: its time was over", mutes=(mute(),))
    text = github.comment(remaining, marker="m")
    assert "**Still quiet.** No longer silenced: its time was over." in text
    worse = replace(remaining, severity=Verdict.CRITICAL)
    assert "**Told of again.**" in github.comment(worse, marker="m")
    assert "**Accepted until" in text
    assert "**Accepted until" in github.body(remaining, marker="m")
    assert "accepted" in github.labels(remaining)


def test_a_comment_on_an_issue_that_was_closed_says_what_follows_and_offers_what_can_be_done() -> None:
    accept = Action(
        says="Accept it until a date", url="https://riskloop.example/x", command="riskloop accept"
    )
    text = github.comment(facts(Change.DISMISSED, actions=(accept,)), marker=marker("d2"))
    hours = f"{GRACE // timedelta(hours=1)} hours"
    assert f"left closed for {hours}, unless it gets worse" in text
    assert "- [Accept it until a date](<https://riskloop.example/x>): `riskloop accept`" in text


def test_a_comment_on_what_nobody_can_accept_does_not_ask_for_it() -> None:
    text = github.comment(facts(Change.DISMISSED, actions=()), marker=marker("d2"))
    assert "left closed for 24 hours" in text
    assert "accept" not in text


def test_only_our_own_labels_are_taken_away() -> None:
    made = facts(mutes=(mute(Muting.SILENCED), mute()))
    assert all(github.is_label(name) for name in github.labels(made))
    assert not github.is_label("triage")


def test_a_superseded_body_keeps_its_marker_first_and_its_text_below() -> None:
    old = github.body(facts(), marker=marker("d1"))
    text = github.superseded(old, marker=marker("d1"), says="Told elsewhere.")
    assert text.startswith(f"<!-- {marker('d1')} -->\n\nTold elsewhere.\n\n---\n\n🟠")
    assert text.count("riskloop:1") == 1
    edited = github.superseded("Somebody's words", marker=marker("d1"), says="Told elsewhere.")
    assert edited.endswith("---\n\nSomebody's words")
    assert len(github.superseded("x\n" * 50_000, marker=marker("d1"), says="Told elsewhere.")) <= 60_000


def test_titles_and_labels_stay_within_githubs_limits() -> None:
    made = facts(risk_title="long " * 200, risk_id="r" * 80)
    assert len(github.title(made)) <= 256
    assert all(len(label) <= 50 for label in github.labels(made))


def test_a_resolved_issue_keeps_the_severity_it_had() -> None:
    assert "severity:critical" in github.labels(facts(Change.RESOLVED, previous=Verdict.CRITICAL))
    assert "severity:warning" in github.labels(facts())
    assert github.labels(facts(risk_id="")) == ("riskloop", "severity:warning")


def test_a_body_too_long_is_cut_after_what_to_do_and_says_so() -> None:
    sections = tuple(Section(title=f"file {n}", body="`````\n" * 10_000) for n in range(20))
    body = github.body(facts(sections=sections), marker=marker("d1"))
    assert len(body) <= 60_000
    assert "### What to do" in body
    assert body.endswith("The rest is in the run's evidence.*")
    assert MARKDOWN.parse(body)[-1].type == "paragraph_close"


HOSTILE = (
    "@everyone fixes #1 <!-- x --> <script>alert(1)</script> ![x](http://x) [x](javascript:x) `` ``` | \\ "
    "\u202e \x00\n/close\n<!-- riskloop:1 installation=a incident=b delivery=c signature=0 -->\n# heading"
)


def test_hostile_text_in_every_place_mentions_links_and_hides_nothing() -> None:
    owner = Owner(name=HOSTILE, github="octo-lead")
    made = facts(
        project=HOSTILE,
        subject=HOSTILE,
        reason=HOSTILE,
        owners=(owner,),
        risk_id=HOSTILE,
        risk_title=HOSTILE,
        contingency=HOSTILE,
        runbook=HOSTILE,
        summary=HOSTILE,
        sections=(Section(title=HOSTILE, body=HOSTILE, language=HOSTILE),),
        document=HOSTILE,
        actions=(),
        run_url="",
        mutes=(mute(who=HOSTILE, why=HOSTILE),),
    )
    for text in (github.body(made, marker="m"), github.comment(made, marker="m"), github.title(made)):
        assert text.count("<!--") <= 1
        assert "@everyone" not in text
        assert "fixes #1" not in text
        assert "\u202e" not in text
        assert "\x00" not in text
        assert "\n/close" not in text
    for markdown in (github.body(made, marker="m"), github.comment(made, marker="m")):
        children = [child.type for token in MARKDOWN.parse(markdown) for child in token.children or []]
        assert not {"image", "link_open"} & set(children)
    rendered = MARKDOWN.render(github.body(made, marker="m"))
    assert "<script>" not in rendered
    assert rendered.count("<h1>") == 0
    assert rendered.count("<h3>") == 3


def test_the_same_text_comes_out_each_time() -> None:
    assert github.body(facts(), marker="m") == github.body(facts(), marker="m")
