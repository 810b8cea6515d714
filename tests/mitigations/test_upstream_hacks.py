"""Every vendored file that is neither upstream's nor a patch's is named, whatever stands on disk."""

import os
from pathlib import Path

import pytest

from riskloop.git import Upstream
from riskloop.mitigations.upstream_drift.project.hacks import Hacks, find_hacks
from riskloop.mitigations.upstream_drift.project.showing import LINES
from riskloop.mitigations.upstream_drift.project.vendored import read_vendored
from tests.mitigations.vendoring import FOLDER, PATCHES, Repository, Vendoring, numbered


@pytest.fixture
def vendoring(tmp_path: Path) -> Vendoring:
    return Vendoring(tmp_path)


def find(vendoring: Vendoring, *, patched: str = "", mirror: Upstream | None = None) -> Hacks:
    vendored = read_vendored(vendoring.read_settings(), vendoring.site)
    upstream = mirror or vendoring.mirror()
    pin = upstream.folder(vendored.pin, vendoring.settings.get("strip"))
    return find_hacks(vendored, upstream, vendoring.site, pin=pin, patched=patched or pin)


def listed(hacks: Hacks) -> dict[str, str]:
    return {hack.path: hack.how for hack in hacks.found}


def patched_tree(vendoring: Vendoring) -> tuple[Upstream, str]:
    """Give the mirror, with the tree in it that the pin and all patches so far make."""
    upstream = vendoring.mirror()
    tree = vendoring.author.tree()
    pack = vendoring.author.raw("pack-objects", "--revs", "--stdout", "-q", stdin=b"HEAD\n")
    upstream.git("unpack-objects", "-q", stdin=pack)
    return upstream, tree


def test_an_untouched_copy_has_no_local_changes_and_fetches_no_file(vendoring: Vendoring) -> None:
    vendoring.vendor()
    mirror = vendoring.mirror()
    assert find(vendoring, mirror=mirror) == Hacks(tree=vendoring.project.tree(below=FOLDER))
    kept = mirror.git("cat-file", "--batch-check", "--batch-all-objects").text()
    assert " blob " not in kept


@pytest.mark.parametrize("strip", ["", "src"])
def test_changed_added_and_removed_files_are_named_and_shown(vendoring: Vendoring, strip: str) -> None:
    vendoring.vendor(strip=strip)
    at = "" if strip else "src/"
    vendoring.project.commit(
        {
            f"{FOLDER}/{at}a.txt": numbered(changed={3: "three"}),
            f"{FOLDER}/{at}b.txt": None,
            f"{FOLDER}/{at}own.txt": "ours\n",
        }
    )
    hacks = find(vendoring)
    assert listed(hacks) == {f"{at}a.txt": "changed", f"{at}b.txt": "removed", f"{at}own.txt": "added"}
    assert "-line 3\n+three\n" in hacks.diff
    assert "+ours" in hacks.diff
    assert hacks.uncommitted == ()
    assert hacks.tree == vendoring.project.tree(below=FOLDER)


def test_the_difference_shown_is_a_patch_that_undoes_them(vendoring: Vendoring) -> None:
    vendoring.vendor()
    before = vendoring.project.tree(below=FOLDER)
    vendoring.project.commit(
        {f"{FOLDER}/src/a.txt": numbered(changed={3: "three"}), f"{FOLDER}/new": "no last line end"}
    )
    diff = find(vendoring).diff + "\n"
    vendoring.project.git("apply", "--reverse", "--index", f"--directory={FOLDER}", stdin=diff.encode())
    vendoring.project.commit()
    assert vendoring.project.tree(below=FOLDER) == before


def test_changes_that_are_not_committed_count_and_are_listed(vendoring: Vendoring) -> None:
    vendoring.vendor()
    vendoring.project.write({f"{FOLDER}/src/a.txt": "changed\n", f"{FOLDER}/own": "new\n"})
    hacks = find(vendoring)
    assert listed(hacks) == {"own": "added", "src/a.txt": "changed"}
    assert hacks.uncommitted == ("src/a.txt",)
    vendoring.project.commit()
    vendoring.project.write({f"{FOLDER}/src/a.txt": vendoring.upstream.read("src/a.txt")})
    hacks = find(vendoring)
    assert listed(hacks) == {"own": "added"}
    assert hacks.uncommitted == ("src/a.txt",)


def test_what_the_patches_make_of_the_files_is_no_local_change(vendoring: Vendoring) -> None:
    vendoring.patch("one.patch", {"src/a.txt": numbered(changed={3: "three"}), "added.txt": "by patch\n"})
    vendoring.vendor(patched=True)
    mirror, tree = patched_tree(vendoring)
    hacks = find(vendoring, patched=tree, mirror=mirror)
    assert (hacks.found, hacks.patched) == ((), True)
    vendoring.project.write({f"{FOLDER}/src/b.txt": "hacked\n"})
    hacks = find(vendoring, patched=tree, mirror=mirror)
    assert (listed(hacks), hacks.patched) == ({"src/b.txt": "changed"}, True)


def test_a_tree_kept_as_upstream_has_it_is_not_patched(vendoring: Vendoring) -> None:
    vendoring.patch("one.patch", {"src/a.txt": numbered(changed={3: "three"}), "added.txt": "by patch\n"})
    vendoring.vendor()
    mirror, tree = patched_tree(vendoring)
    hacks = find(vendoring, patched=tree, mirror=mirror)
    assert (hacks.found, hacks.patched) == ((), False)


@pytest.mark.parametrize("patched", [True, False])
def test_a_patched_file_that_was_changed_too_is_held_against_what_it_is_nearer_to(
    vendoring: Vendoring, *, patched: bool
) -> None:
    changes = {3: "three", 5: "five", 7: "seven"}
    vendoring.patch("one.patch", {"src/a.txt": numbered(changed=changes)})
    vendoring.vendor(patched=patched)
    hacked = numbered(changed=(changes if patched else {}) | {30: "by hand"})
    vendoring.project.commit({f"{FOLDER}/src/a.txt": hacked})
    mirror, tree = patched_tree(vendoring)
    hacks = find(vendoring, patched=tree, mirror=mirror)
    assert (listed(hacks), hacks.patched) == ({"src/a.txt": "changed"}, patched)
    assert "by hand" in hacks.diff
    assert "three" not in [line[1:] for line in hacks.diff.splitlines() if line[:1] in "+-"]


def test_links_modes_folders_and_special_files_are_told_apart(vendoring: Vendoring) -> None:
    (vendoring.upstream.path / "link").symlink_to("README.md")
    vendoring.upstream.commit({"one": "1\n", "two": "2\n", "three": "3\n", "four": "4\n"})
    vendoring.vendor()
    folder = vendoring.folder
    for name in ("one", "two", "three", "link"):
        (folder / name).unlink()
    (folder / "one").symlink_to("/etc/passwd")
    (folder / "two").mkdir()
    (folder / "two/inside").write_text("inside\n")
    os.mkfifo(folder / "three")
    (folder / "link").write_text("README.md")
    (folder / "four").chmod(0o755)
    (folder / "tools/run.sh").chmod(0o644)
    hacks = find(vendoring)
    assert listed(hacks) == {
        "four": "mode changed",
        "link": "replaced by a file",
        "one": "replaced by a link",
        "three": "replaced by a special file",
        "tools/run.sh": "mode changed",
        "two": "replaced by a folder",
        "two/inside": "added",
    }
    assert "/etc/passwd" in hacks.diff
    assert "root:" not in hacks.diff


def test_line_ends_that_were_converted_are_said_in_so_many_words(vendoring: Vendoring) -> None:
    vendoring.vendor()
    vendoring.project.write({f"{FOLDER}/src/a.txt": numbered().replace("\n", "\r\n")})
    hacks = find(vendoring)
    assert listed(hacks) == {"src/a.txt": "changed in its line ends only"}
    assert "only in their line ends" in hacks.notes[0]
    vendoring.project.write({f"{FOLDER}/src/b.txt": "changed\n"})
    assert find(vendoring).notes == ()


def test_a_folder_that_is_hardly_upstreams_raises_the_question_whether_the_register_is_right(
    vendoring: Vendoring,
) -> None:
    vendoring.upstream.commit({f"core/{number}.txt": f"{number}\n" for number in range(6)})
    vendoring.pin = vendoring.upstream.head
    vendoring.vendor(strip="core")
    assert find(vendoring).notes == ()
    vendoring.settings["strip"] = "src"
    (note,) = find(vendoring).notes
    assert note == (
        "0 of the 6 files in vendor/lib are what upstream has at the pin: `upstream`, `pin` or `strip` may "
        "be wrong"
    )


def test_a_folder_of_which_much_was_left_out_is_upstreams_all_the_same(vendoring: Vendoring) -> None:
    vendoring.upstream.commit({f"core/{number}.txt": f"{number}\n" for number in range(60)})
    vendoring.pin = vendoring.upstream.head
    vendoring.vendor(strip="core")
    for number in range(1, 60):
        (vendoring.folder / f"{number}.txt").unlink()
    assert find(vendoring).notes == ()


def test_names_that_are_no_text_or_hold_line_breaks_are_shown_with_escapes(vendoring: Vendoring) -> None:
    vendoring.upstream.write({"bad\udcff": "1\n"})
    vendoring.upstream.commit()
    vendoring.vendor()
    vendoring.project.commit({f"{FOLDER}/line\nbreak": "x\n", f"{FOLDER}/bad\udcff": "2\n"})
    assert listed(find(vendoring)) == {"bad\\xff": "changed", "line\\nbreak": "added"}


def test_ignored_files_count_only_if_they_are_committed(vendoring: Vendoring) -> None:
    vendoring.upstream.commit({".gitignore": "*.o\n"})
    vendoring.vendor()
    vendoring.project.write({f"{FOLDER}/made.o": "built\n"})
    assert find(vendoring).found == ()
    vendoring.project.commit()
    assert listed(find(vendoring)) == {"made.o": "added"}


def test_ignore_and_attribute_files_that_are_links_are_not_followed(vendoring: Vendoring) -> None:
    rules = vendoring.room / "rules"
    rules.write_text("*\n")
    for name in (".gitignore", ".gitattributes"):
        (vendoring.upstream.path / name).symlink_to(rules)
    vendoring.upstream.commit()
    vendoring.vendor()
    (vendoring.folder / "own").write_text("x\n")
    assert listed(find(vendoring)) == {"own": "added"}


def test_an_ignore_file_that_hides_itself_hides_nothing_that_is_committed(vendoring: Vendoring) -> None:
    vendoring.vendor()
    vendoring.project.commit({f"{FOLDER}/src/.gitignore": "*\n", f"{FOLDER}/src/hidden": "x\n"})
    assert listed(find(vendoring)) == {"src/.gitignore": "added", "src/hidden": "added"}


def test_a_users_own_ignore_rules_are_not_asked(
    vendoring: Vendoring, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    rules = tmp_path / "config/git/ignore"
    rules.parent.mkdir(parents=True)
    rules.write_text("*\n")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("HOME", str(tmp_path))
    vendoring.submodule()
    (vendoring.project.path / ".git/modules/lib/info/exclude").write_text("*\n")
    (vendoring.folder / "own").write_text("x\n")
    assert listed(find(vendoring)) == {"own": "added"}


def test_a_submodules_working_tree_is_compared_without_its_git_folder(vendoring: Vendoring) -> None:
    vendoring.submodule()
    assert find(vendoring) == Hacks()
    (vendoring.folder / "src/a.txt").write_text("changed\n")
    (vendoring.folder / "own").write_text("x\n")
    hacks = find(vendoring)
    assert listed(hacks) == {"own": "added", "src/a.txt": "changed"}
    assert (hacks.tree, hacks.uncommitted) == ("", ())


def test_a_submodule_that_is_not_checked_out_has_no_local_changes(vendoring: Vendoring) -> None:
    vendoring.submodule()
    vendoring.project.git("submodule", "--quiet", "deinit", "--force", FOLDER)
    assert find(vendoring) == Hacks()


def test_a_repository_inside_is_one_thing_and_upstreams_own_submodules_are_left_alone(
    vendoring: Vendoring,
) -> None:
    vendoring.upstream.git("update-index", "--add", "--cacheinfo", f"160000,{'a' * 40},third")
    vendoring.upstream.git("commit", "--quiet", "--message", "Nest")
    vendoring.vendor()
    vendoring.project.commit({f"{FOLDER}/third/file": "of another upstream\n"})
    vendoring.upstream.git("clone", "--quiet", ".", str(vendoring.folder / "cloned"))
    assert listed(find(vendoring)) == {"cloned/": "added as a folder"}


def test_a_submodule_of_the_projects_own_inside_the_folder_is_one_local_change(vendoring: Vendoring) -> None:
    vendoring.vendor()
    Repository(vendoring.folder / "mine").commit({"file": "1\n"})
    vendoring.project.commit(message="Add mine")
    assert listed(find(vendoring)) == {"mine": "added as a folder"}


def test_the_projects_own_files_inside_the_folder_are_no_local_changes(vendoring: Vendoring) -> None:
    vendoring.vendor()
    vendoring.settings |= {"patches": f"{FOLDER}/patches", "changelog": f"{FOLDER}/CHANGES"}
    vendoring.project.commit({f"{FOLDER}/patches/one.patch": "x\n", f"{FOLDER}/CHANGES": "x\n"})
    assert find(vendoring).found == ()


def test_nothing_that_the_folder_configures_is_run(vendoring: Vendoring, tmp_path: Path) -> None:
    vendoring.submodule()
    canary = tmp_path / "canary"
    inside = vendoring.inside
    for key in ("filter.x.clean", "filter.x.smudge", "core.fsmonitor", "diff.external", "diff.x.textconv"):
        inside.git("config", key, f"touch {canary}")
    (vendoring.folder / ".gitattributes").write_text("* filter=x diff=x text eol=crlf ident\n")
    (vendoring.folder / "src/a.txt").write_text("$Id$\n")
    assert listed(find(vendoring)) == {".gitattributes": "added", "src/a.txt": "changed"}
    assert not canary.exists()


def test_a_killed_look_does_not_stop_the_next(vendoring: Vendoring) -> None:
    vendoring.vendor()
    find(vendoring)
    [index] = (vendoring.state / "indexes").glob("*.index")
    index.with_name(f"{index.name}.lock").write_bytes(b"half")
    assert find(vendoring).found == ()
    index.write_bytes(b"torn")
    assert find(vendoring).found == ()
    vendoring.vendor(vendoring.upstream.commit({"src/a.txt": "moved on\n"}))
    assert find(vendoring).found == ()
    assert list((vendoring.state / "scratch").glob("*")) == []


def test_the_second_look_remembers_which_files_it_read(vendoring: Vendoring) -> None:
    vendoring.vendor()
    hour_ago = vendoring.site.now.timestamp() - 3600
    for file in vendoring.folder.rglob("*"):
        # Of a file as young as the index git cannot tell, and reads it again.
        os.utime(file, (hour_ago, hour_ago), follow_symlinks=False)
    find(vendoring)
    [index] = (vendoring.state / "indexes").glob("*.index")
    written = index.stat().st_mtime_ns, index.stat().st_ino
    assert find(vendoring).found == ()
    assert (index.stat().st_mtime_ns, index.stat().st_ino) == written
    os.utime(vendoring.folder / "src/a.txt")
    assert find(vendoring).found == ()
    assert (index.stat().st_mtime_ns, index.stat().st_ino) != written


def test_a_long_difference_is_cut(vendoring: Vendoring) -> None:
    vendoring.vendor()
    vendoring.project.write({f"{FOLDER}/long": numbered(lines=5 * LINES)})
    vendoring.project.commit({f"{FOLDER}/many/{number}": f"{number}\n" for number in range(60)})
    hacks = find(vendoring)
    assert len(hacks.found) == 61
    assert len(hacks.diff.splitlines()) == LINES + 2
    assert "more files" in hacks.diff


def test_what_lies_beyond_the_cut_is_in_the_digest(vendoring: Vendoring) -> None:
    vendoring.vendor()
    seen: list[Hacks] = []
    for last in ("one", "one", "another"):
        (vendoring.folder / "src/a.txt").write_text(numbered(lines=3 * LINES))
        (vendoring.folder / "src/b.txt").write_text(f"{last}\n")
        (vendoring.folder / "nobody.txt").write_text(f"{len(seen)}")
        seen.append(find(vendoring))
    assert len({hacks.diff for hacks in seen}) == 1
    assert seen[0].digest == seen[1].digest != seen[2].digest


def test_a_patch_that_was_taken_out_by_hand_is_told_as_a_bump_brings_it_back(vendoring: Vendoring) -> None:
    vendoring.patch("0001-a.patch", {"src/a.txt": numbered(changed={3: "ours"})})
    vendoring.patch("0002-b.patch", {"src/b.txt": numbered(changed={3: "ours"}, lines=30)})
    vendoring.vendor(vendoring.pin, patched=True)
    upstream, patched = patched_tree(vendoring)
    assert find(vendoring, patched=patched, mirror=upstream).notes == ()
    vendoring.project.commit({f"{FOLDER}/src/b.txt": numbered(lines=30)})
    hacks = find(vendoring, patched=patched, mirror=upstream)
    assert hacks.patched
    assert hacks.found == ()
    assert hacks.notes == (
        "src/b.txt is as upstream has it, without what our patches change there; a bump puts that back",
    )


def test_files_that_nobody_committed_are_named_and_not_shown(vendoring: Vendoring) -> None:
    vendoring.vendor()
    vendoring.project.commit({f"{FOLDER}/src/a.txt": numbered(changed={3: "three"})})
    vendoring.project.write({f"{FOLDER}/.env": "PASSWORD=hunter2\n"})
    hacks = find(vendoring)
    assert listed(hacks) == {".env": "added", "src/a.txt": "changed"}
    assert "hunter2" not in hacks.diff
    assert hacks.diff.endswith("... 1 more file")


def test_an_upstream_that_cannot_be_reached_leaves_the_count(vendoring: Vendoring) -> None:
    vendoring.vendor()
    vendoring.project.commit({f"{FOLDER}/src/a.txt": "changed\n"})
    mirror = vendoring.mirror()
    vendoring.upstream.path.rename(vendoring.room / "away")
    hacks = find(vendoring, mirror=mirror)
    assert listed(hacks) == {"src/a.txt": "changed"}
    assert hacks.diff == ""
    assert "cannot be shown" in hacks.notes[0]


def test_patches_are_kept_out_of_the_comparison_in_a_folder_of_their_own(vendoring: Vendoring) -> None:
    vendoring.vendor()
    vendoring.patch("one.patch", {"src/a.txt": "changed\n"})
    assert PATCHES in read_vendored(vendoring.read_settings(), vendoring.site).own
    assert find(vendoring).found == ()
