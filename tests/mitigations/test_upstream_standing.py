"""Where a pin stands in its upstream's history, and which commit a bump would bring."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from riskloop.errors import Unmeasurable
from riskloop.mitigations.upstream_drift.standing import Standing, count, stand
from riskloop.risks import Decision
from tests.mitigations.vendoring import NOW, Vendoring, numbered


@pytest.fixture
def vendoring(tmp_path: Path) -> Vendoring:
    return Vendoring(tmp_path)


def standing(vendoring: Vendoring, **settings: Any) -> Standing:
    vendoring.settings |= settings
    upstream = vendoring.mirror()
    upstream = replace(upstream, branch=vendoring.settings.get("branch", ""))
    followed = upstream.follow()
    return stand(upstream, followed, vendoring.read_settings(), vendoring.site, pin=vendoring.pin)


def acknowledged(vendoring: Vendoring, commit: str, *, upstream: str = "") -> Decision:
    return Decision(
        decision="acknowledge",
        who="Mia",
        why="docs only",
        at=NOW,
        details={"commit": commit, "upstream": upstream or str(vendoring.upstream.path)},
    )


def test_a_pin_at_the_head_is_behind_by_nothing_and_there_is_nothing_to_bring(vendoring: Vendoring) -> None:
    found = standing(vendoring)
    assert (found.behind, found.ahead, found.days, found.releases) == (0, 0, 0.0, ())
    assert (found.candidate, found.diverged, found.branch) == ("", False, "main")


def test_what_is_missing_is_counted_with_its_age_and_its_releases_in_their_order(
    vendoring: Vendoring,
) -> None:
    upstream = vendoring.upstream
    upstream.commit({"new.txt": "1\n"}, days_ago=12)
    upstream.git("tag", "v1.10")
    upstream.commit({"new.txt": "2\n"}, days_ago=8)
    upstream.git("tag", "--annotate", "--message", "out", "v1.9")
    newest = upstream.commit({"new.txt": "3\n"}, days_ago=5)
    found = standing(vendoring)
    assert (found.behind, round(found.days, 3)) == (3, 12)
    assert found.releases == ("v1.10", "v1.9")
    assert (found.candidate, found.waiting) == (newest, 0)


def test_a_bump_never_goes_to_a_commit_that_lacks_the_pin_which_leads_to_it(vendoring: Vendoring) -> None:
    upstream = vendoring.upstream
    beginning = upstream.head
    vendoring.pin = upstream.commit({"pinned.txt": "1\n"}, days_ago=30)
    upstream.git("checkout", "--quiet", "--detach", beginning)
    upstream.commit({"work.txt": "1\n"}, days_ago=20)
    upstream.days_ago = 1
    upstream.git("merge", "--quiet", "--message", "Merge main into my work", "main")
    merged = upstream.head
    upstream.git("checkout", "--quiet", "-B", "main", merged)
    found = standing(vendoring)
    assert (found.behind, found.waiting, found.ahead, found.candidate) == (2, 1, 0, "")
    assert standing(vendoring, cooldown="1h").candidate == merged


def test_a_commit_younger_than_the_cooldown_is_counted_and_waits(vendoring: Vendoring) -> None:
    old = vendoring.upstream.commit({"new.txt": "1\n"}, days_ago=3)
    vendoring.upstream.commit({"new.txt": "2\n"}, days_ago=2.9)
    found = standing(vendoring)
    assert (found.behind, found.candidate, found.waiting) == (2, old, 1)
    assert standing(vendoring, cooldown="4d").candidate == ""


def test_an_old_commit_that_was_merged_yesterday_waits_like_its_merge(vendoring: Vendoring) -> None:
    upstream = vendoring.upstream
    old = upstream.commit({"main.txt": "1\n"}, days_ago=20)
    upstream.git("checkout", "--quiet", "-b", "side", vendoring.pin)
    upstream.commit({"side.txt": "1\n"}, days_ago=19)
    upstream.git("checkout", "--quiet", "main")
    upstream.days_ago = 1
    upstream.git("merge", "--quiet", "--no-ff", "--message", "Merge side", "side")
    found = standing(vendoring)
    assert (found.behind, found.candidate) == (3, old)


def test_only_the_folder_that_is_vendored_counts_where_nothing_is_watched(vendoring: Vendoring) -> None:
    vendoring.upstream.commit({"docs/x.md": "1\n"}, days_ago=30)
    inside = vendoring.upstream.commit({"src/a.txt": numbered(changed={3: "three"})}, days_ago=20)
    vendoring.upstream.commit({"docs/x.md": "2\n"}, days_ago=10)
    found = standing(vendoring, strip="src")
    assert (found.behind, round(found.days), found.candidate) == (1, 20, inside)


def test_what_upstream_never_had_cannot_be_watched_and_is_named(vendoring: Vendoring) -> None:
    vendoring.upstream.commit({"src/new.txt": "1\n", "tools/run.sh": None}, days_ago=9)
    assert standing(vendoring, watch=["src/new.txt", "tools/run.sh", "src/"]).behind == 1
    with pytest.raises(Unmeasurable, match=r"has no scr, neither at .* nor on main.*upstream's top"):
        standing(vendoring, watch=["src", "scr"])
    with pytest.raises(Unmeasurable, match=r"has no a\.txt.*write src/a\.txt in `watch`"):
        standing(vendoring, watch=["a.txt"], strip="src")


def test_only_what_is_watched_counts_and_a_release_outside_of_it_is_told_all_the_same(
    vendoring: Vendoring,
) -> None:
    vendoring.upstream.commit({"docs/x.md": "1\n"}, days_ago=30)
    vendoring.upstream.git("tag", "v2")
    found = standing(vendoring, watch=["src", "tools/run.sh"])
    assert (found.behind, found.candidate, found.days) == (0, "", 0.0)
    assert found.releases == ("v2",)


def test_another_branch_is_followed_by_its_name(vendoring: Vendoring) -> None:
    vendoring.upstream.git("checkout", "--quiet", "-b", "release/1.x")
    commit = vendoring.upstream.commit({"x.txt": "1\n"}, days_ago=9)
    vendoring.upstream.git("checkout", "--quiet", "main")
    found = standing(vendoring, branch="release/1.x")
    assert (found.branch, found.head, found.behind) == ("release/1.x", commit, 1)


def test_a_commit_of_our_own_in_a_submodule_is_ahead_and_diverged(vendoring: Vendoring) -> None:
    vendoring.submodule()
    vendoring.diverge({"ours.txt": "1\n"})
    theirs = vendoring.upstream.commit({"theirs.txt": "1\n"}, days_ago=9)
    found = standing(vendoring)
    assert (found.ahead, found.behind, found.diverged, found.rewritten) == (1, 1, True, False)
    assert found.candidate == theirs


def test_a_history_rewritten_upstream_is_told_from_commits_of_our_own(vendoring: Vendoring) -> None:
    assert not standing(vendoring).rewritten
    vendoring.upstream.days_ago = 10
    head = vendoring.rewrite()
    found = standing(vendoring)
    assert (found.rewritten, found.diverged, found.head, found.behind) == (True, True, head, 1)


def test_what_was_acknowledged_counts_no_more_and_is_not_brought(vendoring: Vendoring) -> None:
    middle = vendoring.upstream.commit({"x.txt": "1\n"}, days_ago=12)
    vendoring.decisions = (acknowledged(vendoring, middle),)
    found = standing(vendoring)
    assert (found.baseline, found.behind, found.candidate) == (middle, 0, "")
    assert found.acknowledged is not None
    newest = vendoring.upstream.commit({"x.txt": "2\n"}, days_ago=6)
    found = standing(vendoring)
    assert (found.pin, found.behind, round(found.days), found.candidate) == (vendoring.pin, 1, 6, newest)


@pytest.mark.parametrize("case", ["of another upstream", "the pin has it", "not on the branch", "unknown"])
def test_an_acknowledgement_that_no_longer_fits_is_not_regarded(vendoring: Vendoring, case: str) -> None:
    old = vendoring.pin
    vendoring.upstream.git("checkout", "--quiet", "-b", "other")
    aside = vendoring.upstream.commit({"y.txt": "1\n"}, days_ago=20)
    vendoring.upstream.git("checkout", "--quiet", "main")
    middle = vendoring.upstream.commit({"x.txt": "1\n"}, days_ago=12)
    vendoring.upstream.commit({"x.txt": "2\n"}, days_ago=11)
    if case == "of another upstream":
        vendoring.decisions = (acknowledged(vendoring, middle, upstream="https://example.org/x"),)
    elif case == "the pin has it":
        vendoring.pin = middle
        vendoring.decisions = (acknowledged(vendoring, old),)
    else:
        named = aside if case == "not on the branch" else "1" * 40
        vendoring.decisions = (acknowledged(vendoring, named),)
    found = standing(vendoring)
    assert found.acknowledged is None
    assert (found.baseline, found.behind) == (vendoring.pin, 1 if case == "the pin has it" else 2)


def test_the_same_counts_come_from_git_itself(vendoring: Vendoring) -> None:
    for number in range(7):
        vendoring.upstream.commit({"x.txt": f"{number}\n"}, days_ago=20 - number)
    upstream = vendoring.mirror()
    head = upstream.follow().head
    said = vendoring.upstream.git("rev-list", "--left-right", "--count", f"{vendoring.pin}...{head}").split()
    assert [str(number) for number in count(upstream, vendoring.pin, head)] == said == ["0", "7"]
