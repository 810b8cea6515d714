"""Old rows are archived, verified and only then deleted; what is newer or was changed stays."""

import json
import re
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from riskloop.errors import Refused, Unmeasurable
from riskloop.mitigations.row_archive import deleting, measure
from riskloop.mitigations.row_archive.sqlite_tables import SQLiteTables
from riskloop.risks import PastLook, Site
from riskloop.store import archives
from tests.mitigations.stacks import MITIGATION, Stack, values

OLD = 1842
"""Rows that are past their age."""


def meanwhile(monkeypatch: pytest.MonkeyPatch, do: Callable[[], object]) -> None:
    """Do something once when an archive is whole, and before anything is deleted."""
    real = deleting.delete_archived

    def first(*given: Any, **named: Any) -> Any:
        monkeypatch.setattr("riskloop.mitigations.row_archive.archiving.delete_archived", real)
        do()
        return real(*given, **named)

    monkeypatch.setattr("riskloop.mitigations.row_archive.archiving.delete_archived", first)


def test_old_rows_are_in_an_archive_and_no_longer_in_the_table(stack: Stack) -> None:
    before = stack.rows()
    receipt = stack.archive()
    assert not receipt.failed, receipt.says
    gone, left = stack.archived(), stack.rows()
    assert gone + left == before
    assert len(gone) == OLD
    assert receipt.figures["rows_archived"] == OLD
    seen = stack.look_after(receipt)
    assert (seen["rows_over_age"], seen["rows_archived"], seen["failed_tables"]) == (0, OLD, 0)
    assert seen["oldest_row_days"] == pytest.approx(90, abs=0.1)
    assert seen["archive_bytes"] > 0
    assert seen["days_since_success"] == 0
    (archive,) = stack.journal()
    assert (archive.rows, archive.deleted, archive.changed) == (OLD, OLD, 0)
    assert archive.ended_at is not None


def test_a_look_counts_and_plans_and_changes_nothing(stack: Stack) -> None:
    before = stack.rows()
    seen = stack.look()
    assert values(seen)["rows_over_age"] == OLD
    assert seen.plan is not None
    assert seen.plan.says == "1,842 rows of events would be archived, verified and then deleted"
    assert "older than 90d (before 1 December 2025, 02:50 UTC)" in seen.plan.summary
    stored = json.loads(seen.plan.file.read_text("utf-8"))
    assert stored["portions"][0]["cutoff"] == (stack.now - timedelta(days=90)).isoformat()
    assert stack.rows() == before
    assert not stack.archives.exists()


def test_the_manifest_says_what_each_file_holds(stack: Stack) -> None:
    stack.archive()
    (folder,) = stack.folders()
    told = json.loads((folder / "manifest.json").read_text("utf-8"))
    (file,) = told["files"]
    assert (told["table"], told["key"], told["cutoff"]) == ("events", "id", "2025-12-01T02:50:00+00:00")
    assert (file["rows"], file["first"], file["last"]) == (OLD, 1, OLD)
    assert file["nulls"]["payload"] == len([1 for row in stack.archived() if row[3] is None]) > 0
    assert {path.name for path in folder.iterdir()} == {"manifest.json", file["name"]}


def test_a_second_run_has_nothing_to_do(stack: Stack) -> None:
    stack.archive()
    plan = stack.plan()
    assert plan.empty
    assert stack.act(plan).says == ""
    assert len(stack.folders()) == 1


def test_the_same_warrant_archives_once(stack: Stack) -> None:
    plan = stack.plan()
    first = stack.act(plan, warrant="one")
    stack.run("INSERT INTO events VALUES (1, '2025-01-01', 'late', NULL, NULL)")
    again = stack.act(plan, warrant="one")
    assert again.says == first.says
    assert len(stack.folders()) == 1
    assert stack.rows()[0][0] == 1


def test_a_row_that_was_changed_since_stays_and_is_said(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    meanwhile(
        monkeypatch,
        lambda: stack.run(
            "UPDATE events SET kind = 'changed' WHERE id = 700;"
            "UPDATE events SET at = '2026-02-01' WHERE id = 9; DELETE FROM events WHERE id = 11;"
            "INSERT INTO events VALUES (0, '2025-01-01', 'new', NULL, NULL)"
        ),
    )
    receipt = stack.archive()
    assert not receipt.failed
    assert "1 row of them stay: changed since, 2 rows of them were gone already" in receipt.says
    left = {row[0]: row for row in stack.rows()}
    assert {key for key in left if key <= OLD} == {0, 9, 700}
    assert left[700][2] == "changed"
    assert len(stack.archived()) == OLD
    assert stack.look_after(receipt)["rows_over_age"] == 2
    stack.archive()
    assert {row[0] for row in stack.rows() if row[0] <= OLD} == {9}


def test_rows_that_came_since_the_plan_with_an_old_date_wait_for_the_next_run(stack: Stack) -> None:
    plan = stack.plan()
    stack.run(
        "INSERT INTO events SELECT 100000 + id, '2025-01-01', 'late', NULL, NULL FROM events WHERE id < 50"
    )
    stack.act(plan)
    assert len(stack.archived()) == OLD
    assert len([row for row in stack.rows() if row[2] == "late"]) == 49


def test_what_belongs_to_a_row_goes_with_it(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    stack.run(
        "CREATE TABLE notes (event bigint REFERENCES events (id), place bigint, words TEXT,"
        "PRIMARY KEY (event, place));"
        "INSERT INTO notes SELECT id, 1, 'one ' || id FROM events;"
        "INSERT INTO notes SELECT id, 2, NULL FROM events WHERE id % 5 = 0"
    )
    stack.table(**{"with": [{"table": "notes", "references": "event"}]})
    every = stack.rows("SELECT * FROM notes ORDER BY event, place")
    meanwhile(
        monkeypatch,
        lambda: stack.run(
            "UPDATE notes SET words = 'more' WHERE event = 5 AND place = 2;"
            "INSERT INTO notes VALUES (7, 9, 'late')"
        ),
    )
    receipt = stack.archive()
    assert not receipt.failed, receipt.says
    assert {row[0] for row in stack.rows() if row[0] <= OLD} == {5, 7}
    left = stack.rows("SELECT * FROM notes ORDER BY event, place")
    assert [row for row in left if row[0] <= OLD] == [
        *((5, 1, "one 5"), (5, 2, "more"), (7, 1, "one 7"), (7, 9, "late")),
    ]
    assert stack.archived("notes") == [row for row in every if row[0] <= OLD]
    stack.archive()
    assert not [row for row in stack.rows("SELECT * FROM notes") if row[0] <= OLD]


@pytest.mark.parametrize("action", ["", "ON DELETE CASCADE", "ON DELETE SET NULL"])
def test_a_row_that_other_rows_lead_to_stays_where_the_register_says_so(stack: Stack, action: str) -> None:
    stack.run(
        f"CREATE TABLE marks (id bigint PRIMARY KEY, event bigint REFERENCES events (id) {action});"
        "INSERT INTO marks VALUES (1, 3), (2, NULL), (3, 1000), (4, 3999)"
    )
    with pytest.raises(Unmeasurable, match=r"foreign keys lead to events: marks.event.*`referenced: keep`"):
        stack.look()
    stack.table(referenced="keep")
    receipt = stack.archive()
    assert not receipt.failed, receipt.says
    assert [row[0] for row in stack.rows() if row[0] <= OLD] == [3, 1000]
    assert len(stack.rows("SELECT * FROM marks")) == 4
    seen = stack.look()
    assert values(seen)["rows_over_age"] == 0
    assert "2 rows past their age stay, as rows of other tables lead to them" in seen.evidence.summary


def test_a_table_that_fails_keeps_no_other_from_being_archived(stack: Stack) -> None:
    stack.settings["tables"] = [{"table": "gone", "timestamp": "at"}, {"table": "events", "timestamp": "at"}]
    seen = stack.look()
    assert values(seen)["failed_tables"] == 1
    assert "gone could not be looked at: there is no table gone" in seen.evidence.summary
    receipt = stack.act(seen.plan)
    assert receipt.failed
    assert receipt.changed
    assert "gone: there is no table gone" in receipt.sentence
    assert len(stack.archived()) == OLD
    with pytest.raises(Unmeasurable, match="not every table could be archived: gone"):
        stack.look_after(receipt)


def test_a_dry_run_says_what_would_go_and_changes_nothing(stack: Stack) -> None:
    receipt = stack.act(stack.plan(), dry_run=True)
    assert receipt.says == "1,842 rows of events would be archived, verified and then deleted"
    assert not receipt.changed
    assert len(stack.rows()) == 4000
    assert not stack.archives.exists()


def test_more_than_the_limit_waits_for_a_person(stack: Stack) -> None:
    stack.settings["limit"] = {"fraction": 0.4}
    plan = stack.plan()
    assert plan.asks == "1842 of 4000 rows of events are 46.05 %, more than the limit of 40 %"
    assert not stack.plan(approval="none").asks
    with pytest.raises(Refused, match="more than the limit of 40 %; nothing was archived"):
        stack.act(plan)
    assert stack.plan(limit={"rows": 5}).asks == "1842 rows are more than the limit of 5"
    assert stack.plan(limit={}, approval="always").asks == "the register asks for an approval always"
    assert not stack.act(plan, approved=True).failed
    assert len(stack.archived()) == OLD


def test_a_plan_of_other_settings_is_refused(stack: Stack) -> None:
    plan = stack.plan()
    with pytest.raises(Refused, match=r"made for rows\.row_archive, or under other settings"):
        stack.act(plan, batch=7)
    plan.file.write_text(plan.file.read_text("utf-8").replace("1842", "1843"), encoding="utf-8")
    with pytest.raises(Refused, match="its content is not what was written"):
        stack.act(plan)


def test_archives_go_into_no_symbolic_link(stack: Stack) -> None:
    (stack.project / "elsewhere").mkdir()
    stack.archives.symlink_to(stack.project / "elsewhere")
    with pytest.raises(Unmeasurable, match="directory of the archives archive cannot be used"):
        stack.archive()
    assert len(stack.rows()) == 4000


def test_days_since_success_count_from_the_last_one_or_the_first_try(stack: Stack) -> None:
    site = Site(
        project=stack.project,
        state=stack.state,
        now=stack.now,
        mitigation=MITIGATION,
        waited_since=stack.now - timedelta(days=9),
        past=(PastLook(at=stack.now - timedelta(days=1), values={"rows_over_age": 7.0}),),
    )
    seen = measure(stack.read(), site)
    assert values(seen)["days_since_success"] == 9
    assert "7 rows were there after the run before" in seen.evidence.summary


def test_an_archive_that_was_broken_off_is_finished_or_discarded(stack: Stack) -> None:
    stack.archive()
    (done,) = stack.journal()
    rows = stack.archived()
    for unverified in (False, True):
        name = f"again{unverified}"
        with stack.store.writing() as connection:
            begun = archives.Archive(
                id=name,
                mitigation=MITIGATION,
                warrant=name,
                plan="",
                table="events",
                place=str(stack.archives / name) if unverified else done.place,
                begun_at=datetime.now(UTC),
            )
            archives.begin(connection, begun)
    (stack.archives / "againTrue").mkdir()
    (stack.archives / "againTrue" / "0-events.parquet.partial").write_text("half")
    receipt = stack.act(None)
    assert not receipt.failed, receipt.says
    assert "1,842 rows of them were gone already" in receipt.says
    assert [one.id for one in stack.journal()] == ["againFalse", done.id]
    assert not (stack.archives / "againTrue").exists()
    assert stack.archived() == rows


def test_an_archive_that_was_damaged_before_its_rows_went_deletes_nothing(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die() -> None:
        raise KeyboardInterrupt

    meanwhile(monkeypatch, die)
    with pytest.raises(KeyboardInterrupt):
        stack.archive()
    (folder,) = stack.folders()
    file = folder / "0-events.parquet"
    whole = file.read_bytes()
    file.write_bytes(whole[:-1] + b"\0")
    receipt = stack.act(None)
    assert receipt.failed
    assert "is not the file that was archived" in receipt.says
    assert len(stack.rows()) == 4000
    file.write_bytes(whole)
    assert not stack.act(None).failed
    assert len(stack.rows()) == 4000 - OLD


def test_columns_that_were_added_since_keep_the_rows(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    meanwhile(monkeypatch, lambda: stack.run("ALTER TABLE events ADD COLUMN more TEXT"))
    receipt = stack.archive()
    assert receipt.failed
    assert len(stack.rows()) == 4000


def test_without_another_writer_nothing_is_compared_and_with_one_every_row_is(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    if stack.address:
        return
    compared = []
    real = SQLiteTables._piece  # noqa: SLF001 - whether it reads is what is asked

    def counting(self: SQLiteTables, *given: Any, **named: Any) -> Any:
        compared.append(named.get("most", 0))
        return real(self, *given, **named)

    monkeypatch.setattr(SQLiteTables, "_piece", counting)
    stack.archive()
    assert all(compared)


def test_what_somebody_holds_locked_waits_for_the_next_run(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = stack.rows()
    monkeypatch.setattr("riskloop.mitigations.row_archive.opening.WAIT", timedelta(milliseconds=100))
    held: list[Any] = []

    def hold() -> None:
        if stack.address:
            held.append(psycopg.connect(stack.address))
            held[0].execute("LOCK TABLE events IN SHARE MODE")
        else:
            held.append(sqlite3.connect(stack.file, isolation_level=None))
            held[0].execute("BEGIN IMMEDIATE")

    meanwhile(monkeypatch, hold)
    receipt = stack.archive()
    assert receipt.failed
    assert re.search("locked|lock timeout", receipt.says)
    held[0].rollback()
    held[0].close()
    assert stack.rows() == before
    assert len(stack.archived()) == OLD
    assert not stack.act(None).failed
    assert stack.archived() + stack.rows() == before


def test_two_runs_at_once_wait_for_each_other(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("riskloop.mitigations.row_archive.mitigating._WAIT", 0.05)
    plan = stack.plan()
    said: list[str] = []

    def another() -> None:
        with pytest.raises(Unmeasurable) as raised:
            stack.act(plan)
        said.append(str(raised.value))

    meanwhile(monkeypatch, another)
    assert not stack.act(plan).failed
    assert "is in use by another run" in said[0]


def test_between_transactions_there_is_at_least_the_pause_that_was_asked_for(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []
    monkeypatch.setattr("riskloop.mitigations.row_archive.deleting.time.sleep", waited.append)
    stack.archive(batch=500, pause="7ms")
    assert len(waited) >= 4
    assert min(waited) >= 0.007
