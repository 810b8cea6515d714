"""A person accepts an incident or silences a mitigation by a form: told where it is, and quiet after that."""

import sqlite3
from datetime import UTC, datetime, timedelta

import pytest

from tests.flows.looping import MITIGATION, Team

pytestmark = pytest.mark.server

DAY = (datetime.now(UTC) + timedelta(days=30)).date()


def move(team: Team, *, since: float, until: float) -> None:
    """Let everything that holds have begun, and end, so many days from now."""
    now = datetime.now(UTC)
    moments = [f"{now + timedelta(days=days):%Y-%m-%d %H:%M:%S.%f}" for days in (since, until)]
    with sqlite3.connect(team.state / "riskloop.sqlite") as store:
        store.execute("UPDATE mutes SET since = ?, until = ?", moments)


def test_an_accepted_incident_is_told_once_and_then_only_when_it_worsens(team: Team) -> None:
    team.record(a="2")
    team.look()
    ended = team.run("accept_incident", incident=MITIGATION, until=DAY, who="Ada", why="until SDK 3")
    assert (ended.type, ended.name) == ("COMPLETED", "Completed")
    assert ended.message == f"{MITIGATION} is accepted until {DAY:%d %B %Y} 23:59 UTC by Ada"
    assert team.told() == (["open"], 1, 1, 1)
    for said in (*team.comments(), *team.replies()):
        assert "Ada" in said
        assert "until SDK 3" in said
    assert "until SDK 3" in team.issues()[0]["body"]
    team.record(a="3")
    team.look()
    assert team.told() == (["open"], 1, 1, 1)
    team.record(b="2")
    team.look()
    assert team.told() == (["open"], 2, 1, 2)
    assert "from warning to critical" in team.comments()[1]


def test_a_silenced_mitigation_opens_nothing_until_the_end_and_then_as_it_is(team: Team) -> None:
    team.run("silence_mitigation", mitigation=MITIGATION, until=DAY, who="Ada", why="moving house")
    team.record(a="2")
    team.look()
    team.record(b="2")
    team.look()
    assert team.told() == ([], 0, 0, 0)
    move(team, since=-20, until=0.9)
    team.run("follow_up")
    assert team.told() == ([], 0, 0, 0), "where nothing is told, no end of it is announced"
    move(team, since=-20, until=-0.1)
    team.run("follow_up")
    states, _, messages, _ = team.told()
    assert (states, messages) == (["open"], 1)
    (issue,) = team.issues()
    assert "severity:critical" in {label["name"] for label in issue["labels"]}
    assert "no longer silenced" in " ".join([issue["body"], *team.comments()]).lower()
    written = team.writes()
    team.run("follow_up")
    team.look()
    assert team.writes() == written


def test_the_end_of_an_acceptance_is_announced_and_told_with_a_comment_and_a_reply_each(team: Team) -> None:
    team.record(a="2")
    team.look()
    team.run("accept_incident", incident=MITIGATION, until=DAY, who="Ada", why="until SDK 3")
    for until, says in ((6.9, "7 more days"), (0.9, "1 more day"), (-0.1, "no longer accepted")):
        before = len(team.comments()), len(team.replies())
        move(team, since=-20, until=until)
        team.run("follow_up")
        team.run("follow_up")
        assert (len(team.comments()), len(team.replies())) == (before[0] + 1, before[1] + 1), says
        assert says in team.comments()[-1].lower()
        assert says in team.replies()[-1].lower()
    assert len(team.issues()) == 1


@pytest.mark.parametrize(
    ("flow", "given", "says"),
    [
        ("accept_incident", {"incident": MITIGATION, "until": DAY}, "nothing is open to accept"),
        ("accept_incident", {"incident": MITIGATION, "until": "2020-01-31"}, "2020-01-31 is over"),
        ("silence_mitigation", {"mitigation": MITIGATION, "until": "2999-01-01"}, "more than 180 days away"),
        ("silence_mitigation", {"mitigation": "stale-fixtures", "until": DAY}, "no mitigation"),
    ],
)
def test_what_is_refused_ends_failed_with_the_sentence_and_no_traceback(
    team: Team, flow: str, given: dict[str, object], says: str
) -> None:
    ended = team.run(flow, **given, who="Ada", why="until SDK 3")
    assert (ended.type, ended.name) == ("FAILED", "Failed")
    assert says in str(ended.message)
    assert "Traceback" not in str(ended.message)
    assert team.told() == ([], 0, 0, 0)
