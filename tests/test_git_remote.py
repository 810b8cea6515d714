"""A branch of ours goes to another repository, and over nothing that a person did there."""

import os
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from riskloop.errors import Refused, TryAgain, Unmeasurable
from riskloop.git import COMMITTER, Mirror, Remote
from tests.https_upstreams import serving

BRANCH = "riskloop/try"


@dataclass(frozen=True, slots=True)
class Both:
    """A project, our mirror of it, the repository that the project was pushed to, and a person's clone."""

    place: Path
    mirror: Mirror
    remote: Remote
    base: str

    def ours(self, content: str, *, base: str = "") -> str:
        """Make a commit of ours that follows the base."""
        file = self.place / "new"
        file.write_text(content)
        written = {"file": (file, False)}
        base = base or self.base
        return self.mirror.commit_files(base, branch=BRANCH, message=content, written=written, removed=[])

    def there(self) -> str:
        """Give the branch's commit in the other repository."""
        return git("rev-parse", f"refs/heads/{BRANCH}", folder=self.place / "remote.git")

    def person_adds(self, subject: str) -> str:
        """Have a person add a commit to the branch in the other repository."""
        theirs = self.place / "theirs"
        if not theirs.exists():
            git("clone", "--quiet", str(self.place / "remote.git"), str(theirs), folder=self.place)
        git("fetch", "--quiet", "origin", folder=theirs)
        git("checkout", "--quiet", "--force", "-B", BRANCH, f"origin/{BRANCH}", folder=theirs)
        git("commit", "--quiet", "--allow-empty", "--message", subject, folder=theirs)
        git("push", "--quiet", "--force", "origin", BRANCH, folder=theirs)
        return git("rev-parse", "HEAD", folder=theirs)


def git(*arguments: str, folder: Path, who: str = "Mia", address: str = "mia@example.org") -> str:
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "GIT_CONFIG_NOSYSTEM": "1",
        **{f"GIT_{role}_NAME": who for role in ("AUTHOR", "COMMITTER")},
        **{f"GIT_{role}_EMAIL": address for role in ("AUTHOR", "COMMITTER")},
    }
    done = subprocess.run(
        ["git", *arguments], cwd=folder, env=environment, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


@pytest.fixture
def both(tmp_path: Path) -> Both:
    project = tmp_path / "project"
    project.mkdir()
    git("init", "--quiet", "--initial-branch=main", folder=project)
    (project / "file").write_text("old")
    git("add", "--all", folder=project)
    git("commit", "--quiet", "--message", "Begin", folder=project)
    git("clone", "--quiet", "--bare", str(project), str(tmp_path / "remote.git"), folder=tmp_path)
    mirror = Mirror(state=tmp_path / "state", source=str(project))
    base = mirror.fetch_head()
    assert base is not None
    source = str(tmp_path / "remote.git")
    remote = Remote(state=mirror.state, source=source, repository=mirror.path)
    return Both(tmp_path, mirror, remote, base)


def test_what_we_pushed_is_replaced_by_what_we_push_next(both: Both) -> None:
    first, second = both.ours("one"), both.ours("two")
    assert both.remote.replace(BRANCH, first, base=both.base) == (first, None)
    assert both.remote.replace(BRANCH, second, base=both.base) == (second, None)
    assert both.there() == second


def test_a_persons_commit_on_our_branch_is_named_and_never_overwritten(both: Both) -> None:
    both.remote.replace(BRANCH, both.ours("one"), base=both.base)
    both.person_adds("Mend the test")
    theirs = both.person_adds("Mend it again\x1b[31m")
    there, found = both.remote.replace(BRANCH, both.ours("two"), base=both.base)
    assert there == both.there() == theirs
    assert found is not None
    assert (found.commit, found.who, found.more) == (theirs, "Mia", 1)


@pytest.mark.parametrize("end", ["\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\u2029"])
def test_what_unicode_calls_a_lines_end_in_a_persons_words_ends_nothing(both: Both, end: str) -> None:
    both.remote.replace(BRANCH, both.ours("one"), base=both.base)
    theirs = both.person_adds(f"Mend{end}the test")
    _, found = both.remote.replace(BRANCH, both.ours("two"), base=both.base)
    assert found is not None
    assert (found.commit, found.more) == (theirs, 0)


def test_a_persons_commit_with_which_the_branch_was_merged_is_done_with_and_no_later_one(both: Both) -> None:
    both.remote.replace(BRANCH, both.ours("one"), base=both.base)
    merged = both.person_adds("Mend the test")
    later = both.person_adds("Mend it later")
    second = both.ours("two")
    there, found = both.remote.replace(BRANCH, second, base=both.base, merged={merged})
    assert there == later
    assert found is not None
    assert both.remote.replace(BRANCH, second, base=both.base, merged={merged, later}) == (second, None)


def test_a_commit_of_ours_that_a_person_amended_is_the_persons(both: Both) -> None:
    both.remote.replace(BRANCH, both.ours("one"), base=both.base)
    both.person_adds("aside")
    theirs = both.place / "theirs"
    git("reset", "--quiet", "--hard", "HEAD~1", folder=theirs)
    git("commit", "--quiet", "--amend", "--message", "reworded", folder=theirs)
    git("push", "--quiet", "--force", "origin", BRANCH, folder=theirs)
    _, found = both.remote.replace(BRANCH, both.ours("two"), base=both.base)
    assert found is not None


def test_a_branch_whose_base_was_rewritten_since_we_pushed_it_is_still_ours(both: Both) -> None:
    both.remote.replace(BRANCH, both.ours("one"), base=both.base)
    project = both.place / "project"
    git("commit", "--quiet", "--amend", "--message", "Begin again", folder=project)
    base = both.mirror.fetch_head()
    assert base not in {None, both.base}
    second = both.ours("two", base=str(base))
    assert both.remote.replace(BRANCH, second, base=str(base)) == (second, None)


def test_without_a_memory_of_what_we_pushed_its_committers_tell_that_it_is_ours(both: Both) -> None:
    first = both.ours("one")
    both.remote.replace(BRANCH, first, base=both.base)
    both.mirror.git("update-ref", "-d", f"refs/riskloop/pushed/{BRANCH}")
    assert both.remote.foreign(first, branch=BRANCH) is None
    assert git("log", "-1", "--format=%ce", BRANCH, folder=both.place / "remote.git") == COMMITTER


def test_a_branch_that_moves_between_the_look_and_the_push_is_not_overwritten(both: Both) -> None:
    first = both.ours("one")
    both.remote.replace(BRANCH, first, base=both.base)
    theirs = both.person_adds("meanwhile")
    assert not both.remote.push(BRANCH, both.ours("two"), there=first).succeeded
    assert not both.remote.push(BRANCH, both.ours("two"), there="").succeeded
    assert both.there() == theirs


@dataclass(frozen=True, slots=True, kw_only=True)
class Hasty(Remote):
    """Reads a branch, and somebody else of ours moves it before it is pushed.

    Args:
        moves: how often it is still to be moved.
    """

    moves: list[None]

    def read(self, branch: str) -> str:
        there = Remote.read(self, branch)
        if self.moves:
            self.moves.pop()
            at = Path(self.source)
            tree = f"{branch}^{{tree}}"
            moved = git("commit-tree", tree, "-p", branch, "-m", "x", folder=at, address=COMMITTER)
            git("update-ref", f"refs/heads/{branch}", moved, folder=at)
        return there


def hasty(both: Both, *, times: int) -> Hasty:
    remote = both.remote
    return Hasty(state=remote.state, source=remote.source, repository=remote.repository, moves=[None] * times)


def test_a_branch_that_keeps_moving_is_left_for_the_next_run(both: Both) -> None:
    both.remote.replace(BRANCH, both.ours("one"), base=both.base)
    with pytest.raises(TryAgain, match="moves while it is pushed"):
        hasty(both, times=9).replace(BRANCH, both.ours("two"), base=both.base)


def test_a_branch_that_moved_once_is_read_and_judged_again(both: Both) -> None:
    both.remote.replace(BRANCH, both.ours("one"), base=both.base)
    second = both.ours("two")
    assert hasty(both, times=1).replace(BRANCH, second, base=both.base) == (second, None)
    assert both.there() == second


def test_a_branch_that_may_not_be_pushed_is_refused_with_the_right_that_is_missing(both: Both) -> None:
    hook = both.place / "remote.git" / "hooks" / "pre-receive"
    hook.write_text("#!/bin/sh\nprintf 'it is \\033[31mprotected\\n' >&2\nexit 1\n")
    hook.chmod(0o755)
    with pytest.raises(Refused, match="protected; pre-receive hook declined;") as refused:
        both.remote.replace(BRANCH, both.ours("one"), base=both.base)
    assert "contents: write" in refused.value.remedy
    assert refused.value.what.isprintable()
    # The other side's words, and none of the command's.
    for ours in ("--force-with-lease", "exit code", "failed to push"):
        assert ours not in refused.value.what


def test_a_repository_that_is_not_there_is_said_to_be_unreadable(both: Both) -> None:
    source = str(both.place / "nowhere.git")
    nowhere = Remote(state=both.mirror.state, source=source, repository=both.mirror.path)
    with pytest.raises(Unmeasurable, match="cannot be read"):
        nowhere.replace(BRANCH, both.ours("one"), base=both.base)


def test_the_mirror_can_be_followed_by_others_while_we_push(both: Both) -> None:
    both.remote.replace(BRANCH, both.ours("one"), base=both.base)
    settings = both.mirror.path.with_suffix(".gitconfig").read_text()
    both.remote.read(BRANCH)
    assert both.mirror.path.with_suffix(".gitconfig").read_text() == settings


def test_a_project_whose_history_is_cut_off_is_pushed_from_and_judged_all_the_same(both: Both) -> None:
    for subject in ("Second", "Third"):
        git("commit", "--quiet", "--allow-empty", "--message", subject, folder=both.place / "project")
    git("push", "--quiet", str(both.place / "remote.git"), "main", folder=both.place / "project")
    shallow = both.place / "shallow"
    source = f"file://{both.place / 'remote.git'}"
    git("clone", "--quiet", "--depth=1", source, str(shallow), folder=both.place)
    mirror = Mirror(state=both.place / "other", source=str(shallow))
    base = str(mirror.fetch_head())
    seen = replace(both, mirror=mirror, base=base, remote=replace(both.remote, repository=mirror.path))
    assert seen.remote.replace(BRANCH, seen.ours("one"), base=base)[1] is None
    second = seen.ours("two")
    mirror.git("update-ref", "-d", f"refs/riskloop/pushed/{BRANCH}")
    assert seen.remote.replace(BRANCH, second, base=base) == (second, None)
    seen.person_adds("theirs")
    assert seen.remote.replace(BRANCH, seen.ours("three"), base=base)[1] is not None


def test_the_token_goes_to_no_other_address_than_the_repositorys(
    both: Both, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(both.place) as server:
        monkeypatch.setenv("SSL_CERT_FILE", str(server.authority))
        source = f"{server.address}/moved/remote.git"
        remote = replace(both.remote, source=source, token="a-token-for-one-repository")
        with pytest.raises(Unmeasurable):
            remote.read(BRANCH)
        assert {path for path, _ in server.logins} == {"/moved/remote.git/info/refs"}
