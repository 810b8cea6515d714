"""Once an hour a follow-up notices what people did to our issues, and says in its artifact what it did."""

import json

import pytest

from tests.flows.looping import Team

pytestmark = pytest.mark.server


def test_a_follow_up_asks_about_an_issue_that_a_person_closed_and_within_the_hour_sweeps_no_more(
    team: Team,
) -> None:
    team.record(a="2")
    team.look()
    team.rig.close_issue(team.repository, team.issues()[0]["number"])
    team.run("follow_up")
    assert team.told() == (["closed"], 1, 1, 0)
    ((sentence,),) = [
        [row["done"] for row in json.loads(artifact["data"])]
        for artifact in team.artifacts("table", run=team.runs[-1])
    ]
    assert "closed by a person" in sentence
    team.rig.ask_github(
        "PATCH", f"/repos/{team.repository}/issues/{team.issues()[0]['number']}", {"state": "open"}
    )
    team.run("follow_up")
    assert team.artifacts("table", run=team.runs[-1]) == []
    assert team.told() == (["open"], 1, 1, 0)
