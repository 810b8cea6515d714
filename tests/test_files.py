"""Trees are listed, copied and removed without following a link out of them."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from riskloop.errors import Unmeasurable
from riskloop.files import (
    Sort,
    copy_tree,
    list_tree,
    locked,
    matches,
    open_folder,
    read_file,
    remove_tree,
    scratch,
    stays_inside,
    write_whole,
)
from riskloop.hashing import hash_files


def test_a_tree_is_listed_by_path_and_links_are_not_followed(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "b").mkdir(parents=True)
    (tree / "b" / "file").write_text("xyz")
    (tree / "a").symlink_to("/etc")
    os.mkfifo(tree / "c")
    found = list_tree(tree)
    assert [(one.path, one.sort) for one in found] == [
        ("a", Sort.LINK),
        ("b/file", Sort.FILE),
        ("c", Sort.OTHER),
    ]
    assert found[0].target == "/etc"
    assert found[1].size == 3


def test_a_folder_a_link_or_a_pipe_is_not_read_as_a_file_and_nothing_stays_open(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("folder")
    os.mkfifo(tmp_path / "pipe")
    free = os.dup(0)
    os.close(free)
    for name in ("folder", "link", "pipe", "missing"):
        with pytest.raises(Unmeasurable, match="cannot be read"):
            read_file(tmp_path, name, limit=9)
    again = os.dup(0)
    os.close(again)
    assert again == free


def test_a_root_that_is_a_link_missing_or_too_deep_is_named(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    with pytest.raises(Unmeasurable, match="symbolic link"):
        list_tree(tmp_path / "link")
    with pytest.raises(Unmeasurable, match="cannot be listed"):
        list_tree(tmp_path / "missing")
    (tmp_path / "/".join(["d"] * 120)).mkdir(parents=True)
    with pytest.raises(Unmeasurable, match="deep"):
        list_tree(tmp_path)


@pytest.mark.parametrize(
    ("path", "pattern", "fits"),
    [
        ("a.json", "*.json", True),
        ("deep/down/a.json", "*.json", True),
        ("deep/a.json", "deep/*.json", True),
        ("deep/down/a.json", "deep/*.json", False),
        ("deep/down/a.json", "deep/**", True),
        ("deep/down/a.json", "**/down/*", True),
        ("down/a.json", "**/down/*", True),
        ("a.json", "?.json", True),
        ("ab.json", "?.json", False),
        ("a+b", "a+b", True),
        ("aab", "a+b", False),
        ("new\nline", "**", True),
        ("sub/a.json", "/a.json", False),
    ],
)
def test_patterns_mean_what_people_expect(path: str, pattern: str, *, fits: bool) -> None:
    assert matches(path, [pattern]) is fits


@pytest.mark.parametrize(
    ("link", "target", "inside"),
    [
        ("a", "b", True),
        ("d/a", "../b", True),
        ("a", "../b", False),
        ("d/a", "../../b", False),
        ("a", "/etc/passwd", False),
        ("a", "b/../../c", False),
        ("a", "", False),
    ],
)
def test_only_links_that_surely_stay_inside_do(link: str, target: str, *, inside: bool) -> None:
    assert stays_inside(link, target) is inside


def test_a_copy_keeps_inner_links_and_says_what_it_left_out(tmp_path: Path) -> None:
    source, to = tmp_path / "source", tmp_path / "to"
    (source / "sub").mkdir(parents=True)
    (source / "sub" / "tool").write_text("x")
    (source / "sub" / "tool").chmod(0o755)
    (source / "in").symlink_to("sub/tool")
    (source / "out").symlink_to("/etc/passwd")
    os.mkfifo(source / "pipe")
    left = copy_tree(source, to, skip=lambda path: path == "nothing", read_only=True)
    assert left == ["out (symbolic link)", "pipe (special file)"]
    assert (to / "in").read_text() == "x"
    assert (to / "sub" / "tool").stat().st_mode & 0o777 == 0o555
    assert (to / "sub").stat().st_mode & 0o222 == 0
    remove_tree(to)
    assert not to.exists()


def test_only_regular_files_up_to_a_size_are_read_and_never_through_links(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("12345")
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "folder").mkdir()
    (tmp_path / "way").symlink_to(tmp_path / "folder")
    (tmp_path / "folder" / "file").write_text("x")
    os.mkfifo(tmp_path / "pipe")
    assert read_file(tmp_path, "file", limit=5) == b"12345"
    for path in ("link", "way/file", "pipe", "missing", "folder"):
        with pytest.raises(Unmeasurable):
            read_file(tmp_path, path, limit=100)
    with pytest.raises(Unmeasurable, match="longer"):
        read_file(tmp_path, "file", limit=4)


def test_opening_a_folder_closes_every_step_of_the_way(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "link").symlink_to("b")
    with pytest.raises(OSError, match="Not a directory"):
        open_folder(tmp_path, "a/link")
    first = open_folder(tmp_path, "a/b/new/er", create=True)
    os.close(first)
    second = open_folder(tmp_path, "a/b")
    os.close(second)
    assert second <= first
    assert (tmp_path / "a/b/new/er").is_dir()


def test_a_file_is_written_whole_and_nothing_lies_beside_it(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("old")
    write_whole(tmp_path / "file", b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_bytes() == b"new"


def test_a_lock_held_by_another_is_named_after_the_wait(tmp_path: Path) -> None:
    with locked(tmp_path / "lock", wait=1), pytest.raises(Unmeasurable, match="in use"):  # noqa: SIM117
        with locked(tmp_path / "lock", wait=0.1):
            pass
    with locked(tmp_path / "lock", wait=0):
        pass


def test_scratch_is_gone_afterwards_also_when_it_is_write_protected(tmp_path: Path) -> None:
    with scratch(tmp_path, "try") as room:
        (room / "sub").mkdir()
        (room / "sub" / "file").write_text("x")
        (room / "sub").chmod(0o500)
        (room / "out").symlink_to("/etc")
    assert list((tmp_path / "scratch").iterdir()) == []
    assert Path("/etc").stat().st_mode & 0o777 == 0o755


def test_scratch_left_by_a_killed_run_is_removed_by_the_next_and_a_living_one_is_kept(tmp_path: Path) -> None:
    script = (
        "import os, signal, sys; from pathlib import Path; from riskloop.files import scratch\n"
        "with scratch(Path(sys.argv[1]), 'dead') as room:\n"
        "    (room / 'file').write_text('x'); os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=False)
    assert any((tmp_path / "scratch").glob("dead-*/file"))
    with scratch(tmp_path, "alive") as alive:
        assert not any((tmp_path / "scratch").glob("dead-*"))
        with scratch(tmp_path, "other"):
            assert alive.is_dir()


def test_many_scratch_folders_at_once_do_not_take_each_other_away(tmp_path: Path) -> None:
    def use(number: int) -> bool:
        with scratch(tmp_path, f"n{number}") as room:
            (room / "file").write_text(str(number))
            return (room / "file").read_text() == str(number)

    with ThreadPoolExecutor(max_workers=8) as pool:
        assert all(pool.map(use, range(80)))
    assert list((tmp_path / "scratch").iterdir()) == []


def test_a_tree_thousands_of_folders_deep_can_be_removed(tmp_path: Path) -> None:
    deep = tmp_path / "deep"
    deep.mkdir()
    subprocess.run(
        [sys.executable, "-c", "import os\nfor _ in range(3000): os.mkdir('d'); os.chdir('d')"],
        cwd=deep,
        check=True,
    )
    remove_tree(deep)
    assert not deep.exists()


def test_hashes_are_those_of_sha256sum_in_order_and_odd_files_get_a_reason(tmp_path: Path) -> None:
    names = [f"{number}.bin" for number in range(2100)]
    for number, name in enumerate(names):
        (tmp_path / name).write_bytes(str(number).encode())
    big, edge = tmp_path / "big", tmp_path / "edge"
    big.write_bytes(b"x" * 3_000_000)
    edge.write_bytes(b"y" * 65536)
    (tmp_path / "empty").touch()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("big")
    (tmp_path / "new\nline").write_text("z")
    names += ["big", "edge", "empty"]
    said = subprocess.run(["sha256sum", *names], cwd=tmp_path, capture_output=True, check=True, text=True)
    expected = [line.split()[0] for line in said.stdout.splitlines()]
    found = hash_files([*names, "new\nline", "pipe", "link", "gone", "."], folder=tmp_path)
    assert found[: len(names)] == expected
    assert len(found[len(names)]) == 64
    assert all(one.startswith("!") for one in found[len(names) + 1 :])
