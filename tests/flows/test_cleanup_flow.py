"""Staged files past their time go every night, by a plan; more than is usual only if somebody approves."""

import json
import re
import time
from pathlib import Path

import pytest

from riskloop.mitigations.ttl_cleanup.grounds import standing_on
from riskloop.mitigations.ttl_cleanup.marking import mark
from tests.flows.looping import Team
from tests.waiting import wait_until

pytestmark = pytest.mark.server

MITIGATION = "staged.ttl_cleanup"


def register_of(team: Team, *, more: str = "", thresholds: str = "{expired_files: {warning: 1}}") -> str:
    """Write the register of a team whose attachments stay for a second."""
    return f"""
project: {team.repository}
github: {{repository: {team.repository}}}
slack: {{channel: {team.channel}}}
owners:
  Platform: {{github: octo-lead, slack: U024BE7LH}}
service: {{owner: Platform}}
risks:
  - id: staged
    title: Attachments pile up
    likelihood: medium
    impact: high
    owner: Platform
    mitigations:
      - kind: ttl_cleanup
        directory: staging
        ttl: 1s
        min_age: 1s
        {more}
        thresholds: {thresholds}
"""


@pytest.fixture
def staged(team: Team) -> Path:
    """Give a marked directory with ten files whose time is over."""
    team.write({f"staging/{number}.bin": f"{number}" for number in range(10)})
    folder = team.project / "staging"
    with standing_on(team.project, Path("staging")) as ground:
        mark(ground, state=team.state)
    wait_until(
        lambda: time.time() > max(file.stat().st_ctime for file in folder.glob("*.bin")) + 1,
        within=10,
        what="the files are a second old",
    )
    return folder


def left(folder: Path) -> int:
    return len([*folder.glob("*.bin")])


def test_what_is_past_its_time_goes_and_whether_it_helped_is_measured(team: Team, staged: Path) -> None:
    team.register(register_of(team, more="limit: {fraction: 1}"))
    ended = team.run("ttl_cleanup")
    assert (ended.type, ended.message) == ("COMPLETED", "1 looked at, all within their thresholds")
    assert left(staged) == 0
    assert team.told() == ([], 0, 0, 0)
    (page,) = team.artifacts("markdown")
    assert "moved 10 files of 10 bytes to the quarantine" in page["data"]
    assert "riskloop cleanup restore" in page["data"]
    (table,) = team.artifacts("table")
    assert "moved 10 files" in json.loads(table["data"])[0]["done"]


def test_a_dry_run_plans_and_changes_and_tells_nothing(team: Team, staged: Path) -> None:
    team.register(register_of(team, more="limit: {fraction: 1}"))
    team.run("ttl_cleanup", dry_run=True)
    assert left(staged) == 10
    assert team.told() == ([], 0, 0, 0)
    (page,) = team.artifacts("markdown")
    assert "10 files of 10 bytes would be removed" in page["data"]


def test_what_stands_against_it_fails_the_run_and_is_told(team: Team, staged: Path) -> None:
    team.register(register_of(team, more="limit: {fraction: 1}"))
    (staged / ".riskloop-cleanup/marker").unlink()
    ended = team.run("ttl_cleanup")
    assert (ended.type, ended.message) == ("FAILED", f"could not be carried out: {MITIGATION}")
    assert left(staged) == 10
    (issue,) = team.issues()
    assert "riskloop cleanup init" in issue["body"]
    assert team.told() == (["open"], 0, 1, 0)


def test_with_cleanup_off_the_owner_is_alerted_all_the_same(team: Team, staged: Path) -> None:
    team.register(register_of(team, more="delete: false", thresholds="{staged_bytes: {warning: 5B}}"))
    ended = team.run("ttl_cleanup")
    assert (ended.type, ended.name) == ("COMPLETED", "Breached")
    assert left(staged) == 10
    (issue,) = team.issues()
    assert "staged bytes" in issue["title"]


def test_over_the_limit_nothing_goes_until_a_person_approves_and_then_just_that(
    team: Team, staged: Path
) -> None:
    team.register(register_of(team))
    team.run("ttl_cleanup")
    assert left(staged) == 10
    asked = [issue for issue in team.issues() if "10 of 10 files are 100 %" in issue["body"]]
    assert len(asked) == 1
    (approval,) = set(re.findall(r"approvals approve (\w{12})", asked[0]["body"]))
    team.run("ttl_cleanup")
    assert len([issue for issue in team.issues() if "10 of 10 files are 100 %" in issue["body"]]) == 1
    team.write({"staging/late.bin": "late"})
    (staged / "0.bin").write_text("changed since")
    given = {"approval": approval, "decision": "approve", "who": "Mia", "why": "they are all copied"}
    ended = team.run("decide_approval", **given)
    assert ended.type == "COMPLETED", ended.message
    assert sorted(file.name for file in staged.glob("*.bin")) == ["0.bin", "late.bin"]
    assert {issue["state"] for issue in team.issues() if issue["number"] == asked[0]["number"]} == {"closed"}
    assert any("Mia" in words for words in team.comments())
