"""A person decides by a form what a plan may do; the rounds remind, end it, and finish what was killed."""

import re
import sqlite3
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from riskloop.mitigations.ttl_cleanup.grounds import standing_on
from riskloop.mitigations.ttl_cleanup.marking import mark
from tests.flows.looping import Team
from tests.waiting import wait_until

pytestmark = pytest.mark.server

MITIGATION = "staged.ttl_cleanup"
REGISTER = """
project: {repository}
github: {{repository: {repository}}}
slack: {{channel: {channel}}}
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
        approval: always
        thresholds: {{expired_files: {{warning: 1}}}}
"""


@pytest.fixture
def staged(team: Team) -> Path:
    """Give a directory with three files that are to go once a person has approved it, and ask for that."""
    team.register(REGISTER.format(repository=team.repository, channel=team.channel))
    team.write({f"staging/{number}.bin": f"{number}" for number in range(3)})
    folder = team.project / "staging"
    with standing_on(team.project, Path("staging")) as ground:
        mark(ground, state=team.state)
    wait_until(
        lambda: time.time() > max(file.stat().st_ctime for file in folder.glob("*.bin")) + 1,
        within=10,
        what="the files are a second old",
    )
    team.run("ttl_cleanup")
    return folder


def left(folder: Path) -> int:
    return len([*folder.glob("*.bin")])


def asking(team: Team) -> tuple[str, str, list[str]]:
    """Give the state and the text of the issue that asks, and its comments."""
    (issue,) = [one for one in team.issues() if "to be decided about" in one["title"]]
    comments = team.rig.comments(team.repository, issue["number"])
    return issue["state"], issue["body"], [comment["body"] for comment in comments]


def change(team: Team, **values: object) -> None:
    """Change the approval in the store; a moment is given as hours from now."""
    columns = ", ".join(f"{name} = ?" for name in values)
    now = datetime.now(UTC)
    moments = [
        f"{now + timedelta(hours=value):%Y-%m-%d %H:%M:%S.%f}" if isinstance(value, float) else value
        for value in values.values()
    ]
    with sqlite3.connect(team.state / "riskloop.sqlite") as store:
        store.execute(f"UPDATE approvals SET {columns}", moments)


def decide(team: Team, decision: str, *, approval: str = MITIGATION) -> tuple[str, str]:
    ended = team.run("decide_approval", approval=approval, decision=decision, who="Mia", why="all copied")
    return str(ended.type.value), str(ended.message)


def test_approved_it_is_carried_out_looked_at_again_and_told_everywhere(team: Team, staged: Path) -> None:
    state, body, _ = asking(team)
    assert state == "open"
    (approval,) = set(re.findall(r"approvals (?:approve|reject) (\w{12})", body))
    ended, said = decide(team, "approve", approval=approval)
    assert ended == "COMPLETED"
    assert said.startswith("approved by Mia: all copied; moved 3 files")
    assert left(staged) == 0
    state, _, comments = asking(team)
    assert (state, len(comments)) == ("closed", 1)
    assert said in comments[0].replace("\u200b", "")
    states = {issue["state"] for issue in team.issues()}
    assert states == {"closed"}, "the look that follows finds it well"
    assert any("all copied" in reply for reply in team.replies())


def test_rejected_nothing_goes_and_a_second_decision_hears_of_the_first(team: Team, staged: Path) -> None:
    assert decide(team, "reject") == ("COMPLETED", "rejected by Mia: all copied; nothing was changed")
    assert left(staged) == 3
    assert asking(team)[0] == "closed"
    written = team.writes()
    ended, said = decide(team, "approve")
    assert ended == "FAILED"
    assert "cannot be decided any more: Mia rejected it on" in said
    assert "Traceback" not in said
    assert (left(staged), team.writes()) == (3, written)


def test_what_is_unknown_fails_with_the_sentence(team: Team, staged: Path) -> None:
    ended, said = decide(team, "approve", approval="nothing")
    assert (ended, said) == (
        "FAILED",
        "nothing waits for a decision under 'nothing'; see what does: riskloop approvals",
    )
    assert left(staged) == 3


def test_a_round_reminds_and_at_the_deadline_aborts_aloud_and_the_next_run_asks_again(
    team: Team, staged: Path
) -> None:
    change(team, asked_at=-12.5, deadline=11.5)
    team.run("follow_up")
    team.run("follow_up")
    assert [("no decision yet" in comment) for comment in asking(team)[2]] == [True]
    change(team, asked_at=-24.5, deadline=-0.5)
    team.run("follow_up")
    team.run("follow_up")
    state, _, comments = asking(team)
    assert (state, len(comments)) == ("open", 2)
    assert "nobody decided by" in comments[1]
    assert "aborted, nothing was changed" in comments[1]
    assert left(staged) == 3
    assert any("aborted, nothing was changed" in reply for reply in team.replies())
    team.run("ttl_cleanup")
    state, _, comments = asking(team)
    assert (state, len(comments)) == ("open", 3)
    assert "asked again" in comments[2]


def test_what_was_approved_by_a_run_that_was_killed_is_carried_out_by_the_next_round(
    team: Team, staged: Path
) -> None:
    change(team, state="approved", decision="approve", who="Mia", why="all copied", decided_at=-0.1)
    ended = team.run("follow_up")
    assert ended.name == "Completed"
    assert left(staged) == 0
    state, _, comments = asking(team)
    assert (state, len(comments)) == ("closed", 1)
    assert "approved by Mia: all copied; moved 3 files" in comments[0].replace("\u200b", "")
    written = team.writes()
    team.run("follow_up")
    assert team.writes() == written


def test_what_could_not_be_carried_out_fails_the_run_and_says_so(team: Team, staged: Path) -> None:
    (staged / ".riskloop-cleanup/marker").unlink()
    ended, said = decide(team, "approve")
    assert ended == "FAILED"
    assert said.startswith("approved by Mia: all copied; it could not be carried out: ")
    assert "riskloop cleanup init" in said
    state, _, comments = asking(team)
    assert state == "open"
    assert "it could not be carried out" in comments[-1]
