"""Which patches there are, in which order, and which must not be tried."""

from contextlib import suppress
from pathlib import Path

import pytest

from riskloop.errors import Unmeasurable
from riskloop.mitigations.upstream_drift.patches.diffs import Unreadable, leaves_the_tree, read_diff
from riskloop.mitigations.upstream_drift.patches.patching import Verdict
from riskloop.mitigations.upstream_drift.patches.series import LARGEST
from tests.mitigations.patchwork import FRONTS, MAIL, Patchwork, encoded
from tests.mitigations.vendoring import PATCHES, numbered

EDIT = {"src/a.txt": numbered(changed={10: "ours"})}
ADDED = "diff --git a/{0} b/{0}\nnew file mode 100644\n--- /dev/null\n+++ b/{0}\n@@ -0,0 +1 @@\n+x\n"
BINARY_WITHOUT_DATA = b"""\
diff --git a/tools/run.sh b/tools/run.sh
index 1234567..2345678 100755
Binary files a/tools/run.sh and b/tools/run.sh differ
"""
PLAIN_EDIT = "--- a/{0}\n+++ b/{0}\n@@ -1 +1 @@\n-x\n+y\n"


@pytest.fixture
def work(tmp_path: Path) -> Patchwork:
    made = Patchwork(tmp_path)
    made.pin()
    return made


def test_without_a_series_file_the_order_is_by_name(work: Patchwork) -> None:
    for name in ("0010-b.diff", "0002-a.patch", "1-c.mbox", "notes.txt", "Z.patch", "sub/x.patch"):
        work.put(name, PLAIN_EDIT.format("README.md").encode())
    series = work.series()
    assert [patch.name for patch in series.patches] == ["0002-a.patch", "0010-b.diff", "1-c.mbox", "Z.patch"]
    assert series.listed is None


def test_a_series_file_decides_on_order_and_levels_and_may_hold_comments(work: Patchwork) -> None:
    work.put("b.patch", PLAIN_EDIT.format("README.md").encode())
    work.put("sub/a.patch", PLAIN_EDIT.format("README.md").replace("a/", "").replace("b/", "").encode())
    work.put("left-out.patch", b"")
    listed = work.put(
        "series", b"\xef\xbb\xbf# ours\r\n\r\nsub/a.patch -p0  # why\r\n  b.patch\r\n#c.patch\r\n"
    )
    series = work.series()
    assert [(patch.name, patch.level) for patch in series.patches] == [("sub/a.patch", 0), ("b.patch", 1)]
    assert [patch.paths for patch in series.patches] == [("README.md",), ("README.md",)]
    assert series.listed == listed


def test_what_the_series_names_and_is_not_there_is_refused_and_the_rest_is_tried(work: Patchwork) -> None:
    work.patch("there.patch", EDIT)
    work.put("series", b"missing.patch\nthere.patch\n../outside.patch\nthere.patch\nother.patch -R\n")
    work.put("other.patch", b"")
    found = [(one.patch.name, one.verdict, one.reason) for one in work.apply().outcomes]
    assert found == [
        ("missing.patch", Verdict.REFUSED, "the series names it, and it is not there"),
        ("there.patch", Verdict.CLEAN, ""),
        ("../outside.patch", Verdict.REFUSED, "the series names it, and it is not there"),
        ("other.patch", Verdict.REFUSED, "the series gives it the option -R, which is not known here"),
    ]


def test_a_folder_that_is_missing_is_said_and_an_empty_one_has_no_patches(work: Patchwork) -> None:
    assert work.series().patches == ()
    (work.vendoring.project.path / PATCHES).rmdir()
    with pytest.raises(Unmeasurable, match=r"folder of patches patches/lib is not in .*correct `patches`"):
        work.series()
    del work.vendoring.settings["patches"]
    assert work.series().patches == ()


def test_a_patch_that_is_a_link_is_not_read(work: Patchwork) -> None:
    secret = work.room / "secret.patch"
    secret.write_text(PLAIN_EDIT.format("README.md"))
    (work.vendoring.project.path / PATCHES / "0001-link.patch").symlink_to(secret)
    (patch,) = work.series().patches
    assert (patch.content, patch.refused) == (b"", "it is a symbolic link, which is not followed")


def test_a_patch_that_is_too_large_is_not_read(work: Patchwork) -> None:
    with (work.vendoring.project.path / PATCHES / "huge.patch").open("wb") as file:
        file.truncate(LARGEST + 1)
    (patch,) = work.series().patches
    assert (patch.content, patch.refused) == (b"", "it is longer than 16 MiB")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (PLAIN_EDIT.format("x").encode("utf-16"), "it holds NUL bytes: save it as UTF-8 text"),
        (b"just some words\n", "it cannot be read as a patch: it holds no diff"),
        (
            b"--- a/README.md\n+++ b/README.md\n@@ -1,3 +1,3 @@\n-x\n+y\nwords\n",
            "it cannot be read as a patch: it is damaged at line 6",
        ),
        (
            b"--- a/README.md\n+++ b/README.md\n@@ -1,3 +1,3 @@\n-x\n+y\n",
            "it cannot be read as a patch: it is damaged at line 6",
        ),
        (
            b"@@ -1 +1 @@\n-x\n+y\n",
            "it cannot be read as a patch: line 1 is a hunk that belongs to no file",
        ),
        (
            BINARY_WITHOUT_DATA,
            "it changes 'tools/run.sh', which is binary, and does not hold the data",
        ),
    ],
    ids=["utf-16", "words", "damaged", "cut short", "no file", "binary without data"],
)
def test_what_cannot_be_read_as_a_patch_is_refused_and_the_next_is_tried(
    work: Patchwork, content: bytes, reason: str
) -> None:
    work.put("0001-bad.patch", content)
    work.patch("0002-good.patch", EDIT)
    bad, good = work.apply().outcomes
    assert (bad.verdict, good.verdict) == (Verdict.REFUSED, Verdict.CLEAN)
    assert bad.reason == reason


@pytest.mark.parametrize(
    "name",
    [
        "../x",
        "src/../../x",
        "/etc/passwd",
        ".git/config",
        "src/.GIT/config",
        "src/.git",
        "GIT~1/config",
        ".git./config",
        ".git::$INDEX_ALLOCATION/config",
        ".g\u200cit/config",
    ],
)
def test_a_patch_that_names_what_is_not_in_the_tree_is_refused(work: Patchwork, name: str) -> None:
    assert leaves_the_tree(name)
    work.put("0001-out.patch", ADDED.format(name).encode())
    work.patch("0002-good.patch", EDIT)
    bad, good = work.apply().outcomes
    assert (bad.verdict, good.verdict) == (Verdict.REFUSED, Verdict.CLEAN)
    assert "not inside the vendored tree" in bad.reason


def test_a_patch_that_goes_through_a_symbolic_link_is_refused(work: Patchwork) -> None:
    (work.upstream.path / "way").symlink_to("src")
    work.pin({"more.txt": "1\n"})
    added = (
        "diff --git a/way/x b/way/x\nnew file mode 100644\n--- /dev/null\n+++ b/way/x\n@@ -0,0 +1 @@\n+x\n"
    )
    work.put("0001-through.patch", added.encode())
    outcome = work.outcome()
    assert (outcome.verdict, outcome.reason) == (Verdict.REFUSED, "'way/x' is behind a symbolic link")


@pytest.mark.parametrize("content", [b"", b"\n \n", b"From: a@b\nSubject: nothing\n\nwords only\n"])
def test_a_patch_that_changes_nothing_is_empty(work: Patchwork, content: bytes) -> None:
    work.put("0001-empty.patch", content)
    assert work.verdicts() == [Verdict.EMPTY]


def test_a_commit_without_changes_is_an_empty_patch(work: Patchwork) -> None:
    work.patch("0001-empty.patch", {}, how=(*MAIL, "--always"))
    assert work.verdicts() == [Verdict.EMPTY]


@pytest.mark.parametrize("how", FRONTS.values(), ids=FRONTS)
@pytest.mark.parametrize("vendored", [True, False], ids=["on disk", "not on disk"])
def test_names_may_count_from_several_folders(
    work: Patchwork, how: tuple[str, ...], *, vendored: bool
) -> None:
    if vendored:
        work.take()
    work.patch("0001-edit.patch", EDIT | {"src/new/file.txt": "1\n"}, how=how)
    applied = work.apply()
    (outcome,) = applied.outcomes
    assert (outcome.verdict, outcome.patch.paths) == (Verdict.CLEAN, ("src/a.txt", "src/new/file.txt"))
    assert applied.tree == work.author.tree()


def test_names_may_count_from_upstreams_top_where_only_a_folder_of_it_is_vendored(work: Patchwork) -> None:
    work.strip = "src"
    work.take()
    work.patch("0001-top.patch", EDIT)
    work.patch(
        "0002-folder.patch",
        {"src/b.txt": numbered(changed={4: "ours"}, lines=30)},
        how=("diff-tree", "-p", "--relative=src", "HEAD^", "HEAD"),
    )
    applied = work.apply()
    assert [outcome.verdict for outcome in applied.outcomes] == [Verdict.CLEAN, Verdict.CLEAN]
    assert [outcome.patch.paths for outcome in applied.outcomes] == [("a.txt",), ("b.txt",)]
    assert applied.tree == work.author.tree(below="src")


def test_a_diff_of_two_folders_is_read_as_patch_reads_it(work: Patchwork) -> None:
    work.take()
    diff = (
        "diff -ru lib-1.0.orig/README.md lib-1.0/README.md\n"
        "--- lib-1.0.orig/README.md\t2026-01-01 00:00:00.000000000 +0000\n"
        "+++ lib-1.0/README.md\t2026-01-02 00:00:00.000000000 +0000\n"
        "@@ -1 +1 @@\n-# The library\n+# Our library\n"
    )
    work.put("0001-old-style.diff", diff.encode())
    outcome = work.outcome()
    assert (outcome.verdict, outcome.patch.paths) == (Verdict.CLEAN, ("README.md",))


@pytest.mark.parametrize("how", ["quoted-printable", "base64"])
def test_an_encoded_mail_is_understood_as_am_understands_it(work: Patchwork, how: str) -> None:
    mail = work.patch("0001-mail.patch", {"src/a.txt": numbered(changed={10: "größer = so"})})
    work.put("0001-mail.patch", encoded(mail, how))
    applied = work.apply()
    assert [outcome.verdict for outcome in applied.outcomes] == [Verdict.CLEAN]
    assert applied.tree == work.what_am_makes("0001-mail.patch", how=())


@pytest.mark.parametrize("mail", [True, False], ids=["mail", "plain"])
def test_a_patch_with_carriage_returns_applies_to_files_without(work: Patchwork, *, mail: bool) -> None:
    how = MAIL if mail else ("diff-tree", "-p", "HEAD^", "HEAD")
    content = work.patch("0001-dos.patch", EDIT, how=how)
    work.put("0001-dos.patch", content.replace(b"\n", b"\r\n"))
    applied = work.apply()
    assert [outcome.verdict for outcome in applied.outcomes] == [Verdict.CLEAN]
    assert applied.tree == work.author.tree()


@pytest.mark.parametrize("whole", [True, False], ids=["everywhere", "in the content"])
@pytest.mark.parametrize("mail", [True, False], ids=["mail", "plain"])
def test_a_patch_with_carriage_returns_applies_to_files_with_them(
    work: Patchwork, *, mail: bool, whole: bool
) -> None:
    text = numbered().replace("\n", "\r\n")
    work.pin({"src/dos.txt": text})
    how = MAIL if mail else ("diff-tree", "-p", "HEAD^", "HEAD")
    content = work.patch("0001-dos.patch", {"src/dos.txt": text.replace("line 9\r", "nine\r")}, how=how)
    if whole:
        work.put("0001-dos.patch", content.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))
    applied = work.apply()
    assert [outcome.verdict for outcome in applied.outcomes] == [Verdict.CLEAN]
    assert applied.tree == work.author.tree()


def test_a_line_of_a_hunk_that_looks_like_a_header_is_a_line(work: Patchwork) -> None:
    work.pin({"query.sql": "-- a/old\nselect 1;\n"})
    work.patch("0001-sql.patch", {"query.sql": "++ b/new\nselect 1;\n"})
    outcome = work.outcome()
    assert (outcome.verdict, outcome.patch.paths, outcome.patch.lines) == (
        Verdict.CLEAN,
        ("query.sql",),
        2,
    )


def test_several_mails_in_one_file_are_one_patch(work: Patchwork) -> None:
    first = work.patch("a.patch", EDIT)
    second = work.patch("b.patch", {"src/a.txt": numbered(changed={10: "ours", 11: "too"})})
    for name in ("a.patch", "b.patch"):
        (work.vendoring.project.path / PATCHES / name).unlink()
    work.put("both.mbox", first + second)
    applied = work.apply()
    assert [(one.verdict, one.patch.lines) for one in applied.outcomes] == [(Verdict.CLEAN, 4)]
    assert applied.tree == work.what_am_makes("both.mbox", how=())


def test_a_diff_that_ends_in_the_middle_of_anything_is_read_or_refused() -> None:
    renamed = "diff --git a/x b/y\nsimilarity index 90%\nrename from x\nrename to y\n"
    refused = 0
    for text in (PLAIN_EDIT, renamed + PLAIN_EDIT):
        for cut in range(len(text)):
            with suppress(Unreadable):
                read_diff(text[:cut].encode())
                refused -= 1
            refused += 1
    assert refused > 0
