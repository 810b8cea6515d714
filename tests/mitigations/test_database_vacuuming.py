"""A SQLite file is checked, backed up, vacuumed in its place and checked again, or it is said why not."""

import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pytest
from pydantic import ValidationError

from riskloop.errors import Refused, Unmeasurable
from riskloop.mitigations.database_vacuum import measure, sqlite_vacuuming
from riskloop.mitigations.database_vacuum.looking import growth_per_day
from riskloop.risks import PastLook
from tests.mitigations.shelter import SCHEMA, Shelter, values
from tests.proof.seeding import SEED

NOW = datetime(2026, 3, 1, 4, 30, tzinfo=UTC)


@pytest.fixture
def shelter(tmp_path: Path) -> Shelter:
    made = Shelter(project=tmp_path / "project", state=tmp_path / "state")
    made.make()
    return made


def test_what_is_free_is_measured_and_worth_a_vacuum(shelter: Shelter) -> None:
    seen = shelter.look()
    found = values(seen)
    assert found["free_ratio"] == pytest.approx(0.5, abs=0.1)
    assert found["free_bytes"] == pytest.approx(found["database_bytes"] * found["free_ratio"])
    assert found["integrity_errors"] == found["schema_differences"] == found["reclaimed_bytes"] == 0
    assert found["largest_table_bytes"] > 100_000
    assert "growth_bytes_per_day" not in found
    assert "days_since_success" not in found
    assert seen.plan is not None
    assert seen.plan.says.startswith("it would be vacuumed (auto): ")
    assert not seen.plan.destroys


@pytest.mark.parametrize("wal", [True, False])
def test_a_vacuum_gives_back_what_is_free_and_keeps_every_row(tmp_path: Path, wal: bool) -> None:  # noqa: FBT001 - a parameter
    shelter = Shelter(project=tmp_path / "project", state=tmp_path / "state")
    shelter.make(wal=wal)
    before, size, inode = shelter.rows(), shelter.file.stat().st_size, shelter.file.stat().st_ino
    receipt = shelter.act()
    assert receipt.says.startswith("full vacuum gave back ")
    assert receipt.says.endswith("; sound before and after")
    assert shelter.rows() == before
    assert shelter.file.stat().st_ino == inode
    assert receipt.figures["reclaimed_bytes"] == size - shelter.file.stat().st_size > size * 0.4
    after = shelter.look_after(receipt)
    assert after["free_bytes"] == after["integrity_errors"] == 0
    assert after["reclaimed_bytes"] == receipt.figures["reclaimed_bytes"]
    assert shelter.plan().empty


def test_the_backup_is_from_before_and_only_the_newest_are_kept(shelter: Shelter) -> None:
    plan, before = shelter.plan(), shelter.rows()
    shelter.act(plan)
    with shelter.opened() as connection:
        connection.execute("DELETE FROM sessions")
    for day in range(1, 4):
        shelter.now = NOW + timedelta(days=day)
        shelter.act(plan)
    assert [file.name[:8] for file in shelter.backups()] == ["20260303", "20260304"]
    shelter.act(plan, backups=2)
    assert before
    assert shelter.backups()[0].stat().st_mode & 0o777 == 0o600


def test_a_file_made_for_it_is_vacuumed_in_steps(tmp_path: Path) -> None:
    shelter = Shelter(project=tmp_path / "project", state=tmp_path / "state")
    shelter.make(auto_vacuum=2, rows=900)
    before = shelter.rows()
    receipt = shelter.act()
    assert receipt.says.startswith("incremental vacuum gave back ")
    assert values(shelter.look())["free_bytes"] == 0
    assert shelter.rows() == before


def test_a_file_not_made_for_it_is_not_vacuumed_in_steps(shelter: Shelter) -> None:
    with pytest.raises(Refused, match="was not made for incremental vacuum") as refused:
        shelter.act(vacuum="incremental")
    assert refused.value.rule == "vacuum-mode"


def test_too_little_free_is_left_alone(shelter: Shelter) -> None:
    assert shelter.plan(minimum_free="64MiB").empty
    assert shelter.plan(minimum_free_ratio=0.9).empty
    assert shelter.plan(vacuum="off").empty
    assert not shelter.plan(vacuum="analyze", minimum_free="64MiB").empty
    receipt = shelter.act(vacuum="analyze")
    assert receipt.figures["reclaimed_bytes"] == 0
    with shelter.opened() as connection:
        assert connection.execute("SELECT count(*) FROM sqlite_stat1").fetchone()[0]


def test_a_dry_run_does_all_but_the_change(shelter: Shelter) -> None:
    size = shelter.file.stat().st_size
    receipt = shelter.act(dry_run=True)
    assert receipt.says == "it would be vacuumed (full), after a checked backup"
    assert shelter.file.stat().st_size == size
    assert shelter.backups() == []


def test_outside_of_its_window_it_is_not_begun(shelter: Shelter) -> None:
    assert shelter.act(window="05:00-06:00").says == "not begun: it is outside of 05:00-06:00 UTC"
    assert shelter.act(window="23:00-04:00").says.startswith("not begun")
    assert shelter.act(window="23:00-05:00").figures["reclaimed_bytes"] > 0


def test_a_reader_keeps_the_file_from_shrinking_and_that_is_said(shelter: Shelter) -> None:
    size = shelter.file.stat().st_size
    with shelter.opened() as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM sessions").fetchone()
        receipt = shelter.act(lock_timeout="1s")
        assert shelter.file.stat().st_size == size
    assert any("did not shrink yet" in note for note in receipt.notes)
    assert receipt.figures["reclaimed_bytes"] == 0


def test_what_an_idle_connection_writes_afterwards_is_there(shelter: Shelter) -> None:
    with shelter.opened() as idle:
        idle.execute("SELECT count(*) FROM sessions").fetchone()
        shelter.act()
        idle.execute("INSERT INTO sessions VALUES (9999, 'acknowledged', NULL)")
    assert (9999, "acknowledged") in shelter.rows()


def test_a_writer_that_holds_the_lock_is_waited_for_and_no_longer(shelter: Shelter) -> None:
    plan = shelter.plan(lock_timeout="1s")
    with shelter.opened() as writer:
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("INSERT INTO sessions VALUES (9999, 'open', NULL)")
        with pytest.raises(Unmeasurable, match=r"locked.*end that program's transaction"):
            shelter.act(plan, lock_timeout="1s")
    assert values(shelter.look())["integrity_errors"] == 0


def test_a_database_that_is_not_the_expected_one_is_not_touched(shelter: Shelter) -> None:
    plan = shelter.plan()
    with shelter.opened() as connection:
        connection.execute("ALTER TABLE sessions ADD COLUMN extra INTEGER NOT NULL DEFAULT 0")
        connection.execute("DROP VIEW names")
        connection.execute("PRAGMA application_id = 99")
    before = shelter.file.read_bytes()
    seen = shelter.look()
    assert values(seen)["schema_differences"] == 3
    assert seen.plan is not None
    assert seen.plan.empty
    told = next(one.body for one in seen.evidence.sections if one.title == "What is not as expected")
    assert "application id differs: without 1234; with 99" in told
    assert "table sessions differs: with column extra INTEGER, not null, default 0" in told
    assert "view names is missing" in told
    with pytest.raises(Refused, match="is not the database that is expected") as refused:
        shelter.act(plan)
    assert "riskloop database learn grown.database_vacuum" in refused.value.remedy
    assert shelter.file.read_bytes() == before
    assert shelter.backups() == []


def test_the_expected_schema_may_be_sql_that_makes_an_empty_one(shelter: Shelter) -> None:
    (shelter.project / "schema.sql").write_text(SCHEMA)
    assert values(shelter.look(schema="schema.sql"))["schema_differences"] == 0
    (shelter.project / "schema.sql").write_text(SCHEMA + "CREATE TABLE more (a);")
    assert values(shelter.look(schema="schema.sql"))["schema_differences"] == 1
    for wrong in ("CREATE TABLE (", f"ATTACH '{shelter.project / 'made'}' AS x;", "PRAGMA temp_store = 1;"):
        (shelter.project / "schema.sql").write_text(wrong)
        with pytest.raises(Unmeasurable, match="does not make an empty database"):
            shelter.look(schema="schema.sql")
    assert not (shelter.project / "made").exists()
    with pytest.raises(Unmeasurable, match="cannot be read"):
        shelter.look(schema="missing.sql")


def test_there_must_be_room_for_it(shelter: Shelter, monkeypatch: pytest.MonkeyPatch) -> None:
    used = shutil.disk_usage(shelter.file)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: used._replace(free=shelter.file.stat().st_size * 2))
    with pytest.raises(Refused, match=r"free, and vacuuming .* may need") as refused:
        shelter.act()
    assert refused.value.rule == "room"
    assert shelter.backups() == []


def test_a_backup_that_is_damaged_means_no_vacuum(shelter: Shelter, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = shelter.plan()
    monkeypatch.setattr(sqlite_vacuuming, "find_damage", lambda *_, **__: ("row 1 missing from index",))
    with pytest.raises(Refused, match="the copy of the database is damaged: row 1 missing") as refused:
        shelter.act(plan)
    assert refused.value.rule == "damaged"
    assert shelter.backups() == []


@pytest.mark.parametrize("number", range(20))
def test_a_damaged_file_is_named_and_never_touched(shelter: Shelter, number: int) -> None:
    """A tenth of what `make soak` does with 100; which bytes is left to chance."""
    damage(shelter, Random(f"{SEED} {number}"))
    before = shelter.file.read_bytes()
    try:
        seen = shelter.look()
    except Unmeasurable as error:
        said = error.what
    else:
        assert seen.plan is not None
        said = seen.evidence.summary
        if values(seen)["integrity_errors"]:
            assert seen.plan.empty
            assert "never vacuumed" in said
    assert "app.sqlite" in said
    assert shelter.file.read_bytes() == before


@pytest.mark.soak
@pytest.mark.parametrize("number", range(20, 120))
def test_every_damaged_file_is_named_and_never_touched(shelter: Shelter, number: int) -> None:
    test_a_damaged_file_is_named_and_never_touched(shelter, number)


def damage(shelter: Shelter, chance: Random) -> None:
    """Truncate the file, or flip bits of it."""
    with shelter.opened() as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    content = bytearray(shelter.file.read_bytes())
    if chance.random() < 0.3:
        del content[chance.randrange(1, len(content)) :]
    else:
        for _ in range(chance.choice((1, 10, 1000))):
            content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    shelter.file.write_bytes(content)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (b"not a database at all, but long enough to be taken for one" * 20, "is not a SQLite database"),
        (bytes(range(256)) * 64, "is not a SQLite database, or is encrypted"),
    ],
)
def test_what_is_no_database_is_said_to_be_none(shelter: Shelter, content: bytes, says: str) -> None:
    shelter.file.write_bytes(content)
    with pytest.raises(Unmeasurable, match=says):
        shelter.look()
    assert shelter.file.read_bytes() == content


def test_a_file_that_is_missing_is_said_to_be(shelter: Shelter) -> None:
    shelter.file.unlink()
    with pytest.raises(Unmeasurable, match="cannot be read: No such file"):
        shelter.look()
    assert not shelter.file.exists()


def test_a_plan_that_is_gone_or_of_other_settings_is_refused(shelter: Shelter) -> None:
    plan = shelter.plan()
    with pytest.raises(Refused, match="under other settings"):
        shelter.act(plan, minimum_free_ratio=0.1)
    plan.file.write_text("{}")
    with pytest.raises(Refused, match="is gone, damaged"):
        shelter.act(plan)


def test_the_name_of_a_setting_stands_for_its_address_and_an_address_is_refused(
    shelter: Shelter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("APP_DATABASE_URL", f"sqlite:///{shelter.file}")
    assert values(shelter.look(database="APP_DATABASE_URL"))["database_bytes"] > 0
    for wrong in ("mysql://root:hunter22@db/app", "sqlite:///relative", "://", "nonsense"):
        monkeypatch.setenv("APP_DATABASE_URL", wrong)
        with pytest.raises(Unmeasurable, match="does not hold the address") as raised:
            shelter.look(database="APP_DATABASE_URL")
        assert "hunter22" not in str(raised.value)
    monkeypatch.delenv("APP_DATABASE_URL")
    with pytest.raises(Unmeasurable, match=r"APP_DATABASE_URL.* is not set"):
        shelter.look(database="APP_DATABASE_URL")
    with pytest.raises(ValidationError, match="write the name of that") as refused:
        shelter.read(database="postgresql://me:hunter22@db/app")
    assert "may hold a password" in str(refused.value)


def test_without_a_setting_our_own_store_is_in_the_state_directory(
    shelter: Shelter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RISKLOOP_STORE_URL", raising=False)
    with closing(sqlite3.connect(shelter.state / "riskloop.sqlite")) as connection:
        connection.execute("CREATE TABLE a (b)")
    seen = shelter.look(database="RISKLOOP_STORE_URL")
    assert seen.evidence.summary.startswith("riskloop's own store has ")


def test_time_without_success_and_growth_are_measured(shelter: Shelter) -> None:
    settings, mega = shelter.read(), 1024.0**2
    site = replace(shelter.site, succeeded_at=NOW - timedelta(days=40), waited_since=NOW - timedelta(days=90))
    assert values(measure(settings, site))["days_since_success"] == 40
    assert values(measure(settings, replace(site, succeeded_at=None)))["days_since_success"] == 90
    past = (
        PastLook(at=NOW - timedelta(days=60), values={"database_bytes": 10 * mega, "reclaimed_bytes": 0.0}),
        PastLook(
            at=NOW - timedelta(days=30), values={"database_bytes": 5 * mega, "reclaimed_bytes": 20 * mega}
        ),
    )
    assert growth_per_day(past, size=15 * mega, reclaimed=0, at=NOW) == pytest.approx(25 * mega / 60)
    assert growth_per_day((), size=1, reclaimed=0, at=NOW) is None


def test_nothing_planned_is_nothing_done(shelter: Shelter) -> None:
    assert shelter.act(shelter.plan(vacuum="off")).says == ""
    assert not shelter.act(shelter.plan(minimum_free="1GiB"), vacuum="off").changed
