"""The tables are what the program thinks they are, and they keep its promises for it."""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import create_engine, inspect, text

from riskloop.errors import StoreError
from riskloop.incidents import Concern, Incident
from riskloop.store import RowsRefused, Store, history, open_store
from riskloop.store.tables import metadata
from riskloop.thresholds import Verdict
from tests.store.children import together

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def incident(name: str, *, resolved: bool = False) -> Incident:
    return Incident(
        id=name,
        subject="toys.toy",
        concern=Concern.BREACH,
        severity=Verdict.WARNING,
        opened_at=NOW,
        resolved_at=NOW if resolved else None,
    )


def parts(sql: str) -> list[str]:
    """Take a CREATE statement apart at the commas that no parenthesis holds; ALTER adds after the last."""
    return sorted(" ".join(part.split()) for part in re.split(r",\s*(?![^()]*\))", sql[:-1]))


def test_the_migrations_make_the_tables_the_program_uses(store: Store) -> None:
    with store.reading() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_the_migrations_make_sqlite_s_tables_word_for_word(tmp_path: Path) -> None:
    migrated = open_store(f"sqlite:///{tmp_path / 'migrated.sqlite'}")
    migrated.upgrade()
    created = create_engine(f"sqlite:///{tmp_path / 'created.sqlite'}")
    metadata.create_all(created)
    words = []
    for engine in (migrated.engine, created):
        with engine.connect() as connection:
            rows = connection.execute(text("SELECT name, sql FROM sqlite_master")).all()
        found = {name: parts(sql or "") for name, sql in rows}
        words.append({name: lines for name, lines in found.items() if name != "alembic_version"})
        engine.dispose()
    names = words[0].keys() & words[1].keys()
    assert {name: words[0][name] for name in names} == words[1]


def test_every_foreign_key_is_checked(store: Store) -> None:
    with pytest.raises(RowsRefused), store.writing() as connection:
        connection.execute(text("INSERT INTO measurements VALUES (7, 'leaks', 1, 'leaks')"))


def test_a_second_open_incident_of_a_subject_and_concern_is_refused(store: Store) -> None:
    with store.writing() as connection:
        history.add_incident(connection, incident("first"), owner="Lead")
    with pytest.raises(RowsRefused, match="refuses a row"), store.writing() as connection:
        history.add_incident(connection, incident("second"), owner="Lead")
    with store.writing() as connection:
        history.change_incident(connection, incident("first", resolved=True))
        history.add_incident(connection, incident("second"), owner="Lead")
    with store.reading() as connection:
        assert len(history.list_incidents(connection, resolved=True, limit=9)) == 2


def test_upgrading_twice_is_upgrading_once(store: Store) -> None:
    store.upgrade()
    store.require_current()


def test_two_programs_that_upgrade_at_once_wait_for_each_other(store: Store, store_url: str) -> None:
    with store.writing() as connection:
        metadata.drop_all(connection)
        connection.execute(text("DROP TABLE alembic_version"))
    assert together(store_url, Store.upgrade, Store.upgrade) == [(0, "None")] * 2
    assert inspect(store.engine).has_table("deliveries")


def test_a_store_from_a_newer_version_is_refused_and_left_alone(store: Store) -> None:
    with store.writing() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    for use in (store.upgrade, store.require_current):
        with pytest.raises(
            StoreError, match=r"by a newer riskloop \(its version is 9999\); upgrade riskloop"
        ):
            use()
    with store.reading() as connection:
        assert connection.execute(text("SELECT version_num FROM alembic_version")).scalar() == "9999"


def test_a_store_without_tables_says_how_to_make_them(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path / 'empty.sqlite'}")
    with pytest.raises(StoreError, match="older version; run: riskloop store upgrade"):
        store.require_current()
    with pytest.raises(StoreError, match="run: riskloop store upgrade"), store.reading() as connection:
        history.standings(connection)
    store.close()


def test_a_file_may_lie_in_a_folder_of_any_name(tmp_path: Path) -> None:
    file = tmp_path / "sp ace, ünï?mode=ro#%41" / "riskloop.sqlite"
    store = open_store(f"sqlite:///{file}")
    store.upgrade()
    store.require_current()
    store.close()
    assert file.is_file()
    assert [path.name for path in tmp_path.iterdir()] == [file.parent.name]
