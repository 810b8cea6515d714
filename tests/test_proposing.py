"""What a look made ready becomes one pull request, whatever people and crashes do in between."""

import json
import os
import subprocess
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from riskloop.git import Mirror, Remote
from riskloop.measurements import Evidence, Look, Observation
from riskloop.proposals import Proposal
from riskloop.proposing import carry_out, git_address, propose
from riskloop.receipts import Receipt
from riskloop.risks import Mitigation
from riskloop.services import Services, open_services
from riskloop.settings import Settings, read_settings
from riskloop.speaking import open_github, turn_for
from tests.emulator.emulator import GITHUB_TOKEN, STRANGERS_GITHUB_TOKEN
from tests.emulator.rig import Rig
from tests.proxy.fates import Weather
from tests.proxy.faults import Fault, github_says
from tests.toys import LEAD, MITIGATION

BRANCH = f"riskloop/{MITIGATION.id}"
PULLS = r"/repos/[^/]+/[^/]+/pulls"

pytestmark = pytest.mark.server


def git(*arguments: str, folder: Path) -> str:
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "GIT_CONFIG_NOSYSTEM": "1",
        **{f"GIT_{role}_NAME": "Mia @all" for role in ("AUTHOR", "COMMITTER")},
        **{f"GIT_{role}_EMAIL": "mia@example.org" for role in ("AUTHOR", "COMMITTER")},
    }
    done = subprocess.run(
        ["git", *arguments], cwd=folder, env=environment, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


@dataclass(frozen=True, slots=True)
class Place:
    """A project, our mirror of it, its repository on the emulator, and the git of that."""

    folder: Path
    repository: str
    rig: Rig
    settings: Settings
    services: Services
    mirror: Mirror
    base: str

    @property
    def bare(self) -> Path:
        return self.folder / "git" / f"{self.repository}.git"

    def proposal(self, number: int = 1, **changes: Any) -> Proposal:
        """Make the commit that bumps to an upstream commit of that number, and propose it."""
        file = self.folder / f"new-{number}"
        file.write_text(f"version {number}\n", encoding="utf-8")
        commit = self.mirror.commit_files(
            self.base, branch=BRANCH, message=f"Bump to {number}", written={"file": (file, False)}, removed=[]
        )
        made = Proposal(
            branch=BRANCH,
            repository=self.mirror.path,
            commit=commit,
            base=self.base,
            proposes=f"{number}" * 40,
            title=f"Bump vendor/codex to {number}",
            body=f"To {number}.",
            ready=True,
        )
        return replace(made, **changes)

    def mitigation(self) -> Mitigation:
        owner = replace(LEAD, repository=self.repository or None)
        return replace(MITIGATION, risk=replace(MITIGATION.risk, owners=(owner,)))

    def nothing(self, reason: str = "the pin is up to date") -> Proposal:
        return Proposal(branch=BRANCH, repository=self.mirror.path, reason=reason)

    def carry_out(self, proposal: Proposal | None, *, services: Services | None = None) -> Receipt | None:
        observation = Observation(measurements=(), evidence=Evidence(summary=""), proposal=proposal)
        look = Look(mitigation=MITIGATION.id, at=datetime.now(UTC), observation=observation)
        return carry_out(services or self.services, self.mitigation(), look).receipt

    def done(self, proposal: Proposal) -> Receipt:
        """Carry a proposal out, which is to work."""
        receipt = self.carry_out(proposal)
        assert receipt is not None
        assert not receipt.failed, receipt.says
        return receipt

    def pulls(self) -> list[dict[str, Any]]:
        """List every pull request, the oldest first."""
        path = f"/repos/{self.repository}/pulls?state=all&direction=asc"
        rows: list[dict[str, Any]] = self.rig.ask_github("GET", path)
        return rows

    def states(self) -> list[str]:
        return [pull["state"] for pull in self.pulls()]

    def comments(self, number: int) -> list[str]:
        return [comment["body"] for comment in self.rig.comments(self.repository, number)]

    def there(self) -> str:
        """Give the branch's commit in the repository."""
        return git("rev-parse", f"refs/heads/{BRANCH}", folder=self.bare)

    def person_closes(self, number: int) -> None:
        path = f"/repos/{self.repository}/pulls/{number}"
        self.rig.ask_github("PATCH", path, {"state": "closed"}, token=STRANGERS_GITHUB_TOKEN)

    def person_merges(self, number: int) -> None:
        path = f"/repos/{self.repository}/pulls/{number}/merge"
        self.rig.ask_github("PUT", path, {}, token=STRANGERS_GITHUB_TOKEN)

    def person_reopens(self, number: int) -> None:
        path = f"/repos/{self.repository}/pulls/{number}"
        self.rig.ask_github("PATCH", path, {"state": "open"}, token=STRANGERS_GITHUB_TOKEN)

    def person_commits(self, subject: str = "Mend the test, fixes #1") -> str:
        theirs = self.folder / "theirs"
        if not theirs.exists():
            git("clone", "--quiet", str(self.bare), str(theirs), folder=self.folder)
        git("fetch", "--quiet", "origin", folder=theirs)
        git("checkout", "--quiet", "-B", BRANCH, f"origin/{BRANCH}", folder=theirs)
        git("commit", "--quiet", "--allow-empty", "--message", subject, folder=theirs)
        git("push", "--quiet", "origin", BRANCH, folder=theirs)
        return git("rev-parse", "HEAD", folder=theirs)


@pytest.fixture
def place(tmp_path: Path, rig: Rig, repository: str) -> Iterator[Place]:
    project = tmp_path / "project"
    project.mkdir()
    git("init", "--quiet", "--initial-branch=main", folder=project)
    (project / "file").write_text("version 0\n", encoding="utf-8")
    git("add", "--all", folder=project)
    git("commit", "--quiet", "--message", "Begin", folder=project)
    bare = tmp_path / "git" / f"{repository}.git"
    bare.parent.mkdir(parents=True)
    git("clone", "--quiet", "--bare", str(project), str(bare), folder=tmp_path)
    settings = replace(
        read_settings({}, register=project / "riskloop.yaml"),
        github_token=SecretStr(GITHUB_TOKEN),
        github_url=rig.github_url,
        github_git_url=str(tmp_path / "git"),
        write_interval_seconds=0.0,
    )
    mirror = Mirror(state=settings.state, source=str(project))
    with open_services(settings) as services:
        base = mirror.fetch_head()
        assert base is not None
        yield Place(tmp_path, repository, rig, settings, services, mirror, base)


def test_a_look_that_made_nothing_ready_stays_as_it_is(place: Place) -> None:
    assert place.carry_out(None) is None
    assert place.rig.github.recorded == []


def test_the_branch_is_pushed_and_its_pull_request_opened_once_however_often_it_is_run(place: Place) -> None:
    proposal = place.proposal()
    first, again = place.done(proposal), place.done(proposal)
    (pull,) = place.pulls()
    assert first.url == again.url == pull["html_url"]
    assert (first.says, again.says) == (f"#{pull['number']} proposes it", f"#{pull['number']} is up to date")
    assert place.there() == proposal.commit
    assert len(place.rig.github.writes("POST")) == 1
    assert place.rig.github.writes("PATCH") == []


def test_the_next_proposal_updates_branch_and_pull_request_in_place(place: Place) -> None:
    place.done(place.proposal(1))
    newer = place.proposal(2, ready=False, reason="1 patch conflicts")
    receipt = place.done(newer)
    (pull,) = place.pulls()
    assert receipt.says == f"#{pull['number']} was brought up to date, not ready for review"
    assert (pull["title"], pull["draft"]) == ("Bump vendor/codex to 2", True)
    assert place.there() == newer.commit


@pytest.mark.parametrize("lacking", ["repository", "token"])
def test_without_repository_or_token_nothing_is_proposed_and_the_receipt_says_so(
    place: Place, lacking: str
) -> None:
    if lacking == "repository":
        place = replace(place, repository="")
    else:
        services = replace(place.services, settings=replace(place.settings, github_token=None))
        place = replace(place, services=services)
    receipt = place.done(place.proposal())
    assert receipt.says.startswith("nothing is proposed without")
    assert lacking in receipt.says
    assert receipt.url == ""
    assert place.done(place.nothing()) == Receipt()
    assert place.rig.github.recorded == []


def test_a_persons_commits_are_never_overwritten_and_one_comment_says_so(place: Place) -> None:
    place.done(place.proposal(1))
    theirs = place.person_commits()
    for _ in range(2):
        receipt = place.done(place.proposal(2))
        assert "is no longer updated" in receipt.says
        assert theirs[:12] in receipt.says
    (pull,) = place.pulls()
    assert place.there() == theirs
    assert pull["title"] == "Bump vendor/codex to 1"
    (comment,) = place.comments(pull["number"])
    assert theirs[:12] in comment
    assert "Bump vendor/codex to 2" in comment
    assert "@all" not in comment
    assert "fixes #1" not in comment
    newest = place.person_commits("More")
    place.done(place.proposal(3))
    assert len(place.comments(pull["number"])) == 2
    assert place.there() == newest


def test_a_persons_commits_without_a_pull_request_are_left_and_named(place: Place) -> None:
    place.done(place.proposal(1))
    place.person_closes(1)
    theirs = place.person_commits()
    receipt = place.done(place.proposal(2))
    assert "is not overwritten" in receipt.says
    assert receipt.url == ""
    assert place.there() == theirs
    assert place.states() == ["closed"]


def test_a_persons_commits_that_were_merged_as_one_are_not_in_the_way_of_the_next_proposal(
    place: Place,
) -> None:
    place.done(place.proposal(1))
    theirs = place.person_commits()
    place.rig.github.heads.put(place.repository, 1, theirs)
    place.person_merges(1)
    newer = place.proposal(2)
    assert place.done(newer).says == "#2 proposes it"
    assert place.there() == newer.commit
    assert place.states() == ["closed", "open"]


def test_what_a_person_adds_after_the_merge_is_left_and_named(place: Place) -> None:
    place.done(place.proposal(1))
    place.rig.github.heads.put(place.repository, 1, place.person_commits())
    place.person_merges(1)
    theirs = place.person_commits("One more")
    assert "is not overwritten" in place.done(place.proposal(2)).says
    assert place.there() == theirs


@pytest.mark.parametrize("how", ["closed", "merged"])
def test_what_a_person_decided_is_not_proposed_again_and_nothing_is_pushed(place: Place, how: str) -> None:
    place.done(place.proposal(1))
    if how == "merged":
        place.person_merges(1)
    else:
        place.person_closes(1)
    git("update-ref", "-d", f"refs/heads/{BRANCH}", folder=place.bare)
    receipt = place.done(place.proposal(1))
    assert receipt.says.startswith(f"#1, {how} on ")
    assert receipt.says.endswith("proposed the same")
    assert git("branch", "--list", "riskloop/*", folder=place.bare) == ""
    assert place.states() == ["closed"]
    place.done(place.proposal(2))
    assert place.states() == ["closed", "open"]


def test_what_was_closed_is_proposed_again_where_a_person_has_decided_it_anew(place: Place) -> None:
    proposal = place.proposal()
    place.done(proposal)
    place.person_closes(1)
    for _ in range(2):
        propose(place.services, place.mitigation(), proposal, again=True)
    assert place.states() == ["closed", "open"]


def test_what_is_overtaken_is_closed_with_one_comment_and_may_be_proposed_again(place: Place) -> None:
    place.done(place.proposal(1))
    for _ in range(2):
        receipt = place.carry_out(place.nothing())
        assert receipt is not None
    (comment,) = place.comments(1)
    assert "the pin is up to date" in comment
    assert place.states() == ["closed"]
    assert receipt == Receipt()
    place.done(place.proposal(1))
    assert place.states() == ["closed", "open"]


def test_commits_of_the_project_that_nobody_pushed_are_not_published_with_a_branch_of_ours(
    place: Place,
) -> None:
    project = place.folder / "project"
    git("commit", "--quiet", "--allow-empty", "--message", "Not for everybody", folder=project)
    base = place.mirror.fetch_head()
    assert base is not None
    receipt = place.carry_out(replace(place, base=base).proposal())
    assert receipt is not None
    assert receipt.failed
    assert f"stands at {base[:12]} here, which main of" in receipt.says
    assert place.pulls() == []
    assert BRANCH not in git("branch", "--list", folder=place.bare)
    git("push", "--quiet", str(place.bare), "main", folder=project)
    assert place.done(replace(place, base=base).proposal()).says == "#1 proposes it"


def test_while_something_stands_in_the_way_an_open_pull_request_stays_as_it_was_and_is_named(
    place: Place,
) -> None:
    stands = replace(place.nothing("files are not committed"), stands=True)
    assert place.done(stands) == Receipt(says="nothing is proposed: files are not committed")
    opened = place.done(place.proposal())
    before = place.pulls()
    assert place.done(stands) == Receipt(says="#1 stays as it was: files are not committed", url=opened.url)
    assert place.pulls() == before
    assert place.comments(1) == []


def test_what_is_overtaken_and_has_a_persons_commits_stays_open_with_one_comment(place: Place) -> None:
    place.done(place.proposal(1))
    theirs = place.person_commits()
    for _ in range(2):
        assert "left open" in place.done(place.nothing()).says
    assert place.states() == ["open"]
    assert len(place.comments(1)) == 1
    assert place.there() == theirs


def test_what_is_overtaken_and_was_opened_again_by_a_person_is_left_open(place: Place) -> None:
    place.done(place.proposal(1))
    place.done(place.nothing())
    place.person_reopens(1)
    assert "opened it again" in place.done(place.nothing()).says
    assert place.states() == ["open"]


def test_a_person_who_opens_it_from_our_branch_first_keeps_it(place: Place) -> None:
    sent = {"title": "Mine", "head": BRANCH, "base": "main", "body": ""}
    token = STRANGERS_GITHUB_TOKEN
    place.rig.ask_github("POST", f"/repos/{place.repository}/pulls", sent, token=token)
    assert "a person's own" in place.done(place.proposal(1)).says
    assert place.done(place.nothing()) == Receipt()
    (pull,) = place.pulls()
    assert (pull["title"], pull["state"]) == ("Mine", "open")


def test_killed_between_push_and_post_the_next_run_opens_it(place: Place) -> None:
    proposal = place.proposal()
    source = str(place.bare)
    remote = Remote(state=place.settings.state, source=source, repository=proposal.repository)
    remote.replace(BRANCH, proposal.commit, base=proposal.base)
    place.done(place.proposal(2))
    assert [pull["title"] for pull in place.pulls()] == ["Bump vendor/codex to 2"]


def test_killed_between_post_and_whatever_follows_nothing_is_opened_twice(place: Place) -> None:
    proposal = place.proposal()
    github = open_github(place.services)
    assert github is not None
    turn = turn_for(place.services, "github", place.repository)
    github.pulls(place.repository, place.services.identity).open(proposal, turn=turn)
    place.done(proposal)
    assert place.states() == ["open"]


def test_killed_between_comment_and_closing_the_next_run_closes_without_another(place: Place) -> None:
    place.done(place.proposal())
    place.rig.github.fail("502", method="PATCH", path=rf"{PULLS}/\d+")
    failed = place.carry_out(place.nothing())
    assert failed is not None
    assert failed.failed
    place.done(place.nothing())
    assert place.states() == ["closed"]
    assert len(place.comments(1)) == 1


@pytest.mark.parametrize("fault", ["502 before", "502 after", "reset after"])
def test_a_lost_answer_fails_the_receipt_and_the_next_run_finds_what_was_done(
    place: Place, fault: str
) -> None:
    place.rig.github.fail(fault, path=PULLS)
    receipt = place.carry_out(place.proposal())
    assert receipt is not None
    assert receipt.failed
    assert "the next run looks again before it sends anything" in receipt.says
    assert receipt.failure is None
    place.done(place.proposal())
    assert place.states() == ["open"]


@pytest.mark.parametrize("passing", range(17))
def test_whichever_request_is_cut_off_running_it_again_comes_to_the_same_end(
    place: Place, passing: int
) -> None:
    place.rig.github.fail("reset after", method="", passing=passing)
    for step in (place.proposal(1, ready=False), place.proposal(2), place.nothing()):
        receipt = place.carry_out(step)
        assert place.states().count("open") <= 1
        if receipt is None or receipt.failed:
            place.done(step)
    assert place.states() == ["closed"]
    assert len(place.comments(1)) == 1
    (pull,) = place.pulls()
    assert (pull["title"], pull["draft"]) == ("Bump vendor/codex to 2", False)


def test_two_workers_at_once_have_one_pull_request(place: Place) -> None:
    proposal = place.proposal()
    place.rig.github.disturb(Weather(seed=1, latency=(0.0, 0.1)))
    gate = threading.Barrier(2)
    receipts: list[Receipt | None] = []

    def work() -> None:
        with open_services(place.settings) as services:
            gate.wait(timeout=20)
            receipts.append(place.carry_out(proposal, services=services))

    workers = [threading.Thread(target=work) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [receipt and receipt.failed for receipt in receipts] == [False, False]
    assert place.states() == ["open"]
    assert place.there() == proposal.commit


def test_a_refused_push_fails_the_receipt_with_the_right_that_is_missing(place: Place) -> None:
    hook = place.bare / "hooks" / "pre-receive"
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    receipt = place.carry_out(place.proposal())
    assert receipt is not None
    assert receipt.failed
    assert "contents: write" in receipt.says
    assert place.states() == []


def test_a_refused_request_fails_the_receipt_with_the_right_that_is_missing(place: Place) -> None:
    place.rig.github.fail("403", path=PULLS)
    receipt = place.carry_out(place.proposal())
    assert receipt is not None
    assert receipt.failed
    assert "pull requests: write" in receipt.says


def test_a_repository_that_was_renamed_is_found_by_its_new_name_also_by_git(place: Place) -> None:
    now, old, proposal = place.repository, "acme/called-otherwise-once", place.proposal()
    moved = github_says(301, "Moved Permanently", Location=f"{place.rig.github_url}/repositories/17")
    place.rig.github.fail(moved, method="GET", path=f"/repos/{old}", times=2)
    named = Fault(status=200, body=json.dumps({"full_name": now}))
    place.rig.github.fail(named, method="GET", path="/repositories/17")
    receipt = replace(place, repository=old).done(proposal)
    assert receipt.says == "#1 proposes it"
    assert f"/{now}/" in receipt.url
    assert place.there() == proposal.commit


def test_a_bug_fails_the_receipt_and_is_kept_to_be_raised(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    receipt = place.carry_out(place.proposal(title=7))
    assert receipt is not None
    assert receipt.failed
    assert isinstance(receipt.failure, AttributeError)
    assert "unexpected failure" in caplog.text


def test_our_token_is_in_no_pull_request_and_no_comment(place: Place) -> None:
    title, body = f"Bump with {GITHUB_TOKEN}", f"It says {GITHUB_TOKEN}."
    place.done(place.proposal(1, title=title, body=body))
    place.done(place.nothing(f"{GITHUB_TOKEN} is up to date"))
    (pull,) = place.pulls()
    assert GITHUB_TOKEN not in f"{pull['title']} {pull['body']} {place.comments(1)}"


@pytest.mark.parametrize(
    ("settings", "address"),
    [
        ({}, "https://github.com"),
        ({"RISKLOOP_GITHUB_URL": "https://git.example.com/api/v3"}, "https://git.example.com"),
        ({"RISKLOOP_GITHUB_GIT_URL": "https://mirror.example.com"}, "https://mirror.example.com"),
    ],
)
def test_git_is_where_the_api_is(tmp_path: Path, settings: Mapping[str, str], address: str) -> None:
    assert git_address(read_settings(dict(settings), register=tmp_path / "riskloop.yaml")) == address
