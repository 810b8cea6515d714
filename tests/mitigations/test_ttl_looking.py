"""What is staged is counted, and what should go is planned; nothing is touched by looking."""

import gzip
import json
import os
import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riskloop.errors import Unmeasurable
from riskloop.files import DEEPEST
from riskloop.measurements import Look
from riskloop.mitigations.ttl_cleanup import METRICS
from riskloop.mitigations.ttl_cleanup.blocks import Block, Columns
from riskloop.mitigations.ttl_cleanup.choosing import BUDGET, TTL, choose, find_cut
from riskloop.mitigations.ttl_cleanup.looking import growth_per_hour
from riskloop.risks import PastLook
from riskloop.thresholds import Verdict, assess_look
from tests.mitigations.staging import Staging, values

NOW = datetime(2026, 3, 1, 3, 40, tzinfo=UTC)


def entries(staging: Staging, **more: object) -> list[tuple[str, str]]:
    """Read the plan from its file: each path with its rule."""
    plan = staging.plan(**more)
    if plan.empty:
        return []
    lines = [json.loads(line) for line in gzip.decompress(plan.file.read_bytes()).splitlines()]
    return sorted((path, line["rule"]) for line in lines[1:] for path in line["paths"])


def test_everything_is_counted_and_what_is_past_its_time_is_planned(staging: Staging) -> None:
    staging.put("a", "b/c", "b/d/e")
    seen = staging.look()
    found = values(seen)
    assert found["staged_files"] == found["expired_files"] == 3
    assert found["staged_bytes"] == found["expired_bytes"] == 8 + 10 + 12
    assert found["oldest_age_hours"] == pytest.approx(31 * 24, rel=0.01)
    assert found["deleted_files"] == found["deleted_bytes"] == found["quarantined_bytes"] == 0
    assert entries(staging) == [("a", TTL), ("b/c", TTL), ("b/d/e", TTL)]
    assert seen.plan is not None
    assert seen.plan.says == "3 files of 30 bytes, unchanged for 30d, would be moved to the quarantine for 7d"
    assert staging.there() == {"a", "b/c", "b/d/e"}


def test_each_entry_of_a_plan_has_what_proves_that_it_is_still_the_same(staging: Staging) -> None:
    staging.put("a")
    plan = staging.plan()
    head, line = (json.loads(one) for one in gzip.decompress(plan.file.read_bytes()).splitlines())
    status = (staging.root / "a").stat()
    assert (line["inodes"], line["sizes"], line["mtimes"]) == (
        [status.st_ino],
        [status.st_size],
        [status.st_mtime_ns],
    )
    assert line["changes"] == [max(status.st_mtime_ns, status.st_ctime_ns)]
    assert head["device"] == status.st_dev
    assert head["staged"] == 1


def test_an_age_counts_from_the_later_of_mtime_and_ctime(staging: Staging) -> None:
    staging.put("backdated")
    os.utime(staging.root / "backdated", (0, 0))
    staging.ahead = timedelta(days=29)
    assert entries(staging) == []
    staging.ahead = timedelta(days=31)
    os.utime(
        staging.root / "backdated", ns=(0, int((datetime.now(UTC) + timedelta(days=2)).timestamp() * 1e9))
    )
    assert entries(staging) == []


def test_nothing_younger_than_the_least_age_goes(staging: Staging) -> None:
    staging.put("a")
    staging.ahead = timedelta(minutes=50)
    assert entries(staging, ttl="1m") == []
    assert entries(staging, ttl="1m", budget=1, evict="oldest_first") == []
    assert entries(staging, ttl="1m", min_age="40m") == [("a", TTL)]


def test_patterns_say_what_is_staged(staging: Staging) -> None:
    staging.put("a.bin", "a.txt", "keep/b.bin", "deep/keep/c.bin")
    assert entries(staging, include=["*.bin"]) == [
        ("a.bin", TTL),
        ("deep/keep/c.bin", TTL),
        ("keep/b.bin", TTL),
    ]
    assert entries(staging, include=["*.bin"], exclude=["keep"]) == [("a.bin", TTL)]
    assert values(staging.look(include=["*.bin"], exclude=["keep"]))["staged_files"] == 1


def test_links_fifos_sockets_and_files_linked_elsewhere_stay_and_are_counted(
    staging: Staging, tmp_path: Path
) -> None:
    staging.put("plain", "linked")
    os.link(staging.root / "linked", tmp_path / "elsewhere")
    (staging.root / "link").symlink_to("plain")
    (staging.root / "folder").symlink_to(tmp_path)
    os.mkfifo(staging.root / "fifo")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(staging.root / "socket"))
        seen = staging.look()
        assert entries(staging) == [("plain", TTL)]
    assert values(seen)["skipped_files"] == 5
    assert "1 file past their time stay: linked elsewhere" in seen.evidence.summary
    assert "4 links or special files stay" in seen.evidence.summary


def test_the_oldest_go_for_the_budget_down_to_nine_tenths_of_it(staging: Staging) -> None:
    for name in ("first", "second", "third", "fourth"):
        staging.put(name, content="x" * 93)
        os.utime(staging.root / name)
    sizes = sum((staging.root / name).stat().st_size for name in ("first", "second", "third", "fourth"))
    staging.ahead = timedelta(days=2)
    given = {"budget": sizes - 1, "evict": "oldest_first"}
    assert entries(staging, **given) == [("first", BUDGET)]
    assert entries(staging, **given | {"budget": sizes}) == []
    assert values(staging.look(**given))["budget_used"] > 1
    staging.ahead = timedelta(days=31)
    assert {rule for _, rule in entries(staging, **given)} == {TTL}


def test_the_newest_stay_however_old(staging: Staging) -> None:
    for number in range(5):
        staging.put(f"{number}")
        os.utime(staging.root / f"{number}", (number, number))
    assert len(entries(staging, keep_latest=2)) <= 3
    assert entries(staging, keep_latest=5) == entries(staging, keep_latest=9) == []
    assert entries(staging, keep_latest=9, budget=1, evict="oldest_first") == []


def test_a_directory_expires_whole_when_all_in_it_has(staging: Staging, tmp_path: Path) -> None:
    staging.put("old/a", "old/b/c", "linked/a", "loose")
    os.link(staging.root / "linked/a", tmp_path / "elsewhere")
    seen = staging.look(unit="directory")
    assert entries(staging, unit="directory") == [("old", TTL)]
    assert values(seen)["staged_files"] == 4
    assert values(seen)["expired_files"] == 2
    ahead = (datetime.now(UTC) + timedelta(days=5)).timestamp()
    os.utime(staging.root / "old/b/c", (ahead, ahead))
    assert entries(staging, unit="directory") == []
    assert entries(staging, unit="directory", exclude=["old"]) == []


def test_a_folder_made_lately_keeps_its_directory(staging: Staging) -> None:
    staging.put("old/a")
    (staging.root / "old/b").mkdir()
    ahead = (datetime.now(UTC) + timedelta(days=5)).timestamp()
    os.utime(staging.root / "old/b", (ahead, ahead))
    assert entries(staging, unit="directory") == []


def test_with_cleanup_off_it_measures_and_plans_nothing_and_the_owner_is_alerted(staging: Staging) -> None:
    staging.put("a")
    seen = staging.look(delete=False, budget=10)
    assert seen.plan is None
    assert "Nothing can be removed" not in seen.evidence.summary
    assert values(seen)["budget_used"] == 0.8
    look = Look(mitigation="x", at=NOW, observation=seen)
    assert assess_look(look, METRICS, {}).verdict is Verdict.WARNING
    assert staging.act(None, delete=False).says == ""


def test_a_directory_that_is_not_marked_is_measured_and_said_not_to_be(staging: Staging) -> None:
    staging.put("a")
    (staging.root / ".riskloop-cleanup/marker").unlink()
    seen = staging.look()
    assert values(seen)["expired_files"] == 1
    assert "Nothing can be removed" in seen.evidence.summary
    assert "riskloop cleanup init" in seen.evidence.summary


def test_what_was_measured_before_gives_the_time_until_it_is_full() -> None:
    past = (
        PastLook(at=NOW - timedelta(hours=20), values={"staged_bytes": 1000.0, "deleted_bytes": 50.0}),
        PastLook(at=NOW - timedelta(hours=10), values={"staged_bytes": 900.0, "deleted_bytes": 300.0}),
    )
    # From 1,000 on 300 and 100 were removed, and 1,600 are there: 1,000 came in twenty hours.
    assert growth_per_hour(past, staged=1600, deleted=100, at=NOW) == 50
    assert growth_per_hour((), staged=1600, deleted=0, at=NOW) is None
    soon = (PastLook(at=NOW - timedelta(minutes=10), values={"staged_bytes": 0.0}),)
    assert growth_per_hour(soon, staged=1600, deleted=0, at=NOW) is None


def test_without_growth_there_is_no_time_until_it_is_full(staging: Staging) -> None:
    staging.put("a")
    assert "hours_until_full" not in values(staging.look(budget=100))


def test_a_directory_that_is_missing_or_a_link_or_a_file_is_no_look(staging: Staging) -> None:
    elsewhere = staging.project / "elsewhere"
    staging.root.rename(elsewhere)
    with pytest.raises(Unmeasurable, match="cannot be opened: No such file"):
        staging.look()
    staging.root.symlink_to(elsewhere)
    with pytest.raises(Unmeasurable, match="is a symbolic link, which is not followed"):
        staging.look()
    staging.root.unlink()
    staging.root.write_text("a file")
    with pytest.raises(Unmeasurable, match="cannot be opened: Not a directory"):
        staging.look()


def test_a_tree_too_deep_is_no_look(staging: Staging) -> None:
    deep = staging.root
    for _ in range(DEEPEST + 2):
        deep = deep / "d"
    deep.mkdir(parents=True)
    with pytest.raises(Unmeasurable, match="exclude them"):
        staging.look()
    assert entries(staging, exclude=["d"]) == []


@pytest.mark.parametrize("name", ["line\nbreak", "not\udcffutf8", "\x1b[31mred", "a'b\"c", "…" * 60, "-rf"])
def test_any_name_goes_into_the_plan_and_is_shown_harmlessly(staging: Staging, name: str) -> None:
    staging.put(name, f"{name}d/{name}")
    assert entries(staging) == sorted([(name, TTL), (f"{name}d/{name}", TTL)])
    seen = staging.look()
    shown = seen.evidence.sections[0].body
    assert "\x1b" not in shown
    assert len(shown.splitlines()) == 13
    receipt = staging.clean()
    assert receipt.figures["deleted_files"] == 2
    assert staging.there() == set()


def test_what_goes_away_while_we_look_is_passed_over(
    staging: Staging, monkeypatch: pytest.MonkeyPatch
) -> None:
    staging.put("a/1", "b/2")
    scandir = os.scandir
    listed = []

    def vanishing(folder: int) -> object:
        listed.append(folder)
        if len(listed) == 1:
            (staging.root / "a/1").unlink()
            (staging.root / "a").rmdir()
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", vanishing)
    assert values(staging.look())["staged_files"] <= 2


def test_no_descriptor_stays_open(staging: Staging) -> None:
    staging.put(*(f"{folder}/{name}" for folder in range(5) for name in range(3)))
    staging.act(None)
    before = len([*Path("/proc/self/fd").iterdir()])
    staging.look()
    staging.look(unit="directory")
    staging.clean()
    assert len([*Path("/proc/self/fd").iterdir()]) == before


def block_of(ages: list[tuple[int, int]]) -> Block:
    columns = Columns()
    for number, (change, size) in enumerate(ages):
        columns.add(f"{number}", number, size, change, change)
    return columns.close()


@given(
    ages=st.lists(st.tuples(st.integers(0, 60), st.integers(0, 9)), min_size=1, max_size=60),
    expired=st.integers(-1, 61),
    kept=st.none() | st.integers(0, 61),
    over=st.integers(-5, 300),
    split=st.integers(1, 7),
)
def test_the_cut_takes_the_oldest_and_no_more_than_it_must(
    ages: list[tuple[int, int]], expired: int, kept: int | None, over: int, split: int
) -> None:
    blocks = [block_of(ages[start : start + split]) for start in range(0, len(ages), split)]
    where = find_cut(blocks, expired=expired, kept=kept, over=over)
    gone = [
        (rule, change, size)
        for rule, block in choose(blocks, where)
        for change, size in zip(block.changes, block.sizes, strict=True)
    ]
    may = sorted((change, size) for change, size in ages if kept is None or change < kept)
    assert sorted(change for rule, change, _ in gone if rule == TTL) == [c for c, _ in may if c <= expired]
    evicted = sorted(change for rule, change, _ in gone if rule == BUDGET)
    left = [(change, size) for change, size in may if change > expired]
    assert evicted == [change for change, _ in left][: len(evicted)]
    freed = sum(size for rule, _, size in gone if rule == BUDGET)
    if over <= 0:
        assert not evicted
    else:
        assert freed >= min(over, sum(size for _, size in left))
        last = max(evicted, default=0)
        assert sum(size for rule, change, size in gone if rule == BUDGET and change < last) < over
