"""Partitions are made ahead, and go only as a whole, past their age, archived, and never the last."""

from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from riskloop.errors import Unmeasurable
from riskloop.mitigations.row_archive import archiving, retiring
from riskloop.mitigations.row_archive.months import Partition, missing_months, months_ahead, retirable
from tests.mitigations.stacks import Stack, values

pytestmark = pytest.mark.server

MONTHS = ("2025-09", "2025-10", "2025-11", "2025-12", "2026-01", "2026-02", "2026-03", "2026-04")


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def part(low: str | None, high: str | None) -> Partition:
    return Partition(
        name=f"{low}-{high}",
        oid=1,
        bound="",
        low=moment(low) if low else None,
        high=moment(high) if high else None,
        default=low is None and high is None,
    )


def test_only_what_is_past_its_age_as_a_whole_is_retired_and_never_the_last_nor_the_default() -> None:
    old, straddling, default = (
        part("2025-01-01", "2025-02-01"),
        part("2025-02-01", "2025-03-01"),
        part(None, None),
    )
    cutoff = moment("2025-02-15")
    assert retirable([straddling, old, default], cutoff) == (old,)
    assert retirable([old, default], cutoff) == ()
    assert retirable([old, part(None, "2025-01-01"), default], cutoff) == (part(None, "2025-01-01"),)
    assert retirable([part("2025-02-01", None), part("2024-01-01", "2025-02-15")], cutoff) == (
        part("2024-01-01", "2025-02-15"),
    )


def test_months_are_missing_where_no_partition_holds_any_part_of_them() -> None:
    now = moment("2025-11-20")
    there = [part("2025-11-01", "2025-12-01"), part("2026-01-10", "2026-01-20"), part(None, None)]
    assert [f"{low:%Y-%m}" for low, _ in missing_months(there, now, ahead=3)] == ["2025-12", "2026-02"]
    assert months_ahead(there, now) == 0
    assert months_ahead([part("2025-11-01", "2025-12-15"), part("2025-12-15", "2026-02-02")], now) == 2
    assert months_ahead([part("2025-01-01", None)], now) > 100


@pytest.fixture
def parted(server_stack: Stack) -> Stack:
    """Give a table with eight months, and a row every six hours in seven of them."""
    server_stack.run(
        "CREATE TABLE events (id bigint, at timestamptz, kind text, PRIMARY KEY (id, at)) "
        "PARTITION BY RANGE (at)"
    )
    for low, high in zip(MONTHS, (*MONTHS[1:], "2026-05"), strict=True):
        server_stack.run(
            f"CREATE TABLE events_{low.replace('-', '_')} PARTITION OF events "
            f"FOR VALUES FROM ('{low}-01') TO ('{high}-01')"
        )
    server_stack.run(
        "INSERT INTO events SELECT n, timestamptz '2025-09-01 00:00+00' + n * interval '6 hours', "
        "'kind ' || n % 3 FROM generate_series(0, 780) AS n"
    )
    server_stack.table(partitions="monthly")
    return server_stack


def there(stack: Stack) -> list[str]:
    found = stack.rows("SELECT relname FROM pg_class WHERE relname ~ '^events_2[0-9_]+$' ORDER BY 1")
    return [name.removeprefix("events_").replace("_", "-") for (name,) in found]


def test_old_partitions_are_archived_and_dropped_and_months_are_made_ahead(parted: Stack) -> None:
    before = parted.rows()
    seen = parted.look()
    assert values(seen)["rows_over_age"] == 91 * 4, "September to November"
    assert values(seen)["partitions_ahead"] == 1
    assert seen.plan is not None
    assert "3 partitions of events would be dropped, 2 partitions of events would be made" in seen.plan.says
    receipt = parted.act(seen.plan)
    assert not receipt.failed, receipt.says
    assert there(parted) == [*MONTHS[3:], "2026-05", "2026-06"]
    archived = [
        row for name in MONTHS[:3] for row in parted.archived(f"public.events_{name.replace('-', '_')}")
    ]
    assert archived + parted.rows() == before
    after = parted.look_after(receipt)
    assert (after["rows_over_age"], after["rows_archived"], after["partitions_ahead"]) == (0, 91 * 4, 3)
    parted.run("INSERT INTO events VALUES (9999, '2026-06-15', 'ahead')")
    assert parted.plan().empty


def test_a_partition_whose_rows_changed_since_is_attached_again(
    parted: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = parted.rows()
    real = retiring.drop_archived

    def first(*given: object) -> str:
        monkeypatch.setattr(retiring, "drop_archived", real)
        parted.run("INSERT INTO events VALUES (5000, '2025-09-03', 'late')")
        return real(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(retiring, "drop_archived", first)
    receipt = parted.archive()
    assert not receipt.failed, receipt.says
    assert "events_2025_09 are in archive" in receipt.says
    assert "but it stays: it is not what was archived any more" in receipt.says
    assert there(parted)[:2] == ["2025-09", "2025-12"]
    assert (5000,) in parted.rows("SELECT id FROM events")
    parted.archive()
    assert there(parted)[0] == "2025-12"
    assert {row[0] for row in before} < {
        row[0] for name in MONTHS[:3] for row in parted.archived(f"public.events_{name.replace('-', '_')}")
    } | {row[0] for row in parted.rows()}


def test_a_partition_that_was_detached_when_the_run_was_killed_is_dropped_by_the_next(
    parted: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object) -> str:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(retiring, "drop_archived", die)
        with pytest.raises(KeyboardInterrupt):
            parted.archive()
    parted.run("ALTER TABLE events DETACH PARTITION events_2025_09")
    assert "2025-09" in there(parted)
    receipt = parted.act(None)
    assert not receipt.failed, receipt.says
    assert "the partition is dropped" in receipt.says
    assert there(parted)[0] == "2025-10"
    assert receipt.deed == archiving.DEED


def test_another_table_of_the_same_name_is_not_dropped(
    parted: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object) -> str:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(retiring, "drop_archived", die)
        with pytest.raises(KeyboardInterrupt):
            parted.archive()
    parted.run("DROP TABLE events_2025_09; CREATE TABLE events_2025_09 (id bigint)")
    assert not parted.act(None).failed
    assert there(parted)[0] == "2025-09"


def test_old_rows_in_a_default_partition_stay_and_are_said(parted: Stack) -> None:
    parted.run(
        "CREATE TABLE events_rest PARTITION OF events DEFAULT;"
        "INSERT INTO events VALUES (1, '2024-05-05', 'x')"
    )
    seen = parted.look()
    assert "1 row past their age stay in the default partition" in seen.evidence.summary
    receipt = parted.act(seen.plan)
    assert not receipt.failed, receipt.says
    assert there(parted)[0] == "2025-12", "without CONCURRENTLY, which a default partition forbids"
    assert parted.rows("SELECT id FROM events_rest") == [(1,)]


def test_an_empty_partition_is_dropped_without_an_archive(parted: Stack) -> None:
    parted.run("DELETE FROM events WHERE at < '2025-12-01'")
    receipt = parted.archive()
    assert "dropped public.events_2025_09, which was empty" in receipt.says
    assert there(parted)[0] == "2025-12"
    assert parted.folders() == []


def test_a_reader_that_stays_makes_the_run_fail_and_the_next_one_goes_on(
    parted: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("riskloop.mitigations.row_archive.opening.WAIT", timedelta(milliseconds=300))
    every = parted.rows()
    with psycopg.connect(parted.address) as reader:
        reader.execute("SELECT count(*) FROM events")
        receipt = parted.archive()
        assert receipt.failed
        assert "lock timeout" in receipt.says
    receipt = parted.archive()
    assert not receipt.failed, receipt.says
    assert there(parted)[0] == "2025-12"
    archived = [
        row for name in MONTHS[:3] for row in parted.archived(f"public.events_{name.replace('-', '_')}")
    ]
    assert archived + parted.rows() == every


def test_rows_of_a_dropped_partition_come_back_into_a_table_of_their_own(parted: Stack) -> None:
    every = parted.rows()
    parted.archive()
    restored = parted.bring_back(into="november")
    assert restored.rows == {"november": 120}
    assert parted.rows("SELECT * FROM november ORDER BY id") == [
        row for row in every if row[1][:7] == "2025-11"
    ]


@pytest.mark.parametrize(
    ("partitioned", "words"),
    [
        ("", "events is not partitioned"),
        ("PARTITION BY LIST (at)", "is not partitioned by RANGE of at alone"),
        ("PARTITION BY RANGE (at, id)", "is not partitioned by RANGE of at alone"),
    ],
)
def test_another_sort_of_table_is_refused(server_stack: Stack, partitioned: str, words: str) -> None:
    server_stack.run(f"CREATE TABLE events (id bigint, at timestamptz, PRIMARY KEY (id, at)) {partitioned}")
    server_stack.table(partitions="monthly", key="id" if partitioned else "")
    with pytest.raises(Unmeasurable, match=words):
        server_stack.look()


def test_a_file_has_no_partitions(file_stack: Stack) -> None:
    file_stack.run("CREATE TABLE events (id INTEGER PRIMARY KEY, at TEXT)")
    file_stack.table(partitions="monthly")
    with pytest.raises(Unmeasurable, match="a SQLite file, which has no partitions"):
        file_stack.look()
