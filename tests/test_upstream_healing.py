"""A mirror that was killed, damaged or half removed is whole again after the next look, without a person."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from riskloop.errors import Unmeasurable
from riskloop.files import remove_tree
from riskloop.git import Upstream
from tests.mitigations.vendoring import Repository

COMMITS = 4_000


@pytest.fixture
def theirs(tmp_path: Path) -> Repository:
    repository = Repository(tmp_path / "upstream")
    repository.commit({"README": "read\n", "src/a": "one\n"})
    repository.commit({"src/a": "two\n"})
    return repository


@pytest.fixture
def upstream(tmp_path: Path, theirs: Repository) -> Upstream:
    """Follow an upstream in two steps, and bring one file."""
    followed = Upstream(state=tmp_path / "state", source=str(theirs.path))
    followed.follow()
    head = theirs.commit({"src/a": "three\n"})
    followed.follow()
    followed.bring_files(followed.folder(head), ["README"])
    return followed


def assert_whole(upstream: Upstream, theirs: Repository) -> None:
    """Read everything there is, and what was fetched again."""
    head = upstream.follow().head
    assert head == theirs.head
    count = theirs.git("rev-list", "--count", "HEAD")
    assert upstream.git("rev-list", "--count", head).text().strip() == count
    assert upstream.folder(head, "src") == theirs.tree(below="src")
    upstream.git("rev-list", "--objects", "--filter=blob:none", head)
    upstream.bring_files(upstream.folder(head))
    assert upstream.git("cat-file", "blob", f"{head}:README").stdout == b"read\n"
    upstream.git("commit-graph", "verify")
    assert not upstream.repair()


def largest(mirror: Path, pattern: str) -> Path:
    return max(mirror.glob(pattern), key=lambda path: path.stat().st_size)


def overwrite(path: Path, content: bytes) -> None:
    path.chmod(0o644)
    path.write_bytes(content)


def truncate(path: Path) -> None:
    overwrite(path, path.read_bytes()[:-30])


def flip(path: Path) -> None:
    """Change a byte in the middle, and let size and times be what they were."""
    before, content = path.stat(), bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    overwrite(path, bytes(content))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def remove_half(mirror: Path) -> None:
    for number, path in enumerate(sorted(path for path in mirror.rglob("*") if path.is_file())):
        if number % 2:
            path.unlink()


def remove_packs(mirror: Path) -> None:
    for path in (mirror / "objects" / "pack").iterdir():
        path.unlink()


def empty(mirror: Path) -> None:
    remove_tree(mirror)
    mirror.mkdir()


def replace(mirror: Path) -> None:
    remove_tree(mirror)
    mirror.write_text("nonsense")


def leave_locks(mirror: Path) -> None:
    head = next((mirror / "refs" / "riskloop" / "heads").iterdir())
    chain = mirror / "objects" / "info" / "commit-graphs" / "commit-graph-chain"
    for path in (mirror / "config", mirror / "shallow", mirror / "packed-refs", mirror / "HEAD", head, chain):
        path.with_name(f"{path.name}.lock").touch()
    (mirror / "objects" / "pack" / "tmp_pack_left").write_bytes(b"half of a pack")


Damage = Callable[[Path], object]

SEEN: dict[str, Damage] = {
    "a pack is cut short": lambda mirror: truncate(largest(mirror, "objects/pack/*.pack")),
    "an index of a pack is cut short": lambda mirror: truncate(largest(mirror, "objects/pack/*.idx")),
    "an index of a pack is gone": lambda mirror: largest(mirror, "objects/pack/*.idx").unlink(),
    "every pack is gone": remove_packs,
    "what marks a pack as partial is gone": lambda mirror: largest(
        mirror, "objects/pack/*.promisor"
    ).unlink(),
    "HEAD is empty": lambda mirror: overwrite(mirror / "HEAD", b""),
    "HEAD is gone": lambda mirror: (mirror / "HEAD").unlink(),
    "the configuration is garbage": lambda mirror: overwrite(mirror / "config", b"\0[[core\n = nonsense"),
    "the configuration is gone": lambda mirror: (mirror / "config").unlink(),
    "the attributes are gone": lambda mirror: (mirror / "info" / "attributes").unlink(),
    "the attributes are others": lambda mirror: overwrite(mirror / "info" / "attributes", b"* filter=x\n"),
    "the folder of the attributes is gone": lambda mirror: remove_tree(mirror / "info"),
    "the references are gone": lambda mirror: remove_tree(mirror / "refs"),
    "a reference is garbage": lambda mirror: overwrite(
        next((mirror / "refs" / "riskloop" / "heads").iterdir()), b"nonsense\n"
    ),
    "a reference is full of zeros": lambda mirror: overwrite(
        next((mirror / "refs" / "riskloop" / "heads").iterdir()), b"\0" * 41
    ),
    "the index of commits is cut short": lambda mirror: truncate(
        largest(mirror, "objects/info/commit-graphs/*.graph")
    ),
    "the index of commits is empty": lambda mirror: overwrite(
        largest(mirror, "objects/info/commit-graphs/*.graph"), b""
    ),
    "half of the files are gone": remove_half,
    "the objects are gone": lambda mirror: remove_tree(mirror / "objects"),
    "the mirror is empty": empty,
    "the mirror is gone": remove_tree,
    "a file stands in its place": replace,
    "the folder of all mirrors is gone": lambda mirror: remove_tree(mirror.parent),
    "the seal is garbage": lambda mirror: mirror.with_suffix(".seal").write_bytes(b"\xff\0{"),
    "the seal is something else": lambda mirror: mirror.with_suffix(".seal").write_bytes(
        b'{"heads": [], "files": {"HEAD": 1}}'
    ),
    "the seal is empty": lambda mirror: mirror.with_suffix(".seal").write_bytes(b""),
    "the seal is gone": lambda mirror: mirror.with_suffix(".seal").unlink(),
    "the settings are garbage": lambda mirror: mirror.with_suffix(".gitconfig").write_bytes(b"[[["),
    "locks were left": leave_locks,
}


@pytest.mark.parametrize("new", ["", "four\n"], ids=["nothing new", "something new"])
@pytest.mark.parametrize("name", SEEN)
def test_what_is_broken_is_whole_after_the_next_follow(
    name: str, new: str, theirs: Repository, upstream: Upstream
) -> None:
    SEEN[name](upstream.path)
    if new:
        theirs.commit({"src/a": new})
    assert_whole(upstream, theirs)
    for path in ("*.lock", "refs/**/*.lock", "objects/pack/tmp_*"):
        assert not new or not list(upstream.path.glob(path))


UNSEEN: dict[str, Damage] = {
    "a byte of a pack": lambda mirror: flip(largest(mirror, "objects/pack/*.pack")),
    "a byte of an index of a pack": lambda mirror: flip(largest(mirror, "objects/pack/*.idx")),
    "a byte of the index of commits": lambda mirror: flip(
        largest(mirror, "objects/info/commit-graphs/*.graph")
    ),
    "a loose object": lambda mirror: flip(next(mirror.glob("objects/??/*"))),
    "a loose object, emptied": lambda mirror: overwrite(next(mirror.glob("objects/??/*")), b""),
}


@pytest.mark.parametrize("name", UNSEEN)
def test_what_only_reading_finds_is_repaired(name: str, theirs: Repository, upstream: Upstream) -> None:
    upstream.git("hash-object", "-w", "--stdin", stdin=b"an object of ours\n" * 20)
    upstream.follow()
    assert not upstream.repair()
    UNSEEN[name](upstream.path)
    upstream.follow()
    assert upstream.repair()
    assert_whole(upstream, theirs)


def test_a_mirror_that_is_whole_is_left_alone(theirs: Repository, upstream: Upstream) -> None:
    before = {path: path.stat().st_ino for path in upstream.path.rglob("*")}
    assert not upstream.repair()
    # Git touches a pack when it is to write what is in it already; that is no damage either.
    upstream.git("hash-object", "-w", "--stdin", stdin=b"read\n")
    upstream.follow()
    assert {path: path.stat().st_ino for path in upstream.path.rglob("*")} == before


def test_a_damaged_index_of_commits_does_not_cost_the_mirror(theirs: Repository, upstream: Upstream) -> None:
    pack = largest(upstream.path, "objects/pack/*.pack")
    inode = pack.stat().st_ino
    truncate(largest(upstream.path, "objects/info/commit-graphs/*.graph"))
    upstream.follow()
    assert pack.stat().st_ino == inode
    assert_whole(upstream, theirs)


def test_a_mirror_that_is_gone_while_it_is_read_is_made_anew(theirs: Repository, upstream: Upstream) -> None:
    head = upstream.follow().head
    remove_tree(upstream.path.parent)
    assert not upstream.has(head)
    with pytest.raises(Unmeasurable):
        upstream.git("rev-list", "--count", head)
    assert upstream.repair()
    assert_whole(upstream, theirs)


def test_objects_that_upstream_itself_has_malformed_are_no_damage(
    theirs: Repository, upstream: Upstream
) -> None:
    odd = (
        f"tree {theirs.tree()}\nparent {theirs.head}\nauthor A <a@b 1 +0000\ncommitter A <a@b> 1 +0000\n\nx\n"
    )
    made = theirs.git("hash-object", "-t", "commit", "-w", "--literally", "--stdin", stdin=odd.encode())
    theirs.git("update-ref", "HEAD", made)
    assert upstream.follow().head == made
    before = largest(upstream.path, "objects/pack/*.pack").stat().st_ino
    assert not upstream.repair()
    assert largest(upstream.path, "objects/pack/*.pack").stat().st_ino == before
    flip(largest(upstream.path, "objects/pack/*.pack"))
    assert upstream.repair()


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """Make an upstream that takes a moment to fetch."""
    repository = Repository(tmp_path_factory.mktemp("large") / "upstream")
    lines = []
    for number in range(COMMITS):
        lines.append(f"commit refs/heads/main\ncommitter A <a@b> {number} +0000\ndata 2\nx\n")
        lines += [f"M 644 inline d{number % 97}/e{number % 89}/f{number % 83}\ndata 8\n{number:7}\n"]
    repository.git("fast-import", "--quiet", stdin="".join(lines).encode())
    return repository


FOLLOWING = """
import sys
from pathlib import Path
from riskloop.git import Upstream
Upstream(state=Path(sys.argv[1]), source=sys.argv[2]).follow()
"""

MOMENTS = {
    "as the mirror is made": ("*/HEAD", 0.0),
    "as it is fetched": ("*/objects/pack/tmp_pack_*", 0.0),
    "while it is fetched": ("*/objects/pack/tmp_pack_*", 0.03),
    "as the pack is there": ("*/objects/pack/pack-*.pack", 0.0),
    "as the branch is there": ("*/refs/riskloop/heads/*", 0.0),
    "as the commits are indexed": ("*/objects/info/commit-graphs", 0.0),
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_first_fetch_that_was_killed_is_done_by_the_next_follow(
    moment: str, large: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs, leaders = tmp_path / "programs", tmp_path / "leaders"
    programs.mkdir()
    (programs / "git").write_text(f'#!/bin/sh\necho $$ >>{leaders}\nexec {shutil.which("git")} "$@"\n')
    (programs / "git").chmod(0o755)
    state, (sign, later) = tmp_path / "state", MOMENTS[moment]
    environment = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"}
    argv = [sys.executable, "-c", FOLLOWING, str(state), str(large.path)]
    with subprocess.Popen(argv, env=environment) as ours:
        deadline = time.monotonic() + 20
        while not list((state / "upstreams").glob(sign)) and time.monotonic() < deadline:
            os.sched_yield()
        until = time.monotonic() + later
        while time.monotonic() < until:
            os.sched_yield()
        ours.kill()
        for leader in leaders.read_text().split():
            kill_group(int(leader))
    upstream = Upstream(state=state, source=str(large.path))
    assert upstream.follow().head == large.head
    assert upstream.git("rev-list", "--count", large.head).text() == f"{COMMITS}\n"
    assert not list(upstream.path.glob("objects/pack/tmp_*"))
    assert not upstream.repair()


def kill_group(leader: int) -> None:
    """Kill a group that we started; it may be over already."""
    try:
        os.killpg(leader, signal.SIGKILL)
    except ProcessLookupError:
        return
