"""A backup is a whole store, taken while others use it."""

import stat
from pathlib import Path

import pytest
from sqlalchemy import text

from riskloop.assessing import assess
from riskloop.errors import StoreError
from riskloop.store import Store, open_store
from tests.store.children import together
from tests.store.shelf import looks, occasion, stored


@pytest.fixture
def sqlite(tmp_path: Path) -> Store:
    """Give a SQLite store with one run in it."""
    store = open_store(f"sqlite:///{tmp_path / 'riskloop.sqlite'}")
    store.upgrade()
    assess(store, looks([0, 2]), occasion("before", tmp_path))
    return store


def test_a_backup_of_a_store_in_use_holds_what_was_committed(sqlite: Store, tmp_path: Path) -> None:
    with sqlite.writing() as connection:
        connection.execute(text("UPDATE incidents SET reason = 'not yet'"))
        sqlite.backup(tmp_path / "copy.sqlite")
    copy = open_store(f"sqlite:///{tmp_path / 'copy.sqlite'}")
    copy.require_current()
    assert stored(copy, "before") == {"toys.000": (2, 0, 0), "toys.001": (2, 1, 2)}
    with copy.reading() as connection:
        assert connection.execute(text("SELECT reason FROM incidents")).scalar() != "not yet"
    copy.close()
    sqlite.close()


def test_a_backup_while_another_process_assesses_is_whole(sqlite: Store, tmp_path: Path) -> None:
    def work(own: Store) -> None:
        for turn in range(4):
            assess(own, looks([2.0 + turn] * 50), occasion(f"run-{turn}", tmp_path))

    def copy(own: Store) -> None:
        for turn in range(4):
            own.backup(tmp_path / f"copy-{turn}.sqlite")

    url = str(sqlite.engine.url)
    assert together(url, work, copy) == [(0, "None")] * 2
    for turn in range(4):
        found = open_store(f"sqlite:///{tmp_path}/copy-{turn}.sqlite")
        runs = [stored(found, f"run-{n}") for n in range(4)]
        assert {len(run) for run in runs} <= {0, 50}
        assert all(rows[0] == 2 for run in runs for rows in run.values())
        found.close()
    sqlite.close()


def test_a_backup_is_as_private_as_the_store_and_leaves_nothing_else(sqlite: Store, tmp_path: Path) -> None:
    place = tmp_path / "backups"
    place.mkdir()
    sqlite.backup(place / "copy.sqlite")
    assert [file.name for file in place.iterdir()] == ["copy.sqlite"]
    assert stat.S_IMODE((place / "copy.sqlite").stat().st_mode) == 0o600
    sqlite.close()


@pytest.mark.parametrize("kind", ["file", "dangling symlink"])
def test_a_backup_never_overwrites(sqlite: Store, tmp_path: Path, kind: str) -> None:
    place = tmp_path / "taken"
    if kind == "file":
        place.write_text("mine")
    else:
        place.symlink_to(tmp_path / "nowhere")
    with pytest.raises(StoreError, match="taken exists; name a file that does not exist yet"):
        sqlite.backup(place)
    assert place.is_symlink() or place.read_text() == "mine"
    assert not (tmp_path / "nowhere").exists()
    sqlite.close()


def test_a_backup_into_no_directory_is_a_clear_error(sqlite: Store, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"could not be copied to .*; check its directory"):
        sqlite.backup(tmp_path / "nowhere" / "copy.sqlite")
    sqlite.close()


@pytest.mark.server
def test_a_store_on_postgresql_is_backed_up_by_its_own_tools(postgresql: str, tmp_path: Path) -> None:
    store = open_store(postgresql)
    with pytest.raises(StoreError, match="not a SQLite file; back it up with pg_dump"):
        store.backup(tmp_path / "copy.sqlite")
    store.close()
