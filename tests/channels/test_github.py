"""The GitHub channel: the real PyGithub against the emulator, through the strict proxy."""

import json
import logging
from collections.abc import Callable
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from riskloop.channels import Posting
from riskloop.channels.github import GitHub
from riskloop.errors import Ambiguous, GaveUp, TryAgain, Undelivered
from riskloop.incidents import Change
from riskloop.thresholds import Verdict
from tests.channels.parcels import KEY as SIGNING
from tests.channels.parcels import marker, parcel
from tests.emulator.emulator import GITHUB_TOKEN, STRANGERS_GITHUB_TOKEN
from tests.emulator.rig import Rig
from tests.proxy.faults import Fault

pytestmark = pytest.mark.server

ISSUES = r"/repos/.*/issues"
COMMENTS = r"/repos/.*/comments"
ONE_ISSUE = r"/repos/.*/issues/\d+"


@pytest.fixture
def github(rig: Rig) -> GitHub:
    return GitHub(GITHUB_TOKEN, rig.github_url, key=SIGNING, timeout=2)


def test_an_incident_lives_as_one_issue_from_opening_to_closing(
    rig: Rig, github: GitHub, repository: str
) -> None:
    posting = github.send(parcel(repository))
    github.send(parcel(repository, "d2", Change.WORSENED, posting=posting, severity=Verdict.CRITICAL))
    github.send(parcel(repository, "d3", Change.UPDATED, posting=posting, severity=Verdict.CRITICAL))
    github.send(parcel(repository, "d4", Change.EASED, posting=posting))
    github.send(parcel(repository, "d5", Change.REMINDED, posting=posting))
    github.send(parcel(repository, "d6", Change.RESOLVED, posting=posting))

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
    github.send(parcel(repository))
    assert [(r.method, r.path) for r in rig.github.recorded] == [("POST", f"/repos/{repository}/issues")]
    names = {label["name"] for label in rig.issues(repository)[0]["labels"]}
    assert names == {"riskloop", "risk:stale-fixtures", "severity:warning"}


@pytest.mark.parametrize("change", [Change.WORSENED, Change.EASED, Change.REMINDED, Change.RESOLVED])
def test_a_transition_posts_one_comment_and_no_more(
    rig: Rig, github: GitHub, repository: str, change: Change
) -> None:
    posting = github.send(parcel(repository))
    rig.github.forget()
    github.send(parcel(repository, "d2", change, posting=posting))
    assert [r.path for r in rig.github.writes("POST")] == [
        f"/repos/{repository}/issues/{posting.reference}/comments"
    ]


def test_new_numbers_edit_the_issue_without_a_comment(rig: Rig, github: GitHub, repository: str) -> None:
    posting = github.send(parcel(repository))
    rig.github.forget()
    github.send(parcel(repository, "d2", Change.UPDATED, posting=posting, summary="9 of 40 fixtures."))
    assert rig.github.writes("POST") == []
    assert "9 of 40 fixtures." in rig.issues(repository)[0]["body"]


def test_a_first_delivery_that_is_a_resolution_opens_and_closes(
    rig: Rig, github: GitHub, repository: str
) -> None:
    github.send(parcel(repository, "d9", Change.RESOLVED))
    (issue,) = rig.issues(repository)
    assert issue["state"] == "closed"
    assert issue["body"].startswith(f"<!-- {marker('d9')} -->")


def test_labels_people_added_stay_and_the_old_severity_goes(
    rig: Rig, github: GitHub, repository: str
) -> None:
    posting = github.send(parcel(repository))
    path = f"/repos/{repository}/issues/{posting.reference}"
    rig.ask_github("POST", f"{path}/labels", {"labels": ["triage"]})
    github.send(parcel(repository, "d2", Change.WORSENED, posting=posting, severity=Verdict.CRITICAL))
    names = {label["name"] for label in rig.issues(repository)[0]["labels"]}
    assert names == {"riskloop", "risk:stale-fixtures", "severity:critical", "triage"}


def test_an_issue_that_a_person_closed_keeps_their_reason(rig: Rig, github: GitHub, repository: str) -> None:
    posting = github.send(parcel(repository))
    path = f"/repos/{repository}/issues/{posting.reference}"
    rig.ask_github("PATCH", path, {"state": "closed", "state_reason": "not_planned"})
    github.send(parcel(repository, "d2", Change.RESOLVED, posting=posting))
    assert rig.issues(repository)[0]["state_reason"] == "not_planned"


@pytest.mark.parametrize("fault", ["502", "reset", "timeout", "truncated JSON", "HTML", "cut off"])
def test_an_issue_whose_answer_was_lost_is_found_and_not_opened_again(
    rig: Rig, github: GitHub, repository: str, fault: str
) -> None:
    tried = datetime.now(UTC)
    rig.github.fail(fault, path=ISSUES, after_commit=True)
    with pytest.raises(Ambiguous):
        github.send(parcel(repository))
    again = parcel(repository, attempted_at=tried)
    found = github.find(again)
    assert found is not None
    assert github.send(again, found=found) == found
    assert len(rig.issues(repository)) == 1
    assert len(rig.github.writes("POST", ISSUES)) == 1


@pytest.mark.parametrize("fault", ["502", "reset", "timeout"])
def test_an_issue_that_never_arrived_is_not_found(
    rig: Rig, github: GitHub, repository: str, fault: str
) -> None:
    tried = datetime.now(UTC)
    rig.github.fail(fault, path=ISSUES)
    with pytest.raises(Ambiguous):
        github.send(parcel(repository))
    assert github.find(parcel(repository, attempted_at=tried)) is None


@pytest.mark.parametrize("change", [Change.WORSENED, Change.RESOLVED])
@pytest.mark.parametrize("fault", ["502", "reset", "truncated JSON"])
def test_a_comment_whose_answer_was_lost_is_found_and_the_rest_is_done(
    rig: Rig, github: GitHub, repository: str, fault: str, change: Change
) -> None:
    posting = github.send(parcel(repository))
    tried = datetime.now(UTC)
    rig.github.fail(fault, path=COMMENTS, after_commit=True)
    with pytest.raises(Ambiguous):
        github.send(parcel(repository, "d2", change, posting=posting))
    again = parcel(repository, "d2", change, posting=posting, attempted_at=tried)
    found = github.find(again)
    assert found == posting
    github.send(again, found=found)
    assert len(rig.comments(repository, posting.reference)) == 1
    assert rig.issues(repository)[0]["state"] == ("closed" if change is Change.RESOLVED else "open")


@pytest.mark.parametrize("fault", ["429", "401", "502"])
def test_what_fails_after_the_comment_is_looked_into_before_it_is_sent_again(
    rig: Rig, github: GitHub, repository: str, fault: str
) -> None:
    posting = github.send(parcel(repository))
    rig.github.fail(fault, method="PATCH", path=ONE_ISSUE)
    with pytest.raises(Ambiguous):
        github.send(parcel(repository, "d2", Change.RESOLVED, posting=posting))
    again = parcel(repository, "d2", Change.RESOLVED, posting=posting)
    github.send(again, found=github.find(again))
    assert len(rig.comments(repository, posting.reference)) == 1
    assert rig.issues(repository)[0]["state"] == "closed"


@pytest.mark.parametrize("method", ["GET", "PATCH"])
def test_what_fails_before_the_comment_may_simply_be_sent_again(
    rig: Rig, github: GitHub, repository: str, method: str
) -> None:
    posting = github.send(parcel(repository))
    rig.github.fail("429 with Retry-After", method=method, path=ONE_ISSUE)
    with pytest.raises(TryAgain) as refused:
        github.send(parcel(repository, "d2", Change.WORSENED, posting=posting))
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
        github.send(parcel(repository))
    assert isinstance(refused.value, GaveUp) is (outcome is GaveUp)
    assert getattr(refused.value, "authentication", False) is (fault == "401")
    assert repository in str(refused.value)
    assert GITHUB_TOKEN not in str(refused.value)
    assert len(rig.github.writes("POST")) == 1


def test_a_refused_connection_may_be_tried_again(closed_port: int) -> None:
    github = GitHub(GITHUB_TOKEN, f"http://127.0.0.1:{closed_port}", key=SIGNING)
    with pytest.raises(TryAgain):
        github.send(parcel("acme/codex-sdk"))


def test_a_token_that_is_not_known_opens_the_circuit(rig: Rig, repository: str) -> None:
    github = GitHub("no-such-token", rig.github_url, key=SIGNING)
    with pytest.raises(GaveUp) as refused:
        github.send(parcel(repository))
    assert refused.value.authentication
    (token,) = github.check([repository])
    assert token[:2] == ("GitHub token", False)


@pytest.mark.parametrize("target", ["acme", "acme/x/y", "../..", "acme/..", "acme/a?b", "", "acme/a b"])
def test_a_target_that_is_no_repository_is_refused_before_anything_is_sent(
    rig: Rig, github: GitHub, target: str
) -> None:
    with pytest.raises(GaveUp):
        github.send(parcel(target))
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
    posting = github.send(parcel(repository))
    assert github.find(parcel(repository)) == posting


def test_an_issue_whose_labels_were_dropped_is_found_all_the_same(
    rig: Rig, github: GitHub, repository: str
) -> None:
    posting = github.send(parcel(repository))
    path = f"/repos/{repository}/issues/{posting.reference}"
    rig.ask_github("PATCH", path, {"labels": []})
    tried = datetime.now(UTC) - timedelta(seconds=1)
    assert github.find(parcel(repository, attempted_at=tried)) == posting


def test_labels_that_the_repository_drops_are_no_error_and_are_logged(
    rig: Rig, github: GitHub, repository: str, caplog: pytest.LogCaptureFixture
) -> None:
    answer = {"number": 5, "html_url": "http://127.0.0.1/5", "labels": []}
    rig.github.fail(Fault(status=201, body=json.dumps(answer)), path=ISSUES)
    assert github.send(parcel(repository)) == Posting(reference="5", url="http://127.0.0.1/5")
    assert "dropped the labels" in caplog.text


def test_a_pull_request_among_the_issues_is_passed_over(rig: Rig, github: GitHub, repository: str) -> None:
    us = rig.ask_github("GET", "/user")
    row = {"number": 5, "user": us, "body": f"<!-- {marker('d1')} -->", "pull_request": {"url": "x"}}
    rig.github.fail(Fault(status=200, body=json.dumps([row])), method="GET", path=ISSUES)
    assert github.find(parcel(repository)) is None


def test_an_issue_that_was_transferred_is_not_followed_into_another_repository(
    rig: Rig, github: GitHub, repository: str
) -> None:
    posting = github.send(parcel(repository))
    elsewhere = {"number": 99, "html_url": "https://github.com/acme/other/issues/99"}
    rig.github.fail(Fault(status=200, body=json.dumps(elsewhere)), method="GET", path=ONE_ISSUE)
    rig.github.recorded.clear()
    with pytest.raises(GaveUp, match="transferred"):
        github.send(parcel(repository, "d2", Change.WORSENED, posting=posting))
    assert [r.method for r in rig.github.recorded] == ["GET"]


@pytest.mark.parametrize(
    ("renamed", "methods"), [(False, ["GET", "GET"]), (True, ["GET", "GET", "PATCH", "POST"])]
)
def test_a_transfer_that_kept_the_number_is_told_from_a_repository_with_a_new_name(
    rig: Rig, github: GitHub, repository: str, *, renamed: bool, methods: list[str]
) -> None:
    posting = github.send(parcel(repository))
    (issue,) = rig.issues(repository)
    issue["repository_url"] = f"{rig.github_url}/repos/acme/other"
    rig.github.fail(Fault(status=200, body=json.dumps(issue)), method="GET", path=ONE_ISSUE)
    if renamed:
        place = {"full_name": "acme/other"}
        rig.github.fail(Fault(status=200, body=json.dumps(place)), method="GET", path=f"/repos/{repository}")
    rig.github.recorded.clear()
    with nullcontext() if renamed else pytest.raises(GaveUp, match="transferred"):
        github.send(parcel(repository, "d2", Change.WORSENED, posting=posting))
    assert [r.method for r in rig.github.recorded] == methods


def test_an_issue_that_is_gone_says_so(rig: Rig, github: GitHub, repository: str) -> None:
    with pytest.raises(GaveUp):
        github.send(parcel(repository, "d2", Change.WORSENED, posting=Posting(reference="77")))
    assert rig.github.writes("POST") == []


def test_the_sdk_never_sends_twice_by_itself(rig: Rig, github: GitHub, repository: str) -> None:
    for fault in ("502", "reset", "429 with Retry-After", "403 secondary"):
        rig.github.forget()
        rig.github.fail(fault, path=ISSUES, times=5)
        with pytest.raises(Undelivered):
            github.send(parcel(repository))
        assert len(rig.github.writes("POST", ISSUES)) == 1


def test_check_says_whose_the_token_is_and_what_it_may(rig: Rig, github: GitHub, repository: str) -> None:
    token, found, missing = github.check([repository, "acme/no-such-repository"])
    assert token == ("GitHub token", True, "belongs to riskloop-bot")
    assert found[:2] == (f"GitHub {repository}", True)
    assert missing[:2] == ("GitHub acme/no-such-repository", False)


def test_a_test_issue_is_opened_and_closed(rig: Rig, github: GitHub, repository: str) -> None:
    posting = github.send_test(repository)
    (issue,) = rig.issues(repository)
    assert issue["state"] == "closed"
    assert issue["html_url"] == posting.url


@pytest.fixture
def branch(rig: Rig, repository: str) -> str:
    """Make a branch with one commit more than `main`."""
    rig.make_branch(repository, "riskloop/adopt")
    return "riskloop/adopt"


def test_a_pull_request_is_opened_once_for_a_branch(
    rig: Rig, github: GitHub, repository: str, branch: str
) -> None:
    first = github.ensure_pull_request(repository, branch, title="Adopt", body="Why.")
    again = github.ensure_pull_request(repository, branch, title="Adopt", body="Why.")
    assert first == again
    assert len(rig.github.writes("POST", r"/repos/.*/pulls")) == 1


def test_a_pull_request_whose_answer_was_lost_is_found(
    rig: Rig, github: GitHub, repository: str, branch: str
) -> None:
    rig.github.fail("502", path=r"/repos/.*/pulls", after_commit=True)
    with pytest.raises(Ambiguous):
        github.ensure_pull_request(repository, branch, title="Adopt", body="Why.")
    github.ensure_pull_request(repository, branch, title="Adopt", body="Why.")
    assert len(rig.github.writes("POST", r"/repos/.*/pulls")) == 1


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
    posting = github.send(parcel(repository, summary=hostile, reason=hostile, risk_title=hostile))
    github.send(parcel(repository, "d2", Change.WORSENED, posting=posting, summary=hostile, reason=hostile))
    assert len(rig.comments(repository, posting.reference)) == 1


def test_the_log_of_a_failed_send_holds_no_token(
    rig: Rig, github: GitHub, repository: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    rig.github.fail("401", path=ISSUES)
    with pytest.raises(GaveUp):
        github.send(parcel(repository))
    assert GITHUB_TOKEN not in caplog.text


def test_an_issue_is_found_however_late_it_is_looked_for(rig: Rig, github: GitHub, repository: str) -> None:
    posting = github.send(parcel(repository))
    late = datetime.now(UTC) + timedelta(hours=20)
    assert github.find(parcel(repository, attempted_at=late)) == posting
