"""How fast we look at vendored code, against the git commands a person would type for it.

All of it on a made upstream of 50,000 commits and 5,000 files (vendored_history.py) that is a folder of this
very machine, and for the whole look also served by https from it: no network makes a peer wait, which would
flatter us. The peers work on a full clone, as a person's is, without a commit-graph. Patches are applied in a
worktree that has only the folders they touch; each run has one of its own, made beforehand. Our mirror has
what it fetched for the run before, as each weekly look but the first.
"""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from timing import HEADER, Result, compare, print_row
from vendored_history import BEHIND, LAST, PATCHES, PIN, PINNED, SERIES, VENDORED, History, git, make_history

from riskloop.files import scratch
from riskloop.git import Upstream
from riskloop.mitigations.upstream_drift import Settings, measure
from riskloop.mitigations.upstream_drift.patches.patching import apply_series
from riskloop.mitigations.upstream_drift.patches.series import read_series
from riskloop.mitigations.upstream_drift.standing import count
from riskloop.risks import Site

sys.path.insert(0, str(Path(__file__).parent.parent))
from tests.https_upstreams import serving

NOW = datetime.fromtimestamp(LAST, UTC) + timedelta(hours=1)
RUNS = 9


def settings_of(history: History, address: str, branch: str = "main") -> Settings:
    """Say what a register would say of the vendored folder."""
    said = {"path": VENDORED, "upstream": address, "pin": PIN, "patches": SERIES}
    return Settings.model_validate(
        said | {"cooldown": "1m", "branch": branch},
        context={"project": history.project, "allowed_roots": (history.upstream.parent,)},
    )


def site_of(history: History, state: Path) -> Site:
    """Say where the look works."""
    return Site(project=history.project, state=state, now=NOW, mitigation="bench.upstream_drift")


def measure_disk(history: History, clone: Path, state: Path) -> None:
    """Print how much our mirror takes, where no patch needs the content of files, against a full clone."""
    upstream = Upstream(state=state, source=str(history.upstream))
    upstream.follow()
    ours, peer = (disk_of(folder) / 1024**2 for folder in (upstream.path, clone))
    ratio = Result(name="", ours=(ours,), peer=(peer,), goal=0.5)
    print(
        f"| disk of the mirror before a patch needs files, against `git clone --bare` (MiB) "
        f"| {ours:.1f} | {peer:.1f} | **{ratio.ratios[0]:.2f}** | ≤ 0.50 | {ratio.verdict} |",
        flush=True,
    )


def disk_of(folder: Path) -> int:
    """Add up the bytes of disk that the files of a folder take."""
    return sum(file.lstat().st_blocks * 512 for file in folder.rglob("*"))


def measure_counts(history: History, clone: Path, state: Path) -> None:
    """Print how long counting takes: for a pin nearly all commits back, and for one of 200 back."""
    upstream = Upstream(state=state, source=str(history.upstream))
    followed = upstream.follow()
    command = ("rev-list", "--left-right", "--count")
    for behind, pin, goal in ((49_000, followed.tags["v1.0"], 0.4), (BEHIND, history.pin, None)):
        assert count(upstream, pin, followed.head) == (0, behind)
        print_row(
            compare(
                f"count a pin's {behind:,} commits behind, against `git {' '.join(command)}`",
                partial(count, upstream, pin, followed.head),
                partial(git, clone, *command, f"{pin}...{followed.head}"),
                goal=goal,
                runs=RUNS,
            )
        )


def measure_verdicts(history: History, clone: Path, state: Path) -> None:
    """Print how long the verdicts on the patches take, where the mirror has the files they touch."""
    settings, site = settings_of(history, str(history.upstream)), site_of(history, state)
    upstream = Upstream(state=state, source=str(history.upstream))
    upstream.follow()
    pin, head = upstream.folder(history.pin), upstream.folder(history.head)
    worktrees = iter([make_worktree(history, clone, f"worktree{n}") for n in range(RUNS + 1)])
    names = [str(patch) for patch in history.patches]
    trees = set()

    def judge() -> None:
        series = read_series(settings, site)
        with scratch(state, "bench") as room:
            before = apply_series(upstream, series, onto=pin, room=room)
            since = (history.pin, history.head)
            applied = apply_series(upstream, series, onto=head, room=room, at_pin=before, since=since)
        trees.add(applied.tree)

    def apply() -> None:
        worktree = next(worktrees)
        git(worktree, "am", "--quiet", "--3way", *names)
        trees.add(git(worktree, "rev-parse", "HEAD^{tree}"))

    print_row(
        compare(
            f"the verdict on {PATCHES} patches, at the pin and {BEHIND} commits later, against "
            "`git am --3way` in a sparse worktree",
            judge,
            apply,
            goal=0.2,
            runs=RUNS,
            why="we apply the series twice, at the pin and at the candidate, and ask of each patch that does "
            "not fit exactly whether upstream has it already, which git am never does; each question is a "
            "git process of its own, of 2 to 4 ms",
        )
    )
    assert len(trees) == 1, "ours and git am make different trees"


def make_worktree(history: History, clone: Path, name: str) -> Path:
    """Check out upstream's newest commit, only the folders that the patches touch."""
    worktree = clone.parent / name
    git(clone, "worktree", "add", "--quiet", "--no-checkout", "--detach", str(worktree), history.head)
    folders = {str(Path(file).parent) for file in history.touched}
    git(worktree, "sparse-checkout", "set", "--cone", *sorted(folders))
    git(worktree, "checkout", "--quiet", "--detach", history.head)
    return worktree


def measure_looks(history: History, state: Path) -> None:
    """Print how long a whole look takes: one that finds nothing new, and one that makes its bump again."""
    with serving(history.upstream.parent) as server, trusting(server.authority):
        folder, https = str(history.upstream), f"{server.address}/{history.upstream.name}"
        nothing = f"a whole look with {PATCHES} patches and nothing new upstream"
        behind = f"the same, {BEHIND} commits behind: the bump is made again, as the last look made it"
        for name, address, branch, goal in (
            (f"{nothing}, over https from this machine", https, PINNED, 10.0),
            (f"{nothing}, in a folder of this machine", folder, PINNED, 10.0),
            (f"{behind}, in a folder of this machine", folder, "main", None),
        ):
            settings, site = settings_of(history, address, branch), site_of(history, state)
            found = {one.metric: one.value for one in measure(settings, site).measurements}
            assert found["commits_behind"] == (BEHIND if branch == "main" else 0)
            print_row(
                compare(
                    f"{name}, against `git ls-remote`",
                    partial(measure, settings, site),
                    partial(git, history.project, "ls-remote", address, trusted=server.authority),
                    goal=goal,
                    runs=RUNS,
                    why="git ls-remote is one question to a process next door; a look asks sixteen, three "
                    "of them of each file on disk, and each is a git process of its own, of 2 to 8 ms",
                )
            )


@contextmanager
def trusting(authority: Path) -> Iterator[None]:
    """Trust a certificate, as an operator would have it."""
    os.environ["SSL_CERT_FILE"] = str(authority)
    try:
        yield
    finally:
        del os.environ["SSL_CERT_FILE"]


def main() -> None:
    """Print a row for each claim."""
    if "--no-header" not in sys.argv:
        print(HEADER)
    with tempfile.TemporaryDirectory() as name:
        made = Path(name)
        history = make_history(made)
        clone, state = made / "clone.git", made / "state"
        state.mkdir()
        git(made, "clone", "--quiet", "--bare", history.upstream.as_uri(), str(clone))
        measure_disk(history, clone, state)
        measure_counts(history, clone, state)
        measure_verdicts(history, clone, state)
        measure_looks(history, state)


if __name__ == "__main__":
    main()
