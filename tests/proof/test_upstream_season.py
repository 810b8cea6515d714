"""A season of vendored code: every week a look, and whatever upstream and people do in between."""

from pathlib import Path

import pytest

from tests.emulator.rig import Rig
from tests.mitigations.vendoring import PATCHES, PIN_FILE, numbered
from tests.proof.seasons import Season, begin

pytestmark = pytest.mark.server


@pytest.fixture
def season(rig: Rig, tmp_path: Path) -> Season:
    return begin(rig, tmp_path)


def test_a_season(season: Season) -> None:
    there = season.there
    print("0", season.week())
    print(season.issues())
    # Upstream changes what a patch changes
    first = season.upstream_commits({"src/a.txt": numbered(changed={20: "theirs"})}, message="Rework line twenty")
    print("1", season.week(), season.standing())
    (issue,) = season.issues()
    print(issue["body"])
    print(season.pulls()[0]["body"])
    print("1b", season.week(), season.standing())
    # mend
    print(there.project.git("log", "--oneline"))
    old = (there.project.path / PATCHES / "middle.patch").read_bytes()
    season.commit({f"{PATCHES}/middle.patch": old.replace(b"-line 20", b"-theirs")}, message="Bring the patch up to date")
    print("2", season.week(), season.standing())
    theirs = season.person_commits({"note.txt": "checked"}, message="Note it")
    second = season.upstream_commits({"src/new.txt": "1"}, message="More")
    print("3", season.week(), season.standing(), season.comments(1))
    print("3", season.week(), season.standing(), len(season.comments(1)))
    season.person_merges(1)
    print(there.project.read(PIN_FILE))
    print("4", season.week(), season.standing(), season.issues()[0]["state"])
    season.person_closes(season.pulls()[-1]["number"])
    print("5", season.week(), season.standing())
    third = season.upstream_commits({"src/new.txt": "2"}, message="More still")
    print("6", season.week(), season.standing())
    season.person_merges(season.pulls()[-1]["number"], squash=True)
    print("7", season.week(), season.standing(), [i["state"] for i in season.issues()])
    assert False
