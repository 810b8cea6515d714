"""What upstream did is told by area, from commits and folders alone; no file's content is fetched for it."""

from pathlib import Path

import pytest

from riskloop.git import Upstream
from riskloop.mitigations.upstream_drift.telling.history import (
    AT_THE_TOP,
    LONGEST,
    Log,
    changed_files,
    last_touch,
    read_log,
)
from tests.mitigations.vendoring import Vendoring


@pytest.fixture
def vendoring(tmp_path: Path) -> Vendoring:
    return Vendoring(tmp_path)


def log(vendoring: Vendoring) -> tuple[Log, Upstream]:
    upstream = vendoring.mirror()
    found = read_log(upstream, vendoring.read_settings(), since=vendoring.pin, until=vendoring.upstream.head)
    return found, upstream


def by_area(found: Log) -> dict[str, list[str]]:
    return {area.name: [commit.subject for commit in area.commits] for area in found.areas}


def test_each_commit_stands_once_under_the_folder_it_touches_most_the_busiest_first(
    vendoring: Vendoring,
) -> None:
    vendoring.upstream.commit({"docs/a.md": "1\n"}, message="Describe")
    vendoring.upstream.commit({"src/a.txt": "1\n", "src/b.txt": "1\n", "docs/a.md": "2\n"}, message="One")
    vendoring.upstream.commit({"src/a.txt": "2\n"}, message="Two")
    vendoring.upstream.commit({"README.md": "new\n"}, message="Greet")
    vendoring.upstream.commit(message="Nothing at all")
    found, _ = log(vendoring)
    assert by_area(found) == {
        "src": ["Two", "One"],
        "docs": ["Describe"],
        AT_THE_TOP: ["Greet"],
        "no files": ["Nothing at all"],
    }
    assert next(iter(by_area(found))) == "src"
    assert (found.commits, found.whole) == (5, True)


def test_merges_are_left_out_and_what_they_merged_is_not(vendoring: Vendoring) -> None:
    upstream = vendoring.upstream
    upstream.git("checkout", "--quiet", "-b", "side")
    upstream.commit({"src/side.txt": "1\n"}, message="Aside")
    upstream.git("checkout", "--quiet", "main")
    upstream.commit({"docs/a.md": "1\n"}, message="Meanwhile")
    upstream.git("merge", "--quiet", "--no-ff", "--message", "Merge side", "side")
    found, _ = log(vendoring)
    assert sorted(subject for subjects in by_area(found).values() for subject in subjects) == [
        "Aside",
        "Meanwhile",
    ]


def test_below_a_stripped_folder_the_areas_are_its_own_folders(vendoring: Vendoring) -> None:
    vendoring.upstream.commit({"src/core/a.txt": "1\n"}, message="Core")
    vendoring.upstream.commit({"src/a.txt": "1\n"}, message="Near")
    vendoring.upstream.commit({"docs/a.md": "1\n"}, message="Elsewhere")
    vendoring.settings["strip"] = "src/"
    assert by_area(log(vendoring)[0]) == {"core": ["Core"], AT_THE_TOP: ["Near"]}


def test_only_what_is_watched_is_told(vendoring: Vendoring) -> None:
    vendoring.upstream.commit({"src/core/a.txt": "1\n"}, message="Core")
    vendoring.upstream.commit({"docs/a.md": "1\n"}, message="Docs")
    vendoring.settings["watch"] = ["docs"]
    assert by_area(log(vendoring)[0]) == {"docs": ["Docs"]}


def test_odd_names_and_subjects_are_read_as_they_are(vendoring: Vendoring) -> None:
    vendoring.upstream.commit({'o"dd\n/a\tb.txt': "1\n"}, message="One\nstill one\n\nnot this")
    vendoring.upstream.commit({"größe/ü.txt": "1\n"}, message="\x01 Zwei \x7f")
    names = by_area(log(vendoring)[0])
    assert names["größe"] == ["\x01 Zwei \x7f"]
    assert names['o\\"dd\\n'] == ["One still one"]


def test_of_a_very_long_log_the_newest_are_read(vendoring: Vendoring) -> None:
    lines = []
    for number in range(LONGEST + 5):
        source = f"from {vendoring.upstream.head}\n" if number == 0 else ""
        lines.append(
            f"commit refs/heads/main\ncommitter A <a@example.com> {1770000000 + number} +0000\n"
            f"data <<E\nNumber {number}\nE\n{source}M 644 inline src/n.txt\ndata <<E\n{number}\nE\n"
        )
    vendoring.upstream.git("fast-import", "--quiet", stdin="".join(lines).encode())
    found, _ = log(vendoring)
    assert (found.commits, found.whole) == (LONGEST, False)
    assert found.areas[0].commits[0].subject == f"Number {LONGEST + 4}"


def test_who_touched_a_file_last_and_what_they_did_is_read_without_any_content(
    vendoring: Vendoring,
) -> None:
    pin = vendoring.pin
    vendoring.upstream.commit({"src/a.txt": "1\n", "new.txt": "1\n"}, message="First")
    last = vendoring.upstream.commit({"src/a.txt": "2\n", "src/b.txt": None}, message="Last")
    head = vendoring.upstream.commit({"docs/a.md": "1\n"}, message="Elsewhere")
    found, upstream = log(vendoring)
    touches = {
        path: touch and (touch.commit.subject, touch.did)
        for path in ("src/a.txt", "src/b.txt", "new.txt", "README.md", "-x", ":/", "*")
        for touch in [last_touch(upstream, pin, head, path)]
    }
    assert touches == {
        "src/a.txt": ("Last", "changed"),
        "src/b.txt": ("Last", "removed"),
        "new.txt": ("First", "added"),
        "README.md": None,
        "-x": None,
        ":/": None,
        "*": None,
    }
    assert changed_files(upstream, pin, head) == ("docs/a.md", "new.txt", "src/a.txt", "src/b.txt")
    touch = last_touch(upstream, pin, head, "src/a.txt")
    assert touch is not None
    assert (touch.commit.name, touch.commit.author, found.commits) == (last, "Ann Author", 3)
    here = upstream.git("cat-file", "--batch-all-objects", "--batch-check=%(objecttype)").text().split()
    assert "blob" not in here


def test_a_file_that_moved_is_removed_where_it_was(vendoring: Vendoring) -> None:
    vendoring.upstream.git("mv", "src/a.txt", "src/moved.txt")
    head = vendoring.upstream.commit(message="Move")
    upstream = vendoring.mirror()
    touch = last_touch(upstream, vendoring.pin, head, "src/a.txt")
    assert touch is not None
    assert touch.did == "removed"


def test_a_merge_is_not_blamed_for_what_it_merged(vendoring: Vendoring) -> None:
    upstream = vendoring.upstream
    upstream.git("checkout", "--quiet", "-b", "side")
    upstream.commit({"src/a.txt": upstream.read("src/a.txt") + b"end\n"}, message="At the end")
    upstream.git("checkout", "--quiet", "main")
    upstream.commit({"src/a.txt": b"begin\n" + upstream.read("src/a.txt")}, message="At the beginning")
    upstream.git("merge", "--quiet", "--no-ff", "--message", "Merge side", "side")
    touch = last_touch(vendoring.mirror(), vendoring.pin, upstream.head, "src/a.txt")
    assert touch is not None
    assert touch.commit.subject in {"At the end", "At the beginning"}
