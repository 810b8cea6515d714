"""Databases are checked and vacuumed once a month; a damaged one is told of, and never touched."""

import json
from pathlib import Path

import pytest

from tests.flows.looping import Team
from tests.mitigations.shelter import Shelter

pytestmark = pytest.mark.server


@pytest.fixture
def shelter(team: Team) -> Shelter:
    """Give the team a database that is half free, and the register that looks after it and our own store."""
    made = Shelter(project=team.project, state=team.project / "unused")
    made.make()
    team.register(f"""
project: {team.repository}
github: {{repository: {team.repository}}}
slack: {{channel: {team.channel}}}
owners:
  Platform: {{github: octo-lead, slack: U024BE7LH}}
service: {{owner: Platform}}
risks:
  - id: grown
    title: The database grows
    likelihood: medium
    impact: high
    owner: Platform
    mitigations:
      - kind: database_vacuum
        database: var/app.sqlite
        minimum_free: 4KiB
        thresholds: {{}}
      - kind: database_vacuum
        id: own-store
        database: RISKLOOP_STORE_URL
        thresholds: {{integrity_errors: {{critical: 1}}}}
""")
    return made


def test_what_is_free_is_given_back_and_the_next_run_has_nothing_to_do(team: Team, shelter: Shelter) -> None:
    rows, size = shelter.rows(), shelter.file.stat().st_size
    ended = team.run("database_vacuum")
    assert (ended.type, ended.message) == ("COMPLETED", "2 looked at, all within their thresholds")
    assert shelter.file.stat().st_size < size * 0.7
    assert shelter.rows() == rows
    (table,) = team.artifacts("table")
    done = {row["mitigation"]: row["done"] for row in json.loads(table["data"])}
    assert "full vacuum gave back" in done["grown.database_vacuum"]
    assert done["own-store"] == ""
    assert len([*(team.state / "backups").glob("*/*.sqlite")]) == 1
    size = shelter.file.stat().st_size
    team.run("database_vacuum")
    assert shelter.file.stat().st_size == size
    assert len([*(team.state / "backups").glob("*/*.sqlite")]) == 1
    assert team.told() == ([], 0, 0, 0)


def test_a_damaged_database_is_told_of_at_once_with_the_way_to_recover(team: Team, shelter: Shelter) -> None:
    team.run("database_vacuum")
    content = bytearray(shelter.file.read_bytes())
    content[4096 * 3 : 4096 * 6] = b"\xff" * (4096 * 3)
    shelter.file.write_bytes(content)
    ended = team.run("database_vacuum")
    assert (ended.type, ended.name) == ("COMPLETED", "Breached")
    (issue,) = team.issues()
    assert "integrity errors" in issue["title"]
    assert "never vacuumed" in issue["body"]
    assert ".recover" in issue["body"]
    assert shelter.file.read_bytes() == bytes(content)


def test_a_database_that_is_not_there_fails_the_run_and_the_others_are_looked_at(
    team: Team, shelter: Shelter
) -> None:
    shelter.file.rename(Path(f"{shelter.file}.moved"))
    ended = team.run("database_vacuum")
    assert (ended.type, ended.message) == ("FAILED", "could not look at: grown.database_vacuum")
    (table,) = team.artifacts("table")
    verdicts = {row["mitigation"]: row["verdict"] for row in json.loads(table["data"])}
    assert verdicts == {"grown.database_vacuum": "unknown", "own-store": "ok"}
