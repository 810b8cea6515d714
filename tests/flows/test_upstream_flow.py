"""The weekly look at vendored code: what it finds is told, the bump proposed once, or a person passes it."""

import subprocess
from pathlib import Path

import pytest

from tests.flows.looping import Team
from tests.mitigations.vendoring import FOLDER, MITIGATION, PIN_FILE, Vendoring

pytestmark = pytest.mark.server

BRANCH = f"riskloop/{MITIGATION}"


def register_of(
    team: Team, there: Vendoring, *, commits: str, gate: str = "[[test, -f, vendor/lib.pin]]"
) -> str:
    """Write the register of a team that vendors a library.

    Args:
        commits: the threshold of `commits_behind`.
    """
    return f"""
project: {team.repository}
github: {{repository: {team.repository}}}
slack: {{channel: {team.channel}}}
owners:
  SDK Lead: {{github: octo-lead, slack: U024BE7LH}}
service: {{owner: SDK Lead}}
risks:
  - id: vendored-lib
    title: The library drifts away
    likelihood: medium
    impact: high
    owner: SDK Lead
    mitigations:
      - kind: upstream_drift
        path: {FOLDER}
        upstream: {there.upstream.path}
        pin: {PIN_FILE}
        bump: pull_request
        gate: {gate}
        thresholds:
          commits_behind: {commits}
"""


@pytest.fixture
def there(team: Team, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Vendoring:
    """Give a project that vendors a library which is two commits ahead, and where git finds it on GitHub."""
    made = Vendoring(tmp_path / "vendoring")
    made.vendor()
    made.upstream.commit({"src/new.txt": "1\n"}, message="Say one", days_ago=20)
    made.upstream.commit({"src/new.txt": "2\n"}, message="Say two", days_ago=10)
    team.project = made.project.path
    team.register(register_of(team, made, commits="{warning: 1}"))
    made.project.commit(message="Register it")
    monkeypatch.setenv("RISKLOOP_REGISTER", str(team.project / "riskloop.yaml"))
    monkeypatch.setenv("RISKLOOP_ALLOWED_ROOTS", str(tmp_path))
    monkeypatch.setenv("RISKLOOP_GITHUB_GIT_URL", str(tmp_path / "git"))
    remote = tmp_path / "git" / f"{team.repository}.git"
    subprocess.run(["git", "clone", "--quiet", "--bare", str(team.project), str(remote)], check=True)
    # The emulator's API knows nothing of what is pushed there.
    team.rig.make_branch(team.repository, BRANCH)
    return made


def pulls(team: Team) -> list[dict[str, object]]:
    found: list[dict[str, object]] = team.rig.ask_github("GET", f"/repos/{team.repository}/pulls?state=all")
    return found


def test_the_bump_is_proposed_once_and_the_issue_leads_to_it(team: Team, there: Vendoring) -> None:
    ended = team.run("upstream_drift")
    assert (ended.type, ended.name) == ("COMPLETED", "Breached"), ended.message
    (pull,) = pulls(team)
    (issue,) = team.issues()
    assert f"](<{pull['html_url']}>)" in issue["body"].partition("### What to do\n\n- ")[2].partition("\n")[0]
    (page,) = team.artifacts("markdown")
    assert str(pull["html_url"]) in page["data"]
    (table,) = team.artifacts("table")
    assert str(pull["html_url"]) in table["data"]
    assert team.told() == (["open"], 0, 1, 0)
    # What is told changes once more: the pull request is up to date, and no longer new.
    team.run("upstream_drift")
    written = team.writes()
    team.run("upstream_drift")
    assert team.writes() == written
    assert team.told() == (["open"], 0, 1, 0)
    assert len(pulls(team)) == 1


def test_a_dry_run_proposes_stores_and_tells_nothing(team: Team, there: Vendoring) -> None:
    ended = team.run("upstream_drift", dry_run=True)
    assert ended.type == "COMPLETED", ended.message
    assert (pulls(team), team.writes()) == ([], 0)
    (page,) = team.artifacts("markdown")
    assert "would be proposed" in page["data"]


def test_acknowledging_closes_the_incident_with_the_name_and_the_reason(team: Team, there: Vendoring) -> None:
    team.run("upstream_drift")
    commit = there.upstream.head[:12]
    given = {"mitigation": MITIGATION, "commit": commit, "who": "Ada", "reason": "only their website"}
    ended = team.run("acknowledge_upstream", **given)
    assert ended.type == "COMPLETED", ended.message
    says = f"upstream acknowledged up to {commit} by Ada: only their website"
    assert str(ended.message).startswith(f"{says}; ")
    assert team.told() == (["closed"], 1, 1, 1)
    for said in (*team.comments(), *team.replies()):
        assert says in said
    assert team.run("upstream_drift").name == "Completed"
    assert team.told() == (["closed"], 1, 1, 1)


def test_an_acknowledgement_that_is_refused_ends_the_run_with_the_reason(
    team: Team, there: Vendoring
) -> None:
    given = {"mitigation": MITIGATION, "commit": "0" * 40, "who": "Ada", "reason": "so"}
    ended = team.run("acknowledge_upstream", **given)
    assert ended.type == "FAILED"
    assert "is no commit of main" in str(ended.message)
    assert team.writes() == 0


def test_what_could_not_be_proposed_fails_the_run_and_is_told_although_every_number_is_fine(
    team: Team, there: Vendoring, tmp_path: Path
) -> None:
    team.register(register_of(team, there, commits="{warning: 100}"))
    remote = tmp_path / "git" / f"{team.repository}.git"
    remote.rename(tmp_path / "away.git")
    ended = team.run("upstream_drift")
    assert (ended.type, ended.message) == ("FAILED", f"could not propose: {MITIGATION}")
    (issue,) = team.issues()
    assert "it could not be proposed: " in issue["body"]
    (tmp_path / "away.git").rename(remote)
    assert team.run("upstream_drift").name == "Completed"
    assert team.told() == (["closed"], 1, 1, 1)
    assert len(pulls(team)) == 1


def test_a_kind_without_a_mitigation_has_nothing_to_do(team: Team) -> None:
    ended = team.run("upstream_drift")
    assert (ended.name, ended.message) == ("Completed", "0 looked at, all within their thresholds")
