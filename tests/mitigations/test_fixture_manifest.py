"""A manifest is read as sha256sum reads it, and refused by line where it cannot be right."""

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riskloop.errors import Unmeasurable
from riskloop.mitigations.fixture_drift.manifest import parse, write

DIGEST = "a" * 64
NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(
    lambda name: not name.startswith(("/", "./")) and ".." not in name and "\0" not in name
)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("nonsense", "64 hexadecimal digits"),
        ("", "64 hexadecimal digits"),
        (f"{DIGEST[:-1]}  a", "64 hexadecimal digits"),
        (f"{DIGEST} a", "64 hexadecimal digits"),
        (f"{DIGEST}  /etc/passwd", "absolute path /etc/passwd"),
        (f"{DIGEST}  ../a", "outside"),
        (f"{DIGEST}  a/../../b", "outside"),
        (f"{DIGEST}  fine", "second time"),
        (f"{DIGEST}  ./fine", "second time"),
        (f"{DIGEST}  a\r", "Windows"),
        (f"{DIGEST}  a\0b", "outside"),
    ],
)
def test_a_line_that_cannot_be_right_is_named_by_its_number(line: str, says: str) -> None:
    content = f"# adopted\n{DIGEST}  fine\n{line}\n".encode()
    with pytest.raises(Unmeasurable, match=rf"golden/MANIFEST, line 3, .*{says}"):
        parse(content, name="golden/MANIFEST")


def test_both_modes_and_upper_case_digits_are_read() -> None:
    assert parse(f"{'A' * 64} *a b\n{DIGEST}  c".encode(), name="m") == {"a b": DIGEST, "c": DIGEST}


def test_what_sha256sum_writes_for_odd_names_is_read(tmp_path: Path) -> None:
    names = ["new\nline", "back\\slash", "both\\\n", " space ", "*star", "ünï", "-dash"]
    for name in names:
        (tmp_path / name).write_text(name)
    said = subprocess.run(["sha256sum", "--", *names], cwd=tmp_path, capture_output=True, check=True)
    read = parse(said.stdout, name="m")
    assert list(read) == names
    assert sorted(write(read).splitlines()) == sorted(said.stdout.splitlines())


@given(st.dictionaries(NAMES, st.just(DIGEST)))
def test_what_we_write_we_read_again(digests: dict[str, str]) -> None:
    assert parse(write(digests), name="m") == digests


def test_a_name_that_ends_in_a_carriage_return_is_read_as_we_write_it() -> None:
    assert parse(write({"odd\r": DIGEST}), name="m") == {"odd\r": DIGEST}
