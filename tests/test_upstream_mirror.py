"""Somebody else's repository is followed through our own mirror, its files fetched only when asked for."""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from riskloop.errors import Unmeasurable
from riskloop.git import Upstream
from riskloop.git.listing import read_listing
from tests.mitigations.vendoring import Repository

Spy = Callable[[], list[str]]


@pytest.fixture
def theirs(tmp_path: Path) -> Repository:
    """Make an upstream with one commit of three files."""
    repository = Repository(tmp_path / "upstream")
    repository.commit({"README": "read\n", "src/a": "one\n", "src/deep/b": "two\n"})
    return repository


@pytest.fixture
def upstream(tmp_path: Path, theirs: Repository) -> Upstream:
    return Upstream(state=tmp_path / "state", source=str(theirs.path))


@pytest.fixture
def started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Spy:
    """Give a function that tells which git commands we started since it was last asked."""
    log, programs = tmp_path / "started", tmp_path / "programs"
    programs.mkdir()
    spy = programs / "git"
    spy.write_text(f'#!/bin/sh\nprintf "%s\\n" "$*" >>{log}\nexec {shutil.which("git")} "$@"\n')
    spy.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")

    def read() -> list[str]:
        lines = log.read_text().splitlines() if log.exists() else []
        log.unlink(missing_ok=True)
        return lines

    return read


def objects(upstream: Upstream) -> list[str]:
    """List what is in the mirror: each object's sort and name."""
    listed = upstream.git("cat-file", "--batch-all-objects", "--batch-check=%(objecttype) %(objectname)")
    return listed.text().splitlines()


def blobs(upstream: Upstream) -> list[str]:
    return [line.removeprefix("blob ") for line in objects(upstream) if line.startswith("blob ")]


def content(upstream: Upstream, commit: str, path: str) -> bytes:
    return upstream.git("cat-file", "blob", f"{commit}:{path}").stdout


# Following.


def test_the_branch_is_followed_as_it_moves(theirs: Repository, upstream: Upstream) -> None:
    first = theirs.head
    assert (upstream.follow().head, upstream.follow().branch) == (first, "main")
    second = theirs.commit({"src/a": "changed\n"})
    assert upstream.follow().head == second
    assert upstream.git("rev-list", "--count", second).text() == "2\n"


def test_nothing_new_costs_one_question_and_no_more(
    theirs: Repository, upstream: Upstream, started: Spy
) -> None:
    upstream.follow()
    started()
    upstream.follow()
    assert [line.split()[0] for line in started()] == ["ls-remote"]


def test_a_new_tag_is_listed_and_nothing_is_fetched_for_it(
    theirs: Repository, upstream: Upstream, started: Spy
) -> None:
    upstream.follow()
    theirs.git("tag", "light")
    theirs.git("tag", "--annotate", "--message", "1", "v1")
    head = theirs.head
    started()
    assert upstream.follow().tags == {"light": head, "v1": head}
    assert [line.split()[0] for line in started()] == ["ls-remote"]
    assert not [line for line in objects(upstream) if line.startswith("tag")]


def test_commits_are_indexed_whenever_some_were_brought(theirs: Repository, upstream: Upstream) -> None:
    upstream.follow()
    graphs = upstream.path / "objects" / "info" / "commit-graphs"
    before = (graphs / "commit-graph-chain").read_text()
    for number in range(3):
        theirs.commit({"src/a": f"{number}\n"})
    upstream.follow()
    assert (graphs / "commit-graph-chain").read_text() != before
    upstream.git("commit-graph", "verify")


def test_no_file_is_fetched_by_following_counting_and_listing(theirs: Repository, upstream: Upstream) -> None:
    pin = theirs.head
    theirs.commit({"src/a": "changed\n"})
    head = upstream.follow().head
    upstream.git("rev-list", "--left-right", "--count", f"{pin}...{head}")
    upstream.git("log", "--name-status", "--no-renames", "--format=%H", head)
    assert upstream.git("ls-tree", "-r", "--name-only", head).text().split() == [
        "README",
        "src/a",
        "src/deep/b",
    ]
    assert blobs(upstream) == []


def test_a_file_that_is_not_here_is_never_fetched_behind_our_back(
    theirs: Repository, upstream: Upstream
) -> None:
    head = upstream.follow().head
    with pytest.raises(Unmeasurable):
        content(upstream, head, "README")
    with pytest.raises(Unmeasurable):
        upstream.git("diff-tree", "-r", "--root", "-p", head)
    assert blobs(upstream) == []
    # Whatever git is asked to do later, and whichever git: the mirror itself does not know of an upstream.
    assert "promisor" not in (upstream.path / "config").read_text()
    assert str(theirs.path) not in (upstream.path / "config").read_text()


def test_the_files_that_are_asked_for_are_brought_by_one_request(
    theirs: Repository, upstream: Upstream, started: Spy
) -> None:
    theirs.commit({f"many/{number}": f"{number}\n" for number in range(50)})
    head = upstream.follow().head
    tree = upstream.folder(head)
    started()
    upstream.bring_files(tree, ["README", "src"])
    assert sum("fetch " in line for line in started()) == 1
    assert len(blobs(upstream)) == 3
    assert content(upstream, head, "src/deep/b") == b"two\n"
    upstream.bring_files(tree, ["README", "no such file"])
    upstream.bring_files(tree, [])
    assert not [line for line in started() if "fetch " in line]
    upstream.bring_files(tree)
    assert len(blobs(upstream)) == 53


def test_files_of_old_commits_are_brought_though_their_successors_are_not_here(
    theirs: Repository, upstream: Upstream
) -> None:
    lines = "".join(f"line {number}\n" for number in range(500))
    commits = [theirs.commit({"long": f"{number}\n{lines}"}) for number in range(4)]
    theirs.git("repack", "-adq", "--write-bitmap-index")
    upstream.follow()
    for commit in (commits[2], commits[0]):
        upstream.bring_files(upstream.folder(commit), ["long"])
    assert content(upstream, commits[0], "long") == f"0\n{lines}".encode()
    assert len(blobs(upstream)) == 2


ODD = ["new\nline", 'quo"te', "-rf", "--stdin", ":(top)x", ":!x", "*", "tab\there", os.fsdecode(b"\xff"), " "]


def test_files_with_odd_names_are_brought(theirs: Repository, upstream: Upstream) -> None:
    head = theirs.commit({name: f"{number}\n" for number, name in enumerate(ODD)})
    upstream.follow()
    for count, name in enumerate(ODD, 1):
        upstream.bring_files(upstream.folder(head), [name])
        assert len(blobs(upstream)) == count
    upstream.bring_files(upstream.folder(head), ["", "\0", "src/a/", "x" * 200_000])
    assert len(blobs(upstream)) == len(ODD) + 1


def test_thousands_of_files_are_brought_at_once(theirs: Repository, upstream: Upstream) -> None:
    names = [f"a-folder-with-a-long-name/and-another-below/file-{number:05}" for number in range(1500)]
    head = theirs.commit({name: f"{name}\n" for name in [*names, "other"]})
    upstream.follow()
    upstream.bring_files(upstream.folder(head), names)
    assert len(blobs(upstream)) == 1500


def test_the_mirror_takes_little_room(theirs: Repository, upstream: Upstream) -> None:
    for number in range(5):
        theirs.write({f"big/{number}": os.urandom(200_000)})
        theirs.commit()
    upstream.follow()
    assert sum(path.stat().st_size for path in upstream.path.rglob("*") if path.is_file()) < 100_000


# Branches, tags and folders.


def test_two_branches_of_one_upstream_share_a_mirror(theirs: Repository, tmp_path: Path) -> None:
    theirs.git("checkout", "--quiet", "-b", "release/1.x")
    release = theirs.commit({"src/a": "release\n"})
    theirs.git("checkout", "--quiet", "main")
    main = theirs.commit({"src/a": "main\n"})
    one = Upstream(state=tmp_path / "state", source=str(theirs.path), branch="release/1.x")
    two = Upstream(state=tmp_path / "state", source=str(theirs.path))
    for _ in range(2):
        assert (one.follow().head, one.follow().branch) == (release, "release/1.x")
        assert (two.follow().head, two.follow().branch) == (main, "main")
    assert one.path == two.path
    assert two.has(release)


def test_a_branch_that_becomes_a_folder_of_branches_is_followed(theirs: Repository, tmp_path: Path) -> None:
    theirs.git("branch", "release")
    state, source = tmp_path / "state", str(theirs.path)
    Upstream(state=state, source=source, branch="release").follow()
    theirs.git("branch", "-m", "release", "release/1")
    theirs.commit()
    assert Upstream(state=state, source=source, branch="release/1").follow().branch == "release/1"


def test_a_default_branch_that_is_renamed_is_followed(theirs: Repository, upstream: Upstream) -> None:
    assert upstream.follow().branch == "main"
    theirs.git("branch", "-m", "main", "trunk")
    head = theirs.commit()
    assert (upstream.follow().head, upstream.follow().branch) == (head, "trunk")


def test_a_head_on_no_branch_is_followed(theirs: Repository, upstream: Upstream) -> None:
    head = theirs.head
    theirs.commit()
    theirs.git("checkout", "--quiet", "--detach", head)
    assert (upstream.follow().head, upstream.follow().branch) == (head, "HEAD")


def test_tags_with_odd_names_are_listed(theirs: Repository, upstream: Upstream) -> None:
    names = ["v1", "-v", "ünï", "line\u2028sep", "a/b", "refs/tags/x", os.fsdecode(b"bad\xff")]
    for name in names:
        theirs.git("update-ref", f"refs/tags/{name}", theirs.head)
    theirs.git("update-ref", "refs/tags/a-file", theirs.git("rev-parse", "HEAD:README"))
    tags = upstream.follow().tags
    assert set(tags) == {*names[:-1], "bad\\xff", "a-file"}
    assert all(name.encode() for name in tags)


def test_a_listing_names_only_what_was_asked_for() -> None:
    listed = (
        b"ref: refs/heads/main\tHEAD\n1\tHEAD\nref: refs/remotes/o/x\trefs/remotes/o/HEAD\n"
        b"2\trefs/remotes/o/HEAD\n3\trefs/tags/v1\n4\trefs/tags/v1^{}\n5\trefs/heads/dev\n"
    )
    for branch, head, name in (("", "1", "main"), ("dev", "5", "dev")):
        followed = read_listing(listed, branch)
        assert followed is not None
        assert (followed.head, followed.branch, followed.tags) == (head, name, {"v1": "4"})
    assert read_listing(listed, "none") is None
    assert read_listing(b"", "") is None


def test_a_folder_is_found_by_its_name_and_by_nothing_else(theirs: Repository, upstream: Upstream) -> None:
    theirs.commit({"od d/new\nline/file": "x\n", "-d/file": "x\n", "a": "x\n"})
    head = upstream.follow().head
    assert upstream.folder(head) == theirs.tree()
    for name in ("src", "src/deep", "src/", "od d/new\nline", "-d"):
        assert upstream.folder(head, name) == theirs.tree(below=name.strip("/"))
    assert upstream.folder(upstream.folder(head, "src"), "deep") == theirs.tree(below="src/deep")
    for name in ("none", "a", "a tree", "src/a", "*", "sr"):
        with pytest.raises(Unmeasurable, match="has no folder") as said:
            upstream.folder(head, name)
        assert "`strip`" in said.value.remedy
    with pytest.raises(Unmeasurable):
        upstream.folder("1" * 40)


def collision(theirs: Repository) -> str:
    """Make two commits whose names begin with the same seven digits; give these."""
    tree, seen = theirs.tree(), dict[str, bytes]()
    for number in range(1_000_000):
        text = f"tree {tree}\nauthor A <a@b> 1 +0000\ncommitter A <a@b> 1 +0000\n\n{number}\n".encode()
        name = hashlib.sha1(b"commit %d\0" % len(text) + text, usedforsecurity=False).hexdigest()
        if other := seen.get(name[:7]):
            store = ("hash-object", "-t", "commit", "-w", "--stdin")
            one, two = (theirs.git(*store, stdin=content) for content in (text, other))
            merge = ("commit-tree", tree, "-m", "x", "-p", "HEAD", "-p", one, "-p", two)
            theirs.git("reset", "--quiet", "--soft", theirs.git(*merge))
            return name[:7]
        seen[name[:7]] = text
    pytest.fail("no two of them")


def test_a_commit_is_found_by_its_digits_a_tag_or_the_branch(theirs: Repository, upstream: Upstream) -> None:
    first = theirs.head
    theirs.git("tag", "v1")
    theirs.git("tag", "--annotate", "--message", "x", "v1a")
    digits = collision(theirs)
    followed = upstream.follow()
    for name in (first, first[:10], first[:10].upper(), "v1", "v1a"):
        assert upstream.resolve(name, followed) == first
    assert upstream.resolve("main", followed) == theirs.head
    tree = theirs.tree()
    for name in (digits, first[:6], tree, "HEAD", "v2", "1" * 40, "--all", "", "main~1", "refs/tags/v1"):
        assert upstream.resolve(name, followed) is None


# Commits that the branch does not lead to.


def test_history_rewritten_upstream_is_followed_and_an_old_commit_stays(
    theirs: Repository, upstream: Upstream
) -> None:
    theirs.commit({"src/a": "old\n"})
    old = upstream.follow().head
    assert upstream.bring(old)
    theirs.git("commit", "--quiet", "--amend", "--message", "Another")
    theirs.git("reflog", "expire", "--expire=now", "--all")
    theirs.git("gc", "--quiet", "--prune=now")
    assert upstream.follow().head == theirs.head != old
    upstream.git("prune", "--expire=now")
    assert upstream.has(old)
    assert upstream.bring(old)
    assert upstream.git("rev-list", "--left-right", "--count", f"{old}...{theirs.head}").text() == "1\t1\n"


def test_a_commit_that_is_on_no_branch_is_brought_if_upstream_still_has_it(
    theirs: Repository, upstream: Upstream
) -> None:
    theirs.git("checkout", "--quiet", "--detach")
    aside = theirs.commit({"src/a": "aside\n"})
    theirs.git("checkout", "--quiet", "main")
    upstream.follow()
    assert not upstream.has(aside)
    assert upstream.bring(aside)
    assert upstream.git("rev-list", "--count", aside).text() == "2\n"
    assert blobs(upstream) == []


def test_a_commit_that_nobody_has_is_not_brought(theirs: Repository, upstream: Upstream) -> None:
    upstream.follow()
    for name in ("1" * 40, theirs.tree(), "main", "--all", ""):
        assert not upstream.bring(name)
        assert not upstream.has(name)


def test_an_upstream_rewritten_while_it_is_read_is_asked_again(
    theirs: Repository, upstream: Upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs, git = tmp_path / "programs", shutil.which("git")
    programs.mkdir()
    # It happens between the question and the fetch: the first time only.
    (programs / "git").write_text(
        f'#!/bin/sh\ncase "$*" in *" fetch "*) if mkdir {tmp_path}/once 2>/dev/null; then\n'
        f"  {git} --git-dir={theirs.path}/.git update-ref refs/heads/main $(cat {tmp_path}/next); fi;; esac\n"
        f'exec {git} "$@"\n'
    )
    (programs / "git").chmod(0o755)
    theirs.commit({"src/a": "amended\n"})
    theirs.git("branch", "other", "main~1")
    theirs.git("checkout", "--quiet", "other")
    later = theirs.commit({"src/a": "later\n"})
    (tmp_path / "next").write_text(later)
    theirs.git("symbolic-ref", "HEAD", "refs/heads/main")
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    assert upstream.follow().head == later


# A commit that only a submodule has.


@pytest.fixture
def submodule(theirs: Repository, tmp_path: Path) -> Repository:
    """Clone upstream, as a submodule would be; give the clone with a commit of its own on top."""
    theirs.git("clone", "--quiet", "--no-local", str(theirs.path), str(tmp_path / "submodule"))
    clone = Repository(tmp_path / "submodule")
    clone.commit({"src/a": "local\n", "local": "new\n"})
    return clone


def test_a_commit_only_a_submodule_has_is_brought_with_its_files(
    theirs: Repository, submodule: Repository, upstream: Upstream
) -> None:
    head = upstream.follow().head
    commit = submodule.head
    assert not upstream.bring(commit)
    assert upstream.bring(commit, beside=submodule.path / ".git")
    shutil.rmtree(submodule.path)
    assert upstream.git("rev-list", "--left-right", "--count", f"{head}...{commit}").text() == "0\t1\n"
    upstream.bring_files(upstream.folder(commit))
    assert content(upstream, commit, "local") == b"new\n"
    assert content(upstream, commit, "README") == b"read\n"
    assert not upstream.repair()


def test_a_commit_of_a_shallow_submodule_is_brought_and_the_mirror_stays_whole(
    theirs: Repository, upstream: Upstream, tmp_path: Path
) -> None:
    theirs.commit({"src/a": "two\n"})
    theirs.git("clone", "--quiet", "--depth=1", f"file://{theirs.path}", str(tmp_path / "shallow"))
    shallow = Repository(tmp_path / "shallow")
    commit = shallow.commit({"src/a": "local\n"})
    upstream.follow()
    assert upstream.bring(commit, beside=shallow.path / ".git")
    assert not (upstream.path / "shallow").exists()
    assert upstream.git("rev-list", "--count", commit).text() == "3\n"
    theirs.commit({"src/a": "three\n"})
    assert upstream.follow().head == theirs.head


def test_a_commit_whose_history_is_cut_off_is_not_brought(
    theirs: Repository, upstream: Upstream, tmp_path: Path
) -> None:
    other = Repository(tmp_path / "other")
    other.commit({"x": "1\n"})
    other.commit({"x": "2\n"})
    other.git("clone", "--quiet", "--depth=1", f"file://{other.path}", str(tmp_path / "cut"))
    upstream.follow()
    assert not upstream.bring(other.head, beside=tmp_path / "cut" / ".git")
    assert not upstream.has(other.head)
    assert upstream.bring(other.head, beside=other.path / ".git")
    assert not upstream.bring("1" * 40, beside=tmp_path / "nowhere")


def trap(repository: Repository, canary: Path) -> None:
    """Have a repository run a program in every way that it can ask for."""
    program = f"touch {canary}; cat"
    included = repository.path / ".git" / "more"
    included.write_text(f'[core]\n\tfsmonitor = "{program}"\n')
    for key in (
        "core.fsmonitor",
        "core.sshCommand",
        "core.pager",
        "core.gitProxy",
        "core.alternateRefsCommand",
        "uploadpack.packObjectsHook",
        "remote.origin.uploadpack",
        "credential.helper",
        "diff.external",
        "filter.evil.smudge",
        "filter.evil.clean",
    ):
        repository.git("config", key, f"!{program}" if key == "credential.helper" else program)
    repository.git("config", "includeIf.gitdir:/.path", str(included))
    repository.git("config", "core.hooksPath", str(repository.path / ".git" / "hooks"))
    repository.git("config", "remote.origin.promisor", "true")
    repository.git("config", "remote.origin.partialclonefilter", "blob:none")
    repository.git("config", "remote.origin.url", f"ext::sh -c touch% {canary}")
    for name in ("reference-transaction", "post-checkout", "pre-push", "post-index-change"):
        hook = repository.path / ".git" / "hooks" / name
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(f"#!/bin/sh\ntouch {canary}\n")
        hook.chmod(0o755)


def test_a_hostile_submodule_runs_nothing(
    theirs: Repository, submodule: Repository, upstream: Upstream, tmp_path: Path
) -> None:
    commit = submodule.head
    trap(submodule, tmp_path / "canary")
    alternates = submodule.path / ".git" / "objects" / "info" / "alternates"
    alternates.write_text("/dev\n/nowhere\n../../objects\n")
    upstream.follow()
    assert upstream.bring(commit, beside=submodule.path / ".git")
    assert not (tmp_path / "canary").exists()


def test_a_forged_object_in_a_submodule_is_not_believed(
    theirs: Repository, submodule: Repository, upstream: Upstream
) -> None:
    upstream.follow()
    forged = "5" * 40
    place = submodule.path / ".git" / "objects" / forged[:2] / forged[2:]
    genuine = submodule.head
    place.parent.mkdir(exist_ok=True)
    shutil.copy(submodule.path / ".git" / "objects" / genuine[:2] / genuine[2:], place)
    assert not upstream.bring(forged, beside=submodule.path / ".git")
    assert not upstream.has(forged)
    assert not upstream.repair()


# What must not happen.


def test_a_hostile_upstream_on_this_machine_runs_nothing(
    theirs: Repository, upstream: Upstream, tmp_path: Path
) -> None:
    head = theirs.head
    trap(theirs, tmp_path / "canary")
    assert upstream.follow().head == head
    upstream.bring_files(upstream.folder(head))
    assert len(blobs(upstream)) == 3
    assert not upstream.bring("1" * 40)
    assert not (tmp_path / "canary").exists()


@pytest.mark.parametrize(
    "source",
    [
        "ext::sh -c touch% {canary}",
        "fd::7",
        "--upload-pack=touch {canary};",
        "-oProxyCommand=touch {canary}",
        "ssh://-oProxyCommand=touch%20{canary}/x",
        "file://{theirs}",
        "http://127.0.0.1:9/x",
        "git://127.0.0.1:9/x",
        "testgit::{theirs}",
        "upstream",
        ".",
        "",
    ],
)
def test_an_address_that_is_no_address_runs_and_reads_nothing(
    source: str, theirs: Repository, tmp_path: Path
) -> None:
    canary = tmp_path / "canary"
    upstream = Upstream(state=tmp_path / "state", source=source.format(canary=canary, theirs=theirs.path))
    with pytest.raises(Unmeasurable):
        upstream.follow()
    assert not canary.exists()


def test_neither_the_users_settings_nor_our_environment_get_through(
    theirs: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    canary, home = tmp_path / "canary", tmp_path / "home"
    (home / ".config" / "git").mkdir(parents=True)
    settings = (
        f'[url "/nowhere/"]\n\tinsteadOf = /\n[core]\n\tsshCommand = touch {canary}\n'
        f"\thooksPath = {home}\n[credential]\n\thelper = !touch {canary}\n"
    )
    for place in (home / ".gitconfig", home / ".config" / "git" / "config"):
        place.write_text(settings)
    (home / "reference-transaction").write_text(f"#!/bin/sh\ntouch {canary}\n")
    (home / "reference-transaction").chmod(0o755)
    for name, value in {
        "HOME": home,
        "XDG_CONFIG_HOME": home / ".config",
        "GIT_CONFIG_GLOBAL": home / ".gitconfig",
        "GIT_CONFIG_PARAMETERS": f"'core.sshcommand'='touch {canary}'",
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "url./nowhere/.insteadOf",
        "GIT_CONFIG_VALUE_0": "/",
        "GIT_DIR": home,
        "GIT_OBJECT_DIRECTORY": home / "objects",
        "GIT_EXEC_PATH": home,
        "GIT_SSH": f"touch {canary}",
        "GIT_SSH_COMMAND": f"touch {canary}",
        "GIT_PROXY_COMMAND": f"touch {canary}",
        "GIT_ASKPASS": f"touch {canary}",
        "GIT_TRACE": canary,
        "GIT_TRACE_CURL": canary,
        "GIT_TRACE2_EVENT": canary,
        "GIT_TEMPLATE_DIR": home,
        "GIT_ALLOW_PROTOCOL": "ext",
        "GIT_QUARANTINE_PATH": home,
    }.items():
        monkeypatch.setenv(name, str(value))
    upstream = Upstream(state=tmp_path / "state", source=str(theirs.path))
    upstream.follow()
    with pytest.raises(Unmeasurable):
        Upstream(state=tmp_path / "state", source="ssh://git@127.0.0.1:9/x").follow()
    assert not canary.exists()


def test_the_repository_our_state_lies_in_has_no_say(theirs: Repository, tmp_path: Path) -> None:
    project = Repository(tmp_path / "project")
    project.git("config", f"url.{tmp_path}/nowhere.insteadOf", str(theirs.path))
    project.git("config", "core.hooksPath", str(tmp_path))
    upstream = Upstream(state=project.path / ".riskloop", source=str(theirs.path))
    assert upstream.follow().head == theirs.head


@pytest.mark.parametrize("damage", ["missing", "a file", "empty", "other branch", "unborn", "shallow"])
def test_an_upstream_that_cannot_be_followed_says_why(
    damage: str, theirs: Repository, tmp_path: Path
) -> None:
    # Named like what one of them is refused for: that must not decide.
    place, branch = tmp_path / "not-shallow", ""
    if damage == "missing":
        words = "there is no folder"
    elif damage == "a file":
        place.write_text("nothing of git\n")
        words = "is no git repository"
    elif damage == "empty":
        Repository(place)
        words = "has no commit yet"
    elif damage == "other branch":
        theirs.git("clone", "--quiet", str(theirs.path), str(place))
        branch, words = "trunk", "has no branch trunk; it has main"
    elif damage == "unborn":
        theirs.git("clone", "--quiet", str(theirs.path), str(place))
        Repository(place).git("symbolic-ref", "HEAD", "refs/heads/later")
        words = "has no HEAD; it has main"
    else:
        theirs.commit()
        theirs.git("clone", "--quiet", "--depth=1", f"file://{theirs.path}", str(place))
        words = "is a shallow clone"
    with pytest.raises(Unmeasurable, match=words) as said:
        Upstream(state=tmp_path / "state", source=str(place), branch=branch).follow()
    assert said.value.remedy


@pytest.mark.parametrize("how", [(), ("--separate-git-dir", "../aside.git")])
def test_an_upstream_that_becomes_shallow_is_refused_and_followed_when_it_is_whole_again(
    how: tuple[str, ...], theirs: Repository, upstream: Upstream, tmp_path: Path
) -> None:
    theirs.commit()
    upstream.follow()
    for _ in range(3):
        theirs.commit()
    whole = theirs.path.rename(tmp_path / "whole")
    Repository(whole).git("clone", "--quiet", "--depth=1", *how, f"file://{whole}", str(theirs.path))
    for _ in range(2):
        with pytest.raises(Unmeasurable, match="is a shallow clone"):
            upstream.follow()
    theirs.git("fetch", "--quiet", "--unshallow")
    assert upstream.git("rev-list", "--count", upstream.follow().head).text() == "5\n"


@pytest.mark.parametrize("name", ["shallow update not allowed", os.fsdecode(b'odd\xff"\n:name')])
def test_an_upstream_with_an_odd_name_is_followed(name: str, theirs: Repository, tmp_path: Path) -> None:
    place = tmp_path / name
    theirs.git("clone", "--quiet", str(theirs.path), str(place))
    assert Upstream(state=tmp_path / "state", source=str(place)).follow().head == theirs.head


def test_a_state_directory_that_cannot_be_written_is_named(theirs: Repository, tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "upstreams").write_text("in the way")
    with pytest.raises(Unmeasurable, match="cannot be written") as said:
        Upstream(state=tmp_path / "state", source=str(theirs.path)).follow()
    assert "state directory" in said.value.remedy


FOLLOWING = """
import sys
from pathlib import Path
from riskloop.git import Upstream
print(Upstream(state=Path(sys.argv[1]), source=sys.argv[2]).follow().head)
"""


def test_many_that_follow_at_once_all_succeed(theirs: Repository, tmp_path: Path) -> None:
    argv = [sys.executable, "-c", FOLLOWING, str(tmp_path / "state"), str(theirs.path)]
    running = [subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    assert [process.communicate()[0].strip() for process in running] == [theirs.head] * 4
