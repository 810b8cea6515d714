"""Every ten minutes: what is due by the clock, what is pending, a sign of life; nothing at little cost."""

import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from flows.follow_up import follow_up
from riskloop.delivery import PATIENCE_SECONDS, ROUND
from riskloop.sweeping import PATIENCE
from tests.flows.looping import Team, register_of
from tests.pings import Outside, listening

pytestmark = pytest.mark.server


@pytest.fixture
def outside(team: Team, monkeypatch: pytest.MonkeyPatch) -> Iterator[Outside]:
    """Let the team have a service outside that listens for it."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with listening() as service:
        monkeypatch.setenv("RISKLOOP_HEARTBEAT_URL", service.url)
        yield service


def count(team: Team, what: str, **within: object) -> int:
    found: int = team.ask(f"/{what}/count", within)
    return found


def test_with_nothing_to_do_it_costs_one_flow_run_few_task_runs_and_no_write(team: Team) -> None:
    team.record(a="2")
    team.look()
    team.run("follow_up")
    written, runs = team.writes(), count(team, "flow_runs")
    ended = team.run("follow_up")
    assert ended.name == "Completed"
    assert team.writes() == written
    assert count(team, "flow_runs") == runs + 1
    run = {"flow_runs": {"id": {"any_": [str(team.runs[-1])]}}}
    assert count(team, "task_runs", **run) <= 5


@pytest.mark.parametrize(("inputs", "hours"), [({"a": "2"}, 7 * 24), ({"a": "2", "b": "2"}, 24)])
def test_a_reminder_is_one_comment_and_one_reply(team: Team, inputs: dict[str, str], hours: int) -> None:
    def spoken(hours: float) -> None:
        then = datetime.now(UTC) - timedelta(hours=hours)
        with sqlite3.connect(team.state / "riskloop.sqlite") as store:
            store.execute("UPDATE incidents SET spoken_at = ?", [f"{then:%Y-%m-%d %H:%M:%S.%f}"])

    team.record(**inputs)
    team.look()
    spoken(hours - 0.1)
    team.run("follow_up")
    assert team.told() == (["open"], 0, 1, 0)
    spoken(hours)
    team.run("follow_up")
    team.run("follow_up")
    assert team.told() == (["open"], 1, 1, 1)


def test_many_incidents_at_once_become_one_more_that_a_later_round_closes(team: Team) -> None:
    rows = [
        f"kind: fixture_drift, id: toy-{number:02}, directory: fixtures, regenerate: [sh, tools/make.sh], "
        "thresholds: {fixtures_changed: {warning: 1}}"
        for number in range(20)
    ]
    team.register(register_of(team, mitigations=rows))
    team.record(a="2")
    team.look()
    assert [issue["state"] for issue in team.issues()] == ["open"] * 22
    team.run("follow_up")
    assert sorted(issue["state"] for issue in team.issues()) == ["closed", *["open"] * 21]


def test_a_round_has_time_for_a_sweep_and_for_as_much_as_one_round_delivers() -> None:
    in_hand = timedelta(seconds=2 * PATIENCE_SECONDS)
    assert follow_up.timeout_seconds
    assert timedelta(seconds=follow_up.timeout_seconds) >= PATIENCE + ROUND + in_hand


def test_a_good_round_says_that_all_is_well(team: Team, outside: Outside) -> None:
    team.run("follow_up")
    team.run("follow_up")
    assert outside.said() == [("", ""), ("", "")]


def test_a_dead_letter_and_a_refused_token_need_a_person_until_they_are_mended(
    team: Team, outside: Outside, monkeypatch: pytest.MonkeyPatch
) -> None:
    team.record(a="2")
    monkeypatch.setenv("RISKLOOP_SLACK_TOKEN", "xoxb-nobody-knows-this-one")
    team.look()
    team.run("follow_up")
    ((way, body),) = outside.said()
    assert way == "/fail"
    assert body.startswith("Slack: ")
    assert "xoxb" not in body
    with sqlite3.connect(team.state / "riskloop.sqlite") as store:
        store.execute("DELETE FROM circuits")
        store.execute("UPDATE deliveries SET state = 'dead' WHERE channel = 'slack'")
    team.run("follow_up")
    assert outside.said()[1:] == [
        ("/fail", "deliveries that need a person: 1; see: riskloop deliveries --dead")
    ]


def test_a_round_that_failed_says_so_in_the_words_of_its_state(team: Team, outside: Outside) -> None:
    team.register("project: 7\nrisks: []\n")
    ended = team.run("follow_up")
    assert ended.type == "FAILED"
    ((way, body),) = outside.said()
    assert way == "/fail"
    assert body.startswith("follow-up ended Failed: ")
    assert "riskloop.yaml" in body


def test_a_ping_that_does_not_arrive_fails_nothing(team: Team, outside: Outside) -> None:
    outside.status = 404
    assert team.run("follow_up").name == "Completed"
