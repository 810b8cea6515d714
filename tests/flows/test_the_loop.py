"""The whole loop on one kind: a drift becomes one issue and one message, and both go with it."""

import pytest

from tests.flows.looping import MITIGATION, Team

pytestmark = pytest.mark.server


def test_a_drift_opens_one_issue_and_one_message_and_a_second_run_writes_nothing_more(team: Team) -> None:
    assert team.look().name == "Completed"
    assert team.told() == ([], 0, 0, 0)
    team.record(a="2")
    team.look()
    assert team.told() == (["open"], 0, 1, 0)
    written = team.writes()
    assert written
    team.look()
    assert team.told() == (["open"], 0, 1, 0)
    assert team.writes() == written


def test_a_worse_drift_edits_both_and_comments_once(team: Team) -> None:
    team.record(a="2")
    team.look()
    (before,) = team.issues()
    team.record(b="2")
    team.look()
    team.look()
    (after,) = team.issues()
    assert team.told() == (["open"], 1, 1, 1)
    assert "severity:warning" in {label["name"] for label in before["labels"]}
    assert "severity:critical" in {label["name"] for label in after["labels"]}
    assert before["body"] != after["body"]
    assert "from warning to critical" in team.comments()[0]


def test_adopting_closes_both_with_the_name_and_the_reason(team: Team) -> None:
    team.record(a="2")
    team.look()
    ended = team.run("adopt_fixtures", mitigation=MITIGATION, who="Ada", reason="SDK 2 says 2")
    assert ended.name == "Completed"
    assert (team.project / "fixtures" / "a.txt").read_text(encoding="utf-8") == "2\n"
    assert team.told() == (["closed"], 1, 1, 1)
    for said in (*team.comments(), *team.replies()):
        assert "adopted by Ada: SDK 2 says 2" in said
    (issue,) = team.rig.issues(team.repository)
    assert "What was done about it" in issue["body"]
    assert "SDK 2 says 2" in issue["body"].split("What was done about it")[1]
    written = team.writes()
    assert team.look().name == "Completed"
    assert team.writes() == written


def test_undoing_the_drift_closes_both_and_the_next_one_is_a_new_issue_that_names_the_last(
    team: Team,
) -> None:
    team.record(a="2")
    team.look()
    team.record(a="1")
    assert team.look().name == "Completed"
    assert team.told() == (["closed"], 1, 1, 1)
    team.record(a="3")
    team.look()
    first, second = team.issues()
    assert (first["state"], second["state"]) == ("closed", "open")
    assert first["html_url"] in second["body"]
    assert len(team.messages()) == 2
