"""Whoever swaps folders and files for links while they are cleaned up has nothing outside removed."""

import itertools
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest

from riskloop.errors import RiskloopError
from riskloop.mitigations.ttl_cleanup import carrying
from riskloop.mitigations.ttl_cleanup.restoring import restore
from riskloop.mitigations.ttl_cleanup.walking import OURS
from riskloop.store import open_store, removals
from tests.mitigations.staging import Staging
from tests.proof.attacker import FILES, FOLDERS, Attacker
from tests.proof.seeding import SEED
from tests.store.children import Child, start

WAYS: tuple[dict[str, Any], ...] = (
    {"unit": "file"},
    {"unit": "file", "quarantine": "none"},
    {"unit": "directory"},
    {"unit": "directory", "quarantine": "none"},
)


@pytest.fixture
def staging(tmp_path: Path) -> Iterator[Staging]:
    """Give an empty staging area and its store."""
    store = open_store(f"sqlite:///{tmp_path / 'riskloop.sqlite'}")
    store.upgrade()
    made = Staging(project=tmp_path / "project", state=tmp_path / "state", store=store)
    made.root.mkdir(parents=True)
    made.mark()
    yield made
    store.close()


def everything_in(*places: Path) -> dict[str, tuple[int, int, int, bytes]]:
    """Give of each file its inode, mode, mtime and content, by its path."""
    found = {}
    for place in places:
        for folder, _, names in os.walk(place):
            for file in (Path(folder, name) for name in names):
                status = file.lstat()
                found[str(file)] = (status.st_ino, status.st_mode, status.st_mtime_ns, file.read_bytes())
    return found


def has_ended(child: Child) -> bool:
    return os.waitid(os.P_PID, child.process, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def clean_and_bring_back(staging: Staging, way: dict[str, Any]) -> int:
    """Clean up, bring back half the time, and purge now and then; give how many files went."""
    receipt = staging.act(staging.plan(**way), **way)
    with staging.store.reading() as connection:
        found = removals.list_removals(connection, limit=1)
    with suppress(RiskloopError):
        if found and staging.runs % 2:
            restore(staging.store, staging.state, found[0].id)
    if staging.runs % 5 == 0:
        staging.ahead += timedelta(days=8)
    return int(receipt.figures["deleted_files"])


@pytest.mark.parametrize("seconds", [4, pytest.param(60, marks=pytest.mark.soak)], ids=["short", "whole"])
def test_an_attacker_who_swaps_things_has_nothing_outside_removed_moved_or_changed(
    staging: Staging, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: int
) -> None:
    # What programs have open is looked up before anything is done: so the time is spent where it is attacked.
    monkeypatch.setattr(f"{carrying.__name__}.open_files", lambda _: frozenset())
    attacker = Attacker(
        root=staging.root, outside=tmp_path / "outside", aside=tmp_path / "aside", chance=Random(SEED)
    )
    attacker.prepare()
    guarded = (attacker.outside, attacker.aside / "doomed")
    before = everything_in(*guarded)
    staging.store.close()
    child = start(staging.store.engine.url.render_as_string(), lambda _: attacker.attack(seconds))
    child.let_go()
    came: Counter[str] = Counter()
    for way in itertools.cycle(WAYS):
        if has_ended(child):
            break
        try:
            came["removed"] += clean_and_bring_back(staging, way)
            came["cleanups"] += 1
        except RiskloopError as error:
            came[type(error).__name__] += 1
    code, said = child.wait()
    assert code == 0, said
    print(came, said)  # noqa: T201 - shown where it fails, and with -s
    assert everything_in(*guarded) == before
    assert came["removed"] > 10 * seconds
    assert came["cleanups"] > seconds


def test_a_walker_who_checks_a_path_and_then_removes_it_would_lose_much_to_this_attacker(
    tmp_path: Path,
) -> None:
    (tmp_path / "staging" / OURS / "quarantine").mkdir(parents=True)
    attacker = Attacker(
        root=tmp_path / "staging", outside=tmp_path / "outside", aside=tmp_path / "aside", chance=Random(SEED)
    )
    attacker.prepare()
    before = everything_in(attacker.outside)
    child = start(f"sqlite:///{tmp_path / 'unused.sqlite'}", lambda _: attacker.attack(2))
    child.let_go()
    while not has_ended(child):
        for folder in (attacker.root / name for name in FOLDERS):
            for file in (folder / name for name in FILES):
                with suppress(OSError):
                    if file.is_file() and not file.is_symlink():
                        file.unlink()
    assert child.wait()[0] == 0
    assert everything_in(attacker.outside).keys() < before.keys()
