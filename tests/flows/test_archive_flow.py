"""Old rows are archived every night by a plan; a table that fails is told, and keeps no other back."""

import sqlite3
from contextlib import closing

import pytest

from tests.flows.looping import Team

pytestmark = pytest.mark.server

MITIGATION = "rows.row_archive"


def register_of(team: Team, *, more: str = "limit: {fraction: 1}", tables: str = "") -> str:
    """Write the register of a team whose rows are old after 90 days."""
    return f"""
project: {team.repository}
github: {{repository: {team.repository}}}
slack: {{channel: {team.channel}}}
owners:
  Platform: {{github: octo-lead, slack: U024BE7LH}}
service: {{owner: Platform}}
risks:
  - id: rows
    title: Rows pile up
    likelihood: medium
    impact: high
    owner: Platform
    mitigations:
      - kind: row_archive
        database: app.sqlite
        to: archive
        tables:
          - {{table: events, timestamp: at}}
          {tables}
        {more}
        thresholds: {{rows_over_age: {{warning: 1}}}}
"""


@pytest.fixture
def rows(team: Team) -> Team:
    """Give a team with ten old rows and a new one."""
    with closing(sqlite3.connect(team.project / "app.sqlite")) as connection, connection:
        connection.execute("CREATE TABLE events (id INTEGER PRIMARY KEY, at TEXT)")
        connection.executemany("INSERT INTO events (at) VALUES (?)", [("2020-01-01",)] * 10)
        connection.execute("INSERT INTO events (at) VALUES (datetime('now'))")
    return team


def left(team: Team) -> int:
    with closing(sqlite3.connect(team.project / "app.sqlite")) as connection:
        (count,) = connection.execute("SELECT count(*) FROM events").fetchone()
    return int(count)


def test_what_is_past_its_age_goes_and_whether_it_helped_is_measured(rows: Team) -> None:
    rows.register(register_of(rows))
    ended = rows.run("row_archive")
    assert (ended.type, ended.message) == ("COMPLETED", "1 looked at, all within their thresholds")
    assert left(rows) == 1
    assert rows.told() == ([], 0, 0, 0)
    (page,) = rows.artifacts("markdown")
    assert "10 rows of events are in archive" in page["data"]
    assert "riskloop archive restore" in page["data"]


def test_a_table_that_fails_makes_the_look_unknown_and_the_others_go(rows: Team) -> None:
    rows.register(register_of(rows, tables="- {table: gone, timestamp: at}"))
    ended = rows.run("row_archive")
    assert ended.type == "FAILED"
    assert ended.message is not None
    assert f"could not look at: {MITIGATION}" in ended.message
    assert f"could not be archived: {MITIGATION}" in ended.message
    assert left(rows) == 1


def test_over_the_limit_a_person_is_asked_and_nothing_goes(rows: Team) -> None:
    rows.register(register_of(rows, more="limit: {fraction: 0.5}"))
    rows.run("row_archive")
    assert left(rows) == 11
    (asked,) = [issue for issue in rows.issues() if "10 of 11 rows of events are 90.91 %" in issue["body"]]
    assert "would be archived, verified and then deleted" in asked["body"]


def test_a_dry_run_changes_and_tells_nothing(rows: Team) -> None:
    rows.register(register_of(rows))
    rows.run("row_archive", dry_run=True)
    assert left(rows) == 11
    assert rows.told() == ([], 0, 0, 0)
    assert not (rows.project / "archive").exists()
