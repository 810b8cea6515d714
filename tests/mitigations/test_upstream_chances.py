"""What chance makes of upstreams, patches and changes by hand is what git itself makes of them."""

from pathlib import Path
from random import Random

import pytest

from riskloop.git import Mirror
from riskloop.mitigations.upstream_drift import measure
from riskloop.mitigations.upstream_drift.patches.verdicts import Applied, Verdict
from tests.mitigations.chances import Hand, succeeds, what_am_takes
from tests.mitigations.patchwork import Patchwork
from tests.mitigations.vendoring import FOLDER, PIN_FILE, Repository, Vendoring
from tests.proof.seeding import SEED

ROUNDS = [*range(4), *(pytest.param(number, marks=pytest.mark.soak) for number in range(4, 200))]
MEANS = {
    Verdict.CLEAN: {"taken"},
    Verdict.OFFSET: {"taken"},
    Verdict.THREE_WAY: {"taken"},
    Verdict.CONFLICT: {"refused"},
    Verdict.TARGET_GONE: {"refused"},
    # Upstream took it over and went on: git can only say that it does not apply.
    Verdict.UPSTREAMED: {"nothing", "refused"},
}


def begin(room: Path, hand: Hand) -> tuple[Patchwork, list[str]]:
    """Make an upstream, a series on its pin, and what upstream did since."""
    work = Patchwork(room)
    hand.begin(work.upstream)
    work.upstream.commit(message="Begin with more")
    work.pin()
    names = hand.write_patches(work, hand.chance.randint(1, 6))
    hand.move_on(work)
    return work, names


def refreshed_are_clean(work: Patchwork, applied: Applied) -> None:
    """Refresh what needs it: git applies the new files without a merge, and they make the same tree."""
    names = [outcome.patch.name for outcome in applied.outcomes if outcome.verdict.applies]
    for outcome in applied.outcomes:
        if outcome.verdict in (Verdict.OFFSET, Verdict.THREE_WAY):
            work.refreshed(outcome)
    made, did = what_am_takes(work, names)
    assert did == dict.fromkeys(names, "taken")
    assert made == applied.tree
    again = {outcome.patch.name: outcome.verdict for outcome in work.apply().outcomes}
    assert {again[name] for name in names} <= {Verdict.CLEAN}


@pytest.mark.parametrize("number", ROUNDS)
def test_every_verdict_and_the_tree_are_those_of_am(tmp_path: Path, number: int) -> None:
    work, names = begin(tmp_path, Hand(Random(f"{SEED} calm {number}")))
    applied = work.apply()
    made, did = what_am_takes(work, names, "-3")
    verdicts = {outcome.patch.name: outcome.verdict for outcome in applied.outcomes}
    assert not {name: (verdicts[name], did[name]) for name in names if did[name] not in MEANS[verdicts[name]]}
    assert applied.tree == made
    refreshed_are_clean(work, applied)


@pytest.mark.parametrize("number", ROUNDS)
def test_files_that_move_vanish_and_look_alike_confuse_nothing(tmp_path: Path, number: int) -> None:
    work, names = begin(tmp_path, Hand(Random(f"{SEED} wild {number}"), wild=True))
    applied = work.apply()
    assert [outcome.patch.name for outcome in applied.outcomes] == names
    refreshed_are_clean(work, applied)


@pytest.mark.parametrize("number", ROUNDS)
def test_a_bump_is_what_am_and_merge_make(tmp_path: Path, number: int) -> None:
    hand = Hand(Random(f"{SEED} bump {number}"))
    work, names = begin(tmp_path, hand)
    vendoring = work.vendoring
    vendoring.settings["bump"] = "pull_request"
    patched = bool(names) and hand.chance.random() < 0.5
    made, _ = what_am_takes(work, names if patched else (), "-3")
    judge = work.clones
    base = vendor(work, "HEAD" if patched else vendoring.pin)
    for _ in range(hand.chance.randint(1, 3)):
        hand.change(Repository(work.folder))
    vendoring.project.commit(message="Change what is vendored")
    hacked = vendoring.project.tree(below=FOLDER)
    seen = measure(vendoring.read_settings(), vendoring.site)
    if vendoring.upstream.head == vendoring.pin:
        assert seen.evidence.details["bump"] is None
        return
    assert seen.proposal is not None
    assert seen.proposal.commit
    mirror = Mirror(state=vendoring.state, source=str(vendoring.project.path))
    bumped = mirror.git("rev-parse", f"{seen.proposal.commit}:{FOLDER}").text().strip()
    merged, clashing = merge(Repository(tmp_path / f"clone-{judge}"), vendoring, base, made, hacked)
    lost = [reason for reason in seen.evidence.details["bump"]["reasons"] if "local change" in reason]
    assert bool(lost) == clashing
    assert clashing or bumped == merged


def vendor(work: Patchwork, commit: str) -> str:
    """Copy what a commit of the author has into the project; give the tree."""
    work.folder.mkdir(parents=True)
    work.author.git("--work-tree", str(work.folder), "checkout", "--force", "--quiet", commit, "--", ".")
    work.vendoring.settings["pin"] = PIN_FILE
    work.vendoring.project.commit({PIN_FILE: f"{work.vendoring.pin}\n"}, message="Vendor the library")
    return work.vendoring.project.tree(below=FOLDER)


def merge(clone: Repository, vendoring: Vendoring, *trees: str) -> tuple[str, bool]:
    """Merge with git what came of a tree on two sides; give what it makes, and whether it conflicts."""
    clone.git("fetch", "--quiet", str(vendoring.project.path), "HEAD")
    base = clone.git("commit-tree", "-m", "Base", trees[0])
    sides = [clone.git("commit-tree", "-m", "Side", "-p", base, tree) for tree in trees[1:]]
    how = ("-c", "merge.directoryRenames=false", "merge-tree", "--write-tree")
    if succeeds(clone, *how, *sides):
        return clone.git(*how, *sides), False
    return "", True
