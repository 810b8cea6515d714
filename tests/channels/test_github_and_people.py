"""What people do to our issues and repositories, and what the GitHub channel makes of it."""

import json
from datetime import UTC, datetime

import pytest

from riskloop.channels import Posting, Standing
from riskloop.channels.github import GitHub
from riskloop.errors import GaveUp, Gone, TryAgain
from riskloop.incidents import Change
from riskloop.mutes import Muting
from tests.channels.parcels import at_once, marker, mute, parcel, send
from tests.emulator.emulator import STRANGERS_GITHUB_TOKEN
from tests.emulator.rig import Rig
from tests.proxy.faults import Fault, github_says

pytestmark = pytest.mark.server

ONE_ISSUE = r"/repos/.*/issues/\d+"
TOLD = [Change.WORSENED, Change.REMINDED, Change.RESOLVED]


@pytest.fixture
def posting(github: GitHub, repository: str) -> Posting:
    return send(github, parcel(repository))


def test_an_issue_that_a_person_closed_stays_closed_when_it_is_edited(
    rig: Rig, github: GitHub, repository: str, posting: Posting
) -> None:
    rig.close_issue(repository, posting.reference, "not_planned")
    send(github, parcel(repository, "d2", Change.UPDATED, posting=posting, summary="9 of 40 fixtures."))
    send(github, parcel(repository, "d3", Change.DISMISSED, posting=posting))
    (issue,) = rig.issues(repository)
    assert (issue["state"], issue["state_reason"]) == ("closed", "not_planned")
    (comment,) = rig.comments(repository, posting.reference)
    assert "left closed for 24 hours" in comment["body"]


def test_an_issue_is_opened_again_in_the_same_write_as_its_edit(
    rig: Rig, github: GitHub, repository: str, posting: Posting
) -> None:
    rig.close_issue(repository, posting.reference)
    rig.github.forget()
    send(github, parcel(repository, "d2", Change.REOPENED, posting=posting, reopen=True))
    (edit,) = rig.github.writes("PATCH")
    assert (edit.sent["state"], edit.sent["state_reason"]) == ("open", "reopened")
    assert "body" in edit.sent
    assert rig.issues(repository)[0]["state"] == "open"
    assert len(rig.comments(repository, posting.reference)) == 1


def test_an_open_issue_is_not_opened_again(
    rig: Rig, github: GitHub, repository: str, posting: Posting
) -> None:
    send(github, parcel(repository, "d2", Change.WORSENED, posting=posting, reopen=True))
    (edit,) = rig.github.writes("PATCH")
    assert "state" not in edit.sent


@pytest.mark.parametrize("change", TOLD)
def test_an_issue_that_was_deleted_is_gone_and_nothing_is_posted(
    rig: Rig, github: GitHub, repository: str, posting: Posting, change: Change
) -> None:
    rig.delete_issue(repository, posting.reference)
    rig.github.forget()
    with pytest.raises(Gone, match=f"issue {posting.reference} in {repository} was deleted"):
        send(github, parcel(repository, "d2", change, posting=posting))
    assert {request.method for request in rig.github.recorded} == {"GET"}
    with pytest.raises(Gone):
        github.find(parcel(repository, "d2", change, posting=posting, attempted_at=datetime.now(UTC)))


@pytest.mark.parametrize("change", TOLD)
def test_an_issue_that_was_transferred_is_gone_and_says_where_and_is_not_followed(
    rig: Rig, github: GitHub, repository: str, posting: Posting, change: Change
) -> None:
    other = rig.new_repository()
    number = rig.transfer_issue(repository, posting.reference, other)
    rig.github.forget()
    with pytest.raises(Gone, match=rf"transferred to .*{other}/issues/{number}"):
        send(github, parcel(repository, "d2", change, posting=posting))
    assert {request.method for request in rig.github.recorded} == {"GET"}
    assert rig.comments(other, number) == []


def test_an_issue_transferred_while_it_is_written_is_not_written_where_it_went(
    rig: Rig, github: GitHub, repository: str, posting: Posting
) -> None:
    other = rig.new_repository()
    elsewhere = send(github, parcel(other, "d7"))
    (before,) = rig.issues(other)
    location = f"{rig.github_url}/repos/{other}/issues/{elsewhere.reference}"
    moved = Fault(status=301, headers={"Location": location}, body='{"message": "Moved Permanently"}')
    rig.github.fail(moved, method="PATCH", path=ONE_ISSUE)
    with pytest.raises(TryAgain):
        send(github, parcel(repository, "d2", Change.WORSENED, posting=posting, summary="9 of 40."))
    assert rig.issues(other) == [before]


def test_an_issue_deleted_after_its_comment_is_gone(
    rig: Rig, github: GitHub, repository: str, posting: Posting
) -> None:
    resolved = parcel(repository, "d2", Change.RESOLVED, posting=posting)

    def deleted_meanwhile() -> None:
        if rig.comments(repository, posting.reference):
            rig.delete_issue(repository, posting.reference)

    with pytest.raises(Gone):
        github.send(resolved, turn=deleted_meanwhile)
    with pytest.raises(Gone):
        github.find(resolved)


def test_an_answer_of_404_for_an_issue_that_is_there_is_no_reason_to_open_another(
    rig: Rig, github: GitHub, repository: str, posting: Posting
) -> None:
    rig.github.fail("404", method="GET", path=ONE_ISSUE)
    with pytest.raises(TryAgain):
        send(github, parcel(repository, "d2", Change.WORSENED, posting=posting))


def test_a_repository_that_is_gone_with_its_issues_is_for_a_person_to_mend(
    rig: Rig, github: GitHub, repository: str, posting: Posting
) -> None:
    rig.github.fail("404", method="GET", path=ONE_ISSUE, times=2)
    rig.github.fail("404", method="GET", path=f"/repos/{repository}")
    with pytest.raises(GaveUp, match="check its name"):
        send(github, parcel(repository, "d2", Change.WORSENED, posting=posting))


@pytest.mark.parametrize("fault", ["429 with Retry-After", "502", "401"])
def test_a_refusal_that_cannot_be_looked_into_is_tried_again_or_opens_the_circuit(
    rig: Rig, github: GitHub, repository: str, posting: Posting, fault: str
) -> None:
    rig.github.fail("410", method="PATCH", path=ONE_ISSUE)
    rig.github.fail(fault, method="GET", path=f"/repos/{repository}")
    with pytest.raises(GaveUp if fault == "401" else TryAgain) as refused:
        send(github, parcel(repository, "d2", Change.WORSENED, posting=posting))
    assert getattr(refused.value, "authentication", False) is (fault == "401")


def test_switched_off_issues_are_for_a_person_to_mend_and_not_gone(
    rig: Rig, github: GitHub, repository: str, posting: Posting
) -> None:
    rig.switch_off_issues(repository)
    for told in (parcel(repository, "d2", Change.WORSENED, posting=posting), parcel(repository, "d9")):
        with pytest.raises(GaveUp, match=r"issues switched off; switch them on"):
            send(github, told)
    with pytest.raises(GaveUp, match="switched off"):
        github.standing(repository, posting)


def test_an_archived_repository_is_for_a_person_to_mend_and_not_gone(
    rig: Rig, github: GitHub, repository: str, posting: Posting
) -> None:
    rig.archive(repository)
    for told in (parcel(repository, "d2", Change.WORSENED, posting=posting), parcel(repository, "d9")):
        with pytest.raises(GaveUp, match=r"is archived.*; unarchive it"):
            send(github, told)
    assert github.standing(repository, posting) is Standing.OPEN


@pytest.mark.parametrize("change", [Change.WORSENED, Change.RESOLVED])
def test_an_issue_locked_for_us_is_edited_and_counts_as_told(
    rig: Rig,
    github: GitHub,
    repository: str,
    posting: Posting,
    *,
    change: Change,
    caplog: pytest.LogCaptureFixture,
) -> None:
    rig.lock_issue(repository, posting.reference)
    told = parcel(repository, "d2", change, posting=posting, summary="9 of 40 fixtures.")
    assert send(github, told) == posting
    assert rig.comments(repository, posting.reference) == []
    (issue,) = rig.issues(repository)
    assert "9 of 40 fixtures." in issue["body"]
    assert issue["state"] == ("closed" if change is Change.RESOLVED else "open")
    assert f"issue {posting.reference} in {repository} is locked" in caplog.text


@pytest.mark.parametrize("fault", ["502", "HTML", "429 with Retry-After"])
def test_an_issue_of_which_it_cannot_be_read_whether_it_is_locked_is_tried_again(
    rig: Rig, github: GitHub, repository: str, posting: Posting, *, fault: str
) -> None:
    rig.lock_issue(repository, posting.reference)
    rig.github.fail(fault, method="GET", path=ONE_ISSUE, passing=1)
    told = parcel(repository, "d2", Change.WORSENED, posting=posting)
    with pytest.raises(TryAgain):
        send(github, told)
    assert send(github, told) == posting
    assert rig.comments(repository, posting.reference) == []


def test_an_issue_locked_for_others_is_commented_on(
    rig: Rig, github: GitHub, repository: str, posting: Posting
) -> None:
    rig.lock_issue(repository, posting.reference, for_us=False)
    send(github, parcel(repository, "d2", Change.WORSENED, posting=posting))
    assert len(rig.comments(repository, posting.reference)) == 1


def test_a_comment_that_is_not_allowed_on_an_issue_that_is_not_locked_is_given_up(
    rig: Rig, github: GitHub, repository: str, posting: Posting
) -> None:
    rig.github.fail("403", path=r".*/comments")
    with pytest.raises(GaveUp, match="does not let the token do this"):
        send(github, parcel(repository, "d2", Change.WORSENED, posting=posting))


def test_labels_that_people_removed_come_back_with_the_next_edit(
    rig: Rig, github: GitHub, repository: str, posting: Posting
) -> None:
    path = f"/repos/{repository}/issues/{posting.reference}"
    rig.ask_github("PATCH", path, {"labels": ["triage"]})
    (kept,) = github.look_around(repository, since=None)
    assert kept.posting == posting
    send(github, parcel(repository, "d2", Change.UPDATED, posting=posting))
    names = {label["name"] for label in rig.issues(repository)[0]["labels"]}
    assert names == {"riskloop", "risk:stale-fixtures", "severity:warning", "triage"}


@pytest.mark.parametrize("muting", Muting)
def test_an_acceptance_or_a_silence_is_a_label_for_as_long_as_it_holds(
    rig: Rig, github: GitHub, repository: str, posting: Posting, muting: Muting
) -> None:
    held = mute(muting)
    send(github, parcel(repository, "d2", Change.MUTED, posting=posting, mutes=(held,)))
    assert str(muting) in {label["name"] for label in rig.issues(repository)[0]["labels"]}
    send(github, parcel(repository, "d3", Change.UPDATED, posting=posting, mutes=(held,), quiet=True))
    assert str(muting) in {label["name"] for label in rig.issues(repository)[0]["labels"]}
    send(github, parcel(repository, "d4", Change.UNMUTED, posting=posting))
    assert str(muting) not in {label["name"] for label in rig.issues(repository)[0]["labels"]}
    assert len(rig.comments(repository, posting.reference)) == 2


def test_an_issue_opened_in_the_stead_of_one_that_is_gone_links_it(
    rig: Rig, github: GitHub, repository: str
) -> None:
    old = "https://github.com/acme/sdk/issues/3"
    send(github, parcel(repository, "d2", Change.REOPENED, previous_url=old, reopen=True))
    (issue,) = rig.issues(repository)
    assert f"<{old}>" in issue["body"]
    assert issue["body"].startswith(f"<!-- {marker('d2')} -->")


def test_what_somebody_else_wrote_under_our_number_is_not_touched(
    rig: Rig, github: GitHub, repository: str
) -> None:
    sent = {"title": "Theirs", "body": "theirs"}
    theirs = rig.ask_github("POST", f"/repos/{repository}/issues", sent, token=STRANGERS_GITHUB_TOKEN)
    posting = Posting(reference=str(theirs["number"]))
    with pytest.raises(Gone, match="not what we opened"):
        send(github, parcel(repository, "d2", Change.WORSENED, posting=posting))
    assert github.standing(repository, posting) is Standing.GONE
    github.close_extra(repository, posting, says="x", duplicate=True, marker=marker("d1"), turn=at_once)
    assert rig.github.writes("PATCH") == []


def test_an_issue_without_its_marker_is_still_ours_to_edit(
    rig: Rig, github: GitHub, repository: str, posting: Posting
) -> None:
    path = f"/repos/{repository}/issues/{posting.reference}"
    rig.ask_github("PATCH", path, {"body": "Somebody wrote this over it."})
    send(github, parcel(repository, "d2", Change.UPDATED, posting=posting))
    assert rig.issues(repository)[0]["body"].startswith(f"<!-- {marker('d1')} -->")


@pytest.mark.parametrize("status", [301, 307])
def test_a_repository_with_a_new_name_is_written_and_looked_into_there(
    rig: Rig, github: GitHub, repository: str, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    new = rig.new_repository()
    by_id = f"{rig.github_url}/repositories/17"
    old = f"/repos/{repository}"
    renamed = github_says(301, "Moved Permanently", Location=by_id)
    rig.github.fail(
        github_says(status, "Moved Permanently", Location=f"{by_id}/issues"), path=f"{old}/issues"
    )
    rig.github.fail(renamed, method="GET", path=old)
    named = Fault(status=200, body=json.dumps({"full_name": new}))
    rig.github.fail(named, method="GET", path="/repositories/17")
    posting = send(github, parcel(repository))
    assert [issue["html_url"] for issue in rig.issues(new)] == [posting.url]
    assert rig.issues(repository) == []
    assert f"{repository} is called {new} now" in caplog.text
    assert github.find(parcel(repository, attempted_at=datetime.now(UTC))) == posting
