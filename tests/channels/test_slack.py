"""The Slack channel: the real slack-sdk against the emulator, through the strict proxy."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from riskloop.channels import Posting, Standing
from riskloop.channels.markers import read_marker
from riskloop.channels.slack import Slack
from riskloop.channels.slack_webhook import SlackWebhook
from riskloop.errors import Ambiguous, GaveUp, Gone, TryAgain, Undelivered
from riskloop.identity import Accounts
from riskloop.incidents import Change
from riskloop.measurements import Section
from riskloop.thresholds import Verdict
from tests.channels.parcels import KEY, at_once, marker, parcel
from tests.emulator.emulator import SLACK_TOKEN, STRANGERS_SLACK_TOKEN
from tests.emulator.rig import Rig
from tests.proxy.faults import Fault, slack_says

pytestmark = pytest.mark.server

POST = "/api/chat.postMessage"
UPDATE = "/api/chat.update"


@pytest.fixture
def accounts(tmp_path: Path) -> Accounts:
    return Accounts(tmp_path)


@pytest.fixture
def slack(rig: Rig, accounts: Accounts) -> Slack:
    tokens = {"": SLACK_TOKEN, "acme": SLACK_TOKEN}
    return Slack(tokens, rig.slack_url, key=KEY, accounts=accounts, timeout=2)


def test_an_incident_lives_as_one_message_and_its_thread(rig: Rig, slack: Slack, slack_channel: str) -> None:
    posting = slack.send(parcel(slack_channel), turn=at_once)
    slack.send(
        parcel(slack_channel, "d2", Change.WORSENED, posting=posting, severity=Verdict.CRITICAL), turn=at_once
    )
    (message,) = rig.messages(slack_channel)
    assert message["text"].startswith(":red_circle:")
    slack.send(parcel(slack_channel, "d3", Change.UPDATED, posting=posting), turn=at_once)
    slack.send(parcel(slack_channel, "d4", Change.EASED, posting=posting), turn=at_once)
    slack.send(parcel(slack_channel, "d5", Change.REMINDED, posting=posting), turn=at_once)
    slack.send(parcel(slack_channel, "d6", Change.RESOLVED, posting=posting), turn=at_once)

    (message,) = rig.messages(slack_channel)
    assert message["text"].startswith(":large_green_circle:")
    assert message["ts"] == posting.reference
    assert message["metadata"]["event_payload"]["marker"] == marker("d1")
    replies = rig.replies(slack_channel, posting.reference)
    told = [reply["metadata"]["event_payload"]["marker"] for reply in replies]
    assert told == [marker(delivery) for delivery in ("d2", "d4", "d5", "d6")]
    assert posting.url.endswith(f"/archives/{slack_channel}/p{posting.reference.replace('.', '')}")


def test_a_transition_updates_the_message_and_posts_one_reply(
    rig: Rig, slack: Slack, slack_channel: str
) -> None:
    posting = slack.send(parcel(slack_channel), turn=at_once)
    rig.slack.forget()
    slack.send(parcel(slack_channel, "d2", Change.WORSENED, posting=posting), turn=at_once)
    assert [r.path for r in rig.slack.recorded] == [UPDATE, POST]
    rig.slack.forget()
    slack.send(parcel(slack_channel, "d3", Change.UPDATED, posting=posting), turn=at_once)
    assert [r.path for r in rig.slack.recorded] == [UPDATE]


def test_a_link_that_cannot_be_had_does_not_fail_the_message(
    rig: Rig, slack: Slack, slack_channel: str
) -> None:
    rig.slack.fail("502", path="/api/chat.getPermalink")
    assert slack.send(parcel(slack_channel), turn=at_once).url == ""
    assert len(rig.messages(slack_channel)) == 1


@pytest.mark.parametrize(
    "fault", ["502", "reset", "timeout", "truncated JSON", "HTML", "cut off", "ok: false"]
)
def test_a_message_whose_answer_was_lost_is_found_and_not_posted_again(
    rig: Rig, slack: Slack, slack_channel: str, fault: str
) -> None:
    tried = datetime.now(UTC)
    rig.slack.fail(fault, path=POST, after_commit=True)
    with pytest.raises(Ambiguous):
        slack.send(parcel(slack_channel), turn=at_once)
    again = parcel(slack_channel, attempted_at=tried)
    found = slack.find(again)
    assert found is not None
    assert slack.send(again, found=found, turn=at_once) == found
    assert len(rig.messages(slack_channel)) == 1


@pytest.mark.parametrize("fault", ["502", "reset", "timeout"])
def test_a_message_that_never_arrived_is_not_found(
    rig: Rig, slack: Slack, slack_channel: str, fault: str
) -> None:
    tried = datetime.now(UTC)
    rig.slack.fail(fault, path=POST)
    with pytest.raises(Ambiguous):
        slack.send(parcel(slack_channel), turn=at_once)
    assert slack.find(parcel(slack_channel, attempted_at=tried)) is None


@pytest.mark.parametrize("fault", ["502", "reset", "truncated JSON"])
def test_a_reply_whose_answer_was_lost_is_found_in_the_thread(
    rig: Rig, slack: Slack, slack_channel: str, fault: str
) -> None:
    posting = slack.send(parcel(slack_channel), turn=at_once)
    tried = datetime.now(UTC)
    rig.slack.fail(fault, path=POST, after_commit=True)
    with pytest.raises(Ambiguous):
        slack.send(parcel(slack_channel, "d2", Change.RESOLVED, posting=posting), turn=at_once)
    again = parcel(slack_channel, "d2", Change.RESOLVED, posting=posting, attempted_at=tried)
    assert slack.find(again) == posting
    slack.send(again, found=posting, turn=at_once)
    assert len(rig.replies(slack_channel, posting.reference)) == 1


def test_an_edit_that_fails_beside_a_reply_that_is_there_is_looked_into_again(
    rig: Rig, slack: Slack, slack_channel: str
) -> None:
    posting = slack.send(parcel(slack_channel), turn=at_once)
    resolved = parcel(slack_channel, "d2", Change.RESOLVED, posting=posting)
    rig.slack.fail("502", path=POST, after_commit=True)
    with pytest.raises(Ambiguous):
        slack.send(resolved, turn=at_once)
    for fault in ("ratelimited", slack_says("invalid_auth")):
        rig.slack.fail(fault, path=UPDATE)
        with pytest.raises(Ambiguous):
            slack.send(resolved, found=slack.find(resolved), turn=at_once)
    slack.send(resolved, found=slack.find(resolved), turn=at_once)
    assert len(rig.replies(slack_channel, posting.reference)) == 1


def test_the_parent_is_not_taken_for_the_reply(rig: Rig, slack: Slack, slack_channel: str) -> None:
    posting = slack.send(parcel(slack_channel), turn=at_once)
    assert slack.find(parcel(slack_channel, "d2", Change.WORSENED, posting=posting)) is None


def test_a_message_is_found_behind_more_than_a_page_of_others(
    rig: Rig, slack: Slack, slack_channel: str
) -> None:
    posting = slack.send(parcel(slack_channel), turn=at_once)
    for number in range(201):
        rig.ask_slack("chat.postMessage", {"channel": slack_channel, "text": f"other {number}"})
    assert slack.find(parcel(slack_channel)) == posting


def test_a_copied_marker_by_somebody_else_or_with_another_key_is_not_ours(
    rig: Rig, slack: Slack, slack_channel: str
) -> None:
    def post(text: str, token: str) -> None:
        metadata = {"event_type": "riskloop", "event_payload": {"marker": text}}
        sent = {"channel": slack_channel, "text": "x", "metadata": metadata}
        rig.ask_slack("chat.postMessage", sent, token=token)

    post(marker("d1"), STRANGERS_SLACK_TOKEN)
    post(marker("d1", key=b"another"), SLACK_TOKEN)
    assert slack.find(parcel(slack_channel)) is None


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        ("429", TryAgain),
        ("ratelimited", TryAgain),
        ("502", Ambiguous),
        (slack_says("fatal_error"), Ambiguous),
        (slack_says("service_unavailable", status=503), Ambiguous),
        (slack_says("invalid_auth"), GaveUp),
        (slack_says("token_revoked"), GaveUp),
        (slack_says("channel_not_found"), GaveUp),
        (slack_says("is_archived"), GaveUp),
        (slack_says("missing_scope"), GaveUp),
        (slack_says("an_error_of_tomorrow"), GaveUp),
        ("404", GaveUp),
    ],
)
def test_each_answer_to_a_message_means_what_the_table_says(
    rig: Rig, slack: Slack, slack_channel: str, fault: str | Fault, outcome: type[Undelivered]
) -> None:
    rig.slack.fail(fault, path=POST)
    with pytest.raises(outcome) as refused:
        slack.send(parcel(slack_channel), turn=at_once)
    if fault == "ratelimited":
        assert isinstance(refused.value, TryAgain)
        assert refused.value.after == 7
    assert SLACK_TOKEN not in str(refused.value)
    assert len(rig.slack.writes("POST", POST)) == 1


def test_a_token_that_is_not_known_opens_the_circuit(
    rig: Rig, accounts: Accounts, slack_channel: str
) -> None:
    slack = Slack({"": "no-such-token"}, rig.slack_url, key=KEY, accounts=accounts)
    with pytest.raises(GaveUp) as refused:
        slack.send(parcel(slack_channel), turn=at_once)
    assert refused.value.authentication


def test_a_refused_connection_may_be_tried_again(closed_port: int, accounts: Accounts) -> None:
    slack = Slack({"": SLACK_TOKEN}, f"http://127.0.0.1:{closed_port}/api/", key=KEY, accounts=accounts)
    with pytest.raises(TryAgain):
        slack.send(parcel("C0123456789"), turn=at_once)


def test_an_archived_channel_is_a_dead_letter(rig: Rig, slack: Slack, slack_channel: str) -> None:
    rig.ask_slack("conversations.archive", {"channel": slack_channel})
    with pytest.raises(GaveUp, match="archived"):
        slack.send(parcel(slack_channel), turn=at_once)


@pytest.mark.parametrize("target", ["general", "#general", "other/C0123456789", "C01/C01/C01", ""])
def test_a_target_that_is_no_channel_of_ours_is_refused_before_anything_is_sent(
    rig: Rig, slack: Slack, target: str
) -> None:
    with pytest.raises(GaveUp):
        slack.send(parcel(target), turn=at_once)
    assert rig.slack.recorded == []


def test_a_workspace_is_reached_with_its_own_token(rig: Rig, slack: Slack, slack_channel: str) -> None:
    slack.send(parcel(f"acme/{slack_channel}"), turn=at_once)
    assert len(rig.messages(slack_channel)) == 1


def test_check_and_the_test_message_say_that_the_channel_works(
    rig: Rig, slack: Slack, slack_channel: str
) -> None:
    token, other, channel, missing = slack.check([slack_channel, "C000MISSING"])
    assert token == ("Slack token", True, "belongs to riskloop-bot in Acme")
    assert other[:2] == ("Slack token acme", True)
    assert channel[:2] == (f"Slack {slack_channel}", True)
    assert missing[:2] == ("Slack C000MISSING", False)
    assert slack.send_test(slack_channel, turn=at_once).reference == rig.messages(slack_channel)[0]["ts"]


def test_hostile_and_huge_text_is_accepted_by_the_strict_proxy(
    rig: Rig, slack: Slack, slack_channel: str
) -> None:
    hostile = "<!channel> & ``` \x00 \u202e" * 100_000
    told: dict[str, Any] = {
        "summary": hostile,
        "reason": hostile,
        "risk_title": hostile,
        "contingency": hostile,
        "sections": tuple(Section(title=hostile, body=hostile) for _ in range(60)),
        "remedy": (hostile,) * 60,
    }
    posting = slack.send(parcel(slack_channel, **told), turn=at_once)
    slack.send(parcel(slack_channel, "d2", Change.WORSENED, posting=posting, **told), turn=at_once)
    (message,) = rig.messages(slack_channel)
    assert "<!channel>" not in str(message)


def test_a_webhook_posts_and_says_that_it_is_the_lesser_sink(rig: Rig) -> None:
    webhook = SlackWebhook(f"{rig.slack.url}/services/T000000001/B000000001/X1", timeout=2)
    posting = webhook.send(parcel("C0123456789"), turn=at_once)
    webhook.send(parcel("C0123456789", "d2", Change.UPDATED, posting=posting), turn=at_once)
    webhook.send_test("webhook", turn=at_once)
    for sent in rig.slack.writes("POST", "/services/.*"):
        assert "incoming webhook" in sent.sent["blocks"][-1]["elements"][0]["text"]
    assert len(rig.slack.writes("POST", "/services/.*")) == 2
    assert webhook.find(parcel("C0123456789")) is None


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [("429 with Retry-After", TryAgain), ("502", Ambiguous), ("reset", Ambiguous), ("404", GaveUp)],
)
def test_the_answers_to_a_webhook_are_classified_too(
    rig: Rig, fault: str, outcome: type[Undelivered]
) -> None:
    webhook = SlackWebhook(f"{rig.slack.url}/services/T000000001/B000000001/X1", timeout=2)
    rig.slack.fail(fault, path="/services/.*")
    with pytest.raises(outcome) as refused:
        webhook.send(parcel("C0123456789"), turn=at_once)
    assert "/services/" not in str(refused.value)


def test_what_was_to_be_answered_and_never_was_is_gone(rig: Rig, slack: Slack, slack_channel: str) -> None:
    with pytest.raises(Gone, match="no longer has the message"):
        slack.send(
            parcel(slack_channel, "d2", Change.WORSENED, posting=Posting(reference="1.000001")), turn=at_once
        )
    assert rig.slack.writes("POST", POST) == []


def test_the_sdk_never_sends_twice_by_itself(rig: Rig, slack: Slack, slack_channel: str) -> None:
    started = monotonic()
    for fault in ("502", "reset", "timeout", "ratelimited"):
        rig.slack.forget()
        rig.slack.fail(fault, path=POST, times=5)
        with pytest.raises(Undelivered):
            slack.send(parcel(slack_channel), turn=at_once)
        assert len(rig.slack.writes("POST", POST)) == 1
    assert monotonic() - started < 7, "nor does it wait as long as it is asked to"


def test_a_message_is_found_however_late_it_is_looked_for(rig: Rig, slack: Slack, slack_channel: str) -> None:
    posting = slack.send(parcel(slack_channel), turn=at_once)
    late = datetime.now(UTC) + timedelta(hours=20)
    assert slack.find(parcel(slack_channel, attempted_at=late)) == posting


class Stopped(Exception):
    """What a turn raises whose delivery somebody else has by now."""


def test_each_write_waits_for_its_turn_and_reads_do_not(rig: Rig, slack: Slack, slack_channel: str) -> None:
    written: list[int] = []

    def turn() -> None:
        written.append(sum(r.path in {POST, UPDATE} for r in rig.slack.recorded))

    posting = slack.send(parcel(slack_channel), turn=turn)
    worsened = parcel(slack_channel, "d2", Change.WORSENED, posting=posting)
    slack.send(worsened, turn=turn)
    slack.find(worsened)
    slack.send_test(slack_channel, turn=turn)
    assert written == [0, 1, 2, 3]


def test_nothing_is_written_out_of_turn(rig: Rig, slack: Slack, slack_channel: str) -> None:
    def turn() -> None:
        raise Stopped

    opened = parcel(slack_channel)
    worsened = parcel(slack_channel, "d2", Change.WORSENED, posting=Posting(reference="1.000001"))
    for one, found in ((opened, None), (worsened, None), (worsened, worsened.posting)):
        with pytest.raises(Stopped):
            slack.send(one, turn=turn, found=found)
    assert rig.slack.recorded == []


def test_no_room_beside_a_reply_that_is_there_is_looked_into_again(
    rig: Rig, slack: Slack, slack_channel: str
) -> None:
    posting = slack.send(parcel(slack_channel), turn=at_once)

    def turn() -> None:
        raise TryAgain("the budget of writes allows no more", after=600)

    with pytest.raises(Ambiguous):
        slack.send(parcel(slack_channel, "d2", Change.RESOLVED, posting=posting), turn=turn, found=posting)


def test_a_quiet_change_is_edited_and_not_said(rig: Rig, slack: Slack, slack_channel: str) -> None:
    posting = slack.send(parcel(slack_channel), turn=at_once)
    quiet = parcel(
        slack_channel, "d2", Change.WORSENED, posting=posting, severity=Verdict.CRITICAL, quiet=True
    )
    slack.send(quiet, turn=at_once)
    (message,) = rig.messages(slack_channel)
    assert message["text"].startswith(":red_circle:")
    assert rig.replies(slack_channel, posting.reference) == []


@pytest.mark.parametrize(
    "change", [Change.MUTED, Change.ENDING, Change.UNMUTED, Change.DISMISSED, Change.REOPENED]
)
def test_what_becomes_of_an_incidents_quiet_is_told_in_the_thread(
    rig: Rig, slack: Slack, slack_channel: str, change: Change
) -> None:
    posting = slack.send(parcel(slack_channel), turn=at_once)
    slack.send(parcel(slack_channel, "d2", change, posting=posting), turn=at_once)
    assert len(rig.replies(slack_channel, posting.reference)) == 1


def test_a_message_says_to_whoever_looks_around_whether_its_incident_is_over(
    rig: Rig, slack: Slack, slack_channel: str
) -> None:
    posting = slack.send(parcel(slack_channel), turn=at_once)
    (kept,) = slack.look_around(slack_channel, since=None)
    assert kept.posting == Posting(reference=posting.reference)
    assert kept.marker == read_marker(marker("d1"), KEY)
    assert abs(datetime.now(UTC) - kept.made_at) < timedelta(minutes=1)
    slack.send(parcel(slack_channel, "d2", Change.EASED, posting=posting), turn=at_once)
    assert len(list(slack.look_around(slack_channel, since=None))) == 1
    slack.send(parcel(slack_channel, "d3", Change.RESOLVED, posting=posting), turn=at_once)
    assert list(slack.look_around(slack_channel, since=None)) == []
    (message,) = rig.messages(slack_channel)
    assert message["metadata"]["event_payload"] == {"marker": marker("d1"), "state": "resolved"}


def test_only_what_is_ours_is_seen_in_a_look_around(rig: Rig, slack: Slack, slack_channel: str) -> None:
    for key, token in ((KEY, STRANGERS_SLACK_TOKEN), (b"another", SLACK_TOKEN)):
        told = {"marker": marker("d1", key=key), "state": "open"}
        metadata = {"event_type": "riskloop", "event_payload": told}
        sent = {"channel": slack_channel, "text": "x", "metadata": metadata}
        rig.ask_slack("chat.postMessage", sent, token=token)
    other = {"event_type": "other", "event_payload": {"marker": marker("d1"), "state": "open"}}
    rig.ask_slack("chat.postMessage", {"channel": slack_channel, "text": "x", "metadata": other})
    rig.ask_slack("chat.postMessage", {"channel": slack_channel, "text": "x"})
    assert list(slack.look_around(slack_channel, since=None)) == []


def test_a_look_around_turns_no_page_that_is_older_than_asked(
    rig: Rig, slack: Slack, slack_channel: str
) -> None:
    older = slack.send(parcel(slack_channel), turn=at_once)
    for number in range(201):
        rig.ask_slack("chat.postMessage", {"channel": slack_channel, "text": f"other {number}"})
    newest = slack.send(parcel(slack_channel, "d2"), turn=at_once).reference
    moments = [datetime.fromtimestamp(float(ts), UTC) for ts in (older.reference, newest)]
    found = [[kept.posting.reference for kept in slack.look_around(slack_channel, since=m)] for m in moments]
    assert found == [[newest, older.reference], [newest]]


def test_a_clock_that_is_ahead_hides_nothing_that_was_posted_a_moment_ago(
    rig: Rig, slack: Slack, slack_channel: str
) -> None:
    posting = slack.send(parcel(slack_channel), turn=at_once)
    ahead = datetime.now(UTC) + timedelta(days=3)
    lost = parcel(slack_channel)
    assert slack.find(replace(lost, attempted_at=ahead, facts=replace(lost.facts, at=ahead))) == posting


def test_a_message_that_a_look_around_found_gets_its_address_when_it_is_adopted(
    rig: Rig, slack: Slack, slack_channel: str
) -> None:
    posting = slack.send(parcel(slack_channel), turn=at_once)
    (kept,) = slack.look_around(slack_channel, since=None)
    assert slack.send(parcel(slack_channel, posting=kept.posting), turn=at_once) == posting
    assert len(rig.messages(slack_channel)) == 1


@pytest.mark.parametrize("change", [Change.UPDATED, Change.WORSENED])
@pytest.mark.parametrize("replied", [True, False])
def test_a_message_that_somebody_deleted_is_gone(
    rig: Rig, slack: Slack, slack_channel: str, change: Change, *, replied: bool
) -> None:
    posting = slack.send(parcel(slack_channel), turn=at_once)
    if replied:
        slack.send(parcel(slack_channel, "d2", Change.WORSENED, posting=posting), turn=at_once)
    assert slack.standing(slack_channel, posting) is Standing.OPEN
    rig.delete_message(slack_channel, posting.reference)
    assert slack.standing(slack_channel, posting) is Standing.GONE
    rig.slack.forget()
    with pytest.raises(Gone):
        slack.send(parcel(slack_channel, "d3", change, posting=posting), turn=at_once)
    assert rig.slack.writes("POST", POST) == []
    assert list(slack.look_around(slack_channel, since=None)) == []


def test_a_reply_under_a_message_that_was_deleted_since_does_not_hide_that_it_is_gone(
    rig: Rig, slack: Slack, slack_channel: str
) -> None:
    posting = slack.send(parcel(slack_channel), turn=at_once)
    worsened = parcel(slack_channel, "d2", Change.WORSENED, posting=posting)
    rig.slack.fail("502", path=POST, after_commit=True)
    with pytest.raises(Ambiguous):
        slack.send(worsened, turn=at_once)
    rig.delete_message(slack_channel, posting.reference)
    found = slack.find(worsened)
    assert found == posting
    with pytest.raises(Gone):
        slack.send(worsened, turn=at_once, found=found)


def test_where_a_message_is_gone_with_its_thread_nothing_is_looked_for_in_it(
    rig: Rig, slack: Slack, slack_channel: str
) -> None:
    posting = slack.send(parcel(slack_channel), turn=at_once)
    rig.delete_message(slack_channel, posting.reference)
    with pytest.raises(Gone):
        slack.find(parcel(slack_channel, "d2", Change.WORSENED, posting=posting))


@pytest.mark.parametrize("refusal", ["cant_update_message", "edit_window_closed"])
def test_a_message_that_may_not_be_edited_is_left_and_the_reply_is_sent(
    rig: Rig, slack: Slack, slack_channel: str, refusal: str, caplog: pytest.LogCaptureFixture
) -> None:
    posting = slack.send(parcel(slack_channel), turn=at_once)
    rig.slack.fail(slack_says(refusal), path=UPDATE, times=2)
    assert slack.send(parcel(slack_channel, "d2", Change.UPDATED, posting=posting), turn=at_once) == posting
    slack.send(parcel(slack_channel, "d3", Change.WORSENED, posting=posting), turn=at_once)
    assert len(rig.replies(slack_channel, posting.reference)) == 1
    rig.slack.fail(slack_says(refusal), path=UPDATE)
    slack.close_extra(
        slack_channel, posting, says="It is over.", duplicate=False, marker=marker("d1"), turn=at_once
    )
    assert caplog.text.count(refusal) == 3


@pytest.mark.parametrize(
    ("refusal", "remedy"),
    [
        ("is_archived", "name another channel"),
        ("not_in_channel", "invite the app"),
        ("channel_not_found", "check the channel's ID"),
        ("restricted_action_thread_locked", "unlock it"),
    ],
)
def test_what_people_do_to_a_channel_is_a_dead_letter_with_its_remedy(
    rig: Rig, slack: Slack, slack_channel: str, refusal: str, remedy: str
) -> None:
    posting = slack.send(parcel(slack_channel), turn=at_once)
    for path in (UPDATE, POST):
        rig.slack.fail(slack_says(refusal), path=path)
        with pytest.raises(GaveUp, match=remedy) as refused:
            slack.send(parcel(slack_channel, "d2", Change.WORSENED, posting=posting), turn=at_once)
        assert not refused.value.authentication


def test_an_extra_message_is_closed_by_one_edit_that_may_be_repeated(
    rig: Rig, slack: Slack, slack_channel: str
) -> None:
    first = slack.send(parcel(slack_channel), turn=at_once)
    extra = slack.send(parcel(slack_channel), turn=at_once)
    rig.slack.forget()
    says = f"This is told of in {first.url} already."
    for _ in range(2):
        slack.close_extra(slack_channel, extra, says=says, duplicate=True, marker=marker("d1"), turn=at_once)
    assert [r.path for r in rig.slack.recorded] == [UPDATE] * 2
    newest, _ = rig.messages(slack_channel)
    assert first.url in newest["text"]
    assert "Stale fixtures" not in str(newest)
    assert [kept.posting.reference for kept in slack.look_around(slack_channel, since=None)] == [
        first.reference
    ]


def test_an_extra_message_that_is_gone_needs_no_closing(rig: Rig, slack: Slack, slack_channel: str) -> None:
    extra = slack.send(parcel(slack_channel), turn=at_once)
    rig.delete_message(slack_channel, extra.reference)
    slack.close_extra(
        slack_channel, extra, says="It is over.", duplicate=False, marker=marker("d1"), turn=at_once
    )
    assert rig.slack.recorded[-1].path == UPDATE
    assert rig.messages(slack_channel) == []


def test_a_token_is_proved_by_asking_whose_it_is_each_time(rig: Rig, slack: Slack) -> None:
    slack.prove("slack:")
    slack.prove("slack:acme")
    rig.revoke_slack()
    with pytest.raises(GaveUp) as refused:
        slack.prove("slack:")
    assert refused.value.authentication
    rig.restore_slack()
    slack.prove("slack:")
    with pytest.raises(GaveUp, match="RISKLOOP_SLACK_TOKEN_OTHER"):
        slack.prove("slack:other")


def test_the_account_is_learnt_from_the_answer_to_a_message(
    rig: Rig, slack: Slack, accounts: Accounts, slack_channel: str
) -> None:
    slack.send(parcel(slack_channel), turn=at_once)
    (account,) = accounts.known("slack:")
    assert rig.messages(slack_channel)[0]["user"] == account
    slack.send(parcel(f"acme/{slack_channel}"), turn=at_once)
    assert accounts.known("slack:acme") == {account}
    assert slack.find(parcel(slack_channel)) is not None
    assert "/api/auth.test" not in [r.path for r in rig.slack.recorded]


def test_a_new_token_of_another_account_knows_what_the_old_one_wrote(
    rig: Rig, slack: Slack, accounts: Accounts, slack_channel: str, tmp_path: Path
) -> None:
    posting = slack.send(parcel(slack_channel), turn=at_once)

    def rotated(known: Accounts) -> Slack:
        return Slack({"": STRANGERS_SLACK_TOKEN}, rig.slack_url, key=KEY, accounts=known)

    after = rotated(accounts)
    assert after.find(parcel(slack_channel)) == posting
    assert len(list(after.look_around(slack_channel, since=None))) == 1
    stranger = rotated(Accounts(tmp_path / "elsewhere"))
    assert stranger.find(parcel(slack_channel)) is None
    assert list(stranger.look_around(slack_channel, since=None)) == []


def test_an_account_that_cannot_be_written_down_does_not_fail_a_message_that_was_sent(
    rig: Rig, slack_channel: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    nowhere = Accounts(tmp_path / "missing")
    slack = Slack({"": SLACK_TOKEN}, rig.slack_url, key=KEY, accounts=nowhere)
    slack.send(parcel(slack_channel), turn=at_once)
    assert "cannot be remembered" in caplog.text
    assert slack.find(parcel(slack_channel)) is not None


def test_a_webhook_says_nothing_that_is_quiet_and_needs_no_proof(rig: Rig) -> None:
    webhook = SlackWebhook(f"{rig.slack.url}/services/T000000001/B000000001/X1", timeout=2)
    posting = webhook.send(parcel("C0123456789"), turn=at_once)
    quiet = parcel("C0123456789", "d2", Change.WORSENED, posting=posting, quiet=True)
    webhook.send(quiet, turn=at_once)
    webhook.prove("slack_webhook")
    assert list(webhook.look_around("C0123456789", since=None)) == []
    assert len(rig.slack.recorded) == 1
