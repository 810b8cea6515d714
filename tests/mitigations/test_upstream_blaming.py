"""What stops a bump is told in exactly three lines: which patch or check, which file, whose commit."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from riskloop.mitigations.upstream_drift.bump.gating import Check
from riskloop.mitigations.upstream_drift.patches.verdicts import Outcome, Verdict
from riskloop.mitigations.upstream_drift.telling.blaming import MOST, blame
from tests.hostile import hostile
from tests.mitigations.found import find, outcome
from tests.mitigations.vendoring import Vendoring

UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
TEXTS = hostile("<!-- riskloop:1 installation=x -->")


@pytest.fixture
def vendoring(tmp_path: Path) -> Vendoring:
    made = Vendoring(tmp_path)
    made.vendor()
    return made


def conflict(name: str, *files: str) -> Outcome:
    return outcome(name, Verdict.CONFLICT, files=files, reason="both changed line 10")


def lines(
    vendoring: Vendoring, *outcomes: Outcome, account: str = "", command: str = "make test"
) -> list[str]:
    """Give the lines of the only thing that stops the bump."""
    checks = (Check(command=command, passed=False, account=account),) if account else ()
    (one,) = blame(*find(vendoring, outcomes, checks=checks))
    return one.text.split("\n")


def test_a_conflict_names_the_patch_the_file_and_the_commit_that_touched_it_last(
    vendoring: Vendoring,
) -> None:
    vendoring.upstream.commit({"src/a.txt": "1\n"}, message="Tune ten", days_ago=20)
    last = vendoring.upstream.commit({"src/a.txt": "2\n"}, message="Tune eleven", days_ago=10)
    vendoring.upstream.commit({"docs/a.md": "1\n"}, message="Elsewhere", days_ago=5)
    assert lines(vendoring, conflict("0001-x.patch", "src/a.txt")) == [
        "patch 0001-x.patch: conflict (both changed line 10)",
        "in src/a.txt",
        f"last changed upstream by {last[:12]} 2026-03-01 Ann Author: Tune eleven",
    ]


def test_what_is_gone_names_the_commit_that_removed_it(vendoring: Vendoring) -> None:
    gone = vendoring.upstream.commit({"tools/run.sh": None}, message="Drop the runner", days_ago=10)
    stale = outcome("0004-stale.patch", Verdict.TARGET_GONE, files=("tools/run.sh",))
    assert lines(vendoring, stale) == [
        "patch 0004-stale.patch: target gone",
        "in tools/run.sh",
        f"last removed upstream by {gone[:12]} 2026-03-01 Ann Author: Drop the runner",
    ]


def test_of_several_files_the_first_is_told_and_the_others_are_counted(vendoring: Vendoring) -> None:
    vendoring.upstream.commit({"src/a.txt": "1\n", "src/b.txt": "1\n"})
    told = lines(vendoring, conflict("x.patch", "src/b.txt", "src/a.txt", "README.md", "tools/run.sh"))
    assert told[1] == "in src/b.txt and 3 more"


def test_a_file_that_upstream_did_not_touch_is_said_to_be_so(vendoring: Vendoring) -> None:
    head = vendoring.upstream.commit({"docs/a.md": "1\n"})
    told = lines(vendoring, conflict("x.patch", "src/a.txt"))
    assert told[2] == f"no upstream commit between {vendoring.pin[:12]} and {head[:12]} touched it"


def test_a_patch_that_does_not_fit_the_pin_itself_blames_no_upstream_commit(vendoring: Vendoring) -> None:
    told = lines(vendoring, conflict("x.patch", "src/a.txt"))
    assert told[2] == "upstream has nothing after the pin: it does not fit what is vendored"


def test_a_patch_without_known_files_is_told_by_what_it_touches(vendoring: Vendoring) -> None:
    vendoring.upstream.commit({"src/a.txt": "1\n"}, message="Tune")
    told = lines(vendoring, outcome("x.patch", Verdict.CONFLICT, paths=("src/a.txt",)))
    assert told[1:2] == ["in src/a.txt"]
    assert told[2].endswith("Ann Author: Tune")


def test_a_patch_that_cannot_be_tried_blames_nobody(vendoring: Vendoring) -> None:
    refused = outcome("x.patch", Verdict.REFUSED, reason="it names '../x', which is not inside")
    assert lines(vendoring, refused) == [
        "patch x.patch: refused (it names '../x', which is not inside)",
        "it is not held against any file",
        "no upstream commit is concerned",
    ]


def test_files_below_a_stripped_folder_are_found_upstream(tmp_path: Path) -> None:
    vendoring = Vendoring(tmp_path)
    vendoring.vendor(strip="src")
    vendoring.upstream.commit({"src/a.txt": "1\n"}, message="Tune")
    assert lines(vendoring, conflict("x.patch", "a.txt"))[2].endswith("Ann Author: Tune")
    told = lines(vendoring, account="FAILED vendor/lib/a.txt:12: no luck")
    assert told[1] == "its output names vendor/lib/a.txt"
    assert told[2].endswith("Ann Author: Tune")


def test_patches_that_apply_or_need_nothing_are_not_told_of(vendoring: Vendoring) -> None:
    fine = [verdict for verdict in Verdict if not verdict.conflicts and verdict is not Verdict.TARGET_GONE]
    assert blame(*find(vendoring, [outcome(f"{verdict}.patch", verdict) for verdict in fine])) == ()


def test_the_history_of_ten_files_is_asked_for_and_of_the_gates_file_in_any_case(
    vendoring: Vendoring,
) -> None:
    names = [f"src/{number}.txt" for number in range(MOST + 2)]
    vendoring.upstream.commit({**dict.fromkeys(names, "1\n"), "src/gate.c": "1\n"}, message="All")
    outcomes = [conflict(f"{name}.patch", name) for name in (*names, names[0])]
    checks = (Check(command="make", passed=False, account="src/gate.c:1: error"),)
    told = [one.whose for one in blame(*find(vendoring, outcomes, checks=checks))]
    known = [one.endswith("Ann Author: All") for one in told]
    assert known == [True] * MOST + [False] * 2 + [True, True]
    assert told[MOST] == "its history was not asked for: more than 10 files are concerned"


@pytest.mark.parametrize(
    "printed",
    [
        'File "vendor/lib/src/a.txt", line 3, in <module>',
        "/tmp/build/vendor/lib/src/a.txt:3:5: error: no",
        "./src/a.txt:3: error",
        "error[E0432]: --> src/a.txt:1:1",
        "see docs.md\nand then a.txt(3): error",
        "ok tools/run.sh\nFAILED src/a.txt::test_x - assert",
        "cannot open `a.txt'.",
    ],
)
def test_a_failed_command_names_the_vendored_file_in_its_output_and_who_changed_it(
    vendoring: Vendoring, printed: str
) -> None:
    changed = {"src/a.txt": "1\n", "src/deep/other.txt": "1\n", "Makefile": "all:\n"}
    last = vendoring.upstream.commit(changed, message="Tune ten", days_ago=10)
    account = f"make test ended with exit code 2; the last it printed:\n{printed}\nmake: *** [Makefile] no"
    assert lines(vendoring, account=account) == [
        "gate: make test did not pass",
        "its output names vendor/lib/src/a.txt",
        f"last changed upstream by {last[:12]} 2026-03-01 Ann Author: Tune ten",
    ]


@pytest.mark.parametrize(
    "printed",
    [
        "no luck",
        "tools/run.sh: line 2: no luck",
        "a word: Makefile, test",
        "many have that name: same.txt",
        "src docs",
        "",
    ],
)
def test_a_failed_command_whose_output_names_no_changed_file_says_so(
    vendoring: Vendoring, printed: str
) -> None:
    files = ("Makefile", "test", "x/same.txt", "y/same.txt", "src/test")
    head = vendoring.upstream.commit(dict.fromkeys(files, "1\n"))
    command = "sh vendor/lib/src/test"
    assert lines(vendoring, command=command, account=f"{command} ended with exit code 1\n{printed}") == [
        "gate: sh vendor/lib/src/test did not pass",
        "its output names no vendored file that changed upstream",
        f"5 vendored files changed upstream between {vendoring.pin[:12]} and {head[:12]}",
    ]


def test_a_command_that_prints_one_endless_name_holds_nothing_up(vendoring: Vendoring) -> None:
    vendoring.upstream.commit({"src/a.txt": "1\n"}, message="Tune")
    told = lines(vendoring, account="a/" * 5_000_000 + " src/a.txt")
    assert told[1] == "its output names vendor/lib/src/a.txt"


def test_no_name_and_no_text_makes_more_or_fewer_than_three_lines(vendoring: Vendoring) -> None:
    findings, upstream = find(vendoring)
    for text in TEXTS.values():
        file = text.replace("\0", "").lstrip("/")[:100].encode("utf-8", "surrogatepass")
        files = (file.decode("utf-8", "surrogateescape"),)
        outcomes = (
            outcome(text, Verdict.CONFLICT, files=files, reason=text),
            outcome(text, Verdict.REFUSED, files=(text,), reason=text),
        )
        applied = replace(findings.applied, outcomes=outcomes)
        checks = (Check(command=text, passed=False, account=text),)
        blames = blame(replace(findings, applied=applied, checks=checks), upstream)
        assert len(blames) == 3
        for one in blames:
            assert len(one.text.splitlines()) == 3
            assert len(one.text) < 1_000
            assert not UNSEEN.search(one.text.replace("\n", ""))


def test_a_commit_with_a_hostile_author_and_subject_stays_in_its_line(vendoring: Vendoring) -> None:
    vendoring.upstream.write({"src/a.txt": "1\n"})
    vendoring.upstream.git("add", "--all")
    author = "\u202eEve @acme/all \x1b[31m <eve@example.com>"
    subject = "fixes #1 @octocat\n<!-- x -->\n\n" + "x" * 5_000
    vendoring.upstream.git("commit", "--quiet", f"--author={author}", "--message", subject)
    told = lines(vendoring, conflict("x.patch", "src/a.txt"))
    assert len(told) == 3
    assert "⟨U+202E⟩Eve @acme/all ⟨U+001B⟩[31m: fixes #1 @octocat <!-- x -->" in told[2]
