"""Old rows are archived, verified and only then deleted; what is newer or was changed stays."""

import json
from datetime import timedelta

import pytest

from tests.mitigations.stacks import Stack, values


def test_old_rows_are_in_an_archive_and_no_longer_in_the_table(stack: Stack) -> None:
    before = stack.rows()
    receipt = stack.archive()
    assert not receipt.failed, receipt.says
    gone, left = stack.archived(), stack.rows()
    assert gone + left == before
    assert len(gone) == 1842
    assert receipt.figures["rows_archived"] == len(gone)
    seen = stack.look_after(receipt)
    assert (seen["rows_over_age"], seen["rows_archived"], seen["failed_tables"]) == (0, len(gone), 0)
    assert seen["oldest_row_days"] == pytest.approx(90, abs=0.1)
    assert seen["archive_bytes"] > 0
    assert seen["days_since_success"] == 0


def test_a_look_counts_and_plans_and_changes_nothing(stack: Stack) -> None:
    before = stack.rows()
    seen = stack.look()
    assert values(seen)["rows_over_age"] == 1842
    assert seen.plan is not None
    assert seen.plan.says == "1,842 rows of events would be archived, verified and then deleted"
    assert "older than 90d (before 1 December 2025, 02:50 UTC)" in seen.plan.summary
    stored = json.loads(seen.plan.file.read_text("utf-8"))
    assert stored["portions"][0]["cutoff"] == (stack.now - timedelta(days=90)).isoformat()
    assert stack.rows() == before
    assert not stack.archives.exists()


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
    assert stack.rows()[0] == (1, "2025-01-01", "late", None, None)
