"""The register is read at every run: an edit counts at once, a broken one is told, a removal closes."""

import pytest

from tests.flows.looping import MITIGATION, Team, register_of

pytestmark = pytest.mark.server


def test_an_edit_counts_at_the_next_run(team: Team) -> None:
    team.record(a="2")
    team.look()
    assert "severity:warning" in {label["name"] for label in team.issues()[0]["labels"]}
    team.register(register_of(team).replace("critical: 2", "critical: 1"))
    team.look()
    assert "severity:critical" in {label["name"] for label in team.issues()[0]["labels"]}


def test_after_a_broken_edit_the_last_good_register_is_used_and_its_owner_is_told_until_it_is_mended(
    team: Team,
) -> None:
    team.look()
    team.register(register_of(team).replace("fixture_drift", "fixture_drfit"))
    team.record(a="2")
    assert team.look().name == "Breached"
    service, drift = team.issues()
    assert "fixture_drift" in service["body"]
    assert "line 16" in service["body"]
    assert "@acme/qa" in service["body"]
    assert drift["state"] == "open"
    assert len(team.messages()) == 2
    written = team.writes()
    team.look()
    assert team.writes() == written
    team.register(register_of(team))
    team.look()
    service, drift = team.issues()
    assert (service["state"], drift["state"]) == ("closed", "open")
    assert len(team.replies()) == 1


def test_without_any_good_register_a_run_fails_and_says_every_mistake(team: Team) -> None:
    team.register("project: 7\nrisks: []\n")
    ended = team.look()
    assert ended.type == "FAILED"
    assert "riskloop.yaml" in str(ended.message)
    assert "line 1 " in str(ended.message)


@pytest.mark.parametrize("how", ["removed", "switched off"])
def test_what_leaves_the_register_closes_its_incident_with_that_reason(team: Team, how: str) -> None:
    team.record(a="2")
    team.look()
    text = register_of(team, more="enabled: false")
    if how == "removed":
        text = text[: text.index("    mitigations:")]
    team.register(text)
    team.run("follow_up")
    assert team.told() == (["closed"], 1, 1, 1)
    for said in (*team.comments(), *team.replies()):
        assert f"{MITIGATION} is no longer in the register, or is switched off there" in said
