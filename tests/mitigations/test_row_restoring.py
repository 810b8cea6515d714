"""Archived rows come back into their table or a new one; what is there is never overwritten."""

import pytest

from riskloop.errors import Refused, Unmeasurable
from riskloop.mitigations.row_archive.restoring import find, verify
from tests.mitigations.stacks import Stack

OLD = 1842


def test_rows_come_back_once_and_what_stands_in_their_way_stays(stack: Stack) -> None:
    before = stack.rows()
    stack.archive()
    stack.run("INSERT INTO events VALUES (7, '2026-02-28', 'another', NULL, NULL)")
    restored = stack.bring_back()
    assert restored.rows == {"events": OLD - 1}
    assert restored.in_the_way == {"events": [7]}
    assert [row for row in stack.rows() if row[0] != 7] == [row for row in before if row[0] != 7]
    again = stack.bring_back()
    assert (again.rows, again.there, again.in_the_way) == (
        {"events": 0},
        {"events": OLD - 1},
        {"events": [7]},
    )


def test_rows_come_back_into_a_new_table_with_what_went_with_them(stack: Stack) -> None:
    stack.run(
        "CREATE TABLE notes (event bigint REFERENCES events (id), place bigint, words TEXT,"
        "PRIMARY KEY (event, place)); INSERT INTO notes SELECT id, 1, 'one' FROM events"
    )
    stack.table(**{"with": [{"table": "notes", "references": "event"}]})
    before = stack.rows()
    stack.archive()
    restored = stack.bring_back(into="found")
    assert restored.rows == {"found": OLD, "found_notes": OLD}
    assert stack.rows("SELECT * FROM found ORDER BY id") == before[:OLD]
    assert stack.bring_back(into="found").there == {"found": OLD, "found_notes": OLD}
    assert len(stack.rows()) == 4000 - OLD
    assert stack.bring_back().rows == {"events": OLD, "notes": OLD}
    assert stack.rows() == before


def test_generated_columns_are_left_to_the_table(stack: Stack) -> None:
    stack.run("DROP TABLE events")
    stack.run(
        "CREATE TABLE events (id bigint NOT NULL PRIMARY KEY, at TEXT, "
        "twice bigint GENERATED ALWAYS AS (id * 2) STORED);"
        "INSERT INTO events (id, at) VALUES (4, '2020-01-01')"
    )
    stack.archive()
    assert stack.rows() == []
    stack.bring_back()
    assert stack.rows() == [(4, "2020-01-01", 8)]
    assert stack.bring_back(into="plain").rows == {"plain": 1}
    assert stack.rows("SELECT * FROM plain") == [(4, "2020-01-01", 8)]


def test_a_damaged_archive_is_named_and_brings_nothing_back(stack: Stack) -> None:
    stack.archive()
    (archive,) = stack.journal()
    (folder,) = stack.folders()
    assert verify(stack.store, archive.id)[1] == []
    assert verify(stack.store, str(folder))[1] == []
    file = folder / "0-events.parquet"
    whole = file.read_bytes()
    for damage in (whole[:-20], whole[:2000] + b"\xff" + whole[2001:], b""):
        file.write_bytes(damage)
        _, trouble = verify(stack.store, archive.id)
        assert trouble == [f"{file} is not the file that was archived"]
        with pytest.raises(Unmeasurable, match=f"archive {archive.id} is damaged"):
            stack.bring_back()
    file.unlink()
    assert "cannot be read: No such file" in verify(stack.store, archive.id)[1][0]
    assert len(stack.rows()) == 4000 - OLD


def test_a_manifest_that_was_changed_is_not_believed(stack: Stack) -> None:
    stack.archive()
    (archive,) = stack.journal()
    (folder,) = stack.folders()
    manifest = folder / "manifest.json"
    written = manifest.read_text("utf-8")
    manifest.write_text(written.replace("events", "event5"), encoding="utf-8")
    with pytest.raises(Unmeasurable, match="was changed since it was written"):
        find(stack.store, archive.id)
    manifest.write_text(written[:100], encoding="utf-8")
    with pytest.raises(Unmeasurable, match=r"manifest\.json is damaged"):
        find(stack.store, archive.id)
    with pytest.raises(Refused, match="there is no archive 'none'; see: riskloop archive list"):
        find(stack.store, "none")


def test_rows_do_not_come_back_into_a_table_with_other_columns(stack: Stack) -> None:
    stack.archive()
    stack.run("CREATE TABLE narrow (id bigint NOT NULL PRIMARY KEY, at TEXT)")
    with pytest.raises(Refused, match=r"the table narrow has no column kind, .* --into NAME"):
        stack.bring_back(into="narrow")
    stack.run("DROP TABLE events")
    with pytest.raises((Refused, Unmeasurable), match=r"is not there|there is no table events"):
        stack.bring_back()
