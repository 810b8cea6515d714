"""A bump is one commit: upstream's files, our patches, the local changes, the pin, the changelog."""

import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from riskloop.errors import Unmeasurable
from riskloop.files import scratch
from riskloop.git import COMMITTER, Mirror
from riskloop.mitigations.upstream_drift.bump.bumping import Bump, branch_of, make_bump
from riskloop.mitigations.upstream_drift.patches.patching import apply_series
from riskloop.mitigations.upstream_drift.patches.series import read_series
from riskloop.mitigations.upstream_drift.project.hacks import find_hacks
from riskloop.mitigations.upstream_drift.project.vendored import read_vendored
from tests.mitigations.vendoring import FOLDER, MITIGATION, PATCHES, PIN_FILE, Content, Vendoring, numbered


@pytest.fixture
def vendoring(tmp_path: Path) -> Vendoring:
    return Vendoring(tmp_path)


def bump(vendoring: Vendoring, candidate: str = "", *, offline: bool = False) -> Bump:
    """Make the bump to upstream's HEAD, or to another commit, as a look does."""
    settings, site = vendoring.read_settings(), vendoring.site
    candidate = candidate or vendoring.upstream.head
    vendored = read_vendored(settings, site)
    upstream = vendoring.mirror()
    pin, onto = (upstream.folder(commit, settings.strip) for commit in (vendored.pin, candidate))
    series = read_series(settings, site)
    with scratch(site.state, "patches") as room:
        at_pin = apply_series(upstream, series, onto=pin, room=room / "pin")
        applied = apply_series(upstream, series, onto=onto, room=room / "onto", at_pin=at_pin)
        hacks = find_hacks(vendored, upstream, site, pin=pin, patched=at_pin.tree)
        if offline:
            vendoring.upstream.path.rename(vendoring.room / "away")
        return make_bump(
            vendored,
            upstream,
            settings,
            site,
            applied=applied,
            hacks=hacks,
            series=series,
            candidate=candidate,
            pin_tree=pin,
            patched=at_pin.tree,
        )


def mirror(vendoring: Vendoring) -> Mirror:
    return Mirror(state=vendoring.state, source=str(vendoring.project.path))


def read(vendoring: Vendoring, made: Bump, path: str) -> str:
    return mirror(vendoring).git("cat-file", "blob", f"{made.commit}:{path}").text()


def tree(vendoring: Vendoring, commit: str, path: str = FOLDER) -> str:
    return mirror(vendoring).git("rev-parse", f"{commit}:{path}").text().strip()


def changed(vendoring: Vendoring, made: Bump) -> dict[str, str]:
    """Name the files that the commit changes, and how."""
    listed = mirror(vendoring).git("diff-tree", "-r", "--name-status", made.base, made.commit).text()
    return {path: how for how, path in (line.split("\t") for line in listed.splitlines())}


def line(number: int, text: str) -> str:
    return numbered(changed={number: text})


def test_a_copied_folder_becomes_what_upstream_has_and_the_pin_moves(vendoring: Vendoring) -> None:
    head = vendoring.vendor()
    new = vendoring.upstream.commit({"src/a.txt": line(3, "three"), "src/b.txt": None, "new/c": "c\n"})
    vendoring.upstream.commit(message="Too young")
    made = bump(vendoring, new)
    assert (made.problem, made.base, made.lost, made.changelog) == ("", head, (), True)
    assert tree(vendoring, made.commit) == vendoring.upstream.tree(new)
    assert read(vendoring, made, PIN_FILE) == f"{new}\n"
    assert changed(vendoring, made) == {
        PIN_FILE: "M",
        f"{FOLDER}/new/c": "A",
        f"{FOLDER}/src/a.txt": "M",
        f"{FOLDER}/src/b.txt": "D",
    }


def test_the_commit_is_whole_on_its_branch_by_us_and_the_same_again(vendoring: Vendoring) -> None:
    vendoring.vendor()
    vendoring.upstream.commit({"src/a.txt": line(3, "three"), "new": "x\n"})
    made = bump(vendoring)
    kept = mirror(vendoring)
    assert made.branch == f"riskloop/{MITIGATION}"
    assert kept.git("rev-parse", f"refs/heads/{made.branch}").text().strip() == made.commit
    assert kept.git("log", "-1", "--format=%ae %ce %P", made.commit).text() == (
        f"{COMMITTER} {COMMITTER} {made.base}\n"
    )
    message = kept.git("log", "-1", "--format=%B", made.commit).text()
    old, new = vendoring.pin[:12], made.candidate[:12]
    assert message.strip() == f"Bump {FOLDER} from {old} to {new}\n\nIt brings 1 upstream commit."
    assert bump(vendoring) == made
    assert list((vendoring.state / "scratch").iterdir()) == []
    clone = vendoring.room / "clone"
    kept.git("fsck", "--strict", "--no-dangling")
    cloned = ["git", "clone", "--quiet", "--branch", made.branch, str(kept.path), str(clone)]
    subprocess.run(cloned, check=True, capture_output=True)
    assert (clone / FOLDER / "new").read_text() == "x\n"
    assert (clone / FOLDER / "tools/run.sh").stat().st_mode & 0o111


def test_a_project_below_the_top_is_bumped_where_it_is(vendoring: Vendoring) -> None:
    vendoring.settings["changelog"] = "CHANGELOG.md"
    vendoring.project.write({"CHANGELOG.md": "## Unreleased\n"})
    vendoring.vendor()
    outer = vendoring.room / "outer"
    outer.mkdir()
    (vendoring.project.path / ".git").rename(outer / ".git")
    vendoring.project.path.rename(outer / "project")
    vendoring.project.path = outer
    vendoring.project.commit()
    vendoring.project.path = outer / "project"
    new = vendoring.upstream.commit({"src/a.txt": "new\n"})
    settings, site = vendoring.read_settings(), vendoring.site
    vendored = read_vendored(settings, site)
    upstream = vendoring.mirror()
    pin = upstream.folder(vendored.pin)
    series = read_series(settings, site)
    applied = apply_series(upstream, series, onto=upstream.folder(new), room=vendoring.room / "patches")
    made = make_bump(
        vendored,
        upstream,
        settings,
        site,
        applied=applied,
        hacks=find_hacks(vendored, upstream, site, pin=pin, patched=pin),
        series=series,
        candidate=new,
        pin_tree=pin,
        patched=pin,
    )
    assert made.problem == ""
    assert vendored.project is not None
    listed = vendored.project.git("diff-tree", "-r", "--name-only", made.base, made.commit)
    assert listed.text().split() == [
        "project/CHANGELOG.md",
        f"project/{PIN_FILE}",
        f"project/{FOLDER}/src/a.txt",
    ]


def test_only_the_stripped_folder_is_taken(vendoring: Vendoring) -> None:
    vendoring.vendor(strip="src")
    new = vendoring.upstream.commit({"src/a.txt": "new\n", "other": "x\n"})
    made = bump(vendoring)
    assert tree(vendoring, made.commit) == vendoring.upstream.tree(new, "src")


def test_a_submodule_moves_and_nothing_else(vendoring: Vendoring) -> None:
    vendoring.submodule()
    new = vendoring.upstream.commit({"src/a.txt": "new\n"})
    made = bump(vendoring)
    assert changed(vendoring, made) == {FOLDER: "M"}
    assert tree(vendoring, made.commit) == new


def test_a_submodule_with_commits_of_its_own_is_not_bumped(vendoring: Vendoring) -> None:
    vendoring.submodule()
    vendoring.diverge({"own": "ours\n"})
    vendoring.upstream.commit({"src/a.txt": "new\n"})
    made = bump(vendoring)
    assert made.commit == ""
    assert "has 1 commit that" in made.problem


def test_patches_that_are_in_the_folder_are_in_the_new_one(vendoring: Vendoring) -> None:
    vendoring.patch("one.patch", {"src/a.txt": line(30, "by patch")})
    vendoring.vendor(patched=True)
    vendoring.upstream.commit({"src/b.txt": "new\n"})
    made = bump(vendoring)
    assert (made.refreshed, made.dropped) == ((), ())
    assert read(vendoring, made, f"{FOLDER}/src/a.txt") == line(30, "by patch")
    assert read(vendoring, made, f"{FOLDER}/src/b.txt") == "new\n"


def test_patches_that_are_applied_later_stay_out_of_the_folder(vendoring: Vendoring) -> None:
    vendoring.patch("one.patch", {"src/a.txt": line(30, "by patch")})
    vendoring.vendor()
    new = vendoring.upstream.commit({"src/b.txt": "new\n"})
    made = bump(vendoring)
    assert tree(vendoring, made.commit) == vendoring.upstream.tree(new)


def test_patches_that_moved_are_refreshed_and_those_upstream_has_are_dropped(vendoring: Vendoring) -> None:
    vendoring.patch("one.patch", {"src/a.txt": line(30, "by patch")})
    vendoring.patch("two.patch", {"src/b.txt": numbered(changed={5: "taken"}, lines=30)})
    vendoring.patch("three.patch", {"README.md": "# Ours\n"})
    vendoring.series(["# ours", "two.patch -p1 # soon upstream", "one.patch", "", "three.patch"])
    vendoring.vendor()
    vendoring.upstream.commit(
        {"src/a.txt": "above\n" + numbered(), "src/b.txt": numbered(changed={5: "taken"}, lines=30)}
    )
    made = bump(vendoring)
    assert (made.refreshed, made.dropped) == (("one.patch",), ("two.patch",))
    assert read(vendoring, made, f"{PATCHES}/series") == "# ours\none.patch\n\nthree.patch\n"
    refreshed = read(vendoring, made, f"{PATCHES}/one.patch")
    assert "@@ -28" in refreshed
    assert "Subject: [PATCH] Patch one.patch" in refreshed
    assert changed(vendoring, made)[f"{PATCHES}/two.patch"] == "D"
    message = mirror(vendoring).git("log", "-1", "--format=%B", made.commit).text()
    assert "refreshed:\n- one.patch" in message
    assert "dropped:\n- two.patch" in message


def test_a_name_mentions_and_closes_nothing_once_the_commit_is_merged(vendoring: Vendoring) -> None:
    name = "cc @octocat fixes #1.patch"
    vendoring.patch(name, {"src/a.txt": line(3, "taken")})
    vendoring.vendor()
    vendoring.upstream.commit({"src/a.txt": line(3, "taken")})
    made = bump(vendoring)
    assert made.dropped == (name,)
    message = mirror(vendoring).git("log", "-1", "--format=%B", made.commit).text()
    assert "octocat" in message
    for acting in ("@octocat", "fixes", "#1"):
        assert acting not in message


def test_the_folder_of_patches_survives_its_last_patch(vendoring: Vendoring) -> None:
    vendoring.patch("one.patch", {"src/a.txt": line(3, "taken")})
    vendoring.vendor()
    vendoring.upstream.commit({"src/a.txt": line(3, "taken")})
    made = bump(vendoring)
    assert made.dropped == ("one.patch",)
    assert read(vendoring, made, f"{PATCHES}/series") == "# No patches are left.\n"


@pytest.mark.parametrize("patched", [False, True])
def test_local_changes_come_along_where_they_merge(vendoring: Vendoring, *, patched: bool) -> None:
    vendoring.patch("one.patch", {"src/a.txt": line(20, "by patch")})
    vendoring.vendor(patched=patched)
    ours = {3: "by hand"} | ({20: "by patch"} if patched else {})
    vendoring.project.commit(
        {
            f"{FOLDER}/src/a.txt": numbered(changed=ours),
            f"{FOLDER}/own": "added\n",
            f"{FOLDER}/README.md": None,
        }
    )
    vendoring.upstream.commit({"src/a.txt": line(38, "upstream"), "src/b.txt": "new\n"})
    made = bump(vendoring)
    assert (made.problem, made.lost) == ("", ())
    assert read(vendoring, made, f"{FOLDER}/src/a.txt") == numbered(changed=ours | {38: "upstream"})
    assert read(vendoring, made, f"{FOLDER}/own") == "added\n"
    assert read(vendoring, made, f"{FOLDER}/src/b.txt") == "new\n"
    assert changed(vendoring, made).keys() == {
        PIN_FILE,
        f"{FOLDER}/src/a.txt",
        f"{FOLDER}/src/b.txt",
    }
    assert not vendoring.mirror().repair()


@pytest.mark.parametrize(
    ("ours", "theirs", "lost", "after"),
    [
        pytest.param(
            {"src/a.txt": line(3, "by hand")},
            {"src/a.txt": line(3, "upstream")},
            "src/a.txt",
            {"src/a.txt": line(3, "upstream")},
            id="the same line",
        ),
        pytest.param(
            {"src/a.txt": line(3, "by hand")},
            {"src/a.txt": None},
            "src/a.txt",
            {"src/a.txt": None},
            id="removed upstream",
        ),
        pytest.param(
            {"src/a.txt": None},
            {"src/a.txt": line(3, "upstream")},
            "src/a.txt",
            {"src/a.txt": line(3, "upstream")},
            id="removed by hand",
        ),
        pytest.param({"own": "ours\n"}, {"own": "theirs\n"}, "own", {"own": "theirs\n"}, id="added by both"),
        pytest.param(
            {"own": "ours\n"}, {"own/inside": "x\n"}, "own", {"own/inside": "x\n"}, id="a folder by now"
        ),
        pytest.param({"bin": b"\0ours"}, {"bin": b"\0theirs"}, "bin", {"bin": "\0theirs"}, id="binary"),
    ],
)
def test_local_changes_that_do_not_merge_are_lost_and_named(
    vendoring: Vendoring,
    ours: Mapping[str, Content],
    theirs: Mapping[str, Content],
    lost: str,
    after: Mapping[str, str | None],
) -> None:
    vendoring.upstream.commit({"bin": b"\0"})
    vendoring.vendor()
    vendoring.project.commit({f"{FOLDER}/{path}": content for path, content in ours.items()})
    vendoring.project.commit({f"{FOLDER}/kept": "by hand\n"})
    new = vendoring.upstream.commit(theirs)
    made = bump(vendoring)
    assert (made.problem, made.lost) == ("", (lost,))
    for path, content in after.items():
        if content is not None:
            assert read(vendoring, made, f"{FOLDER}/{path}") == content
    assert read(vendoring, made, f"{FOLDER}/kept") == "by hand\n"
    listed = mirror(vendoring).git("ls-tree", "-r", "--name-only", f"{made.commit}:{FOLDER}").text()
    expected = vendoring.upstream.git("ls-tree", "-r", "--name-only", new).splitlines()
    assert sorted(listed.splitlines()) == sorted([*expected, "kept"])


def test_a_local_change_follows_a_file_that_upstream_renamed(vendoring: Vendoring) -> None:
    vendoring.vendor()
    vendoring.project.commit({f"{FOLDER}/src/a.txt": line(3, "by hand")})
    vendoring.upstream.commit({"src/a.txt": None, "src/renamed.txt": line(38, "upstream")})
    made = bump(vendoring)
    assert made.lost == ()
    expected = numbered(changed={3: "by hand", 38: "upstream"})
    assert read(vendoring, made, f"{FOLDER}/src/renamed.txt") == expected


def test_a_local_change_that_upstream_made_too_is_none_any_more(vendoring: Vendoring) -> None:
    vendoring.vendor()
    vendoring.project.commit({f"{FOLDER}/src/a.txt": line(3, "three")})
    new = vendoring.upstream.commit({"src/a.txt": line(3, "three"), "src/b.txt": "new\n"})
    made = bump(vendoring)
    assert made.lost == ()
    assert tree(vendoring, made.commit) == vendoring.upstream.tree(new)


def test_what_is_the_projects_own_inside_the_folder_stays(vendoring: Vendoring) -> None:
    vendoring.settings["changelog"] = f"{FOLDER}/CHANGES.md"
    vendoring.vendor()
    vendoring.project.commit({f"{FOLDER}/CHANGES.md": "## Unreleased\n"})
    vendoring.upstream.commit({"CHANGES.md": "upstream's\n", "src/a.txt": "new\n"})
    made = bump(vendoring)
    assert made.lost == ()
    assert read(vendoring, made, f"{FOLDER}/CHANGES.md").startswith("## Unreleased\n\n- Bump vendor/lib")


def test_the_projects_own_folder_stays_where_upstream_has_a_file_of_its_name(vendoring: Vendoring) -> None:
    vendoring.settings["patches"] = f"{FOLDER}/ours"
    vendoring.vendor()
    vendoring.project.commit({f"{FOLDER}/ours/series": "# none yet\n"})
    vendoring.upstream.commit({"ours": "upstream's\n", "src/a.txt": "new\n", "src/b.txt": None})
    made = bump(vendoring)
    assert made.problem == ""
    assert read(vendoring, made, f"{FOLDER}/ours/series") == "# none yet\n"
    assert read(vendoring, made, f"{FOLDER}/src/a.txt") == "new\n"


def test_the_changelog_gets_its_entry(vendoring: Vendoring) -> None:
    vendoring.settings["changelog"] = "CHANGELOG.md"
    vendoring.project.write({"CHANGELOG.md": "# Changes\n\n## Unreleased\n\n- One.\n"})
    vendoring.vendor()
    vendoring.upstream.commit({"src/a.txt": "new\n"})
    vendoring.upstream.commit({"src/a.txt": "newer\n"})
    made = bump(vendoring)
    assert made.changelog
    entry = f"- Bump {FOLDER} from {vendoring.pin[:12]} to {made.candidate[:12]} (2 upstream commits).\n"
    assert read(vendoring, made, "CHANGELOG.md") == f"# Changes\n\n## Unreleased\n\n- One.\n{entry}"


@pytest.mark.parametrize("content", [None, b"\xff\xfe\0"])
def test_a_changelog_that_is_missing_or_no_text_gets_none(
    vendoring: Vendoring, content: bytes | None
) -> None:
    vendoring.settings["changelog"] = "CHANGELOG.md"
    if content is not None:
        vendoring.project.write({"CHANGELOG.md": content})
    vendoring.vendor()
    vendoring.upstream.commit({"src/a.txt": "new\n"})
    made = bump(vendoring)
    assert (made.changelog, made.problem) == (False, "")


@pytest.mark.parametrize(
    "path", [PIN_FILE, "CHANGELOG.md", f"{FOLDER}/src/a.txt", f"{PATCHES}/one.patch", f"{PATCHES}/series"]
)
def test_what_is_not_committed_is_not_written_over(vendoring: Vendoring, path: str) -> None:
    vendoring.settings["changelog"] = "CHANGELOG.md"
    vendoring.project.write({"CHANGELOG.md": "# Changes\n"})
    vendoring.patch("one.patch", {"src/b.txt": "by patch\n"})
    vendoring.series(["one.patch"])
    vendoring.vendor()
    vendoring.upstream.commit({"new": "new\n"})
    file = vendoring.project.path / path
    file.write_bytes(file.read_bytes() + b"\n")
    made = bump(vendoring)
    assert made.commit == ""
    assert made.problem == f"{path} differs from the project's last commit; commit it first"


def test_a_patch_that_is_not_committed_is_named(vendoring: Vendoring) -> None:
    vendoring.vendor()
    vendoring.patch("new.patch", {"src/b.txt": "by patch\n"})
    vendoring.upstream.commit({"new": "new\n"})
    assert "new.patch" in bump(vendoring).problem


def test_a_pin_in_the_register_is_left_to_a_person(vendoring: Vendoring) -> None:
    vendoring.vendor()
    vendoring.settings["pin"] = vendoring.pin
    vendoring.upstream.commit({"new": "new\n"})
    made = bump(vendoring)
    assert changed(vendoring, made) == {f"{FOLDER}/new": "A"}


def test_a_folder_that_cannot_be_moved_by_a_commit_has_a_problem(vendoring: Vendoring) -> None:
    vendoring.vendor()
    vendoring.upstream.commit({"new": "new\n"})
    vendoring.project.git("rm", "-r", "--quiet", "--cached", FOLDER)
    vendoring.project.git("commit", "--quiet", "--message", "Forget")
    assert "not in the project's last commit" in bump(vendoring).problem
    (vendoring.project.path / ".git").rename(vendoring.room / "aside")
    assert "no git repository" in bump(vendoring).problem
    vendoring.project.git("init", "--quiet")
    assert "no commit yet" in bump(vendoring).problem


def test_nested_submodules_and_links_of_upstream_stay_what_they_are(vendoring: Vendoring) -> None:
    vendoring.vendor()
    (vendoring.upstream.path / "link").symlink_to("src/a.txt")
    vendoring.upstream.git("add", "link")
    vendoring.upstream.git("update-index", "--add", "--cacheinfo", f"160000,{'a' * 40},third")
    vendoring.upstream.git("commit", "--quiet", "--message", "Nest")
    made = bump(vendoring)
    assert tree(vendoring, made.commit) == vendoring.upstream.tree()


@pytest.mark.parametrize("copied", [True, False])
def test_what_stands_in_the_place_of_upstreams_submodule_stays(vendoring: Vendoring, *, copied: bool) -> None:
    vendoring.upstream.git("update-index", "--add", "--cacheinfo", f"160000,{'a' * 40},third")
    vendoring.upstream.git("commit", "--quiet", "--message", "Nest")
    vendoring.vendor()
    if copied:
        vendoring.project.commit({f"{FOLDER}/third/file": "of another upstream\n"})
    vendoring.upstream.write({"new": "new\n"})
    vendoring.upstream.git("add", "new")
    vendoring.upstream.git("update-index", "--add", "--cacheinfo", f"160000,{'b' * 40},third")
    vendoring.upstream.git("commit", "--quiet", "--message", "Move on")
    assert changed(vendoring, bump(vendoring)) == {f"{FOLDER}/new": "A", PIN_FILE: "M"}


def test_a_submodule_of_the_projects_own_inside_the_folder_comes_along(vendoring: Vendoring) -> None:
    vendoring.vendor()
    vendoring.project.git("update-index", "--add", "--cacheinfo", f"160000,{'a' * 40},{FOLDER}/mine")
    vendoring.project.git("commit", "--quiet", "--message", "Add mine")
    (vendoring.folder / "mine/.git").mkdir(parents=True)
    vendoring.upstream.commit({"new": "new\n"})
    made = bump(vendoring)
    assert made.problem == ""
    assert made.lost == ()
    assert changed(vendoring, made) == {f"{FOLDER}/new": "A", PIN_FILE: "M"}


def test_what_upstream_has_where_the_projects_own_files_are_is_left_out(vendoring: Vendoring) -> None:
    vendoring.vendor()
    vendoring.settings["patches"] = f"{FOLDER}/patches"
    vendoring.project.commit({f"{FOLDER}/patches/series": "# none yet\n"})
    vendoring.upstream.commit({"patches/theirs.patch": "--- a/x\n", "patches/series": "theirs.patch\n"})
    vendoring.upstream.commit({"new": "new\n"})
    assert changed(vendoring, bump(vendoring)) == {f"{FOLDER}/new": "A", PIN_FILE: "M"}


def test_attributes_of_upstream_have_no_effect(vendoring: Vendoring) -> None:
    attributes = "* export-ignore export-subst text eol=crlf ident filter=x diff=x merge=binary\n"
    strange = {path: f"$Id$ $Format:%H$ {path}\r\n" for path in ("src/x", "src/y")}
    vendoring.vendor()
    vendoring.project.commit({f"{FOLDER}/src/a.txt": line(3, "by hand")})
    vendoring.upstream.commit({**strange, "src/a.txt": line(38, "upstream")})
    vendoring.upstream.write({".git/info/attributes": "* -text -eol -ident -filter\n"})
    vendoring.upstream.commit({".gitattributes": attributes})
    made = bump(vendoring)
    assert read(vendoring, made, f"{FOLDER}/src/x") == strange["src/x"]
    assert made.lost == ()


def test_files_that_cannot_be_fetched_stop_the_bump_and_leave_nothing(vendoring: Vendoring) -> None:
    vendoring.vendor()
    vendoring.upstream.commit({"new": "new\n"})
    with pytest.raises(Unmeasurable, match="is no git repository"):
        bump(vendoring, offline=True)
    assert not mirror(vendoring).git("for-each-ref", "refs/heads").stdout
    assert list((vendoring.state / "scratch").iterdir()) == []


@pytest.mark.parametrize(
    ("mitigation", "branch"),
    [
        ("lib.upstream_drift", "riskloop/lib.upstream_drift"),
        ("a..b", "riskloop/a-.b-f62b42"),
        (".a b~^:?*[\\", "riskloop/-a-b--------1b1a0b"),
        ("a.lock", "riskloop/a-lock-e018dd"),
        ("a.", "riskloop/a--5ab640"),
        ("", "riskloop/upstream"),
    ],
)
def test_the_branch_has_a_name_that_git_allows(vendoring: Vendoring, mitigation: str, branch: str) -> None:
    assert branch_of(mitigation) == branch
    vendoring.upstream.git("check-ref-format", f"refs/heads/{branch}")


def test_no_two_mitigations_have_one_branch() -> None:
    names = ("a..b", "a-.b", "a.lock", "a-lock", "a.", "a-")
    assert len({branch_of(name) for name in names}) == len(names)
