"""What a person types to see archives, to read them again, and to bring rows back."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from riskloop.mitigations.row_archive import Settings, measure, mitigate
from riskloop.risks import Site
from riskloop.store import open_store
from tests.cli.conftest import REGISTER, Shell
from tests.mitigations.stacks import EVENTS, NOW

MITIGATION = "rows.row_archive"

ROWS = """
  - id: rows
    title: Rows pile up
    likelihood: medium
    impact: high
    owner: QA
    mitigations:
      - kind: row_archive
        database: app.sqlite
        to: archive
        tables: [{table: events, timestamp: at}]
        limit: {fraction: 1}
        thresholds: {}
"""


@pytest.fixture
def archived(shell: Shell) -> Path:
    """Give a project whose old rows were archived, as the flow does it."""
    register = shell.project / "riskloop.yaml"
    register.write_text(f"{REGISTER}{ROWS}", encoding="utf-8")
    assert shell("archive", "list").code == 0, "makes the state directory"
    with closing(sqlite3.connect(shell.project / "app.sqlite")) as connection:
        connection.executescript(EVENTS.format(rows=4000))
    store = open_store(f"sqlite:///{shell.project / '.riskloop/riskloop.sqlite'}")
    store.upgrade()
    settings = Settings.model_validate(
        {
            "database": "app.sqlite",
            "to": "archive",
            "tables": [{"table": "events", "timestamp": "at"}],
            "limit": {"fraction": 1},
        },
    )
    site = Site(project=shell.project, state=shell.project / ".riskloop", now=NOW, mitigation=MITIGATION)
    plan = measure(settings, site).plan
    mitigate(settings, site, plan, store, warrant="run", approved=False, dry_run=False)
    store.close()
    return shell.project


def test_archives_are_listed_verified_and_brought_back(shell: Shell, archived: Path) -> None:
    (archive,) = shell("archive", "list", "--json").data
    assert (archive["table"], archive["rows"], archive["deleted"]) == ("events", 1842, 1842)
    assert "1,842 rows deleted" in shell("archive", "list").out
    assert f"{archive['id']}: 1,842 rows of events are whole" in shell("archive", "verify").err
    assert shell("archive", "verify", archive["id"], archive["place"]).code == 0
    ended = shell("archive", "restore", archive["id"], "--into", "old_events")
    assert "brought 1,842 rows back into old_events" in ended.err
    again = shell("archive", "restore", archive["id"], "--into", "old_events")
    assert "brought 0 rows back into old_events; 1,842 rows were there already" in again.err
    with closing(sqlite3.connect(archived / "app.sqlite")) as connection, connection:
        connection.execute("UPDATE old_events SET kind = 'mine' WHERE id = 3")
    ended = shell("archive", "restore", archive["id"], "--into", "old_events")
    assert ended.code == 1
    assert "old_events has other rows under these keys, which stay as they are: 3" in ended.err


def test_a_damaged_archive_is_named(shell: Shell, archived: Path) -> None:
    (file,) = (archived / "archive").rglob("*.parquet")
    file.write_bytes(file.read_bytes()[:-1])
    ended = shell("archive", "verify")
    assert ended.code == 1
    assert f"{file} is not the file that was archived" in ended.err
    assert shell("archive", "restore", "nothing").code == 1


def test_nothing_was_ever_archived(shell: Shell) -> None:
    assert "nothing was ever archived" in shell("archive", "list").out
    assert "nothing was ever archived" in shell("archive", "verify").err


def test_rows_of_a_mitigation_that_left_the_register_do_not_know_where_to_go(
    shell: Shell, archived: Path
) -> None:
    (archive,) = shell("archive", "list", "--json").data
    (archived / "riskloop.yaml").write_text(REGISTER, encoding="utf-8")
    ended = shell("archive", "restore", archive["id"])
    assert ended.code == 1
    assert "the mitigation rows.row_archive that made this archive is not in the register" in ended.err
