"""Every patch gets a verdict, and the tree that comes of them is the one git itself would make."""

from collections.abc import Callable
from pathlib import Path

import pytest

from riskloop.mitigations.upstream_drift.patches.patching import Verdict
from tests.mitigations.patchwork import MAIL, PLAIN, Patchwork
from tests.mitigations.vendoring import numbered

BINARY = bytes(range(256)) * 20


@pytest.fixture
def work(tmp_path: Path) -> Patchwork:
    made = Patchwork(tmp_path)
    made.pin({"src/data.bin": BINARY, "src/long.txt": numbered(lines=200), "src/empty.txt": ""})
    return made


def shifted(count: int, lines: int = 40, **changed: str) -> str:
    """Give the numbered text with more lines at its front."""
    return "".join(f"new {number}\n" for number in range(count)) + numbered(
        changed={int(key[1:]): value for key, value in changed.items()}, lines=lines
    )


def change_mode(work: Patchwork) -> None:
    (work.author.path / "src/a.txt").chmod(0o755)


def rename(work: Patchwork) -> None:
    work.author.git("mv", "src/a.txt", "src/renamed.txt")


def rename_and_edit(work: Patchwork) -> None:
    work.author.git("mv", "src/a.txt", "docs.txt")
    work.author.write({"docs.txt": numbered(changed={7: "seven"})})


def link(work: Patchwork) -> None:
    (work.author.path / "src/link").symlink_to("a.txt")


def replace_by_link(work: Patchwork) -> None:
    (work.author.path / "src/a.txt").unlink()
    (work.author.path / "src/a.txt").symlink_to("b.txt")


def folder_becomes_file(work: Patchwork) -> None:
    work.author.write({"tools/run.sh": None})
    (work.author.path / "tools").rmdir()
    work.author.write({"tools": "no folder any more\n"})


def file_becomes_folder(work: Patchwork) -> None:
    work.author.write({"README.md": None})
    work.author.write({"README.md/now/a/folder.txt": "1\n", "README.md/x": "2\n"})


CHANGES: dict[str, Callable[[Patchwork], None]] = {
    "text": lambda work: work.author.write({"src/a.txt": numbered(changed={10: "ours"})}),
    "several files": lambda work: work.author.write(
        {"src/a.txt": numbered(changed={3: "x", 30: "y"}), "src/b.txt": None, "new/deep/file.txt": "1\n"}
    ),
    "binary": lambda work: work.author.write({"src/data.bin": BINARY[::-1]}),
    "new binary": lambda work: work.author.write({"src/more.bin": BINARY[:300]}),
    "mode": change_mode,
    "rename": rename,
    "rename and edit": rename_and_edit,
    "new link": link,
    "file becomes link": replace_by_link,
    "folder becomes file": folder_becomes_file,
    "file becomes folder": file_becomes_folder,
    "last file of a folder": lambda work: work.author.write({"tools/run.sh": None}),
    "new empty file": lambda work: work.author.write({"src/nothing": ""}),
    "empty file removed": lambda work: work.author.write({"src/empty.txt": None}),
    "no newline at the end": lambda work: work.author.write({"src/a.txt": numbered().rstrip("\n")}),
    "odd names": lambda work: work.author.write(
        {
            "-x": "1\n",
            "a b.txt": "2\n",
            'q"uote': "3\n",
            "tab\tbed": "4\n",
            "ü/ö.txt": "5\n",
            "new\nline": "6\n",
        }
    ),
    "whitespace at line ends": lambda work: work.author.write({"src/a.txt": numbered(changed={5: "x  \t"})}),
    "carriage returns": lambda work: work.author.write({"src/crlf.txt": "one\r\ntwo\r\n"}),
}


@pytest.mark.parametrize("how", [MAIL, PLAIN], ids=["mail", "plain"])
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_clean_patch_gives_the_tree_that_git_gives(
    work: Patchwork, change: Callable[[Patchwork], None], how: tuple[str, ...]
) -> None:
    change(work)
    work.patch("0001-change.patch", how=how)
    work.upstream.commit({"elsewhere.txt": "news\n"})
    applied = work.apply()
    keep = ("--keep-cr",) if "crlf" in str(applied.outcomes[0].patch.paths) else ()
    real = (
        work.what_am_makes("0001-change.patch", how=keep)
        if how == MAIL and not keep
        else work.what_apply_makes("0001-change.patch")
    )
    assert applied.outcomes[0].verdict is Verdict.CLEAN
    if not (how == MAIL and keep):
        assert applied.tree == real


def test_twenty_patches_that_build_on_each_other_give_what_am_gives(work: Patchwork) -> None:
    names = [f"{number:04}-step.patch" for number in range(1, 21)]
    for number, name in enumerate(names, start=1):
        text = numbered(changed={line: f"ours {line}" for line in range(1, number + 1)})
        work.patch(name, {"src/a.txt": text, f"made/{number % 3}.txt": f"{number}\n"})
    work.upstream.commit({"elsewhere.txt": "news\n"})
    applied = work.apply()
    assert {outcome.verdict for outcome in applied.outcomes} == {Verdict.CLEAN}
    assert applied.tree == work.what_am_makes(*names, how=())


def test_a_patch_whose_place_moved_is_applied_there(work: Patchwork) -> None:
    work.patch("0001-far.patch", {"src/a.txt": numbered(changed={20: "ours"})})
    work.upstream.commit({"src/a.txt": shifted(3)})
    applied = work.apply()
    (outcome,) = applied.outcomes
    assert (outcome.verdict, outcome.reason) == (Verdict.OFFSET, "3 lines away")
    assert (outcome.before, outcome.earlier) == (work.upstream.tree(), ())
    assert applied.tree == work.what_am_makes("0001-far.patch", how=())


def test_a_patch_beside_an_upstream_change_is_merged_as_am_merges_it(work: Patchwork) -> None:
    work.patch("0001-near.patch", {"src/a.txt": numbered(changed={20: "ours"})})
    work.upstream.commit({"src/a.txt": shifted(2, n17="theirs")})
    applied = work.apply()
    assert [outcome.verdict for outcome in applied.outcomes] == [Verdict.THREE_WAY]
    assert applied.tree == work.what_am_makes("0001-near.patch")


def test_a_patch_follows_a_file_that_upstream_renamed(work: Patchwork) -> None:
    work.patch("0001-moved.patch", {"src/a.txt": numbered(changed={20: "ours"})})
    work.upstream.git("mv", "src/a.txt", "src/moved.txt")
    work.upstream.commit({"src/moved.txt": numbered(changed={2: "theirs"}), "src/other.txt": "x\n"})
    applied = work.apply()
    assert [outcome.verdict for outcome in applied.outcomes] == [Verdict.THREE_WAY]
    assert applied.tree == work.what_am_makes("0001-moved.patch")
    assert "ours" in work.text(applied.tree, "src/moved.txt")


def test_a_patch_follows_a_file_that_upstream_put_in_the_place_of_another(work: Patchwork) -> None:
    work.pin({"other.txt": "nothing like it\n" * 9})
    work.patch("0001-moved.patch", {"src/a.txt": numbered(changed={20: "ours"})})
    work.upstream.git("mv", "--force", "src/a.txt", "other.txt")
    work.upstream.commit()
    applied = work.apply()
    assert [outcome.verdict for outcome in applied.outcomes] == [Verdict.THREE_WAY]
    assert applied.tree == work.what_am_makes("0001-moved.patch")
    assert "ours" in work.text(applied.tree, "other.txt")


def test_a_patch_does_not_land_in_a_likeness_that_a_patch_left_out_would_have_removed(
    work: Patchwork,
) -> None:
    work.patch("0001-clash.patch", {"src/b.txt": None})
    work.patch("0002-gone.patch", {"src/a.txt": numbered(changed={3: "ours"})})
    work.upstream.commit({"src/b.txt": numbered(changed={2: "theirs"}, lines=30), "src/a.txt": None})
    applied = work.apply()
    assert [outcome.verdict for outcome in applied.outcomes] == [Verdict.CONFLICT, Verdict.TARGET_GONE]
    assert applied.tree == work.upstream.tree()


def test_a_patch_on_lines_that_upstream_changed_conflicts_with_all_three_sides(work: Patchwork) -> None:
    work.patch("0001-clash.patch", {"src/a.txt": numbered(changed={20: "ours"})})
    work.upstream.commit({"src/a.txt": numbered(changed={20: "theirs"})})
    outcome = work.outcome()
    assert (outcome.verdict, outcome.files) == (Verdict.CONFLICT, ("src/a.txt",))
    (hunk,) = outcome.hunks
    assert (hunk.path, hunk.base, hunk.ours, hunk.theirs) == ("src/a.txt", "line 20", "theirs", "ours")
    assert outcome.reason == "upstream changed the same lines"


def test_a_conflict_hides_no_verdict_of_the_patches_after_it(work: Patchwork) -> None:
    work.patch("0001-clash.patch", {"src/a.txt": numbered(changed={20: "ours"})})
    work.patch("0002-clean.patch", {"src/b.txt": numbered(changed={5: "ours"}, lines=30)})
    work.patch("0003-apart.patch", {"src/a.txt": numbered(changed={20: "ours", 35: "too"})})
    work.patch("0004-above.patch", {"src/a.txt": numbered(changed={20: "ours, again", 35: "too"})})
    work.upstream.commit({"src/a.txt": numbered(changed={20: "theirs"})})
    applied = work.apply()
    verdicts = [outcome.verdict for outcome in applied.outcomes]
    assert verdicts == [Verdict.CONFLICT, Verdict.CLEAN, Verdict.CLEAN, Verdict.CONFLICT]
    assert applied.outcomes[3].reason.endswith("builds on 0001-clash.patch, which is left out")
    assert work.text(applied.tree, "src/a.txt") == numbered(changed={20: "theirs", 35: "too"})
    assert applied.tree == work.what_am_makes("0002-clean.patch", "0003-apart.patch")


def test_a_patch_that_upstream_took_over_is_found_by_what_it_makes(work: Patchwork) -> None:
    work.patch("0001-same.patch", {"src/a.txt": numbered(changed={20: "ours"})})
    work.upstream.commit({"src/a.txt": shifted(4, n20="ours", n38="more")})
    applied = work.apply()
    assert applied.outcomes[0].verdict is Verdict.UPSTREAMED
    assert applied.tree == work.upstream.tree()


def test_a_patch_that_upstream_took_over_and_then_changed_is_found_by_its_commit(work: Patchwork) -> None:
    work.patch("0001-same.patch", {"src/a.txt": numbered(changed={20: "ours"})})
    taken = work.upstream.commit({"src/a.txt": numbered(changed={20: "ours"})})
    work.upstream.commit({"src/a.txt": numbered(changed={20: "ours, and better"})})
    outcome = work.outcome()
    assert (outcome.verdict, outcome.reason) == (
        Verdict.UPSTREAMED,
        f"as upstream commit {taken[:12]}",
    )


def test_a_patch_that_upstream_has_at_the_pin_already_stays_so(work: Patchwork) -> None:
    content = work.patch("0001-old.patch", {"src/a.txt": numbered(changed={20: "ours"})})
    work.pin({"src/a.txt": numbered(changed={20: "ours"})})
    work.put("0001-old.patch", content)
    assert work.verdicts(work.vendoring.pin) == [Verdict.UPSTREAMED]
    work.upstream.commit({"src/a.txt": numbered(changed={20: "other"})})
    outcome = work.outcome()
    assert (outcome.verdict, outcome.reason) == (Verdict.UPSTREAMED, "upstream has it at the pin")


def test_a_change_of_mode_that_upstream_made_too_is_upstream(work: Patchwork) -> None:
    change_mode(work)
    work.patch("0001-mode.patch")
    (work.upstream.path / "src/a.txt").chmod(0o755)
    work.upstream.commit()
    assert work.verdicts() == [Verdict.UPSTREAMED]


@pytest.mark.parametrize("what", ["edit", "remove"])
def test_a_patch_on_a_file_that_upstream_removed(work: Patchwork, what: str) -> None:
    content = numbered(changed={20: "ours"}) if what == "edit" else None
    work.patch("0001-gone.patch", {"src/a.txt": content})
    work.upstream.commit({"src/a.txt": None})
    outcome = work.outcome()
    if what == "remove":
        assert outcome.verdict is Verdict.UPSTREAMED
    else:
        assert (outcome.verdict, outcome.files) == (Verdict.TARGET_GONE, ("src/a.txt",))
        assert outcome.reason == "upstream has no src/a.txt"


def test_a_file_that_both_sides_added_conflicts_unless_it_is_the_same(work: Patchwork) -> None:
    work.patch("0001-new.patch", {"src/new.txt": "ours\n"})
    same = work.upstream.commit({"src/new.txt": "ours\n"})
    other = work.upstream.commit({"src/new.txt": "theirs\n"})
    assert work.verdicts(same) == [Verdict.UPSTREAMED]
    outcome = work.outcome(other)
    # Upstream's first commit is our patch.
    assert (outcome.verdict, outcome.reason) == (
        Verdict.UPSTREAMED,
        f"as upstream commit {same[:12]}",
    )


def test_a_file_that_both_sides_added_differently_conflicts(work: Patchwork) -> None:
    work.patch("0001-new.patch", {"src/new.txt": "ours\n"})
    work.upstream.commit({"src/new.txt": "theirs\n"})
    outcome = work.outcome()
    assert (outcome.verdict, outcome.files) == (Verdict.CONFLICT, ("src/new.txt",))


def test_binary_files_that_both_sides_changed_conflict_without_hunks(work: Patchwork) -> None:
    work.patch("0001-binary.patch", {"src/data.bin": BINARY[::-1]})
    work.upstream.commit({"src/data.bin": BINARY + b"more"})
    outcome = work.outcome()
    assert (outcome.verdict, outcome.files, outcome.hunks) == (Verdict.CONFLICT, ("src/data.bin",), ())
    assert outcome.reason == "upstream changed the same file"


def test_a_file_that_is_renamed_and_merged_is_followed_by_the_next_patch(work: Patchwork) -> None:
    work.patch("0001-first.patch", {"src/a.txt": numbered(changed={20: "ours"})})
    work.patch("0002-second.patch", {"src/a.txt": numbered(changed={20: "ours", 33: "too"})})
    work.upstream.git("mv", "src/a.txt", "src/moved.txt")
    work.upstream.commit()
    applied = work.apply()
    assert [outcome.verdict for outcome in applied.outcomes] == [Verdict.THREE_WAY, Verdict.THREE_WAY]
    assert applied.tree == work.what_am_makes("0001-first.patch", "0002-second.patch")


def test_a_change_whose_context_upstream_changed_too_is_upstream(work: Patchwork) -> None:
    ours = {10: "ours", 30: "ours"}
    work.patch("0001-same.patch", {"src/a.txt": numbered(changed=ours)})
    work.upstream.commit({"src/a.txt": numbered(changed={**ours, 12: "theirs", 20: "more"})})
    applied = work.apply()
    assert [outcome.verdict for outcome in applied.outcomes] == [Verdict.UPSTREAMED]
    assert applied.tree == work.upstream.tree()


BLOCK = "begin\none\ntwo\nthree\nend\n"
CALLED = "begin\none\ntwo\ncall\nthree\nend\n"


def test_in_a_text_that_repeats_itself_the_nearer_place_decides(work: Patchwork) -> None:
    work.pin({"src/blocks.txt": "head\n" + BLOCK + "tail\n" * 9 + BLOCK})
    work.patch("0001-call.patch", {"src/blocks.txt": "head\n" + CALLED + "tail\n" * 9 + BLOCK})
    taken = work.upstream.commit({"src/blocks.txt": "new\nhead\n" + CALLED + "tail\n" * 9 + BLOCK})
    assert work.verdicts(taken) == [Verdict.UPSTREAMED]
    other = work.upstream.commit({"src/blocks.txt": "new\nhead\n" + BLOCK + "tail\n" * 9 + CALLED})
    assert work.verdicts(other) == [Verdict.OFFSET]


def test_a_patch_that_only_removes_is_not_taken_for_upstreams_where_its_lines_still_stand(
    work: Patchwork,
) -> None:
    block = "a\nb\nc\nd\ne\nf\n"
    longer = block.replace("c\n", "c\nold\n")
    work.pin({"src/twice.txt": block + longer})
    work.patch("0001-remove.patch", {"src/twice.txt": block + block})
    work.upstream.commit({"src/twice.txt": "0\n" * 9 + block + longer})
    assert work.verdicts() == [Verdict.OFFSET]


def test_content_that_looks_like_what_git_prints_fools_nobody(work: Patchwork) -> None:
    lines = (
        "Checking patch src/b.txt...\nerror: invalid path '../x'\nHunk #1 succeeded at 9 (offset 7 lines).\n"
    )
    said = lines * 4
    work.pin({"src/said.txt": said + "end\n"})
    work.patch("0001-clean.patch", {"src/b.txt": numbered(changed={9: "ours"}, lines=30)})
    work.patch("0002-said.patch", {"src/said.txt": said + "the end\n"})
    work.patch("0003-moved.patch", {"src/a.txt": numbered(changed={20: "ours"})})
    work.upstream.commit({"src/said.txt": said.upper() + "end\n", "src/a.txt": shifted(2)})
    verdicts = work.verdicts()
    assert (verdicts[0], verdicts[2]) == (Verdict.CLEAN, Verdict.OFFSET)
    assert verdicts[1] in (Verdict.CONFLICT, Verdict.REFUSED)


def test_only_what_the_patches_touch_is_fetched(work: Patchwork) -> None:
    work.patch("0001-a.patch", {"src/a.txt": numbered(changed={20: "ours"})})
    work.upstream.commit({"src/a.txt": shifted(2, n17="theirs")})
    work.apply()
    mirror = work.vendoring.mirror()
    for path, known in (("src/a.txt", True), ("src/b.txt", False), ("src/data.bin", False)):
        blob = work.upstream.git("rev-parse", f"HEAD:{path}")
        assert mirror.attempt("cat-file", "-e", blob).succeeded is known


def test_the_same_patches_again_give_the_same_and_store_nothing_new(work: Patchwork) -> None:
    work.patch("0001-a.patch", {"src/a.txt": numbered(changed={20: "ours"})})
    work.patch("0002-clash.patch", {"src/b.txt": numbered(changed={9: "ours"}, lines=30)})
    work.upstream.commit(
        {"src/a.txt": shifted(2, n17="theirs"), "src/b.txt": numbered(changed={9: "theirs"}, lines=30)}
    )
    first = work.apply()
    stored = work.vendoring.mirror().git("count-objects").text()
    assert work.apply() == first
    assert work.vendoring.mirror().git("count-objects").text() == stored


def test_patches_that_nobody_can_apply_at_the_pin_either_say_so(work: Patchwork) -> None:
    text = numbered(changed={20: "older"})
    work.patch("0001-old.patch", {"src/a.txt": numbered(changed={20: "ours"})})
    content = (work.vendoring.project.path / "patches/lib/0001-old.patch").read_bytes()
    work.put("0001-old.patch", content.replace(b"-line 20", b"-never there").replace(b"index ", b"index f"))
    work.upstream.commit({"src/a.txt": text})
    outcome = work.outcome()
    assert (outcome.verdict, outcome.files) == (Verdict.CONFLICT, ("src/a.txt",))
    assert outcome.reason == "it finds no place; it does not apply to the pin either"
    (hunk,) = outcome.hunks
    assert "never there" in hunk.base
    assert "older" in hunk.ours
    assert "ours" in hunk.theirs


def test_long_hunks_are_cut_and_bytes_that_are_no_text_are_replaced(work: Patchwork) -> None:
    def text(word: bytes) -> bytes:
        return b"\n".join(word + b" %d" % number for number in range(200)) + b"\n"

    work.pin({"src/block.txt": text(b"old")})
    work.patch("0001-block.patch", {"src/block.txt": text(b"ours \xff\xfe")})
    work.upstream.commit({"src/block.txt": text(b"theirs")})
    (hunk,) = work.outcome().hunks
    assert hunk.theirs.startswith("ours \ufffd\ufffd 0\n")
    assert hunk.ours.splitlines()[-1] == "(160 more lines)"


def test_without_patches_the_tree_is_upstreams(work: Patchwork) -> None:
    applied = work.apply()
    assert (applied.tree, applied.outcomes) == (work.upstream.tree(), ())


@pytest.mark.parametrize(
    ("ours", "theirs"), [("src/tool", "src/tool/x"), ("src/tool/x", "src/tool")], ids=["file", "folder"]
)
def test_a_file_where_upstream_has_a_folder_conflicts_and_removes_nothing(
    work: Patchwork, ours: str, theirs: str
) -> None:
    work.patch("0001-new.patch", {ours: "ours\n"})
    work.upstream.commit({theirs: "theirs\n"})
    applied = work.apply()
    (outcome,) = applied.outcomes
    assert (outcome.verdict, applied.tree) == (Verdict.CONFLICT, work.upstream.tree())
    assert outcome.files == (min(ours, theirs),)
    assert outcome.reason == "upstream has a folder where it wants a file, or the other way round"


def test_a_merge_needs_no_content_but_of_what_the_patch_touches(work: Patchwork) -> None:
    library = {f"lib/part-{number}.txt": f"{number}\n" * 50 for number in range(6)}
    work.pin(library)
    work.patch("0001-add.patch", {"lib/new.txt": "ours\n", "src/a.txt": numbered(changed={20: "ours"})})
    work.upstream.commit({**dict.fromkeys(library), "src/a.txt": numbered(changed={20: "theirs"})})
    outcome = work.outcome()
    assert (outcome.verdict, outcome.files) == (Verdict.CONFLICT, ("src/a.txt",))
