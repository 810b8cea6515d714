"""What stands in the way of a cleanup, or changes under its hands, loses nothing and is said."""

import gzip
import os
import pwd
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Self

import pytest

from riskloop.errors import Refused, RiskloopError, Unmeasurable
from riskloop.files import DEEPEST, wait_for_lock
from riskloop.mitigations.ttl_cleanup import carrying, mitigating, planning, quarantine, restoring, scanning
from riskloop.mitigations.ttl_cleanup.blocks import Columns
from riskloop.mitigations.ttl_cleanup.grounds import refuse_unfit, standing_on
from riskloop.mitigations.ttl_cleanup.marking import MARKER
from riskloop.mitigations.ttl_cleanup.restoring import Restored, restore
from riskloop.mitigations.ttl_cleanup.walking import OURS
from riskloop.store import removals
from riskloop.store.removals import Batch, Removal, Step
from tests.mitigations.staging import Staging, values


class Killed(BaseException):
    """The process is gone: nothing that would handle an error gets to see it."""


def break_off(
    staging: Staging, monkeypatch: pytest.MonkeyPatch, *, batches: int, call: str = "rename", **more: Any
) -> None:
    """Begin to carry out a plan in batches of one file each, and be killed in one of them."""
    left = [batches]

    def dying(change: Callable[..., Any]) -> Callable[..., Any]:
        def do(*given: Any, **named: Any) -> None:
            change(*given, **named)
            left[0] -= 1
            if not left[0]:
                raise Killed

        return do

    with monkeypatch.context() as during:
        during.setattr(scanning, "BLOCK", 1)
        during.setattr(carrying, "_BATCH", 1)
        plan = staging.plan(**more)
        during.setattr(os, call, dying(getattr(os, call)))
        with pytest.raises(Killed):
            staging.act(plan, **more)


def newest(staging: Staging) -> Removal:
    with staging.store.reading() as connection:
        return removals.list_removals(connection, limit=1)[0]


def bring_back(staging: Staging, *paths: str) -> Restored:
    return restore(staging.store, staging.state, newest(staging).id, paths)


def finish(staging: Staging, monkeypatch: pytest.MonkeyPatch, **more: Any) -> Any:
    with monkeypatch.context() as during:
        during.setattr(carrying, "_BATCH", 1)
        return staging.act(None, **more)


def test_what_was_brought_back_of_a_removal_broken_off_does_not_close_it(
    staging: Staging, monkeypatch: pytest.MonkeyPatch
) -> None:
    staging.put("a", "b", "c")
    break_off(staging, monkeypatch, batches=1)
    assert bring_back(staging).files == 1
    finish(staging, monkeypatch)
    assert len(staging.there()) == 1
    assert len(staging.kept()) == 2
    assert bring_back(staging).files == 2
    assert staging.there() == {"a", "b", "c"}


def test_under_other_settings_what_was_not_reached_is_left_without_a_word_of_the_system(
    staging: Staging, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dying(_: int) -> None:
        raise Killed

    staging.put("a/1", "b/2")
    plan = staging.plan()
    with monkeypatch.context() as during:
        during.setattr(carrying, "_BATCH", 1)
        during.setattr(f"{carrying.__name__}.open_files", dying)
        with pytest.raises(Killed):
            staging.act(plan)
    receipt = finish(staging, monkeypatch, min_age="2h")
    assert not receipt.failed
    assert "2 left, because the settings changed" in receipt.says
    assert staging.there() == {"a/1", "b/2"}


def test_what_a_late_run_takes_out_is_kept_for_as_long_as_if_it_had_been_in_time(
    staging: Staging, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Later:
        @staticmethod
        def now(zone: Any) -> datetime:
            return datetime.now(zone) + staging.ahead

        fromisoformat = datetime.fromisoformat

    staging.put("a", "b", "c")
    break_off(staging, monkeypatch, batches=1)
    staging.ahead += timedelta(days=8)
    monkeypatch.setattr(mitigating, "datetime", Later)
    finish(staging, monkeypatch)
    assert len(staging.kept()) == 3, "they may still be brought back"
    staging.ahead += timedelta(days=6)
    staging.act(None)
    assert len(staging.kept()) == 3
    staging.ahead += timedelta(days=2)
    staging.act(None)
    assert staging.kept() == set()


def test_empty_folders_in_a_whole_directory_stay_in_it_while_it_is_in_quarantine(staging: Staging) -> None:
    for name in ("old", "other"):
        staging.put(f"{name}/a")
        (staging.root / name / "empty/in").mkdir(parents=True)
    (staging.root / "bare/in").mkdir(parents=True)
    staging.clean(unit="directory")
    bring_back(staging, "other")
    bring_back(staging, "old")
    for name in ("old/empty/in", "other/empty/in"):
        assert (staging.root / name).is_dir(), name
    bring_back(staging)
    assert (staging.root / "bare/in").is_dir()


def test_a_whole_directory_that_was_touched_in_quarantine_stays_with_all_that_is_in_it(
    staging: Staging,
) -> None:
    staging.put("old/a")
    (staging.root / "old/empty").mkdir()
    staging.clean(unit="directory")
    (kept,) = (staging.root / OURS / "quarantine").glob("*/files/old")
    (kept / "mine").write_text("somebody put this here")
    staging.ahead += timedelta(days=8)
    staging.act(None, unit="directory")
    assert {path.name for path in kept.iterdir()} == {"a", "empty", "mine"}


def test_a_tree_as_deep_as_allowed_can_be_looked_at_brought_back_and_purged_from_quarantine(
    staging: Staging,
) -> None:
    deep = "/".join(["d"] * DEEPEST) + "/file"
    staging.put(deep)
    staging.clean()
    assert values(staging.look())["quarantined_bytes"] > 0
    assert bring_back(staging).files == 1
    assert staging.there() == {deep}
    staging.clean()
    staging.ahead += timedelta(days=8)
    staging.act(None)
    assert staging.kept() == set()


def test_a_whole_directory_as_deep_as_allowed_can_be_purged(staging: Staging) -> None:
    staging.put("/".join(["d"] * DEEPEST) + "/file")
    assert staging.clean(unit="directory", quarantine="none").figures["deleted_files"] == 1
    assert not list((staging.root / OURS / "quarantine").iterdir())


def test_a_directory_that_goes_away_while_whole_ones_are_listed_is_passed_over(
    staging: Staging, monkeypatch: pytest.MonkeyPatch
) -> None:
    staging.put("a/1", "b/2")
    gone = {"b": "goes"}
    scandir = os.scandir

    def vanishing(folder: int) -> Any:
        entries = scandir(folder)
        if gone.pop("b", ""):
            listed = _Listed(entries)
            shutil.rmtree(staging.root / "b")
            return listed
        return entries

    monkeypatch.setattr(os, "scandir", vanishing)
    assert values(staging.look(unit="directory"))["staged_files"] == 1


class _Listed(list[Any]):
    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    close = __exit__


@pytest.mark.parametrize("unit", ["file", "directory"])
def test_a_folder_that_goes_away_once_it_is_open_is_passed_over(
    staging: Staging, monkeypatch: pytest.MonkeyPatch, unit: str
) -> None:
    staging.put("a/1", "b/c/2")
    gone = {"c": "goes"}
    opened = os.open

    def vanishing(path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        found = opened(path, flags, mode, dir_fd=dir_fd)
        if gone.pop(path, ""):
            shutil.rmtree(staging.root / "b")
        return found

    monkeypatch.setattr(os, "open", vanishing)
    assert values(staging.look(unit=unit))["staged_files"] == 1


def test_a_marker_or_a_clock_that_is_no_file_is_refused_in_words(staging: Staging, tmp_path: Path) -> None:
    staging.put("a")
    plan = staging.plan()
    for name, rule in (("clock", ""), (MARKER, "foreign-marker")):
        note = staging.root / OURS / name
        note.unlink(missing_ok=True)
        note.symlink_to(tmp_path / "nowhere")
        if not rule:
            assert staging.act(plan, dry_run=True).says.startswith("1 file")
            continue
        with pytest.raises(Refused) as refused:
            staging.act(plan)
        assert refused.value.rule == rule
        assert "Nothing can be removed" in staging.look().evidence.summary
    assert staging.there() == {"a"}


def test_a_moment_that_cannot_be_noted_stops_everything_in_words(
    staging: Staging, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    staging.put("a")
    plan = staging.plan()
    with monkeypatch.context() as during:
        during.setattr(os, "write", full)
        with pytest.raises(RiskloopError, match="No space left on device"):
            staging.act(plan)
    assert staging.there() == {"a"}
    assert {path.name for path in (staging.root / OURS).iterdir()} == {MARKER}


@pytest.mark.parametrize("quarantine", ["7d", "none"])
def test_a_folder_that_may_not_be_opened_is_refused_by_the_system_and_counts_as_nothing(
    staging: Staging, monkeypatch: pytest.MonkeyPatch, quarantine: str
) -> None:
    staging.put("a/1", "a/2")
    call = "rename" if quarantine == "7d" else "unlink"
    break_off(staging, monkeypatch, batches=1, call=call, quarantine=quarantine)
    left = staging.there()
    opened = os.open

    def forbidden(path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if path == "a" and OURS in os.listdir(dir_fd):  # noqa: PTH208 - of an open folder
            raise PermissionError(13, "Permission denied", path)
        return opened(path, flags, mode, dir_fd=dir_fd)

    with monkeypatch.context() as during:
        during.setattr(os, "open", forbidden)
        receipt = finish(staging, monkeypatch, quarantine=quarantine)
    assert staging.there() == left
    assert receipt.figures["deleted_files"] <= 1
    assert "refused by the system" in receipt.says
    assert "Permission denied" in receipt.says


def test_the_quarantine_and_the_marker_of_a_directory_inside_are_left_alone(
    staging: Staging, tmp_path: Path
) -> None:
    staging.put("inside/a")
    inner = replace(staging, project=staging.root, settings=dict(staging.settings))
    (staging.root / "inside").rename(staging.root / "staging")
    inner.mark()
    inner.clean()
    assert inner.kept() == {"a"}
    staging.put("b")
    assert staging.clean().figures["deleted_files"] == 1
    assert inner.kept() == {"a"}
    assert (inner.root / OURS / MARKER).exists()
    assert staging.plan(unit="directory").empty, "a directory with a quarantine in it does not go whole"
    assert values(staging.look(unit="directory"))["skipped_files"] == 1


def test_a_plan_damaged_anywhere_is_refused(staging: Staging) -> None:
    staging.put(*(f"{number}" for number in range(40)))
    plan = staging.plan()
    content = plan.file.read_bytes()
    for place in range(len(content)):
        damaged = bytearray(content)
        damaged[place] ^= 0x55
        plan.file.write_bytes(bytes(damaged))
        # A few bytes of gzip's own head are of no matter: the content is what was written then.
        with suppress(Refused):
            found = planning.read(plan.file, plan.digest)
            assert sum(block.count for _, block in found.blocks()) == 40
    plan.file.write_bytes(gzip.compress(b""))
    with pytest.raises(Refused):
        planning.read(plan.file, plan.digest)


def test_without_a_home_or_an_account_a_directory_is_judged_all_the_same(
    staging: Staging, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(user: int) -> None:
        raise KeyError(user)

    monkeypatch.delenv("HOME")
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    with standing_on(staging.project, Path("staging")) as ground:
        refuse_unfit(ground, project=staging.project, state=staging.state)


def test_a_way_that_leads_round_in_circles_or_has_no_name_is_no_look(staging: Staging) -> None:
    (staging.project / "loop").symlink_to("loop")
    for directory in ("loop", "loop/inside", "x" * 300, f"staging/{'x' * 300}", "/".join(["d"] * 3000)):
        with pytest.raises(Unmeasurable):
            staging.look(directory=directory)


@pytest.mark.parametrize("unit", ["file", "directory"])
def test_times_that_no_column_holds_are_times_all_the_same(
    staging: Staging, monkeypatch: pytest.MonkeyPatch, unit: str
) -> None:
    columns = Columns()
    columns.add("a", (1 << 64) - 1, 5, -(10**20), 7)
    columns.add("b", 1, 5, 10**20, 10**20)
    assert len(columns.close()) == 2
    staging.put("old/a", "new/b")
    for name, moment in (("old/a", -(2**40)), ("new/b", 2**40)):
        os.utime(staging.root / name, (moment, moment))
    seen = staging.look(unit=unit)
    assert values(seen)["staged_files"] == 2
    assert values(seen)["oldest_age_hours"] < 24 * 365 * 300
    assert "changed in the future" in seen.evidence.summary
    assert staging.clean(unit=unit).figures["deleted_files"] == 1
    assert staging.there() == {"new/b"}
    assert bring_back(staging).files == 1


def test_the_quarantine_moved_away_while_it_is_purged_takes_nothing_with_it(
    staging: Staging, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    staging.put("old/a")
    staging.clean(unit="directory")
    outside = tmp_path / "outside"
    (outside / "doomed").mkdir(parents=True)
    (outside / "doomed/precious").write_text("somebody's")
    purge = quarantine.purge_whole

    def moved(*given: Any) -> Any:
        (files,) = (staging.root / OURS / "quarantine").glob("*/files")
        files.rename(outside / "files")
        return purge(*given)

    monkeypatch.setattr(carrying, "purge_whole", moved)
    staging.ahead += timedelta(days=8)
    staging.act(None, unit="directory")
    assert (outside / "doomed/precious").read_text() == "somebody's"


@pytest.mark.parametrize("kept", ["7d", "none"])
@pytest.mark.parametrize("instead", ["link", "file", "folder"])
def test_a_directory_swapped_in_the_last_moment_is_put_back_as_it_is(
    staging: Staging, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kept: str, instead: str
) -> None:
    staging.put("old/a")
    rename = os.rename
    outside = tmp_path / "outside"

    def swapping(source: str, target: str, **where: int) -> None:
        if source == "old" and not outside.exists():
            rename(staging.root / "old", outside)
            if instead == "link":
                (staging.root / "old").symlink_to(outside)
            elif instead == "file":
                (staging.root / "old").write_text("somebody's")
            else:
                staging.put("old/b")
        rename(source, target, **where)

    plan = staging.plan(unit="directory", quarantine=kept)
    monkeypatch.setattr(os, "rename", swapping)
    receipt = staging.act(plan, unit="directory", quarantine=kept)
    assert receipt.figures["deleted_files"] == 0
    assert "1 changed since the plan" in receipt.says
    assert (outside / "a").exists()
    assert os.path.lexists(staging.root / "old")
    assert staging.there() | {"old"} == {"old", *(["old/b"] if instead == "folder" else [])}
    assert staging.kept() == set()


def test_killed_before_it_could_put_back_what_was_written_late_it_does_so_in_the_next_run(
    staging: Staging, monkeypatch: pytest.MonkeyPatch
) -> None:
    staging.put("old/a")
    with monkeypatch.context() as during:
        rename = os.rename

        def late(source: str, target: str, **where: int) -> None:
            staging.put("old/b")
            rename(source, target, **where)
            raise Killed

        plan = staging.plan(unit="directory")
        during.setattr(os, "rename", late)
        with pytest.raises(Killed):
            staging.act(plan, unit="directory")
    assert staging.there() == set()
    receipt = staging.act(None, unit="directory")
    assert staging.there() == {"old/a", "old/b"}
    assert "1 changed since the plan" in receipt.says
    assert receipt.figures["deleted_files"] == 0


@pytest.mark.parametrize("unit", ["file", "directory"])
def test_what_is_purged_in_two_goes_stands_whole_in_the_journal(staging: Staging, unit: str) -> None:
    staging.put("1/a", "2/b", "3/c")
    staging.clean(unit=unit)
    (held,) = (staging.root / OURS / "quarantine").glob("*/files/2/b")
    os.link(held, staging.project / "held")
    staging.ahead += timedelta(days=8)
    staging.act(None, unit=unit)
    assert purged(staging).files == 2
    (staging.project / "held").unlink()
    staging.act(None, unit=unit)
    assert staging.kept() == set()
    assert (purged(staging).files, purged(staging).skipped) == (3, ())


def purged(staging: Staging) -> Batch:
    with staging.store.reading() as connection:
        (batch,) = removals.list_batches(connection, newest(staging).number, Step.PURGE)
    return batch


def test_killed_as_it_purges_for_a_second_time_the_journal_does_not_say_that_it_stayed(
    staging: Staging, monkeypatch: pytest.MonkeyPatch
) -> None:
    staging.put("a", "b")
    staging.clean()
    (held,) = (staging.root / OURS / "quarantine").glob("*/files/b")
    os.link(held, staging.project / "held")
    staging.ahead += timedelta(days=8)
    staging.act(None)
    (staging.project / "held").unlink()
    unlink = os.unlink

    def dying(*given: Any, **named: Any) -> None:
        unlink(*given, **named)
        if given == ("b",):
            raise Killed

    with monkeypatch.context() as during:
        during.setattr(os, "unlink", dying)
        with pytest.raises(Killed):
            staging.act(None)
    assert purged(staging).skipped == ()
    staging.act(None)
    assert newest(staging).purged_at is not None


@pytest.mark.parametrize("how", ["another directory", "made anew"])
def test_what_is_in_the_quarantine_of_a_directory_that_is_worked_on_no_more_is_not_forgotten(
    staging: Staging, how: str
) -> None:
    staging.put("a", "b")
    staging.clean()
    before = staging.root.rename(staging.project / "before")
    staging.root.mkdir()
    staging.mark()
    more: dict[str, Any] = {}
    if how == "another directory":
        staging.root.rename(staging.project / "other")
        before.rename(staging.root)
        more["directory"] = "other"
    staging.ahead += timedelta(days=8)
    receipt = staging.act(None, **more)
    assert any("is another one now" in note for note in receipt.notes)
    assert newest(staging).purged_at is None
    if how == "made anew":
        with pytest.raises(Refused, match="is another one now"):
            bring_back(staging)
        shutil.rmtree(staging.root)
        before.rename(staging.root)
    assert bring_back(staging).files == 2
    assert staging.there() == {"a", "b"}


def test_what_is_purged_while_somebody_waits_to_bring_it_back_is_said_to_be_gone(
    staging: Staging, monkeypatch: pytest.MonkeyPatch
) -> None:
    staging.put("a")
    staging.clean()
    waits = wait_for_lock

    def purged_meanwhile(*given: Any, **named: Any) -> None:
        staging.ahead += timedelta(days=8)
        staging.act(None)
        waits(*given, **named)

    monkeypatch.setattr(f"{restoring.__name__}.wait_for_lock", purged_meanwhile)
    with pytest.raises(Refused, match="is in quarantine any more"):
        bring_back(staging)


def test_what_may_not_be_read_in_quarantine_is_said_when_it_is_to_come_back(
    staging: Staging, monkeypatch: pytest.MonkeyPatch
) -> None:
    staging.put("sub/a", "b")
    staging.clean()
    (staging.root / "sub").rmdir()
    opened = os.open

    def forbidden(path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if path == "sub":
            raise PermissionError(13, "Permission denied", path)
        return opened(path, flags, mode, dir_fd=dir_fd)

    monkeypatch.setattr(os, "open", forbidden)
    restored = bring_back(staging)
    assert restored.files == 1
    assert restored.failed == ["sub: Permission denied"]


def test_a_dry_run_refuses_what_a_real_one_would(staging: Staging) -> None:
    staging.put("a", "b")
    with pytest.raises(Refused, match="under other settings"):
        staging.act(staging.plan(), dry_run=True, min_age="2h")
    given: dict[str, Any] = {"approval": "none", "limit": {"fraction": 1, "files": 1}}
    with pytest.raises(Refused) as refused:
        staging.act(staging.plan(**given), dry_run=True, **given)
    assert refused.value.rule == "limit"
    asked: dict[str, Any] = {"limit": {"fraction": 1, "files": 1}}
    assert "2 files" in staging.act(staging.plan(**asked), dry_run=True, **asked).says


def test_half_a_plan_that_a_killed_look_left_is_removed_the_next_day(
    staging: Staging, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dying(*_: object, **__: object) -> None:
        raise Killed

    staging.put("a")
    with monkeypatch.context() as during:
        during.setattr(os, "fsync", dying)
        during.setattr(os, "unlink", dying)
        with pytest.raises(Killed):
            staging.look()
    (half,) = (staging.state / planning.FOLDER).iterdir()
    staging.ahead = timedelta(hours=1)
    staging.act(None)
    assert half.exists()
    staging.ahead = timedelta(hours=49)
    staging.act(None)
    assert not half.exists()


def test_notes_that_a_killed_run_left_half_written_do_not_pile_up(
    staging: Staging, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dying(*_: object, **__: object) -> None:
        raise Killed

    for _ in range(3):
        with monkeypatch.context() as during:
            during.setattr(os, "replace", dying)
            with pytest.raises(Killed):
                staging.act(None)
    staging.act(None)
    assert {path.name for path in (staging.root / OURS).iterdir()} == {MARKER, "clock"}


def test_what_the_system_says_of_the_lock_or_the_directory_is_a_word_and_not_a_crash(
    staging: Staging, monkeypatch: pytest.MonkeyPatch
) -> None:
    staging.put("a")
    plan = staging.plan()
    staging.clean()

    def failing(*_: object, **__: object) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr("fcntl.flock", failing)
    for work in (lambda: staging.act(plan), lambda: bring_back(staging)):
        with pytest.raises(RiskloopError, match="No locks available"):
            work()
    monkeypatch.setattr(os, "fstatvfs", failing)
    with pytest.raises(Unmeasurable, match="No locks available"):
        staging.look()


def test_without_its_plan_what_is_in_quarantine_is_said_to_be_there(staging: Staging) -> None:
    staging.put("a")
    plan = staging.plan()
    staging.act(plan)
    plan.file.unlink()
    with pytest.raises(Refused, match=f"move back by hand what is in .*{newest(staging).quarantine}/files"):
        bring_back(staging)
    staging.ahead += timedelta(days=8)
    assert any("stays" in note for note in staging.act(None).notes)
    assert staging.kept() == {"a"}
