"""Our own directory is made private, and nobody else's is ever taken for it."""

import stat
from pathlib import Path

import pytest

from riskloop.errors import Refused
from riskloop.state_directory import IGNORE, prepare


def test_it_is_made_for_us_alone_and_ignored_by_git(tmp_path: Path) -> None:
    state = tmp_path / "project" / ".riskloop"
    prepare(state)
    prepare(state)
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    assert (state / ".gitignore").read_text(encoding="utf-8") == IGNORE


def test_the_parent_that_the_demo_made_is_taken(tmp_path: Path) -> None:
    (tmp_path / "demo").mkdir()
    prepare(tmp_path)
    assert (tmp_path / ".gitignore").exists()


@pytest.mark.parametrize("theirs", ["passwd", "src", ".git", "logs"])
def test_a_directory_with_other_things_in_it_is_refused_and_left_as_it_is(
    tmp_path: Path, theirs: str
) -> None:
    (tmp_path / theirs).mkdir()
    (tmp_path / ".gitignore").write_text("*\n", encoding="utf-8")
    mode = tmp_path.stat().st_mode
    with pytest.raises(Refused, match=f"holds '{theirs}'"):
        prepare(tmp_path)
    assert (tmp_path / ".gitignore").read_text(encoding="utf-8") == "*\n"
    assert tmp_path.stat().st_mode == mode


def test_a_file_in_its_place_is_said(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("", encoding="utf-8")
    with pytest.raises(Refused, match="cannot be made or written"):
        prepare(tmp_path / "state")
