"""A season of vendored code: every week a look, and whatever upstream and people do in between."""

from pathlib import Path

import pytest

from tests.emulator.rig import Rig
from tests.mitigations.vendoring import PATCHES, PIN_FILE, numbered
from tests.proof.seasons import BRANCH, Season, begin

pytestmark = pytest.mark.server

LINE = {"src/a.txt": numbered(changed={20: "theirs"})}
"""What upstream does to the line that one of the patches changes."""


@pytest.fixture
def season(rig: Rig, tmp_path: Path) -> Season:
    """Give a team whose code is up to date, and was looked at once."""
    made = begin(rig, tmp_path)
    assert made.week() == ""
    assert (made.issues(), made.pulls(), made.on_branch()) == ([], [], "")
    return made


def mend(season: Season) -> None:
    """Have a person bring the patch up to date that conflicts."""
    path = f"{PATCHES}/middle.patch"
    old = (season.there.project.path / path).read_bytes()
    season.commit({path: old.replace(b"-line 20", b"-theirs")}, message="Bring the patch up to date")


def test_from_a_conflict_over_a_ready_pull_request_to_the_merge(season: Season) -> None:
    first = season.upstream_commits(LINE, message="Rework line twenty")
    assert season.week() == "#1 proposes it, not ready for review"
    (issue,) = season.issues()
    (pull,) = season.pulls()
    lines = (
        "patch middle.patch: conflict (upstream changed the same lines)\n"
        "in src/a.txt\n"
        f"last changed upstream by {first[:12]} "
    )
    for text in (issue["body"], pull["body"]):
        assert lines in text
        assert "Ann Author: Rework line twenty" in text
    assert f"](<{pull['html_url']}>)" in issue["body"]
    assert pull["draft"]
    # Nothing has changed: nothing is pushed, written or said once more.
    before, pushed = season.rig.github.writes("PATCH", ".*/pulls/.*"), season.on_branch()
    assert season.week() == "#1 is up to date, not ready for review"
    assert (season.rig.github.writes("PATCH", ".*/pulls/.*"), season.on_branch()) == (before, pushed)
    mend(season)
    assert season.week() == "#1 was brought up to date"
    (pull,) = season.pulls()
    assert not pull["draft"]
    assert "**Ready for review**" in pull["body"]
    # A person goes on with it: from then on it is theirs.
    theirs = season.person_commits({"note.txt": "checked\n"}, message="Note what was checked")
    season.upstream_commits({"src/new.txt": "1\n"}, message="Add more")
    for _ in range(2):
        assert season.week().startswith(f"#1 is no longer updated: commit {theirs[:12]} by Ann Author")
        assert season.on_branch() == theirs
        (comment,) = season.comments(1)
        assert "Note what was checked" in comment
    season.person_merges(1)
    assert season.there.project.read(PIN_FILE).decode().strip() == first
    # What came meanwhile is the next one, from the branch's new beginning.
    assert season.week() == "#3 proposes it"
    assert season.standing() == ["merged", "open"]
    season.person_merges(3)
    assert season.week() == ""
    assert [issue["state"] for issue in season.issues()] == ["closed"]
    assert season.standing() == ["merged", "merged"]


def test_what_a_person_closes_is_not_opened_again_and_the_next_commit_is_proposed(season: Season) -> None:
    season.upstream_commits({"src/new.txt": "1\n"})
    assert season.week() == "#1 proposes it"
    season.person_closes(1)
    closed = season.on_branch()
    for _ in range(2):
        assert season.week().endswith("proposed the same")
        assert (season.standing(), season.on_branch()) == (["closed"], closed)
    season.upstream_commits({"src/new.txt": "2\n"})
    assert season.week() == "#3 proposes it"
    assert season.standing() == ["closed", "open"]
    assert len(season.issues()) == 1
    # It is no concern: the pull request is closed, with one comment, and the issue is.
    says = f"upstream acknowledged up to {season.there.upstream.head[:12]} by Ada: not ours"
    assert season.acknowledge("main") == says
    assert season.week().startswith("#3 was closed as overtaken: Ada acknowledged upstream up to ")
    assert season.week() == ""
    assert season.standing() == ["closed", "closed"]
    assert [len(season.comments(number)) for number in (1, 3)] == [0, 1]
    assert [issue["state"] for issue in season.issues()] == ["closed"]


def test_an_upstream_that_rewrites_its_history_is_told_and_followed(season: Season) -> None:
    season.upstream_commits({"src/new.txt": "1\n"})
    season.week()
    season.upstream_rewrites()
    assert season.week() == "#1 was brought up to date"
    (issue,) = season.issues()
    assert "upstream rewrote its history, and no longer leads to the pin" in issue["body"]
    season.person_merges(1)
    assert season.week() == ""
    assert [issue["state"] for issue in season.issues()] == ["closed"]


def test_a_token_that_is_refused_for_a_week_delays_and_doubles_nothing(season: Season) -> None:
    season.upstream_commits({"src/new.txt": "1\n"})
    season.rig.revoke_github()
    for _ in range(2):
        assert season.week().startswith("it could not be proposed: ")
    assert (season.issues(), season.pulls(), season.on_branch()) == ([], [], "")
    season.rig.restore_github()
    assert season.week() == "#1 proposes it"
    assert season.standing() == ["open"]
    assert len(season.pulls()) == 1


def test_a_squashed_merge_of_a_persons_commits_is_not_in_the_way_of_the_next_pull_request(
    season: Season,
) -> None:
    season.upstream_commits({"src/new.txt": "1\n"})
    season.week()
    theirs = season.person_commits({"note.txt": "checked\n"}, message="Note it")
    season.rig.github.heads.put(season.repository, 1, theirs)
    season.person_merges(1, squash=True)
    assert season.on_branch() == theirs
    assert season.week() == ""
    season.upstream_commits({"src/new.txt": "2\n"})
    assert season.week().endswith("proposes it")
    assert season.standing() == ["merged", "open"]
    assert season.bare.git("log", "--format=%s", f"main..{BRANCH}").startswith("Bump vendor/lib from ")
