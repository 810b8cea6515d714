"""What a person types to say that a database was changed on purpose."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.cli.conftest import Shell

MITIGATION = "grown.database_vacuum"


@pytest.fixture
def database(shell: Shell) -> Path:
    file = shell.project / "app.sqlite"
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE a (b)")
    register = shell.project / "riskloop.yaml"
    register.write_text(
        register.read_text()
        + """
  - id: grown
    title: The database grows
    likelihood: low
    impact: low
    owner: QA
    mitigations:
      - {kind: database_vacuum, database: app.sqlite, thresholds: {}}
"""
    )
    return file


def differences(shell: Shell) -> float:
    (found,) = shell("measure", MITIGATION, "--json").data
    return float(next(one["value"] for one in found["readings"] if one["metric"] == "schema_differences"))


def test_a_change_on_purpose_is_learnt(shell: Shell, database: Path) -> None:
    assert differences(shell) == 0
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("CREATE TABLE c (d)")
    assert differences(shell) == 1
    ended = shell("database", "learn", MITIGATION)
    assert ended.code == 0
    assert "should be made of what it is made of now, 3 things" in ended.err
    assert differences(shell) == 0


def test_what_is_learnt_may_be_kept_in_the_project(shell: Shell, database: Path) -> None:
    assert database.exists()
    assert shell("database", "learn", MITIGATION, "--to", "schema.json").code == 0
    assert set(json.loads((shell.project / "schema.json").read_text())) == {"application id", "table a"}
    register = shell.project / "riskloop.yaml"
    register.write_text(
        register.read_text().replace("app.sqlite,", "app.sqlite, schema: schema.json,"), encoding="utf-8"
    )
    assert differences(shell) == 0


def test_only_a_database_can_be_learnt(shell: Shell, database: Path) -> None:
    assert database.exists()
    ended = shell("database", "learn", "stale.fixture_drift")
    assert ended.code == 1
    assert "is of the kind fixture_drift, not database_vacuum" in ended.err
