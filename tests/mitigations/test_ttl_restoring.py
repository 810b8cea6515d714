"""What was removed comes back where it was and as it was, and replaces nothing that is there now."""

import os
from datetime import timedelta
from pathlib import Path

import pytest

from riskloop.errors import Refused
from riskloop.mitigations.ttl_cleanup.restoring import Restored, restore
from riskloop.mitigations.ttl_cleanup.walking import OURS
from riskloop.store import removals
from tests.mitigations.staging import Staging


def newest(staging: Staging) -> str:
    with staging.store.reading() as connection:
        return removals.list_removals(connection, limit=1)[0].id


def bring_back(staging: Staging, *paths: str) -> Restored:
    return restore(staging.store, staging.state, newest(staging), paths)


def test_everything_comes_back_with_its_path_mode_and_times(staging: Staging) -> None:
    staging.put("a", "b/c", "b/d/e\nf")
    (staging.root / "b/c").chmod(0o751)
    os.utime(staging.root / "b/c", ns=(1_000_000_007, 2_000_000_009))
    before, status = staging.digests(), (staging.root / "b/c").stat()
    staging.clean()
    (staging.root / "b/d").rmdir()
    (staging.root / "b").rmdir()
    restored = bring_back(staging)
    assert (restored.files, restored.size) == (3, 8 + 10 + 14)
    assert staging.digests() == before
    back = (staging.root / "b/c").stat()
    assert (back.st_mode, back.st_mtime_ns, back.st_ino) == (
        status.st_mode,
        status.st_mtime_ns,
        status.st_ino,
    )
    assert staging.kept() == set()
    assert not list((staging.root / OURS / "quarantine").iterdir())
    with pytest.raises(Refused, match=r"nothing of the removal .* is in quarantine any more"):
        bring_back(staging)


def test_some_paths_come_back_and_folders_whole(staging: Staging) -> None:
    staging.put("a", "b/c", "b/d/e", "bc")
    staging.clean()
    restored = bring_back(staging, "b/", "a", "nothing")
    assert staging.there() == {"a", "b/c", "b/d/e"}
    assert staging.kept() == {"bc"}
    assert restored.unknown == ["nothing"]
    assert bring_back(staging, "a").files == 0
    assert bring_back(staging).files == 1


def test_nothing_is_overwritten(staging: Staging) -> None:
    staging.put("a", "b", "c/d")
    staging.clean()
    staging.put("a", content="newer")
    (staging.root / "b").symlink_to("a")
    (staging.root / "c").rmdir()
    (staging.root / "c").write_text("a file where a folder was")
    restored = bring_back(staging)
    assert sorted(restored.in_the_way) == ["a", "b"]
    assert restored.failed == ["c: Not a directory"]
    assert (staging.root / "a").read_text() == "newer a"
    assert staging.kept() == {"a", "b", "c/d"}


def test_whole_directories_come_back(staging: Staging) -> None:
    staging.put("old/a", "old/b/c", "other/d")
    before = staging.digests()
    staging.clean(unit="directory")
    staging.put("other/new")
    restored = bring_back(staging)
    assert (restored.files, restored.in_the_way) == (2, ["other"])
    assert staging.there() == {"old/a", "old/b/c", "other/new"}
    (staging.root / "other/new").unlink()
    (staging.root / "other").rmdir()
    bring_back(staging)
    assert staging.digests() == before


def test_a_link_on_the_way_back_leads_nowhere(staging: Staging, tmp_path: Path) -> None:
    staging.put("sub/a")
    staging.clean()
    (staging.root / "sub").rmdir()
    (staging.root / "sub").symlink_to(tmp_path)
    assert bring_back(staging).failed
    assert not (tmp_path / "a").exists()
    assert staging.kept() == {"sub/a"}


def test_killed_between_its_two_steps_it_goes_on(staging: Staging) -> None:
    staging.put("a", "b")
    staging.clean()
    (kept,) = (staging.root / OURS / "quarantine").glob("*/files")
    os.link(kept / "a", staging.root / "a")
    assert bring_back(staging).files == 2
    assert staging.there() == {"a", "b"}
    assert (staging.root / "a").stat().st_nlink == 1


def test_a_file_system_without_hard_links_moves_things_back_as_well(
    staging: Staging, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    staging.put("a", "b")
    staging.clean()
    staging.put("b", content="newer")
    monkeypatch.setattr(os, "link", refused)
    assert bring_back(staging).in_the_way == ["b"]
    assert staging.there() == {"a", "b"}
    assert (staging.root / "b").read_text() == "newer b"


def test_what_is_back_is_as_old_as_its_return_and_does_not_go_at_once(staging: Staging) -> None:
    staging.put("a")
    staging.clean()
    bring_back(staging)
    staging.ahead = timedelta(days=29)
    assert staging.plan().empty


def test_a_removal_that_is_not_there_or_was_deleted_at_once_cannot_come_back(staging: Staging) -> None:
    with pytest.raises(Refused, match="there is no removal 'x'"):
        restore(staging.store, staging.state, "x")
    staging.put("a")
    staging.clean(quarantine="none")
    with pytest.raises(Refused) as refused:
        bring_back(staging)
    assert refused.value.rule == "purged"


def test_what_is_partly_back_is_purged_as_to_the_rest(staging: Staging) -> None:
    staging.put("a", "b")
    staging.clean()
    bring_back(staging, "a")
    staging.ahead += timedelta(days=8)
    staging.act(None)
    assert staging.there() == {"a"}
    assert staging.kept() == set()
