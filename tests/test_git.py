"""A repository is read through our own mirror, and nothing it is configured to run is run."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from riskloop.errors import Unmeasurable
from riskloop.git import Mirror, Remote, find_top

Git = Callable[..., str]


@pytest.fixture
def git(tmp_path: Path) -> Git:
    """Give a function that runs git in a fresh repository, as its user would."""
    top = tmp_path / "project"
    top.mkdir()
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_AUTHOR_NAME": "A",
        "GIT_AUTHOR_EMAIL": "a@example.com",
        "GIT_COMMITTER_NAME": "A",
        "GIT_COMMITTER_EMAIL": "a@example.com",
        "GIT_COMMITTER_DATE": "@1700000000 +0000",
    }

    def run(*arguments: str) -> str:
        done = subprocess.run(
            ["git", *arguments], cwd=top, env=environment, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    run("init", "--quiet")
    return run


@pytest.fixture
def top(tmp_path: Path) -> Path:
    return tmp_path / "project"


@pytest.fixture
def mirror(tmp_path: Path, top: Path) -> Mirror:
    return Mirror(state=tmp_path / "state", source=str(top))


def commit(git: Git, top: Path, **files: str) -> str:
    for name, content in files.items():
        (top / name).write_text(content)
    git("add", "--all")
    git("commit", "--quiet", "--allow-empty", "--message", "change")
    return git("rev-parse", "HEAD")


def export(mirror: Mirror, to: Path) -> list[str]:
    to.mkdir()
    head = mirror.fetch_head()
    assert head is not None
    return mirror.export(head, to)


def test_head_is_followed_as_it_moves_and_exported(
    git: Git, top: Path, mirror: Mirror, tmp_path: Path
) -> None:
    first = commit(git, top, file="one")
    assert mirror.fetch_head() == first
    second = commit(git, top, file="two")
    assert mirror.fetch_head() == second
    (top / "file").write_text("not committed")
    assert export(mirror, tmp_path / "to") == []
    assert (tmp_path / "to" / "file").read_text() == "two"


def test_an_amended_head_is_followed(git: Git, top: Path, mirror: Mirror) -> None:
    commit(git, top, file="one")
    mirror.fetch_head()
    git("commit", "--quiet", "--amend", "--message", "another")
    assert mirror.fetch_head() == git("rev-parse", "HEAD")


def test_a_repository_without_a_commit_has_no_head(git: Git, mirror: Mirror) -> None:
    git("status")
    assert mirror.fetch_head() is None


def test_a_detached_head_and_a_worktree_are_read(git: Git, top: Path, tmp_path: Path) -> None:
    first = commit(git, top, file="one")
    second = commit(git, top, file="two")
    git("checkout", "--quiet", "--detach", first)
    assert Mirror(state=tmp_path / "state", source=str(top)).fetch_head() == first
    git("worktree", "add", "--quiet", str(tmp_path / "elsewhere"), second)
    assert find_top(tmp_path / "elsewhere") == tmp_path / "elsewhere"
    assert Mirror(state=tmp_path / "state", source=str(tmp_path / "elsewhere")).fetch_head() == second


def test_a_shallow_repository_is_read(git: Git, top: Path, tmp_path: Path) -> None:
    commit(git, top, file="one")
    head = commit(git, top, file="two")
    git("clone", "--quiet", "--depth=1", f"file://{top}", str(tmp_path / "shallow"))
    assert Mirror(state=tmp_path / "state", source=str(tmp_path / "shallow")).fetch_head() == head


def test_a_partial_clone_is_read_again_and_again(git: Git, top: Path, tmp_path: Path) -> None:
    commit(git, top, file="one")
    head = commit(git, top, file="two")
    git("config", "uploadpack.allowFilter", "true")
    partial = tmp_path / "partial"
    git("clone", "--quiet", "--filter=blob:none", f"file://{top}", str(partial))
    mirror = Mirror(state=tmp_path / "state", source=str(partial))
    assert mirror.fetch_head() == head
    assert mirror.fetch_head() == head
    export(mirror, tmp_path / "to")
    assert (tmp_path / "to" / "file").read_text() == "two"


def test_nothing_a_hostile_working_copy_configures_is_run(
    git: Git, top: Path, mirror: Mirror, tmp_path: Path
) -> None:
    (top / ".gitattributes").write_text("* filter=evil diff=evil text eol=crlf ident\n")
    commit(git, top, file="$Id$ one\n", other="two\n")
    trap = f"touch {tmp_path}/trapped; cat"
    for key in (
        "core.fsmonitor",
        "filter.evil.clean",
        "filter.evil.smudge",
        "filter.evil.process",
        "diff.external",
        "core.sshCommand",
        "core.pager",
        "uploadpack.packObjectsHook",
        "core.alternateRefsCommand",
    ):
        git("config", key, trap)
    git("config", "filter.evil.required", "true")
    for hook in ("post-checkout", "reference-transaction", "pre-push", "post-index-change"):
        script = top / ".git" / "hooks" / hook
        script.write_text(f"#!/bin/sh\n{trap}\n")
        script.chmod(0o755)
    assert export(mirror, tmp_path / "to") == []
    assert (tmp_path / "to" / "file").read_bytes() == b"$Id$ one\n"
    assert not (tmp_path / "trapped").exists()


def test_links_that_lead_out_become_text_and_submodules_empty_folders(
    git: Git, top: Path, mirror: Mirror, tmp_path: Path
) -> None:
    (top / "sub").mkdir()
    (top / "sub" / "in").symlink_to("../file")
    (top / "sub" / "out").symlink_to("../../secret")
    (top / "absolute").symlink_to("/etc/passwd")
    head = commit(git, top, file="one")
    git("update-index", "--add", "--cacheinfo", f"160000,{head},vendor/module")
    git("commit", "--quiet", "--message", "submodule")
    to = tmp_path / "to"
    left = export(mirror, to)
    assert sorted(path.split(" ")[0] for path in left) == ["absolute", "sub/out"]
    assert (to / "sub" / "in").read_text() == "one"
    assert not (to / "absolute").is_symlink()
    assert (to / "absolute").read_text() == "/etc/passwd"
    assert list((to / "vendor" / "module").iterdir()) == []


def test_what_is_to_be_left_out_of_an_export_is(git: Git, top: Path, mirror: Mirror, tmp_path: Path) -> None:
    head = commit(git, top, file="one", other="two")
    mirror.fetch_head()
    some, none = tmp_path / "some", tmp_path / "none"
    for to in (some, none):
        to.mkdir()
    mirror.export(head, some, skip=lambda path: path == "file")
    mirror.export(head, none, skip=lambda _: True)
    assert [path.name for path in (*some.iterdir(), *none.iterdir())] == ["other"]


def test_odd_names_and_executables_survive_an_export(
    git: Git, top: Path, mirror: Mirror, tmp_path: Path
) -> None:
    names = ["-rf", "new\nline", 'quote"', "back\\slash", "*", os.fsdecode(b"\xff")]
    for name in names:
        (top / name).write_text("x")
        (top / name).chmod(0o755)
    commit(git, top)
    export(mirror, tmp_path / "to")
    assert sorted(path.name for path in (tmp_path / "to").iterdir()) == sorted(names)
    assert (tmp_path / "to" / "-rf").stat().st_mode & 0o100


def test_a_mirror_whose_making_was_interrupted_or_that_is_broken_heals_itself(
    git: Git, top: Path, mirror: Mirror, tmp_path: Path
) -> None:
    head = commit(git, top, file="one")
    half = mirror.path.with_suffix(".new")
    half.mkdir(parents=True)
    (half / "HEAD").write_text("nonsense")
    assert mirror.fetch_head() == head
    (mirror.path / "config.lock").touch()
    (mirror.path / "refs" / "riskloop" / "head.lock").touch()
    (mirror.path / "shallow.lock").touch()
    head = commit(git, top, file="two")
    assert mirror.fetch_head() == head
    (mirror.path / "HEAD").write_text("nonsense")
    assert mirror.fetch_head() == head
    blob = git("rev-parse", "HEAD:file")
    stored = mirror.path / "objects" / blob[:2] / blob[2:]
    if not stored.exists():
        pytest.fail("git kept the object elsewhere than this test expects")
    stored.chmod(0o600)
    stored.write_bytes(b"rotten")
    export(mirror, tmp_path / "to")
    assert (tmp_path / "to" / "file").read_text() == "two"


def test_a_mirror_heals_itself_though_nothing_is_new(git: Git, top: Path, mirror: Mirror) -> None:
    head = commit(git, top, file="one")
    assert mirror.fetch_head() == head
    reference = mirror.path / "refs" / "riskloop" / "head"
    reference.with_suffix(".lock").touch()
    assert mirror.fetch_head() == head
    assert not reference.with_suffix(".lock").exists()
    reference.unlink()
    assert mirror.fetch_head() == head
    stored = mirror.path / "objects" / head[:2] / head[2:]
    stored.chmod(0o600)
    stored.write_bytes(b"rotten")
    assert mirror.fetch_head() == head
    stored.unlink()
    assert mirror.fetch_head() == head
    assert mirror.git("cat-file", "-t", head).text() == "commit\n"


def test_a_head_that_is_no_more_is_not_answered_from_memory(git: Git, top: Path, mirror: Mirror) -> None:
    head = commit(git, top, file="one")
    mirror.fetch_head()
    git("update-ref", "refs/remotes/origin/HEAD", head)
    git("symbolic-ref", "HEAD", "refs/heads/unborn")
    assert mirror.fetch_head() is None


def test_a_source_that_is_no_repository_is_named(mirror: Mirror, top: Path) -> None:
    top.mkdir()
    (top / ".git").write_text("nonsense")
    with pytest.raises(Unmeasurable, match="cannot be read by git"):
        mirror.fetch_head()


def test_a_files_content_and_last_change_are_told(git: Git, top: Path, mirror: Mirror) -> None:
    head = commit(git, top, file="one")
    mirror.fetch_head()
    assert mirror.content(head, "file") == b"one"
    assert mirror.content(head, "nothing") is None
    assert mirror.last_changed(head, "file") == 1_700_000_000
    assert mirror.last_changed(head, "nothing") is None
    assert not mirror.has_folder(head, "file")


def test_a_commit_is_made_and_pushed_without_any_working_copy(
    git: Git, top: Path, mirror: Mirror, tmp_path: Path
) -> None:
    base = commit(git, top, kept="k", gone="g", changed="old")
    mirror.fetch_head()
    (tmp_path / "new").write_text("new")

    def make() -> str:
        return mirror.commit_files(
            base,
            branch="riskloop/try",
            message="Adopt",
            written={"changed": (tmp_path / "new", False), "sub/tool": (tmp_path / "new", True)},
            removed=["gone"],
        )

    made = make()
    assert make() == made
    remote = tmp_path / "remote.git"
    git("clone", "--quiet", "--bare", str(top), str(remote))
    there = Remote(state=mirror.state, source=str(remote), repository=mirror.path)
    assert there.replace("riskloop/try", made, base=base) == (made, None)
    assert there.replace("riskloop/try", made, base=base) == (made, None)
    listed = git("--git-dir", str(remote), "ls-tree", "-r", "riskloop/try").splitlines()
    assert [(line.split()[0], line.split()[3]) for line in listed] == [
        ("100644", "changed"),
        ("100644", "kept"),
        ("100755", "sub/tool"),
    ]
    assert git("status", "--porcelain") == ""
