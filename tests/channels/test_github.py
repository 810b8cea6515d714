"""The GitHub channel: the real PyGithub against the emulator, through the strict proxy."""

import json
import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from riskloop.channels import Posting
from riskloop.channels.github import GitHub
from riskloop.errors import Ambiguous, GaveUp, TryAgain, Undelivered
from riskloop.identity import Accounts
from riskloop.incidents import Change
from riskloop.thresholds import Verdict
from tests.channels.parcels import KEY as SIGNING
from tests.channels.parcels import at_once, marker, parcel, send
from tests.emulator.emulator import GITHUB_TOKEN, STRANGERS_GITHUB_TOKEN
from tests.emulator.rig import Rig
from tests.proxy.faults import Fault, github_says

pytestmark = pytest.mark.server

ISSUES = r"/repos/.*/issues"
COMMENTS = r"/repos/.*/comments"
ONE_ISSUE = r"/repos/.*/issues/\d+"


def test_an_incident_lives_as_one_issue_from_opening_to_closing(
    rig: Rig, github: GitHub, repository: str
) -> None:
    posting = send(github, parcel(repository))
    send(github, parcel(repository, "d2", Change.WORSENED, posting=posting, severity=Verdict.CRITICAL))
    send(github, parcel(repository, "d3", Change.UPDATED, posting=posting, severity=Verdict.CRITICAL))
    send(github, parcel(repository, "d4", Change.EASED, posting=posting))
    send(github, parcel(repository, "d5", Change.REMINDED, posting=posting))
    send(github, parcel(repository, "d6", Change.RESOLVED, posting=posting))

    (issue,) = rig.issues(repository)
    assert issue["state"] == "closed"
    assert issue["state_reason"] == "completed"
    assert issue["title"].startswith("Resolved: Stale fixtures")
    assert issue["body"].partition("\n")[0] == f"<!-- {marker('d1')} -->"
    firsts = [comment["body"].partition("\n")[0] for comment in rig.comments(repository, issue["number"])]
    assert firsts == [f"<!-- {marker(delivery)} -->" for delivery in ("d2", "d4", "d5", "d6")]
    assert posting.reference == str(issue["number"])
    assert posting.url == issue["html_url"]


def test_opening_posts_once_and_brings_its_labels_with_it(rig: Rig, github: GitHub, repository: str) -> None:
    send(github, parcel(repository))
    assert [(r.method, r.path) for r in rig.github.recorded] == [("POST", f"/repos/{repository}/issues")]
    names = {label["name"] for label in rig.issues(repository)[0]["labels"]}
    assert names == {"riskloop", "risk:stale-fixtures", "severity:warning"}


@pytest.mark.parametrize("change", [change for change in Change if change.aloud])
def test_a_transition_posts_one_comment_and_no_more(
    rig: Rig, github: GitHub, repository: str, change: Change
) -> None:
    posting = send(github, parcel(repository))
    rig.github.forget()
    send(github, parcel(repository, "d2", change, posting=posting))
    assert [r.path for r in rig.github.writes("POST")] == [
        f"/repos/{repository}/issues/{posting.reference}/comments"
    ]


def test_new_numbers_edit_the_issue_without_a_comment(rig: Rig, github: GitHub, repository: str) -> None:
    posting = send(github, parcel(repository))
    rig.github.forget()
    send(github, parcel(repository, "d2", Change.UPDATED, posting=posting, summary="9 of 40 fixtures."))
    assert rig.github.writes("POST") == []
    assert "9 of 40 fixtures." in rig.issues(repository)[0]["body"]


@pytest.mark.parametrize("change", [Change.WORSENED, Change.REMINDED])
def test_what_is_quiet_edits_the_issue_without_a_comment(
    rig: Rig, github: GitHub, repository: str, change: Change
) -> None:
    posting = send(github, parcel(repository))
    quiet = parcel(repository, "d2", change, posting=posting, quiet=True, summary="9 of 40 fixtures.")
    send(github, quiet)
    assert rig.comments(repository, posting.reference) == []
    assert "9 of 40 fixtures." in rig.issues(repository)[0]["body"]


def test_a_first_delivery_that_is_a_resolution_opens_and_closes(
    rig: Rig, github: GitHub, repository: str
) -> None:
    send(github, parcel(repository, "d9", Change.RESOLVED))
    (issue,) = rig.issues(repository)
    assert issue["state"] == "closed"
    assert issue["body"].startswith(f"<!-- {marker('d9')} -->")


def test_labels_people_added_stay_and_the_old_severity_goes(
    rig: Rig, github: GitHub, repository: str
) -> None:
    posting = send(github, parcel(repository))
    path = f"/repos/{repository}/issues/{posting.reference}"
    rig.ask_github("POST", f"{path}/labels", {"labels": ["triage"]})
    send(github, parcel(repository, "d2", Change.WORSENED, posting=posting, severity=Verdict.CRITICAL))
    names = {label["name"] for label in rig.issues(repository)[0]["labels"]}
    assert names == {"riskloop", "risk:stale-fixtures", "severity:critical", "triage"}


def test_an_issue_that_a_person_closed_keeps_their_reason(rig: Rig, github: GitHub, repository: str) -> None:
    posting = send(github, parcel(repository))
    path = f"/repos/{repository}/issues/{posting.reference}"
    rig.ask_github("PATCH", path, {"state": "closed", "state_reason": "not_planned"})
    send(github, parcel(repository, "d2", Change.RESOLVED, posting=posting))
    assert rig.issues(repository)[0]["state_reason"] == "not_planned"


@pytest.mark.parametrize("fault", ["502", "reset", "timeout", "truncated JSON", "HTML", "cut off"])
def test_an_issue_whose_answer_was_lost_is_found_and_not_opened_again(
    rig: Rig, github: GitHub, repository: str, fault: str
) -> None:
    tried = datetime.now(UTC)
    rig.github.fail(fault, path=ISSUES, after_commit=True)
    with pytest.raises(Ambiguous):
        send(github, parcel(repository))
    again = parcel(repository, attempted_at=tried)
    found = github.find(again)
    assert found is not None
    assert send(github, again, found=found) == found
    assert len(rig.issues(repository)) == 1
    assert len(rig.github.writes("POST", ISSUES)) == 1


@pytest.mark.parametrize("fault", ["502", "reset", "timeout"])
def test_an_issue_that_never_arrived_is_not_found(
    rig: Rig, github: GitHub, repository: str, fault: str
) -> None:
    tried = datetime.now(UTC)
    rig.github.fail(fault, path=ISSUES)
    with pytest.raises(Ambiguous):
        send(github, parcel(repository))
    assert github.find(parcel(repository, attempted_at=tried)) is None


@pytest.mark.parametrize("change", [Change.WORSENED, Change.RESOLVED])
@pytest.mark.parametrize("fault", ["502", "reset", "truncated JSON"])
def test_a_comment_whose_answer_was_lost_is_found_and_the_rest_is_done(
    rig: Rig, github: GitHub, repository: str, fault: str, change: Change
) -> None:
    posting = send(github, parcel(repository))
    tried = datetime.now(UTC)
    rig.github.fail(fault, path=COMMENTS, after_commit=True)
    with pytest.raises(Ambiguous):
        send(github, parcel(repository, "d2", change, posting=posting))
    again = parcel(repository, "d2", change, posting=posting, attempted_at=tried)
    found = github.find(again)
    assert found == posting
    send(github, again, found=found)
    assert len(rig.comments(repository, posting.reference)) == 1
    assert rig.issues(repository)[0]["state"] == ("closed" if change is Change.RESOLVED else "open")


@pytest.mark.parametrize("fault", ["429", "401", "502"])
def test_what_fails_after_the_comment_is_looked_into_before_it_is_sent_again(
    rig: Rig, github: GitHub, repository: str, fault: str
) -> None:
    posting = send(github, parcel(repository))
    rig.github.fail(fault, method="PATCH", path=ONE_ISSUE)
    with pytest.raises(Ambiguous):
        send(github, parcel(repository, "d2", Change.RESOLVED, posting=posting))
    again = parcel(repository, "d2", Change.RESOLVED, posting=posting)
    send(github, again, found=github.find(again))
    assert len(rig.comments(repository, posting.reference)) == 1
    assert rig.issues(repository)[0]["state"] == "closed"


@pytest.mark.parametrize("method", ["GET", "PATCH"])
def test_what_fails_before_the_comment_may_simply_be_sent_again(
    rig: Rig, github: GitHub, repository: str, method: str
) -> None:
    posting = send(github, parcel(repository))
    rig.github.fail("429 with Retry-After", method=method, path=ONE_ISSUE)
    with pytest.raises(TryAgain) as refused:
        send(github, parcel(repository, "d2", Change.WORSENED, posting=posting))
    assert refused.value.after == 7
    assert rig.comments(repository, posting.reference) == []


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        ("429", TryAgain),
        ("429 with Retry-After", TryAgain),
        ("403 secondary", TryAgain),
        ("403", GaveUp),
        ("401", GaveUp),
        ("404", GaveUp),
        ("410", GaveUp),
        ("422", GaveUp),
        ("502", Ambiguous),
        ("503", Ambiguous),
    ],
)
def test_each_answer_to_an_opening_means_what_the_table_says(
    rig: Rig, github: GitHub, repository: str, fault: str, outcome: type[Undelivered]
) -> None:
    rig.github.fail(fault, path=ISSUES)
    with pytest.raises(outcome) as refused:
        send(github, parcel(repository))
    assert isinstance(refused.value, GaveUp) is (outcome is GaveUp)
    assert getattr(refused.value, "authentication", False) is (fault == "401")
    assert repository in str(refused.value)
    assert GITHUB_TOKEN not in str(refused.value)
    assert len(rig.github.writes("POST")) == 1


@pytest.mark.parametrize(
    ("fault", "seconds"),
    [
        ("429", 60),
        ("429 with Retry-After", 7),
        (github_says(403, "You have exceeded a secondary rate limit"), 60),
        (github_says(429, "API rate limit exceeded", X_RateLimit_Remaining="0"), 60),
    ],
)
def test_a_limit_is_waited_for_as_long_as_it_says_and_a_minute_if_it_does_not(
    rig: Rig, github: GitHub, repository: str, fault: str | Fault, seconds: int
) -> None:
    rig.github.fail(fault, path=ISSUES)
    with pytest.raises(TryAgain) as refused:
        send(github, parcel(repository))
    assert refused.value.after == seconds


def test_a_refused_connection_may_be_tried_again(closed_port: int, accounts: Accounts) -> None:
    github = GitHub(GITHUB_TOKEN, f"http://127.0.0.1:{closed_port}", key=SIGNING, accounts=accounts)
    with pytest.raises(TryAgain):
        send(github, parcel("acme/codex-sdk"))


def test_a_token_that_is_not_known_opens_the_circuit(rig: Rig, repository: str, accounts: Accounts) -> None:
    github = GitHub("no-such-token", rig.github_url, key=SIGNING, accounts=accounts)
    with pytest.raises(GaveUp) as refused:
        send(github, parcel(repository))
    assert refused.value.authentication
    (token,) = github.check([repository])
    assert token[:2] == ("GitHub token", False)


@pytest.mark.parametrize("target", ["acme", "acme/x/y", "../..", "acme/..", "acme/a?b", "", "acme/a b"])
def test_a_target_that_is_no_repository_is_refused_before_anything_is_sent(
    rig: Rig, github: GitHub, target: str
) -> None:
    with pytest.raises(GaveUp):
        send(github, parcel(target))
    assert rig.github.recorded == []


def test_an_issue_with_our_marker_by_somebody_else_is_not_ours(
    rig: Rig, github: GitHub, repository: str
) -> None:
    forged = {"title": "x", "body": f"<!-- {marker('d1')} -->", "labels": ["riskloop"]}
    rig.ask_github("POST", f"/repos/{repository}/issues", forged, token=STRANGERS_GITHUB_TOKEN)
    assert github.find(parcel(repository)) is None
    assert github.find(parcel(repository, attempted_at=datetime.now(UTC))) is None


def test_a_marker_signed_with_another_key_or_below_the_first_line_is_not_ours(
    rig: Rig, github: GitHub, repository: str
) -> None:
    for body in (f"<!-- {marker('d1', key=b'another')} -->", f"hello\n<!-- {marker('d1')} -->"):
        copied = {"title": "x", "body": body, "labels": ["riskloop"]}
        rig.ask_github("POST", f"/repos/{repository}/issues", copied)
    assert github.find(parcel(repository)) is None


def test_an_issue_is_found_behind_more_than_a_page_of_others(
    rig: Rig, github: GitHub, repository: str
) -> None:
    for number in range(101):
        sent = {"title": f"other {number}", "body": "x", "labels": ["riskloop"]}
        rig.ask_github("POST", f"/repos/{repository}/issues", sent)
    posting = send(github, parcel(repository))
    assert github.find(parcel(repository)) == posting


def test_an_issue_whose_labels_were_dropped_is_found_all_the_same(
    rig: Rig, github: GitHub, repository: str
) -> None:
    posting = send(github, parcel(repository))
    path = f"/repos/{repository}/issues/{posting.reference}"
    rig.ask_github("PATCH", path, {"labels": []})
    tried = datetime.now(UTC) - timedelta(seconds=1)
    assert github.find(parcel(repository, attempted_at=tried)) == posting


def test_labels_that_the_repository_drops_are_no_error_and_are_logged(
    rig: Rig, github: GitHub, repository: str, caplog: pytest.LogCaptureFixture
) -> None:
    answer = {"number": 5, "html_url": "http://127.0.0.1/5", "labels": []}
    rig.github.fail(Fault(status=201, body=json.dumps(answer)), path=ISSUES)
    assert send(github, parcel(repository)) == Posting(reference="5", url="http://127.0.0.1/5")
    assert "dropped the labels" in caplog.text


def test_a_pull_request_among_the_issues_is_passed_over(rig: Rig, github: GitHub, repository: str) -> None:
    us = rig.ask_github("GET", "/user")
    row = {"number": 5, "user": us, "body": f"<!-- {marker('d1')} -->", "pull_request": {"url": "x"}}
    row["created_at"] = "2026-03-01T02:20:00Z"
    rig.github.fail(Fault(status=200, body=json.dumps([row])), method="GET", path=ISSUES)
    assert github.find(parcel(repository)) is None


def test_the_sdk_never_sends_twice_by_itself(rig: Rig, github: GitHub, repository: str) -> None:
    for fault in ("502", "reset", "429 with Retry-After", "403 secondary"):
        rig.github.forget()
        rig.github.fail(fault, path=ISSUES, times=5)
        with pytest.raises(Undelivered):
            send(github, parcel(repository))
        assert len(rig.github.writes("POST", ISSUES)) == 1


def test_check_says_whose_the_token_is_and_what_it_may(rig: Rig, github: GitHub, repository: str) -> None:
    token, found, missing = github.check([repository, "acme/no-such-repository"])
    assert token == ("GitHub token", True, "belongs to riskloop-bot")
    assert found[:2] == (f"GitHub {repository}", True)
    assert missing[:2] == ("GitHub acme/no-such-repository", False)


def test_a_test_issue_is_opened_and_closed(rig: Rig, github: GitHub, repository: str) -> None:
    posting = github.send_test(repository, turn=at_once)
    (issue,) = rig.issues(repository)
    assert issue["state"] == "closed"
    assert issue["html_url"] == posting.url


HOSTILE: dict[str, Callable[[], str]] = {
    "ten million characters": lambda: "x" * 10_000_000,
    "fences": lambda: "```\n````\n`````\n" * 5_000,
    "NUL and lone surrogates": lambda: "\x00\ud800\udfff",
}


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_accepted_by_the_strict_proxy(
    rig: Rig, github: GitHub, repository: str, text: str
) -> None:
    hostile = HOSTILE[text]()
    posting = send(github, parcel(repository, summary=hostile, reason=hostile, risk_title=hostile))
    send(github, parcel(repository, "d2", Change.WORSENED, posting=posting, summary=hostile, reason=hostile))
    assert len(rig.comments(repository, posting.reference)) == 1


def test_the_log_of_a_failed_send_holds_no_token(
    rig: Rig, github: GitHub, repository: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    rig.github.fail("401", path=ISSUES)
    with pytest.raises(GaveUp):
        send(github, parcel(repository))
    assert GITHUB_TOKEN not in caplog.text


def test_an_issue_is_found_however_late_it_is_looked_for(rig: Rig, github: GitHub, repository: str) -> None:
    posting = send(github, parcel(repository))
    late = datetime.now(UTC) + timedelta(hours=20)
    assert github.find(parcel(repository, attempted_at=late)) == posting
