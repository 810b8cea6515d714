"""A refreshed patch fits exactly, and says what its author said."""

from collections.abc import Callable
from pathlib import Path

import pytest

from riskloop.mitigations.upstream_drift.patches.patching import Verdict
from riskloop.mitigations.upstream_drift.patches.refreshing import refresh
from tests.mitigations.patchwork import FRONTS, MAIL, PLAIN, Patchwork, encoded
from tests.mitigations.vendoring import numbered

NAME = "0001-ours.patch"
EDIT = {"src/a.txt": numbered(changed={20: "ours"})}
MESSAGE = "Say ours\n\nBecause of this:\n --- a line\n and that.\n\nTicket: 12"


@pytest.fixture
def work(tmp_path: Path) -> Patchwork:
    made = Patchwork(tmp_path)
    made.pin({"src/data.bin": bytes(range(256)) * 9})
    return made


def moved(work: Patchwork) -> None:
    work.upstream.commit({"src/a.txt": "new\nmore\n" + numbered()})


def changed_beside(work: Patchwork) -> None:
    work.upstream.commit({"src/a.txt": "new\n" + numbered(changed={18: "theirs"})})


def renamed(work: Patchwork) -> None:
    work.upstream.git("mv", "src/a.txt", "src/moved.txt")
    work.upstream.commit()


MOVES: dict[str, tuple[Callable[[Patchwork], None], Verdict]] = {
    "offset": (moved, Verdict.OFFSET),
    "three-way": (changed_beside, Verdict.THREE_WAY),
    "renamed": (renamed, Verdict.THREE_WAY),
}
WAYS = {"mail": MAIL, "mail without a signature": (*MAIL, "--no-signature"), "plain": PLAIN, **FRONTS}


@pytest.mark.parametrize(("move", "verdict"), MOVES.values(), ids=MOVES)
@pytest.mark.parametrize("how", WAYS.values(), ids=WAYS)
def test_a_refreshed_patch_applies_exactly_and_makes_the_same_tree(
    work: Patchwork, move: Callable[[Patchwork], None], verdict: Verdict, how: tuple[str, ...]
) -> None:
    work.patch(NAME, EDIT, how=how, message=MESSAGE)
    move(work)
    applied = work.apply()
    assert [outcome.verdict for outcome in applied.outcomes] == [verdict]
    work.refreshed(applied.outcomes[0])
    again = work.apply()
    assert [outcome.verdict for outcome in again.outcomes] == [Verdict.CLEAN]
    assert again.tree == applied.tree
    if how == MAIL:
        assert work.what_am_makes(NAME, how=()) == applied.tree


def test_the_mail_around_the_change_stays_as_it_was(work: Patchwork) -> None:
    old = work.patch(NAME, EDIT, message=MESSAGE)
    old = work.put(NAME, old.replace(b"\n---\n", b"\n---\nSee the ticket.\n\n"))
    work.upstream.commit({"src/a.txt": "new\n" + numbered()})
    new = work.refreshed(work.outcome())
    head, start, rest = old.partition(b"diff --git")
    assert new.startswith(head + start)
    assert new.endswith(rest[rest.index(b"-- \n") :])
    assert b"@@ -18,7 +18,7 @@" in new


def test_the_summary_of_files_is_written_anew(work: Patchwork) -> None:
    work.patch(NAME, EDIT | {"src/new.txt": "1\n"}, message=MESSAGE)
    work.upstream.git("mv", "src/a.txt", "src/moved.txt")
    work.upstream.commit()
    new = work.refreshed(work.outcome())
    assert b" src/moved.txt | 2 +-\n src/new.txt   | 1 +\n 2 files changed" in new
    assert b"\n create mode 100644 src/new.txt\n\ndiff --git" in new
    assert b"a.txt" not in new


def test_a_patch_in_an_encoded_mail_becomes_a_plain_one(work: Patchwork) -> None:
    mail = work.patch(NAME, {"src/a.txt": numbered(changed={20: "größer"})})
    work.put(NAME, encoded(mail, "base64"))
    work.upstream.commit({"src/a.txt": "new\n" + numbered()})
    applied = work.apply()
    new = work.refreshed(applied.outcomes[0])
    assert "größer".encode() in new
    assert b"base64" not in new
    assert b"Subject: [PATCH] Change what we need\n" in new
    assert work.what_am_makes(NAME, how=()) == applied.tree
    assert work.verdicts() == [Verdict.CLEAN]


@pytest.mark.parametrize("how", [MAIL, PLAIN], ids=["mail", "plain"])
def test_a_patch_with_carriage_returns_keeps_them(work: Patchwork, how: tuple[str, ...]) -> None:
    content = work.patch(NAME, EDIT, how=how)
    work.put(NAME, content.replace(b"\n", b"\r\n"))
    work.upstream.commit({"src/a.txt": "new\n" + numbered()})
    applied = work.apply()
    new = work.refreshed(applied.outcomes[0])
    if how == MAIL:
        assert new.count(b"\n") == new.count(b"\r\n")
    again = work.apply()
    assert [outcome.verdict for outcome in again.outcomes] == [Verdict.CLEAN]
    assert again.tree == applied.tree


def test_a_patch_on_a_file_with_carriage_returns_is_refreshed_with_them(work: Patchwork) -> None:
    text = numbered().replace("\n", "\r\n")
    work.pin({"src/dos.txt": text})
    work.patch(NAME, {"src/dos.txt": text.replace("line 20\r", "ours\r")})
    work.upstream.commit({"src/dos.txt": "new\r\n" + text})
    applied = work.apply()
    assert [outcome.verdict for outcome in applied.outcomes] == [Verdict.OFFSET]
    work.refreshed(applied.outcomes[0])
    again = work.apply()
    assert ([outcome.verdict for outcome in again.outcomes], again.tree) == ([Verdict.CLEAN], applied.tree)


def test_binary_changes_and_modes_are_kept_in_a_refreshed_patch(work: Patchwork) -> None:
    (work.author.path / "src/b.txt").chmod(0o755)
    work.patch(NAME, EDIT | {"src/data.bin": bytes(range(255, -1, -1)) * 9})
    work.upstream.commit({"src/a.txt": "new\n" + numbered()})
    applied = work.apply()
    assert b"GIT binary patch" in work.refreshed(applied.outcomes[0])
    again = work.apply()
    assert ([outcome.verdict for outcome in again.outcomes], again.tree) == ([Verdict.CLEAN], applied.tree)


def test_refreshed_patches_of_a_whole_series_give_the_same_tree(work: Patchwork) -> None:
    work.patch("0001-a.patch", {"src/a.txt": numbered(changed={20: "ours"})})
    work.patch("0002-b.patch", {"src/b.txt": numbered(changed={4: "ours"}, lines=30)})
    work.patch("0003-c.patch", {"src/a.txt": numbered(changed={20: "ours", 21: "too", 38: "end"})})
    work.upstream.commit({"src/a.txt": "new\n" + numbered(changed={36: "theirs"})})
    applied = work.apply()
    assert [outcome.verdict for outcome in applied.outcomes] == [
        Verdict.OFFSET,
        Verdict.CLEAN,
        Verdict.THREE_WAY,
    ]
    moved = [outcome for outcome in applied.outcomes if outcome.verdict is not Verdict.CLEAN]
    at_once = refresh(work.vendoring.mirror(), moved, work.vendoring.read_settings())
    assert at_once == [work.refreshed(outcome) for outcome in moved]
    again = work.apply()
    assert {outcome.verdict for outcome in again.outcomes} == {Verdict.CLEAN}
    assert again.tree == applied.tree
