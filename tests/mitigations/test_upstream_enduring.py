"""A look that was killed, or has a large upstream before it, leaves and fetches no more than it must."""

import os
import signal
import threading
from itertools import permutations
from pathlib import Path
from random import Random

import pytest

from riskloop.measurements import Observation
from riskloop.mitigations.upstream_drift import measure
from riskloop.mitigations.upstream_drift.patches.verdicts import Verdict
from tests.mitigations.patchwork import Patchwork
from tests.mitigations.vendoring import FOLDER, Vendoring, numbered
from tests.proof.seeding import SEED

KILLS = 6


def look(vendoring: Vendoring) -> Observation:
    return measure(vendoring.read_settings(), vendoring.site)


def blobs(vendoring: Vendoring) -> set[str]:
    """Name the file contents that our mirror of upstream has."""
    said = vendoring.mirror().git("cat-file", "--batch-check", "--batch-all-objects").text()
    return {line.split(" ")[0] for line in said.splitlines() if " blob " in line}


def test_a_look_fetches_only_what_patches_and_local_changes_touch(tmp_path: Path) -> None:
    vendoring = Vendoring(tmp_path)
    vendoring.upstream.commit({f"many/{number}.txt": f"{number}\n" for number in range(200)})
    vendoring.patch("0001-a.patch", {"src/a.txt": numbered(changed={20: "ours"})})
    vendoring.vendor(vendoring.upstream.head)
    look(vendoring)
    at_pin = vendoring.upstream.git("rev-parse", "HEAD:src/a.txt")
    assert blobs(vendoring) <= {at_pin, vendoring.author.git("rev-parse", "HEAD:src/a.txt")}
    moved = {"src/a.txt": numbered(changed={2: "theirs"})}
    vendoring.upstream.commit({**moved, **{f"many/{number}.txt": "new\n" for number in range(100)}})
    vendoring.project.commit({f"{FOLDER}/src/b.txt": "ours\n"})
    known = blobs(vendoring)
    look(vendoring)
    files = ("HEAD:src/a.txt", "HEAD:src/b.txt")
    upstreams = set(vendoring.upstream.git("rev-parse", *files, "HEAD:many/0.txt").split())
    kept = blobs(vendoring) - known
    assert not {name for name in kept - upstreams if "many" in name}
    # The hundred new files are one content; the old ones are in the project already.
    assert len(kept) <= len(upstreams) + 3


def test_a_look_that_is_killed_anywhere_leaves_the_next_one_as_if_it_had_never_been(tmp_path: Path) -> None:
    chance = Random(SEED)
    vendoring = Vendoring(tmp_path)
    vendoring.patch("0001-a.patch", {"src/a.txt": numbered(changed={20: "ours"})})
    vendoring.vendor(vendoring.pin)
    vendoring.settings |= {"bump": "pull_request", "gate": [["true"]]}
    vendoring.upstream.commit({"src/a.txt": f"theirs\n{numbered()}"})
    for _ in range(KILLS):
        child = os.fork()
        if not child:
            try:
                look(vendoring)
            finally:
                os._exit(0)
        threading.Event().wait(chance.uniform(0.0, 0.5))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    after = look(vendoring)
    assert not list((vendoring.state / "scratch").iterdir())
    vendoring.state = tmp_path / "another"
    vendoring.state.mkdir()
    anew = look(vendoring)
    assert after.measurements == anew.measurements
    assert after.evidence == anew.evidence
    assert after.proposal is not None
    assert anew.proposal is not None
    assert after.proposal.commit == anew.proposal.commit


def test_a_look_leaves_nothing_open(tmp_path: Path) -> None:
    vendoring = Vendoring(tmp_path)
    vendoring.vendor()
    vendoring.settings["bump"] = "pull_request"
    vendoring.upstream.commit({"src/a.txt": "new\n"})
    free = os.dup(0)
    os.close(free)
    look(vendoring)
    again = os.dup(0)
    os.close(again)
    assert again == free


def every_verdict(work: Patchwork) -> dict[str, Verdict]:
    """Write patches of which each has another fate, in files of their own."""
    names = {verdict: f"src/{number}.txt" for number, verdict in enumerate(Verdict)}
    work.pin({name: numbered() for name in names.values()})
    fates = {}
    for verdict, name in names.items():
        patch = f"{verdict.name.lower()}.patch"
        fates[patch] = verdict
        clone = work.clone(work.vendoring.pin)
        if verdict is Verdict.EMPTY:
            work.put(patch, b"")
        elif verdict is Verdict.REFUSED:
            work.put(patch, b"--- a/../out\n+++ b/../out\n@@ -1 +1 @@\n-1\n+2\n")
        else:
            clone.commit({name: numbered(changed={20: "ours"})}, message=patch)
            work.put(patch, clone.raw("format-patch", "-1", "--stdout", "--full-index"))
    work.upstream.commit(
        {
            names[Verdict.OFFSET]: f"theirs\n{numbered()}",
            names[Verdict.THREE_WAY]: numbered(changed={22: "theirs"}),
            names[Verdict.CONFLICT]: numbered(changed={20: "theirs"}),
            names[Verdict.UPSTREAMED]: numbered(changed={20: "ours"}),
            names[Verdict.TARGET_GONE]: None,
        }
    )
    return fates


@pytest.mark.parametrize("seed", range(6))
def test_every_verdict_is_the_same_in_whatever_order_the_patches_stand(tmp_path: Path, seed: int) -> None:
    work = Patchwork(tmp_path)
    fates = every_verdict(work)
    trees = set()
    orders = list(permutations(fates))
    for order in Random(f"{SEED} {seed}").sample(orders, 6):
        work.vendoring.series(order)
        applied = work.apply()
        assert {one.patch.name: one.verdict for one in applied.outcomes} == fates
        assert [one.patch.name for one in applied.outcomes] == list(order)
        trees.add(applied.tree)
    assert len(trees) == 1
