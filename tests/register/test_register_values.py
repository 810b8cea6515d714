"""Durations, sizes and paths are read as written, written as read, and refused with a reason."""

import re
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from riskloop.register.values import (
    DURATION_PATTERN,
    LARGEST_SIZE,
    LONGEST,
    SIZE_PATTERN,
    ByteSize,
    Duration,
    ProjectPath,
    read_duration,
    read_size,
    write_duration,
    write_size,
)


class Shelf(BaseModel):
    keep: Duration = timedelta(days=7)
    room: ByteSize = 0
    place: ProjectPath = Path()


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("90s", timedelta(seconds=90)),
        ("30m", timedelta(minutes=30)),
        ("12h", timedelta(hours=12)),
        ("7d", timedelta(days=7)),
        ("2w", timedelta(days=14)),
    ],
)
def test_a_duration_is_a_number_and_a_unit(text: str, duration: timedelta) -> None:
    assert read_duration(text) == duration


@pytest.mark.parametrize(
    "value", ["", "d", "7", "7 d", "-7d", "1h30m", "7.5d", "\u0667d", "7D", "0s", True, None, []]
)
def test_what_is_not_a_duration_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="write"):
        read_duration(value)


@given(st.integers(min_value=1, max_value=int(LONGEST.total_seconds())))
def test_a_duration_is_read_back_as_it_was_written(seconds: int) -> None:
    duration = timedelta(seconds=seconds)
    written = write_duration(duration)
    assert re.fullmatch(DURATION_PATTERN, written)
    assert read_duration(written) == duration


@pytest.mark.parametrize(
    ("value", "size"),
    [("5GiB", 5 * 1024**3), ("64MiB", 64 * 1024**2), ("10MB", 10**7), ("1kB", 1000), ("7B", 7), (12, 12)],
)
def test_a_size_is_a_number_and_a_unit_or_bytes(value: object, size: int) -> None:
    assert read_size(value) == size


@pytest.mark.parametrize(
    "value", ["", "5", "5 GiB", "5gb", "1.5GiB", "-1MB", -1, True, 1.5, None, "99999999TiB"]
)
def test_what_is_not_a_size_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="write"):
        read_size(value)


@given(st.integers(min_value=0, max_value=LARGEST_SIZE))
def test_a_size_is_read_back_as_it_was_written(size: int) -> None:
    written = write_size(size)
    assert isinstance(written, int) or re.fullmatch(SIZE_PATTERN, written)
    assert read_size(written) == size


def test_values_are_dumped_in_the_registers_notation() -> None:
    shelf = Shelf.model_validate({"keep": "2w", "room": "64MiB", "place": "a/./b"})
    assert shelf.model_dump(mode="json") == {"keep": "14d", "room": "64MiB", "place": "a/b"}


@pytest.mark.parametrize("path", ["../x", "a/../b", "/etc", "~", "~root/x", "", "a\nb", "a\0b", 5, None])
def test_a_path_that_could_leave_the_project_is_refused(path: object) -> None:
    with pytest.raises(ValidationError, match="write"):
        Shelf.model_validate({"place": path})


def test_a_chain_of_links_out_of_the_project_is_followed_to_its_end(tmp_path: Path) -> None:
    project = tmp_path / "project"
    (project / "inner").mkdir(parents=True)
    (project / "first").symlink_to("inner/second")
    (project / "inner/second").symlink_to("../../elsewhere")
    (project / "round").symlink_to("round")
    (project / "fine").symlink_to("inner")
    context = {"project": project, "allowed_roots": ()}
    with pytest.raises(ValidationError, match="leaves the project through a symbolic link"):
        Shelf.model_validate({"place": "first/x"}, context=context)
    assert Shelf.model_validate({"place": "fine/x"}, context=context).place == Path("fine/x")
    assert Shelf.model_validate({"place": "round"}, context=context).place == Path("round")


def test_an_allowed_root_does_not_allow_a_link_out_of_it(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "out").symlink_to(tmp_path)
    context = {"project": tmp_path / "project", "allowed_roots": (root,)}
    assert Shelf.model_validate({"place": f"{root}/in"}, context=context).place == root / "in"
    with pytest.raises(ValidationError, match="is absolute"):
        Shelf.model_validate({"place": f"{root}/out/x"}, context=context)
