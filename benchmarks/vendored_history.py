"""Makes the upstream, the patches on it and the project that vendors it, which upstream.py then looks at.

All of it is decided by one seed, so that two machines measure the same history. It is shaped like a library
of some size: 50,000 commits, a fifth of them on side branches that are merged, 5,000 text files of 2 to 6 KB
in 50 folders, one to four files touched by a commit, a tag every 1,000 commits. Two hundred commits before
the end the project vendored it, with twenty patches: most of them still apply as they are, three of them
some lines further down, and two only with the help of what they were made from.
"""

import os
import random
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

COMMITS = 50_000
FILES = 5_000
BEHIND = 200
PATCHES = 20
LAST = 1_767_225_600
"""When the newest commit was made: 2026-01-01, in seconds since 1970."""

PINNED = "pinned"
"""The branch of upstream that ends at the pin: who follows it finds nothing new."""

PIN, SERIES, VENDORED = "upstream.pin", "patches", "vendor/upstream"
"""Where the project has the pin, the patches, and what it vendored."""

_BLOCK, _SIDE = 25, range(10, 15)
_SECONDS_APART = 2_700
_MOVED, _CROWDED = (15, 16, 17), (18, 19)
_CHANGED = (*_MOVED, *_CROWDED)
_FILES_OF_A_PATCH = 3
_SHORT, _LONG = 50, 150
_SIDE_BRANCH, _PIN = "refs/heads/side", f"refs/heads/{PINNED}"
_NAME, _ADDRESS = "Bench", "bench@example.com"
_SPOKEN = """
self result value index buffer config state error options request response token stream parse build read write
open close flush retry session thread message event handler context scope limit offset length header payload
encode decode schema field record column table query filter merge split
"""
_WORDS = _SPOKEN.split()


def git(
    folder: Path,
    *arguments: str,
    given: bytes = b"",
    index: Path | None = None,
    trusted: Path | None = None,
) -> str:
    """Run git plainly, with no configuration but the repository's, and give what it printed."""
    said = {"NAME": _NAME, "EMAIL": _ADDRESS, "DATE": f"@{LAST} +0000"}
    who = {f"GIT_{role}_{what}": value for role in ("AUTHOR", "COMMITTER") for what, value in said.items()}
    aside = {"GIT_INDEX_FILE": str(index)} if index else {}
    aside |= {"GIT_SSL_CAINFO": str(trusted)} if trusted else {}
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "LC_ALL": "C",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
    }
    done = subprocess.run(
        ["git", *arguments],
        cwd=folder,
        env=environment | who | aside,
        input=given,
        capture_output=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"git {' '.join(arguments)[:200]}: {done.stderr.decode(errors='replace')[-2000:]}")
    return done.stdout.decode().rstrip()


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """What was made.

    Args:
        upstream: a bare repository.
        pin: the commit that is vendored; `head` is BEHIND commits later.
        project: a working copy with the vendored folder, the pin's file and the patches, all committed.
        patches: the files of the patches, in order.
        touched: the files of upstream that they change.
    """

    upstream: Path
    pin: str
    head: str
    project: Path
    patches: tuple[Path, ...]
    touched: tuple[str, ...]


def make_history(folder: Path) -> History:
    """Make all of it below a folder; it takes about a minute and some hundred megabytes."""
    upstream = folder / "upstream.git"
    upstream.mkdir()
    git(upstream, "init", "--quiet", "--bare", "--initial-branch=main")
    _import(upstream)
    head = git(upstream, "rev-parse", "refs/heads/main")
    pin = git(upstream, "rev-parse", _PIN)
    git(upstream, "update-ref", "-d", _SIDE_BRANCH)
    # Deltas are kept as they are: each is of the version before.
    git(upstream, "repack", "-adq", "--write-bitmap-index")
    desk = folder / "desk.git"
    git(folder, "clone", "--quiet", "--bare", "--shared", str(upstream), str(desk))
    patches, series = _make_series(desk, pin, folder / "patches")
    project = _make_project(folder / "project", desk, pin, series, patches)
    touched = tuple(git(desk, "diff-tree", "-r", "--name-only", pin, series).splitlines())
    return History(upstream=upstream, pin=pin, head=head, project=project, patches=patches, touched=touched)


def _import(upstream: Path) -> None:
    """Hand the whole history to git, every version of a file before the next file: so it packs well."""
    chance = random.Random("upstream")
    paths = [
        f"crates/crate{number % 50:02d}/{_WORDS[number // 50 % 7]}/{chance.choice(_WORDS)}_{number:04d}.rs"
        for number in range(FILES)
    ]
    touches = _touches(chance)
    versions: list[list[int]] = [[] for _ in paths]
    for commit, files in enumerate(touches, 1):
        for number in files:
            versions[number].append(commit)
    with subprocess.Popen(
        ["git", "fast-import", "--quiet", "--depth=50"], cwd=upstream, stdin=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        marks: dict[tuple[int, int], int] = {}
        for number, commits in enumerate(versions):
            for commit, content in _contents(number, commits):
                marks[number, commit] = mark = COMMITS + 1 + len(marks)
                process.stdin.write(b"blob\nmark :%d\ndata %d\n%s\n" % (mark, len(content), content))
        for lines in _commits(paths, touches, marks):
            process.stdin.write(lines.encode())
    if process.returncode:
        raise SystemExit("git fast-import did not take the history")


def _touches(chance: random.Random) -> list[list[int]]:
    """Decide which files each commit touches; those of a side branch are touched nowhere else."""
    on_side = [number for number in range(FILES) if number % 5 == 0]
    on_main = [number for number in range(FILES) if number % 5]
    patched = {file for number in range(PATCHES) for file in _files(number)}
    since = {
        COMMITS - BEHIND + 3 + nth: file for nth, file in enumerate(f for n in _CHANGED for f in _files(n))
    }
    touches = []
    for commit in range(1, COMMITS + 1):
        place = (commit - 1) % _BLOCK
        among = on_side if place in _SIDE else on_main
        chosen = set(chance.sample(among, chance.choice((1, 1, 2, 2, 3, 4, 6, 8))))
        if commit > COMMITS - BEHIND:
            chosen -= patched
            chosen |= {since[commit]} if commit in since else set()
        touches.append([] if place == _BLOCK - 1 else sorted(chosen))
    return touches


def _files(patch: int) -> tuple[int, ...]:
    """Say which files a patch changes."""
    first = patch * (FILES // PATCHES) + 1
    return tuple(range(first, first + 5 * _FILES_OF_A_PATCH, 5))


def _contents(number: int, commits: Sequence[int]) -> Iterator[tuple[int, bytes]]:
    """Give each version of a file with the commit that brings it; 0 is the first commit of all."""
    chance = random.Random(number)
    lines = [_line(chance) for _ in range(chance.randrange(_SHORT, _LONG))]
    yield 0, _joined(lines)
    moved = {file for patch in _MOVED for file in _files(patch)}
    crowded = {file for patch in _CROWDED for file in _files(patch)}
    for commit in commits:
        if commit > COMMITS - BEHIND and number in moved:
            lines[0:0] = [_line(chance) for _ in range(10)]
        elif commit > COMMITS - BEHIND and number in crowded:
            lines[_place(lines) - 2] = _line(chance)
        else:
            for _ in range(chance.randrange(1, 5)):
                at = chance.randrange(len(lines))
                gone = chance.randrange(8) if len(lines) > _SHORT else 0
                come = chance.randrange(8) if len(lines) < _LONG else 0
                lines[at : at + gone] = [_line(chance) for _ in range(come)]
        yield commit, _joined(lines)


def _place(lines: Sequence[object]) -> int:
    """Say where a patch changes a file: so far inside that ten lines above do not reach it."""
    return len(lines) // 2


def _line(chance: random.Random) -> str:
    words = [chance.choice(_WORDS) for _ in range(chance.randrange(3, 8))]
    return f"{'    ' * chance.randrange(4)}{'.'.join(words)}({chance.randrange(100_000)})"


def _joined(lines: Sequence[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


def _commits(
    paths: Sequence[str], touches: Sequence[Sequence[int]], marks: Mapping[tuple[int, int], int]
) -> Iterator[str]:
    """Give the commits as fast-import reads them: in each block a side branch leaves and is merged."""
    first = [f"M 100644 :{marks[number, 0]} {path}" for number, path in enumerate(paths)]
    main = side = 0
    brought: list[str] = []
    for commit, files in enumerate(touches, 1):
        place = (commit - 1) % _BLOCK
        changes = [f"M 100644 :{marks[number, commit]} {paths[number]}" for number in files]
        aside = place in _SIDE
        parents = [f"from :{(side or main) if aside else main}"] if commit > 1 else []
        if place == 0:
            brought, side = [], 0
        if place == _BLOCK - 1:
            parents.append(f"merge :{side}")
            changes = brought
        said = f"Change {len(files)} files of {len(paths)}, number {commit}\n"
        when = LAST - (COMMITS - commit) * _SECONDS_APART
        yield "\n".join(
            (
                f"commit {_SIDE_BRANCH if aside else 'refs/heads/main'}",
                f"mark :{commit}",
                f"committer {_NAME} <{_ADDRESS}> {when} +0000",
                f"data {len(said)}",
                said + "\n".join((*parents, *(first if commit == 1 else ()), *changes)),
                "",
            )
        )
        if aside:
            side = commit
            brought += changes
        else:
            main = commit
        if commit % 1000 == 0:
            yield f"reset refs/tags/v{commit // 1000}.0\nfrom :{commit}\n\n"
        if commit == COMMITS - BEHIND:
            yield f"reset {_PIN}\nfrom :{commit}\n\n"


def _make_series(desk: Path, pin: str, folder: Path) -> tuple[tuple[Path, ...], str]:
    """Make the patches, each on top of the one before; give their files and the last commit."""
    index = desk / "series.index"
    git(desk, "read-tree", pin, index=index)
    listed = git(desk, "ls-tree", "-r", "--name-only", pin).splitlines()
    path_of = {int(path[-7:-3]): path for path in listed}
    top = pin
    for patch in range(PATCHES):
        for file in _files(patch):
            lines = git(desk, "cat-file", "blob", f"{pin}:{path_of[file]}").splitlines()
            at = _place(lines)
            lines[at : at + 2] = [f"    patched({patch}, {file}, {n})" for n in range(4)]
            blob = git(desk, "hash-object", "-w", "--stdin", given=_joined(lines))
            git(desk, "update-index", "--cacheinfo", f"100644,{blob},{path_of[file]}", index=index)
        tree = git(desk, "write-tree", index=index)
        top = git(desk, "commit-tree", tree, "-p", top, given=f"Local change {patch}\n".encode())
    git(desk, "update-ref", "refs/heads/series", top)
    git(desk, "format-patch", "--quiet", "--no-signature", "-o", str(folder), f"{pin}..series")
    return tuple(sorted(folder.iterdir())), top


def _make_project(project: Path, desk: Path, pin: str, series: str, patches: Sequence[Path]) -> Path:
    """Make a working copy with the vendored folder, patches applied, the pin's file and the patches."""
    project.mkdir()
    git(project, "init", "--quiet", "--initial-branch=main")
    borrowed = project / ".git/objects/info/alternates"
    borrowed.write_text(f"{desk / 'objects'}\n")
    git(project, "read-tree", f"--prefix={VENDORED}/", series)
    git(project, "checkout-index", "--all")
    (project / PIN).write_text(f"{pin}\n")
    (project / SERIES).mkdir()
    for patch in patches:
        (project / SERIES / patch.name).write_bytes(patch.read_bytes())
    git(project, "add", "--", PIN, SERIES)
    commit = git(project, "commit-tree", git(project, "write-tree"), given=b"Vendor it\n")
    git(project, "update-ref", "refs/heads/main", commit)
    git(project, "repack", "-adq")
    borrowed.unlink()
    return project
