"""What a plan names goes, if it is still what was looked at; everything else stays, and that is said."""

import gzip
import mmap
import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from riskloop.errors import Refused
from riskloop.mitigations.ttl_cleanup import mitigating
from riskloop.mitigations.ttl_cleanup.walking import OURS
from riskloop.store import removals
from riskloop.store.removals import Step
from tests.mitigations.staging import Staging, values


def test_what_is_planned_is_moved_to_the_quarantine_as_it_was(staging: Staging) -> None:
    staging.put("a", "b/c", "b/d/e")
    (staging.root / "b/c").chmod(0o640)
    os.utime(staging.root / "b/c", (1_000, 2_000))
    before = staging.digests()
    receipt = staging.clean()
    assert staging.there() == set()
    assert staging.kept() == {"a", "b/c", "b/d/e"}
    assert staging.digests() == before
    (kept,) = (staging.root / OURS / "quarantine").glob("*/files/b/c")
    assert (kept.stat().st_mode & 0o777, kept.stat().st_mtime) == (0o640, 2_000)
    assert receipt.says.startswith("moved 3 files of 30 bytes to the quarantine, which is emptied on ")
    assert receipt.notes[0].startswith("to bring it back: riskloop cleanup restore ")
    assert receipt.changed
    after = staging.look_after(receipt)
    assert (after["deleted_files"], after["deleted_bytes"], after["quarantined_bytes"]) == (3, 30, 30)
    assert after["staged_files"] == after["expired_files"] == 0


def test_without_quarantine_it_is_deleted_and_the_journal_says_so(staging: Staging) -> None:
    staging.put("a", "b/c")
    receipt = staging.clean(quarantine="none")
    assert receipt.says.startswith("deleted 2 files of 18 bytes (removal ")
    assert staging.there() == staging.kept() == set()
    with staging.store.reading() as connection:
        (removal,) = removals.list_removals(connection, limit=9)
        (batch,) = removals.list_batches(connection, removal.number, Step.REMOVE)
    assert (removal.files, removal.size, removal.quarantine) == (2, 18, "")
    assert (batch.first, batch.last, batch.ended, batch.skipped) == (0, 0, True, ())


def test_a_dry_run_says_the_same_and_changes_nothing(staging: Staging) -> None:
    staging.put("a", "b")
    plan = staging.plan()
    (staging.root / "b").write_text("changed since")
    before = staging.digests()
    receipt = staging.act(plan, dry_run=True)
    assert receipt.says == "1 file of 8 bytes would be removed; 1 skipped: 1 changed since the plan"
    assert not receipt.changed
    assert staging.digests() == before
    assert not (staging.root / OURS / "quarantine").exists()
    with staging.store.reading() as connection:
        assert removals.list_removals(connection, limit=9) == ()


def changed_content(file: Path) -> None:
    file.write_text("other")


def touched(file: Path) -> None:
    os.utime(file)


def made_anew(file: Path) -> None:
    status = file.stat()
    content = file.read_bytes()
    beside = file.with_name("beside")
    beside.write_bytes(content)
    os.utime(beside, ns=(status.st_atime_ns, status.st_mtime_ns))
    beside.rename(file)


def made_a_link(file: Path) -> None:
    file.rename(file.with_name("moved"))
    file.symlink_to("moved")


def made_a_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


def linked(file: Path) -> None:
    os.link(file, file.with_name("second name"))


def given_other_rights(file: Path) -> None:
    file.chmod(0o777)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (changed_content, "changed since the plan"),
        (touched, "changed since the plan"),
        (made_anew, "changed since the plan"),
        (given_other_rights, "changed since the plan"),
        (made_a_link, "no regular file"),
        (made_a_folder, "no regular file"),
        (linked, "linked elsewhere"),
        (Path.unlink, "gone by itself"),
    ],
)
@pytest.mark.parametrize("quarantine", ["7d", "none"])
def test_an_entry_that_changed_is_skipped_and_said(
    staging: Staging, change: object, reason: str, quarantine: str
) -> None:
    staging.put("a", "b/c")
    plan = staging.plan(quarantine=quarantine)
    assert callable(change)
    change(staging.root / "b/c")
    left = staging.there() - {"a"}
    receipt = staging.act(plan, quarantine=quarantine)
    assert receipt.says.endswith(f"; 1 skipped: 1 {reason}")
    assert receipt.figures["deleted_files"] == 1
    assert receipt.figures["skipped_files"] == (0 if reason == "gone by itself" else 1)
    assert staging.there() == left


def test_a_file_that_a_program_has_open_or_mapped_stays(staging: Staging) -> None:
    staging.put("open", "mapped", "closed")
    with (staging.root / "open").open(), (staging.root / "mapped").open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
        file.close()
        receipt = staging.clean()
        mapped.close()
    assert "2 skipped: 2 open in a program" in receipt.says
    assert staging.there() == {"open", "mapped"}


def test_a_folder_that_was_swapped_for_a_link_leads_nowhere(staging: Staging, tmp_path: Path) -> None:
    staging.put("sub/victim")
    outside = tmp_path / "outside"
    outside.mkdir()
    plan = staging.plan()
    (staging.root / "sub/victim").rename(outside / "victim")
    (staging.root / "sub").rmdir()
    (staging.root / "sub").symlink_to(outside)
    receipt = staging.act(plan)
    assert "1 gone by itself" in receipt.says
    assert (outside / "victim").exists()


def test_the_quarantine_swapped_for_a_link_takes_nothing(staging: Staging, tmp_path: Path) -> None:
    staging.put("a")
    plan = staging.plan()
    (staging.root / OURS / "quarantine").symlink_to(tmp_path)
    with pytest.raises(Refused, match="of the quarantine cannot be used"):
        staging.act(plan)
    assert staging.there() == {"a"}


def test_a_directory_goes_whole_or_not_at_all(staging: Staging) -> None:
    staging.put("old/a", "old/b/c", "grown/a", "open/a")
    plan = staging.plan(unit="directory")
    staging.put("grown/new")
    with (staging.root / "open/a").open():
        receipt = staging.act(plan, unit="directory")
    assert receipt.figures["deleted_files"] == 2
    assert "2 skipped: 1 changed since the plan, 1 open in a program" in receipt.says
    assert staging.there() == {"grown/a", "grown/new", "open/a"}
    assert staging.kept() == {"old/a", "old/b/c"}


def test_a_directory_is_deleted_whole_without_quarantine(staging: Staging) -> None:
    staging.put("old/a", "old/b/c", "loose")
    receipt = staging.clean(unit="directory", quarantine="none")
    assert receipt.says.startswith("deleted 2 files")
    assert staging.there() == {"loose"}
    assert staging.kept() == set()
    assert not list((staging.root / OURS / "quarantine").iterdir())


def test_what_was_written_into_a_directory_at_the_last_moment_is_put_back_with_it(
    staging: Staging, monkeypatch: pytest.MonkeyPatch
) -> None:
    staging.put("old/a")
    rename = os.rename

    def late(source: str, target: str, **where: int) -> None:
        staging.put(*written.pop(source, ()))
        rename(source, target, **where)

    written = {"old": ["old/b"]}
    plan = staging.plan(unit="directory")
    monkeypatch.setattr(os, "rename", late)
    receipt = staging.act(plan, unit="directory")
    assert "1 changed since the plan" in receipt.says
    assert staging.there() == {"old/a", "old/b"}
    assert staging.kept() == set()


def test_nothing_at_all_is_removed_over_the_limit(staging: Staging) -> None:
    staging.put(*(f"{number}" for number in range(100)))
    ahead = staging.site.now.timestamp()
    for number in range(21, 100):
        os.utime(staging.root / f"{number}", (ahead, ahead))
    given: dict[str, Any] = {"limit": {"fraction": 0.2, "files": 10_000}}
    plan = staging.plan(**given)
    assert plan.asks == "21 of 100 files are 21 %, more than the limit of 20 %"
    with pytest.raises(Refused, match=r"21 %.*nothing was removed") as refused:
        staging.act(plan, **given)
    assert refused.value.rule == "limit"
    assert len(staging.there()) == 100
    assert staging.act(plan, approved=True, **given).figures["deleted_files"] == 21


def test_the_limit_counts_files_too_and_a_plan_of_just_as_many_goes(staging: Staging) -> None:
    staging.put("a", "b")
    assert staging.plan(limit={"fraction": 1, "files": 1}).asks == "2 files are more than the limit of 1"
    assert staging.plan(limit={"fraction": 1, "files": 2}).asks == ""
    assert staging.plan(approval="always").asks == "the register asks for an approval always"
    assert staging.plan(approval="none", limit={"fraction": 1, "files": 1}).asks == ""
    for approval, files in (("none", 1), ("always", 9)):
        given: dict[str, Any] = {"approval": approval, "limit": {"fraction": 1, "files": files}}
        with pytest.raises(Refused):
            staging.act(staging.plan(**given), **given)
    assert len(staging.there()) == 2


def test_a_warrant_carries_out_a_plan_once(staging: Staging) -> None:
    staging.put("a")
    plan = staging.plan()
    first = staging.act(plan, warrant="w")
    staging.put("a")
    again = staging.act(staging.plan(), warrant="w")
    assert again.figures == first.figures
    assert again.says == first.says
    assert staging.there() == {"a"}


def test_a_plan_that_was_altered_or_lost_or_made_under_other_settings_is_refused(staging: Staging) -> None:
    staging.put("a", "b")
    plan = staging.plan()
    with pytest.raises(Refused, match="under other settings"):
        staging.act(plan, min_age="2h")
    content = plan.file.read_bytes()
    plan.file.write_bytes(gzip.compress(gzip.decompress(content).replace(b'"a"', b'"b"')))
    with pytest.raises(Refused, match="its content is not what was written"):
        staging.act(plan)
    plan.file.write_bytes(content[:-9])
    with pytest.raises(Refused, match="cannot be used"):
        staging.act(plan)
    plan.file.unlink()
    with pytest.raises(Refused, match="it is gone"):
        staging.act(plan)
    assert staging.there() == {"a", "b"}


def test_a_directory_made_anew_is_not_the_one_that_was_looked_at(staging: Staging) -> None:
    staging.put("a")
    plan = staging.plan()
    staging.root.rename(staging.project / "before")
    staging.root.mkdir()
    staging.put("a")
    with pytest.raises(Refused) as refused:
        staging.act(plan)
    assert refused.value.rule == "not-marked"
    staging.mark()
    with pytest.raises(Refused, match="for another directory"):
        staging.act(plan)
    assert staging.there() == {"a"}


def test_what_is_in_quarantine_is_deleted_when_its_time_is_over(staging: Staging) -> None:
    staging.put("a", "b/c")
    staging.clean()
    staging.ahead += timedelta(days=6)
    assert staging.act(None).notes == ()
    assert staging.kept() == {"a", "b/c"}
    staging.ahead += timedelta(days=2)
    receipt = staging.act(None)
    assert receipt.changed
    assert "2 files of removal" in receipt.notes[0]
    assert staging.kept() == set()
    assert not list((staging.root / OURS / "quarantine").iterdir())
    with staging.store.reading() as connection:
        (removal,) = removals.list_removals(connection, limit=9)
    assert removal.purged_at is not None


def test_what_was_changed_or_linked_or_put_into_quarantine_stays_and_is_said(
    staging: Staging,
) -> None:
    staging.put("a", "b", "c")
    staging.clean()
    (kept,) = (staging.root / OURS / "quarantine").glob("*/files")
    (kept / "a").write_text("somebody wrote here")
    os.link(kept / "b", staging.root / "b")
    (kept / "mine").write_text("somebody put this here")
    staging.ahead += timedelta(days=8)
    receipt = staging.act(None)
    assert "2 skipped: 1 changed since the plan, 1 linked elsewhere" in receipt.notes[-1]
    assert staging.kept() == {"a", "b", "mine"}
    for name in ("a", "b", "mine"):
        (kept / name).unlink()
    staging.act(None)
    assert not kept.exists()


def test_whole_directories_in_quarantine_are_deleted_when_their_time_is_over(staging: Staging) -> None:
    staging.put("old/a", "old/b/c", "other/d")
    staging.clean(unit="directory")
    (touched_one,) = (staging.root / OURS / "quarantine").glob("*/files/other")
    (touched_one / "new").write_text("somebody put this here")
    staging.ahead += timedelta(days=8)
    staging.act(None, unit="directory")
    assert staging.kept() == {"other/d", "other/new"}


def test_only_one_run_works_on_a_directory_at_a_time(
    staging: Staging, monkeypatch: pytest.MonkeyPatch
) -> None:
    staging.put("a")
    plan = staging.plan()
    monkeypatch.setattr(mitigating, "_WAIT", 0.05)
    taken = []

    def meanwhile(self: object) -> frozenset[str]:
        with pytest.raises(Exception, match="is in use by another run"):
            staging.act(plan)
        taken.append(1)
        return frozenset()

    with monkeypatch.context() as during:
        during.setattr("riskloop.mitigations.ttl_cleanup.mitigating._Desk.finish_broken_off", meanwhile)
        staging.act(None)
    assert taken
    assert staging.act(plan).figures["deleted_files"] == 1


def test_old_plans_that_nobody_needs_are_removed(staging: Staging) -> None:
    staging.put("a", "b")
    unused = staging.plan()
    staging.clean()
    staging.ahead += timedelta(days=61)
    (staging.root / OURS / "clock").unlink()
    staging.put("c")
    kept = staging.plan()
    staging.act(kept)
    assert not unused.file.exists()
    assert kept.file.exists()
    assert values(staging.look())["staged_files"] == 0


def test_what_the_system_refuses_is_said_and_fails_the_run(
    staging: Staging, monkeypatch: pytest.MonkeyPatch
) -> None:
    staging.put("a", "b")

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    plan = staging.plan()
    monkeypatch.setattr(os, "rename", full)
    receipt = staging.act(plan)
    assert receipt.failed
    assert "2 skipped: 2 refused by the system; the system says: No space left on device" in receipt.sentence
    assert receipt.sentence.startswith("it could not be cleaned up: ")
    assert staging.there() == {"a", "b"}
