"""What people do to issues, repositories and messages shows at the proxy as it would at GitHub and Slack."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.emulator.emulator import GITHUB_TOKEN, SLACK_TOKEN, STRANGER, STRANGERS_SLACK_TOKEN, US
from tests.emulator.rig import Rig

pytestmark = pytest.mark.server


@pytest.fixture
def github(rig: Rig) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {GITHUB_TOKEN}"}
    with httpx.Client(base_url=rig.github_url, headers=headers) as client:
        yield client


@pytest.fixture
def slack(rig: Rig) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {SLACK_TOKEN}"}
    with httpx.Client(base_url=rig.slack_url, headers=headers) as client:
        yield client


@pytest.fixture
def issues(github: httpx.Client, repository: str) -> str:
    """Open one issue, with a comment; give the path of the repository's issues."""
    path = f"/repos/{repository}/issues"
    github.post(path, json={"title": "x", "body": "y", "labels": ["riskloop"]})
    github.post(f"{path}/1/comments", json={"body": "z"})
    return path


def said(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["message"]


def every_write(github: httpx.Client, issues: str) -> list[httpx.Response]:
    return [
        github.patch(f"{issues}/1", json={"state": "closed"}),
        github.post(f"{issues}/1/comments", json={"body": "y"}),
        github.post(f"{issues}/1/labels", json={"labels": ["triage"]}),
    ]


def test_a_deleted_issue_is_gone_and_in_no_list(
    rig: Rig, github: httpx.Client, repository: str, issues: str
) -> None:
    for number in range(2, 6):
        github.post(issues, json={"title": f"x{number}"})
    rig.delete_issue(repository, 1)
    rig.delete_issue(repository, "3")
    gone = (410, "This issue was deleted")
    assert said(github.get(f"{issues}/1")) == gone
    assert [said(answer) for answer in every_write(github, issues)] == [gone] * 3
    asked = f"{issues}?state=all&direction=asc&per_page=2&page="
    pages = [github.get(f"{asked}{page}").json() for page in (1, 2)]
    assert [[row["number"] for row in page] for page in pages] == [[2, 4], [5]]
    assert [row["number"] for row in rig.issues(repository)] == [2, 4, 5]


def test_a_transferred_issue_is_found_where_github_redirects_to(
    rig: Rig, github: httpx.Client, repository: str, issues: str
) -> None:
    elsewhere = rig.new_repository()
    number = rig.transfer_issue(repository, 1, elsewhere)
    moved = github.get(f"{issues}/1")
    assert moved.status_code == 301
    assert moved.headers["Location"].startswith(f"{rig.github_url}/repositories/")
    found = github.get(f"{issues}/1", follow_redirects=True).json()
    assert found["repository_url"] == f"{rig.github_url}/repos/{elsewhere}"
    assert (found["number"], found["body"], found["user"]["login"]) == (number, "y", US)
    assert [label["name"] for label in found["labels"]] == ["riskloop"]
    assert [comment["body"] for comment in rig.comments(elsewhere, number)] == ["z"]
    assert [answer.status_code for answer in every_write(github, issues)] == [301, 404, 301]
    assert github.get(issues, params={"state": "all"}).json() == []
    assert rig.issues(repository) == []


def test_a_locked_issue_takes_no_comment_of_ours_but_edits(
    rig: Rig, github: httpx.Client, repository: str, issues: str
) -> None:
    rig.lock_issue(repository, 1)
    refused = github.post(f"{issues}/1/comments", json={"body": "y"})
    assert said(refused) == (403, "Unable to create comment because issue is locked.")
    assert github.get(f"{issues}/1").json()["locked"] is True
    assert github.patch(f"{issues}/1", json={"title": "y"}).status_code == 200
    rig.unlock_issue(repository, 1)
    assert github.post(f"{issues}/1/comments", json={"body": "y"}).status_code == 201
    rig.lock_issue(repository, 1, for_us=False)
    assert github.post(f"{issues}/1/comments", json={"body": "y"}).status_code == 201


def test_an_archived_repository_is_read_and_not_written(
    rig: Rig, github: httpx.Client, repository: str, issues: str
) -> None:
    rig.archive(repository)
    answers = [*every_write(github, issues), github.post(issues, json={"title": "x"})]
    assert {said(answer) for answer in answers} == {(403, "Repository was archived so is read-only.")}
    assert github.get(f"{issues}/1").json()["title"] == "x"
    assert github.get(f"/repos/{repository}").json()["archived"] is True


def test_a_repository_without_issues_says_so(
    rig: Rig, github: httpx.Client, repository: str, issues: str
) -> None:
    rig.switch_off_issues(repository)
    answers = [*every_write(github, issues), github.get(issues), github.get(f"{issues}/1")]
    assert {said(answer) for answer in answers} == {(410, "Issues are disabled for this repo")}
    assert github.get(f"/repos/{repository}").json()["has_issues"] is False


@pytest.mark.parametrize("reason", ["completed", "not_planned", "duplicate"])
def test_who_closed_an_issue_and_why_is_shown(
    rig: Rig, github: httpx.Client, repository: str, issues: str, reason: str
) -> None:
    rig.close_issue(repository, 1, reason)
    issue = github.get(f"{issues}/1").json()
    assert (issue["state"], issue["state_reason"]) == ("closed", reason)
    assert issue["closed_by"]["login"] == STRANGER


def test_an_issue_closed_as_a_duplicate_is_shown_as_one_until_it_is_reopened(
    rig: Rig, github: httpx.Client, repository: str, issues: str
) -> None:
    closed = github.patch(f"{issues}/1", json={"state": "closed", "state_reason": "duplicate"})
    listed = github.get(issues, params={"state": "closed"}).json()
    everywhere = [closed.json(), github.get(f"{issues}/1").json(), *listed, *rig.issues(repository)]
    assert [issue["state_reason"] for issue in everywhere] == ["duplicate"] * 4
    github.patch(f"{issues}/1", json={"state": "open"})
    assert github.get(f"{issues}/1").json()["state_reason"] == "reopened"


def test_a_list_is_of_one_author_where_one_is_asked_for(
    rig: Rig, github: httpx.Client, repository: str, issues: str
) -> None:
    rig.ask_github("POST", issues, {"title": "forged"}, token=rig.tokens.strangers_github)
    for who, titles in ((US, ["x"]), (STRANGER, ["forged"]), ("nobody", [])):
        assert [row["title"] for row in github.get(issues, params={"creator": who}).json()] == titles


@pytest.mark.parametrize("since", ["2000-01-01T00:00:00Z", "2999-01-01T00:00:00Z"])
def test_a_list_leaves_out_what_is_older_than_asked(github: httpx.Client, issues: str, since: str) -> None:
    assert len(github.get(issues, params={"since": since}).json()) == since.startswith("2000")


def test_a_token_that_is_revoked_is_unknown_until_it_is_restored(
    rig: Rig, github: httpx.Client, slack: httpx.Client
) -> None:
    rig.revoke_github()
    rig.revoke_slack()
    assert github.get("/user").status_code == 401
    assert slack.post("auth.test").json()["error"] == "invalid_auth"
    rig.restore_github()
    rig.restore_slack()
    assert github.get("/user").json()["login"] == US
    assert slack.post("auth.test").json()["ok"] is True


def test_a_renewed_rig_forgets_what_people_did(
    rig: Rig, github: httpx.Client, repository: str, issues: str
) -> None:
    rig.delete_issue(repository, 1)
    rig.revoke_github()
    rig.renew()
    assert github.get(f"{issues}/1").status_code == 200


def post(slack: httpx.Client, channel: str, **more: Any) -> dict[str, Any]:
    answer: dict[str, Any] = slack.post(
        "chat.postMessage", json={"channel": channel, "text": "x", **more}
    ).json()
    return answer


def test_a_deleted_message_is_gone_and_what_answers_it_stands_alone(
    rig: Rig, slack: httpx.Client, slack_channel: str
) -> None:
    ts = post(slack, slack_channel)["ts"]
    rig.delete_message(slack_channel, ts)
    where = {"channel": slack_channel, "ts": ts}
    assert slack.post("chat.update", json={**where, "text": "y"}).json()["error"] == "message_not_found"
    assert slack.post("conversations.replies", json=where).json()["error"] == "thread_not_found"
    assert ts not in {message["ts"] for message in rig.messages(slack_channel)}
    reply = post(slack, slack_channel, thread_ts=ts)
    assert "thread_ts" not in reply["message"]
    assert reply["ts"] in {message["ts"] for message in rig.messages(slack_channel)}


def test_a_deleted_message_with_replies_leaves_a_tombstone_above_them(
    rig: Rig, slack: httpx.Client, slack_channel: str
) -> None:
    metadata = {"event_type": "riskloop", "event_payload": {"marker": "m"}}
    ts = post(slack, slack_channel, metadata=metadata)["ts"]
    post(slack, slack_channel, thread_ts=ts)
    rig.delete_message(slack_channel, ts)
    asked = {"channel": slack_channel, "ts": ts, "include_all_metadata": True}
    parent, reply = slack.post("conversations.replies", json=asked).json()["messages"]
    assert (parent["subtype"], "metadata" in parent) == ("tombstone", False)
    assert reply["thread_ts"] == ts
    history = slack.post("conversations.history", json=asked).json()["messages"]
    assert "tombstone" in {message.get("subtype") for message in history}
    assert "tombstone" in {message.get("subtype") for message in rig.messages(slack_channel)}
    edit = {"channel": slack_channel, "ts": ts, "text": "y"}
    assert slack.post("chat.update", json=edit).json()["error"] == "message_not_found"
    assert post(slack, slack_channel, thread_ts=ts)["message"]["thread_ts"] == ts


def test_a_stranger_s_message_can_be_deleted_too(rig: Rig, slack_channel: str) -> None:
    sent = {"channel": slack_channel, "text": "x"}
    ts = rig.ask_slack("chat.postMessage", sent, token=STRANGERS_SLACK_TOKEN)["ts"]
    rig.delete_message(slack_channel, ts)
    assert ts not in {message["ts"] for message in rig.messages(slack_channel)}
