"""A tree that is made from another and a few changes is the one git would make."""

import random
from pathlib import Path

import pytest

from riskloop.git import Upstream
from riskloop.mitigations.upstream_drift.patches.workbench import Workbench
from tests.mitigations.vendoring import Vendoring

NAMES = ("a", "a.b", "a-b", "a0", "b", "ü", "z z")


def some_path(chance: random.Random) -> str:
    return "/".join(chance.choice(NAMES) for _ in range(chance.randint(1, 3)))


def without_clashes(paths: list[str]) -> list[str]:
    """Leave out paths that would need a folder where a file is."""
    kept: list[str] = []
    for path in dict.fromkeys(paths):
        if not any(path.startswith(f"{one}/") or one.startswith(f"{path}/") for one in kept):
            kept.append(path)
    return kept


@pytest.fixture
def mirror(tmp_path: Path) -> Upstream:
    return Vendoring(tmp_path).mirror()


def put(bench: Workbench, old: list[str], new: dict[str, str]) -> None:
    gone = "".join(f"0 {'0' * 40}\t{path}\0" for path in old if path not in new)
    there = "".join(f"100644 {blob}\t{path}\0" for path, blob in new.items())
    bench.git("update-index", "-z", "--index-info", stdin=(gone + there).encode())


@pytest.mark.parametrize("seed", range(12))
def test_grafted_trees_are_the_ones_that_git_writes(mirror: Upstream, tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    blobs = [
        mirror.git("hash-object", "-w", "--stdin", stdin=text).text().strip() for text in (b"1", b"2", b"3")
    ]
    old = {path: chance.choice(blobs) for path in without_clashes([some_path(chance) for _ in range(30)])}
    whole = Workbench(upstream=mirror, room=tmp_path / "whole")
    whole.lay(mirror.git("mktree").text().strip())
    put(whole, [], old)
    before = whole.tree()

    touched = chance.sample(sorted(old), len(old) // 2)
    kept = [path for path in old if path not in touched]
    added = without_clashes([*kept, *(some_path(chance) for _ in range(15))])[len(kept) :]
    new = {path: chance.choice(blobs) for path in added}
    put(whole, touched, new)

    part = Workbench(upstream=mirror, room=tmp_path / "part", paths=tuple({*touched, *added}))
    part.lay(before)
    assert part.tree() == before
    put(part, touched, new)
    assert part.tree() == whole.tree()


def test_nothing_left_is_the_empty_tree(mirror: Upstream, tmp_path: Path) -> None:
    blob = mirror.git("hash-object", "-w", "--stdin", stdin=b"1").text().strip()
    whole = Workbench(upstream=mirror, room=tmp_path / "whole")
    empty = mirror.git("mktree").text().strip()
    whole.lay(empty)
    put(whole, [], {"a/b": blob})
    part = Workbench(upstream=mirror, room=tmp_path / "part", paths=("a/b",))
    part.lay(whole.tree())
    put(part, ["a/b"], {})
    assert part.tree() == empty
