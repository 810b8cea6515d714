"""A branch has one pull request: opened once, kept current, and left alone where people have chosen."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from riskloop.channels.github import GitHub
from riskloop.channels.github.pulls import Pull, Pulls, Said
from riskloop.errors import Ambiguous, GaveUp, TryAgain
from riskloop.identity import Accounts, Identity
from riskloop.proposals import Proposal
from tests.channels.parcels import KEY, at_once
from tests.emulator.emulator import GITHUB_TOKEN, STRANGERS_GITHUB_TOKEN
from tests.emulator.rig import Rig
from tests.proxy.faults import github_says

pytestmark = pytest.mark.server

BRANCH = "riskloop/codex.upstream_drift"
PULLS = r"/repos/[^/]+/[^/]+/pulls"
PULL = rf"{PULLS}/\d+"
COMMENTS = r"/repos/[^/]+/[^/]+/issues/\d+/comments"
IDENTITY = Identity(installation="0123456789", key=KEY)
PROPOSAL = Proposal(
    branch=BRANCH,
    repository=Path("nowhere"),
    commit="c" * 40,
    base="b" * 40,
    proposes="u" * 40,
    title="Bump vendor/codex",
    body="12 commits, all patches apply.",
    ready=True,
)
DRAFT = replace(PROPOSAL, ready=False, reason="1 patch conflicts")


@pytest.fixture
def pulls(github: GitHub, repository: str) -> Pulls:
    return github.pulls(repository, IDENTITY)


def shown(rig: Rig, repository: str) -> list[dict[str, Any]]:
    """List every pull request as GitHub shows it, the oldest first."""
    rows: list[dict[str, Any]] = rig.ask_github("GET", f"/repos/{repository}/pulls?state=all&direction=asc")
    return rows


def the_one(pulls: Pulls) -> Pull:
    (pull,) = pulls.of(BRANCH)
    return pull


def as_stranger(rig: Rig, repository: str, number: int, **sent: Any) -> None:
    path = f"/repos/{repository}/pulls/{number}"
    rig.ask_github("PATCH", path, sent, token=STRANGERS_GITHUB_TOKEN)


def update(pulls: Pulls, proposal: Proposal) -> bool:
    return pulls.update(the_one(pulls), proposal, turn=at_once)


def mutations(rig: Rig) -> list[str]:
    return [str(one.sent["query"]).split("{")[1].split("(")[0].strip() for one in graphql(rig)]


def graphql(rig: Rig) -> list[Any]:
    return rig.github.writes("POST", "/graphql")


def test_it_is_opened_into_the_default_branch_and_known_again(
    rig: Rig, pulls: Pulls, repository: str
) -> None:
    opened = pulls.open(PROPOSAL, turn=at_once)
    assert opened == the_one(pulls)
    assert (opened.ours, opened.said, opened.draft) == (True, Said.READY, False)
    assert opened.proposed(PROPOSAL.proposes)
    (row,) = shown(rig, repository)
    assert (row["head"]["ref"], row["base"]["ref"], row["title"]) == (BRANCH, "main", PROPOSAL.title)
    assert PROPOSAL.body in row["body"]


def test_what_is_the_same_is_not_written_again(rig: Rig, pulls: Pulls) -> None:
    pulls.open(PROPOSAL, turn=at_once)
    rig.github.forget()
    assert not update(pulls, PROPOSAL)
    assert {request.method for request in rig.github.recorded} == {"GET"}


def test_line_ends_as_a_persons_browser_sends_them_are_no_difference(
    rig: Rig, pulls: Pulls, repository: str
) -> None:
    opened = pulls.open(PROPOSAL, turn=at_once)
    as_stranger(rig, repository, opened.number, body=opened.body.replace("\n", "\r\n"))
    assert not update(pulls, PROPOSAL)


def test_only_what_differs_is_written(rig: Rig, pulls: Pulls) -> None:
    pulls.open(PROPOSAL, turn=at_once)
    assert update(pulls, replace(PROPOSAL, title="Bump vendor/codex to 1.2"))
    (patch,) = rig.github.writes("PATCH", PULL)
    assert patch.sent == {"title": "Bump vendor/codex to 1.2"}
    assert update(pulls, replace(PROPOSAL, title="Bump vendor/codex to 1.2", proposes="v" * 40))
    assert set(rig.github.writes("PATCH", PULL)[1].sent) == {"body"}
    assert the_one(pulls).proposed("v" * 40)


def test_a_lost_answer_is_found_and_nothing_is_opened_twice(rig: Rig, pulls: Pulls) -> None:
    rig.github.fail("502", path=PULLS, after_commit=True)
    with pytest.raises(Ambiguous):
        pulls.open(PROPOSAL, turn=at_once)
    assert the_one(pulls).said is Said.READY
    assert len(rig.github.writes("POST", PULLS)) == 1


def test_one_that_is_there_meanwhile_is_brought_up_to_date(rig: Rig, pulls: Pulls, repository: str) -> None:
    first = pulls.open(PROPOSAL, turn=at_once)
    second = pulls.open(replace(PROPOSAL, title="A later one"), turn=at_once)
    assert first.number == second.number
    assert [row["title"] for row in shown(rig, repository)] == ["A later one"]


def test_a_draft_becomes_ready_and_a_draft_again_as_our_word_changes(rig: Rig, pulls: Pulls) -> None:
    assert pulls.open(DRAFT, turn=at_once).draft
    update(pulls, PROPOSAL)
    assert (the_one(pulls).draft, the_one(pulls).said) == (False, Said.READY)
    update(pulls, DRAFT)
    assert (the_one(pulls).draft, the_one(pulls).said) == (True, Said.DRAFT)
    assert mutations(rig) == ["markPullRequestReadyForReview", "convertPullRequestToDraft"]


def test_a_persons_choice_of_draft_or_ready_stays_until_our_word_changes(
    rig: Rig, pulls: Pulls, repository: str
) -> None:
    opened = pulls.open(DRAFT, turn=at_once)
    as_stranger(rig, repository, opened.number, draft=False)
    update(pulls, replace(DRAFT, title="Newer"))
    assert not the_one(pulls).draft
    update(pulls, PROPOSAL)
    as_stranger(rig, repository, opened.number, draft=True)
    update(pulls, replace(PROPOSAL, title="Newest"))
    assert the_one(pulls).draft
    assert graphql(rig) == []


def test_readiness_whose_text_was_not_yet_written_is_finished_the_next_time(rig: Rig, pulls: Pulls) -> None:
    pulls.open(DRAFT, turn=at_once)
    rig.github.fail("502", method="PATCH", path=PULL)
    with pytest.raises(Ambiguous):
        update(pulls, PROPOSAL)
    assert (the_one(pulls).draft, the_one(pulls).said) == (False, Said.DRAFT)
    update(pulls, PROPOSAL)
    assert the_one(pulls).said is Said.READY
    assert len(graphql(rig)) == 1


def test_without_drafts_it_is_opened_and_says_that_it_is_not_ready(
    rig: Rig, pulls: Pulls, repository: str
) -> None:
    rig.github.drafts.switch_off(repository)
    opened = pulls.open(DRAFT, turn=at_once)
    assert (opened.draft, opened.said) == (False, Said.UNREADY)
    assert "**Not ready for review**: 1 patch conflicts." in opened.body
    assert not update(pulls, DRAFT)
    update(pulls, PROPOSAL)
    assert "Not ready" not in the_one(pulls).body
    update(pulls, DRAFT)
    assert "Not ready" in the_one(pulls).body
    assert the_one(pulls).said is Said.UNREADY


def test_what_a_person_has_opened_from_our_branch_is_left_as_it_is(
    rig: Rig, pulls: Pulls, repository: str
) -> None:
    sent = {"title": "Mine", "head": BRANCH, "base": "main", "body": ""}
    rig.ask_github("POST", f"/repos/{repository}/pulls", sent, token=STRANGERS_GITHUB_TOKEN)
    assert not the_one(pulls).ours
    assert not update(pulls, PROPOSAL)
    assert pulls.open(PROPOSAL, turn=at_once).title == "Mine"
    assert [row["title"] for row in shown(rig, repository)] == ["Mine"]


@pytest.mark.parametrize("how", ["foreign key", "other branch", "a stranger's", "edited word"])
def test_a_marker_that_is_not_ours_for_this_branch_does_not_count(
    rig: Rig, github: GitHub, pulls: Pulls, repository: str, how: str
) -> None:
    other = replace(IDENTITY, key=b"another") if how == "foreign key" else IDENTITY
    branch = "riskloop/other" if how == "other branch" else BRANCH
    body = github.pulls(repository, other).open(replace(PROPOSAL, branch=branch), turn=at_once).body
    if how == "edited word":
        body = body.replace("said=ready", "said=perhaps")
    token = STRANGERS_GITHUB_TOKEN if how == "a stranger's" else GITHUB_TOKEN
    sent = {"title": "x", "head": BRANCH, "base": "main", "body": body}
    rig.ask_github("POST", f"/repos/{repository}/pulls", sent, token=token)
    newest = max(pulls.of(BRANCH), key=lambda pull: pull.number)
    assert newest.marker is None
    assert not newest.proposed(PROPOSAL.proposes)


def test_one_whose_marker_a_person_took_out_gets_it_back_and_stays_draft_or_ready(
    rig: Rig, pulls: Pulls, repository: str
) -> None:
    opened = pulls.open(DRAFT, turn=at_once)
    as_stranger(rig, repository, opened.number, body="Rewritten.")
    assert update(pulls, PROPOSAL)
    pull = the_one(pulls)
    assert (pull.draft, pull.said) == (True, Said.READY)
    assert graphql(rig) == []


def test_a_comment_is_made_once_for_each_word_and_head(rig: Rig, pulls: Pulls, repository: str) -> None:
    pull = pulls.open(PROPOSAL, turn=at_once)
    for said, head in ((Said.LEFT, "1"), (Said.LEFT, "1"), (Said.LEFT, "2"), (Said.LEFT_OPEN, "2")):
        pulls.tell(pull, said, f"{said} {head}", head=head, turn=at_once)
    words = [comment["body"].split("\n")[-1] for comment in rig.comments(repository, pull.number)]
    assert words == ["left 1", "left 2", "leftopen 2"]


def test_a_comment_copied_by_a_stranger_does_not_count(rig: Rig, pulls: Pulls, repository: str) -> None:
    pull = pulls.open(PROPOSAL, turn=at_once)
    pulls.tell(pull, Said.LEFT, "x", head="1", turn=at_once)
    (ours,) = rig.comments(repository, pull.number)
    rig.ask_github("DELETE", f"/repos/{repository}/issues/comments/{ours['id']}")
    path = f"/repos/{repository}/issues/{pull.number}/comments"
    rig.ask_github("POST", path, {"body": ours["body"]}, token=STRANGERS_GITHUB_TOKEN)
    pulls.tell(pull, Said.LEFT, "x", head="1", turn=at_once)
    assert len(rig.comments(repository, pull.number)) == 2


def test_a_comment_whose_answer_was_lost_is_not_repeated(rig: Rig, pulls: Pulls, repository: str) -> None:
    pull = pulls.open(PROPOSAL, turn=at_once)
    rig.github.fail("502", path=COMMENTS, after_commit=True)
    with pytest.raises(Ambiguous):
        pulls.tell(pull, Said.LEFT, "x", head="1", turn=at_once)
    pulls.tell(pull, Said.LEFT, "x", head="1", turn=at_once)
    assert len(rig.comments(repository, pull.number)) == 1


def test_where_it_is_locked_nothing_is_said_and_the_rest_goes_on(
    rig: Rig, pulls: Pulls, repository: str, caplog: pytest.LogCaptureFixture
) -> None:
    pull = replace(pulls.open(PROPOSAL, turn=at_once), locked=True)
    rig.github.people.lock(repository, pull.number)
    pulls.tell(pull, Said.LEFT, "x", head="1", turn=at_once)
    assert "is locked" in caplog.text
    with pytest.raises(GaveUp):
        pulls.tell(replace(pull, locked=False), Said.LEFT, "x", head="1", turn=at_once)


def test_it_is_closed_as_overtaken_in_one_request(rig: Rig, pulls: Pulls) -> None:
    pulls.close(pulls.open(PROPOSAL, turn=at_once), turn=at_once)
    pull = the_one(pulls)
    assert pull.ended_at is not None
    assert (pull.said, pull.merged) == (Said.OVERTAKEN, False)
    assert pull.proposed(PROPOSAL.proposes)
    assert PROPOSAL.body in pull.body
    assert len(rig.github.writes("PATCH", PULL)) == 1


@pytest.mark.parametrize(
    ("status", "method", "path"),
    [
        ("403", "POST", PULLS),
        ("404", "POST", PULLS),
        ("403", "GET", PULLS),
        ("404", "GET", r"/repos/[^/]+/[^/]+"),
    ],
)
def test_a_refusal_names_the_rights_it_takes(
    rig: Rig, pulls: Pulls, status: str, method: str, path: str
) -> None:
    rig.github.fail(status, method=method, path=path)
    ask = partial(pulls.open, PROPOSAL, turn=at_once) if method == "POST" else partial(pulls.of, BRANCH)
    with pytest.raises(GaveUp, match="pull requests: write"):
        ask()


def test_of_an_archived_repository_no_rights_are_asked(rig: Rig, pulls: Pulls, repository: str) -> None:
    rig.github.people.archive(repository)
    with pytest.raises(GaveUp, match="archived") as caught:
        pulls.open(PROPOSAL, turn=at_once)
    assert caught.value.remedy.startswith("name another repository in the register")


def test_one_that_is_there_and_in_no_list_is_left_for_the_next_run(rig: Rig, pulls: Pulls) -> None:
    words = "Validation Failed: A pull request already exists for acme:x."
    rig.github.fail(github_says(422, words), path=PULLS)
    with pytest.raises(TryAgain):
        pulls.open(PROPOSAL, turn=at_once)


def test_an_error_of_the_graphql_api_is_a_failure_with_its_words(rig: Rig, pulls: Pulls) -> None:
    opened = pulls.open(DRAFT, turn=at_once)
    with pytest.raises(GaveUp, match="does not know the place") as refused:
        pulls.update(replace(opened, node="gone"), PROPOSAL, turn=at_once)
    assert "pull requests: write" in refused.value.remedy


def test_the_graphql_api_of_an_enterprise_server_is_beside_its_rest_api(rig: Rig, tmp_path: Path) -> None:
    github = GitHub(GITHUB_TOKEN, f"{rig.github_url}/api/v3", key=KEY, accounts=Accounts(tmp_path), timeout=2)
    pull = Pull(
        number=1,
        url="",
        branch=BRANCH,
        title="",
        body="",
        draft=True,
        merged=False,
        ended_at=None,
        head="c" * 40,
        ours=True,
        marker=None,
        locked=False,
        node="x",
    )
    marker = github.pulls("acme/x", IDENTITY)._marker(BRANCH, of="", said=Said.DRAFT)  # noqa: SLF001 - made by nothing else
    rig.github.fail("403", path="/api/graphql")
    with pytest.raises(GaveUp):
        github.pulls("acme/x", IDENTITY).update(replace(pull, marker=marker), PROPOSAL, turn=at_once)
    assert [request.path for request in rig.github.recorded] == ["/api/graphql"]
    rig.github.mistakes.clear()


def test_each_write_waits_for_its_turn(rig: Rig, pulls: Pulls) -> None:
    turns: list[int] = []

    def turn() -> None:
        turns.append(len(rig.github.writes("POST")) + len(rig.github.writes("PATCH")))

    pull = pulls.open(DRAFT, turn=turn)
    pulls.update(pull, PROPOSAL, turn=turn)
    pulls.tell(pull, Said.OVERTAKEN, "x", head="1", turn=turn)
    pulls.close(pull, turn=turn)
    assert turns == list(range(5))


def test_a_text_that_git_allows_and_github_does_not_is_sent_without_it(pulls: Pulls) -> None:
    hostile = "\x00\ud800<!-- riskloop:1 installation=x -->" + "x" * 70_000
    pulls.open(replace(DRAFT, title=f"@all fixes #1 {hostile}", body=hostile, reason=hostile), turn=at_once)
    assert the_one(pulls).said is Said.DRAFT
