"""Directories that nobody means to be cleaned up are refused by what they are, each with rule and remedy."""

import os
import shutil
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from riskloop.errors import Refused, Unmeasurable
from riskloop.mitigations.ttl_cleanup import clock
from riskloop.mitigations.ttl_cleanup.clock import TOLERANCE, Tick
from riskloop.mitigations.ttl_cleanup.grounds import refuse_unfit, standing_on
from riskloop.mitigations.ttl_cleanup.marking import MARKER, mark
from riskloop.mitigations.ttl_cleanup.walking import OURS, open_below, walk
from tests.mitigations.staging import Staging


def rule_of(directory: Path, *, project: Path, state: Path) -> str:
    """Give the rule that a directory is refused by; empty if it is not."""
    try:
        with standing_on(directory.parent, Path(directory.name)) as ground:
            refuse_unfit(ground, project=project, state=state)
    except Refused as refused:
        return refused.rule
    return ""


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a little world with a home, a project, a state directory and repositories of every sort."""
    for folder in ("home/me/files", "work/project/staging", "work/state/inside", "plain/staged"):
        (tmp_path / folder).mkdir(parents=True)
    for name in (".git", ".hg", ".svn", ".jj"):
        (tmp_path / f"under{name}" / name).mkdir(parents=True)
    (tmp_path / "worktree").mkdir()
    (tmp_path / "worktree/.git").write_text("gitdir: elsewhere\n")
    for name in ("objects", "refs"):
        (tmp_path / "bare" / name).mkdir(parents=True)
    (tmp_path / "bare/HEAD").write_text("ref: refs/heads/main\n")
    monkeypatch.setenv("HOME", str(tmp_path / "home/me"))
    return tmp_path


@pytest.mark.parametrize(
    ("directory", "rule"),
    [
        ("/usr", "top-level"),
        ("/tmp", "top-level"),
        ("/dev/shm", "mount-point"),
        ("home/me", "home"),
        ("home", "home"),
        ("work/project", "project"),
        ("work", "project"),
        ("work/state", "own-state"),
        ("work/state/inside", "own-state"),
        ("under.git", "version-controlled"),
        ("under.hg", "version-controlled"),
        ("under.svn", "version-controlled"),
        ("under.jj", "version-controlled"),
        ("worktree", "version-controlled"),
        ("bare", "version-controlled"),
        (sys.prefix, "installed-program"),
        ("home/me/files", ""),
        ("work/project/staging", ""),
        ("plain/staged", ""),
    ],
)
def test_a_directory_is_refused_by_what_it_is(world: Path, directory: str, rule: str) -> None:
    given = {"project": world / "work/project", "state": world / "work/state"}
    assert rule_of(world / directory, **given) == rule


def test_the_root_of_the_file_system_is_refused(world: Path) -> None:
    with standing_on(world, Path("plain")) as ground:
        root = os.open("/", os.O_RDONLY)
        status = os.fstat(root)
        as_root = replace(ground, path=Path("/"), descriptor=root, device=status.st_dev, inode=status.st_ino)
        with pytest.raises(Refused) as refused:
            refuse_unfit(as_root, project=world / "work/project", state=world / "work/state")
        os.close(root)
    assert refused.value.rule == "root"


def test_a_refusal_says_what_the_directory_is_and_what_to_do(world: Path) -> None:
    with standing_on(world / "home", Path("me")) as ground:
        remedy = "stage files in a directory of their own, and name that as `directory`"
        with pytest.raises(
            Refused, match="is a home directory, or above it: it is never cleaned up"
        ) as refused:
            refuse_unfit(ground, project=world / "work/project", state=world / "work/state")
    assert refused.value.remedy == remedy


def test_another_way_to_a_refused_directory_is_refused_as_well(world: Path) -> None:
    (world / "alias").symlink_to(world / "home")
    given = {"project": world / "work/project", "state": world / "work/state"}
    assert rule_of(world / "alias/me", **given) == "home"
    with pytest.raises(Unmeasurable, match="symbolic link"):
        rule_of(world / "alias", **given)


def test_no_step_leads_onto_another_file_system() -> None:
    """`/dev` is there on every Linux, with file systems of their own in it: it is only listed here."""
    with standing_on(Path("/"), Path("dev")) as ground:
        shm = os.open("/dev/shm", os.O_RDONLY)
        assert not ground.holds(shm)
        os.close(shm)
        assert open_below(ground, "shm") is None
        assert not [path for path, _, _ in walk(ground, ground.descriptor) if path.partition("/")[0] == "shm"]


def test_a_directory_must_be_marked(staging: Staging) -> None:
    staging.put("a")
    plan = staging.plan()
    shutil.rmtree(staging.root / OURS)
    for dry_run in (True, False):
        with pytest.raises(Refused, match="is not marked") as refused:
            staging.act(plan, dry_run=dry_run)
        assert refused.value.rule == "not-marked"
        assert f"riskloop cleanup init {staging.root}" in refused.value.remedy
    assert staging.there() == {"a"}


def test_a_marker_of_another_installation_or_directory_is_none(staging: Staging, tmp_path: Path) -> None:
    staging.put("a")
    plan = staging.plan()
    marker = staging.root / OURS / MARKER
    own = marker.read_text()
    shutil.copytree(staging.root, tmp_path / "copy")
    with standing_on(tmp_path, Path("copy")) as copied, pytest.raises(Refused, match="was copied from there"):
        mark(copied, state=staging.state)
    for forged in ("", "riskloop", own.replace("riskloop cleanup 1", "riskloop cleanup 2"), own[:-2] + "0\n"):
        marker.write_text(forged if forged != own else forged[:-3] + "zz\n")
        with pytest.raises(Refused) as refused:
            staging.act(plan)
        assert refused.value.rule == "foreign-marker"
    marker.unlink()
    marker.symlink_to(tmp_path / "copy" / OURS / MARKER)
    with pytest.raises((Refused, OSError)):
        staging.act(plan)
    assert staging.there() == {"a"}


def test_marking_twice_is_marking_once(staging: Staging) -> None:
    with standing_on(staging.project, Path("staging")) as ground:
        assert not mark(ground, state=staging.state)
    assert (staging.root / OURS).stat().st_mode & 0o777 == 0o700


def test_a_clock_that_was_set_stops_everything_until_somebody_says_it_is_right(
    staging: Staging, monkeypatch: pytest.MonkeyPatch
) -> None:
    staging.put("a")
    staging.act(None)
    plan, real = staging.plan(), clock.tick()
    for jump, way in ((3 * 3600.0, "forward by 3:00:00"), (-86_400.0, "back by 1 day, 0:00:00")):
        monkeypatch.setattr(clock, "tick", lambda jump=jump: replace(real, wall=real.wall + jump))
        for _ in range(2):
            with pytest.raises(Refused, match=way) as refused:
                staging.act(plan)
            assert refused.value.rule == "clock"
    assert staging.there() == {"a"}
    staging.mark()
    assert staging.act(plan).figures["deleted_files"] == 1


def test_a_clock_that_goes_on_as_time_does_or_is_put_right_by_little_stops_nothing(
    staging: Staging, monkeypatch: pytest.MonkeyPatch
) -> None:
    staging.act(None)
    at = clock.tick()
    little = TOLERANCE.total_seconds() - 1
    for later in (
        Tick(wall=at.wall + 90_000, since_boot=at.since_boot + 90_000, boot=at.boot),
        Tick(wall=at.wall + 90_000 + little, since_boot=at.since_boot + 90_000, boot=at.boot),
        Tick(wall=at.wall + 900_000, since_boot=5.0, boot="another-start"),
    ):
        monkeypatch.setattr(clock, "tick", lambda later=later: later)
        staging.act(None)
    behind = Tick(wall=at.wall, since_boot=9.0, boot="a-third-start")
    monkeypatch.setattr(clock, "tick", lambda: behind)
    with pytest.raises(Refused, match="set back"):
        staging.act(None)


def test_a_plan_from_the_future_is_refused(staging: Staging) -> None:
    staging.put("a")
    plan = staging.plan()
    staging.ahead -= timedelta(hours=1)
    with pytest.raises(Refused, match="set back") as refused:
        staging.act(plan)
    assert refused.value.rule == "clock"


def test_a_folder_that_may_not_be_read_is_no_look(staging: Staging, monkeypatch: pytest.MonkeyPatch) -> None:
    staging.put("closed/a", "open/b")
    opened = os.open

    def forbidden(path: str, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if path == "closed":
            raise PermissionError(13, "Permission denied", path)
        return opened(path, flags, mode, dir_fd=dir_fd)

    monkeypatch.setattr(os, "open", forbidden)
    with pytest.raises(Unmeasurable, match=r"closed' cannot be read: Permission denied.*or exclude it"):
        staging.look()
    assert staging.look(exclude=["closed"]).plan is not None
