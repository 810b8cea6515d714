"""How the GitHub channel looks for what is ours, closes what should not be open, and knows who we are."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from riskloop.channels import Posting, Standing
from riskloop.channels.github import GitHub
from riskloop.errors import GaveUp
from riskloop.identity import Accounts
from riskloop.incidents import Change
from tests.channels.parcels import KEY, at_once, marker, parcel, send
from tests.emulator.emulator import STRANGERS_GITHUB_TOKEN
from tests.emulator.rig import Rig
from tests.proxy.faults import Fault

pytestmark = pytest.mark.server


@pytest.fixture
def posting(github: GitHub, repository: str) -> Posting:
    return send(github, parcel(repository))


def test_an_issue_is_open_closed_or_gone(rig: Rig, github: GitHub, repository: str, posting: Posting) -> None:
    assert github.standing(repository, posting) is Standing.OPEN
    rig.close_issue(repository, posting.reference)
    assert github.standing(repository, posting) is Standing.CLOSED
    rig.delete_issue(repository, posting.reference)
    assert github.standing(repository, posting) is Standing.GONE


@pytest.mark.parametrize(("duplicate", "reason"), [(True, "duplicate"), (False, "completed")])
def test_an_extra_issue_is_closed_once_and_says_what_stands_in_its_place(
    rig: Rig, github: GitHub, repository: str, posting: Posting, *, duplicate: bool, reason: str
) -> None:
    says = "This told of the same as https://github.com/acme/sdk/issues/3, which goes on."
    for _ in range(2):
        github.close_extra(
            repository, posting, says=says, duplicate=duplicate, marker=marker("d1"), turn=at_once
        )
    assert len(rig.github.writes("PATCH")) == 1
    (issue,) = rig.issues(repository)
    assert (issue["state"], issue["state_reason"]) == ("closed", reason)
    first, _, rest = issue["body"].partition("\n")
    assert first == f"<!-- {marker('d1')} -->"
    assert rest.strip().startswith(says)
    assert "Stale fixtures" in rest
    assert "riskloop:1" not in rest


def test_an_extra_issue_that_is_gone_needs_no_closing(
    rig: Rig, github: GitHub, repository: str, posting: Posting
) -> None:
    rig.delete_issue(repository, posting.reference)
    github.close_extra(repository, posting, says="x", duplicate=True, marker=marker("d1"), turn=at_once)
    assert rig.github.writes("PATCH") == []


def test_a_look_around_lists_our_open_issues_and_nothing_else(
    rig: Rig, github: GitHub, repository: str
) -> None:
    ours = [send(github, parcel(repository, delivery)) for delivery in ("d1", "d2", "d3")]
    rig.close_issue(repository, ours[1].reference)
    path = f"/repos/{repository}/issues"
    for body, token in (
        (f"<!-- {marker('d5')} -->", STRANGERS_GITHUB_TOKEN),
        (f"<!-- {marker('d6', key=b'another')} -->", ""),
        (f"hello\n<!-- {marker('d7')} -->", ""),
        ("no marker at all", ""),
    ):
        rig.ask_github("POST", path, {"title": "x", "body": body, "labels": ["riskloop"]}, token=token)
    found = list(github.look_around(repository, since=None))
    assert [kept.posting for kept in found] == [ours[0], ours[2]]
    assert [kept.marker.delivery for kept in found] == ["d1", "d3"]
    assert all(datetime.now(UTC) - kept.made_at < timedelta(minutes=1) for kept in found)
    later = datetime.now(UTC) + timedelta(minutes=1)
    assert list(github.look_around(repository, since=later)) == []


def test_a_look_around_passes_over_pull_requests_and_asks_for_our_own(
    rig: Rig, github: GitHub, repository: str
) -> None:
    us = rig.ask_github("GET", "/user")
    row = {"number": 5, "user": us, "body": f"<!-- {marker('d1')} -->", "pull_request": {"url": "x"}}
    rig.github.fail(Fault(status=200, body=json.dumps([row])), method="GET", path=r"/repos/.*/issues")
    assert list(github.look_around(repository, since=None)) == []
    (asked,) = [request for request in rig.github.recorded if request.path.endswith("/issues")]
    assert asked.query["creator"] == us["login"]
    assert "labels" not in asked.query


def test_a_new_token_knows_what_the_old_one_wrote(
    rig: Rig, github: GitHub, repository: str, accounts: Accounts, posting: Posting
) -> None:
    now = GitHub(STRANGERS_GITHUB_TOKEN, rig.github_url, key=KEY, accounts=accounts, timeout=2)
    assert now.find(parcel(repository, attempted_at=datetime.now(UTC))) == posting
    assert [kept.posting for kept in now.look_around(repository, since=None)] == [posting]
    assert now.standing(repository, posting) is Standing.OPEN


def test_a_token_that_may_not_ask_who_it_is_learns_it_from_what_it_writes(
    rig: Rig, github: GitHub, repository: str, accounts: Accounts
) -> None:
    rig.github.fail("403", method="GET", path="/user", times=9)
    github.prove("github")
    assert accounts.known("github") == frozenset()
    posting = send(github, parcel(repository))
    us = rig.ask_github("GET", "/user")
    assert accounts.known("github") == {str(us["id"])}
    assert [kept.posting for kept in github.look_around(repository, since=None)] == [posting]


@pytest.mark.parametrize(("kind", "found"), [("Bot", True), ("User", False)])
def test_until_an_app_has_written_the_signature_of_a_bot_has_to_do(
    rig: Rig, github: GitHub, repository: str, kind: str, *, found: bool
) -> None:
    rig.github.fail("403", method="GET", path="/user")
    row = {
        "number": 5,
        "created_at": "2026-03-01T02:20:00Z",
        "html_url": "http://127.0.0.1/5",
        "user": {"id": 77, "login": "an-app[bot]", "type": kind},
        "body": f"<!-- {marker('d1')} -->",
    }
    rig.github.fail(Fault(status=200, body=json.dumps([row])), method="GET", path=r"/repos/.*/issues")
    assert (github.find(parcel(repository)) is not None) is found


def test_once_an_app_has_written_no_other_bot_is_taken_for_it(
    rig: Rig, github: GitHub, repository: str
) -> None:
    rig.github.fail("403", method="GET", path="/user")
    ours = {"number": 4, "user": {"id": 76, "login": "ours[bot]", "type": "Bot"}, "labels": []}
    rig.github.fail(Fault(status=201, body=json.dumps(ours)), path=r"/repos/.*/issues")
    send(github, parcel(repository))
    theirs = {
        "number": 5,
        "created_at": "2026-03-01T02:20:00Z",
        "user": {"id": 77, "login": "theirs[bot]", "type": "Bot"},
        "body": f"<!-- {marker('d1')} -->",
    }
    rig.github.fail(Fault(status=200, body=json.dumps([theirs])), method="GET", path=r"/repos/.*/issues")
    assert github.find(parcel(repository)) is None


def test_a_token_is_proven_by_github_itself(rig: Rig, github: GitHub) -> None:
    github.prove("github")
    rig.github.fail("401", method="GET", path="/user")
    with pytest.raises(GaveUp) as refused:
        github.prove("github")
    assert refused.value.authentication
    rig.github.fail("403", method="GET", path="/user")
    rig.github.fail("401", method="GET", path="/rate_limit")
    with pytest.raises(GaveUp) as refused:
        github.prove("github")
    assert refused.value.authentication


def test_each_write_waits_for_its_turn_and_no_read_does(rig: Rig, github: GitHub, repository: str) -> None:
    turns: list[int] = []

    def turn() -> None:
        turns.append(len(rig.github.writes("POST")) + len(rig.github.writes("PATCH")))

    posting = github.send(parcel(repository), turn=turn)
    github.send(parcel(repository, "d2", Change.WORSENED, posting=posting), turn=turn)
    github.send(parcel(repository, "d3", Change.RESOLVED, posting=posting), turn=turn)
    github.find(parcel(repository))
    list(github.look_around(repository, since=None))
    github.send_test(repository, turn=turn)
    assert turns == list(range(7))


def test_whatever_a_turn_raises_goes_through_and_nothing_is_written(
    rig: Rig, github: GitHub, repository: str, posting: Posting
) -> None:
    def no_longer_ours() -> None:
        raise LookupError

    rig.github.forget()
    for told in (parcel(repository), parcel(repository, "d2", Change.RESOLVED, posting=posting)):
        with pytest.raises(LookupError):
            github.send(told, turn=no_longer_ours)
    assert {request.method for request in rig.github.recorded} == {"GET"}
