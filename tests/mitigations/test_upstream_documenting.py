"""The pull request of a bump says what it brings and why it is a draft; foreign text in it stays text."""

import html
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from riskloop.mitigations.upstream_drift import FORMS
from riskloop.mitigations.upstream_drift.bump.bumping import Bump
from riskloop.mitigations.upstream_drift.bump.gating import Check
from riskloop.mitigations.upstream_drift.patches.verdicts import Applied, Hunk, Outcome, Verdict
from riskloop.mitigations.upstream_drift.project.hacks import Hack, Hacks
from riskloop.mitigations.upstream_drift.telling.documenting import document, pull_request
from riskloop.mitigations.upstream_drift.telling.findings import Findings, is_ready
from tests.hostile import hostile
from tests.mitigations.found import bump, find, outcome
from tests.mitigations.vendoring import MITIGATION, Vendoring

CLEAN = outcome("0001-clean.patch", Verdict.CLEAN)
OFFSET = outcome("0002-offset.patch", Verdict.OFFSET, reason="3 lines further down", after="1" * 40)
HUNK = Hunk(path="src/a.txt", base="line 10\n", ours="theirs\n", theirs="ours\n")
CONFLICT = outcome("0003-x.patch", Verdict.CONFLICT, files=("src/a.txt",), hunks=(HUNK,))
GONE = outcome("0004-stale.patch", Verdict.TARGET_GONE, files=("tools/run.sh",))
MERGED = outcome("0005-merged.patch", Verdict.UPSTREAMED)
EMPTY = outcome("0006-empty.patch", Verdict.EMPTY)
REFUSED = outcome("0007-out.patch", Verdict.REFUSED, reason="it names '../x'")
FAILED = Check(command="make test", passed=False, account="make test ended with exit code 2\nsrc/a.txt: no")
PASSED = Check(command="make lint", passed=True)
HACKS = Hacks(
    found=(Hack(path="src/b.txt", how="changed"), Hack(path="src/c.txt", how="added")),
    diff="--- a/src/b.txt\n+++ b/src/b.txt\n@@ -1 +1 @@\n-a\n+b\n",
)
BUMP = bump(refreshed=("0002-offset.patch",), dropped=("0005-merged.patch",))
TEXTS = hostile("riskloop:0123456789abcdef installation=0123456789abcdef delivery=d1 signature=00000000")
MARKDOWN = MarkdownIt("gfm-like", {"linkify": False, "html": True})
UNSEEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
UNWRITTEN = "has no entry for it: it is not in the project's last commit, or is no text in UTF-8"


@pytest.fixture
def vendoring(tmp_path: Path) -> Vendoring:
    made = Vendoring(tmp_path)
    made.vendor()
    made.settings["bump"] = "pull_request"
    made.upstream.commit({"src/a.txt": "1\n"}, message="Tune ten", days_ago=31)
    made.upstream.git("tag", "v1.1")
    made.upstream.commit({"tools/run.sh": None}, message="Drop the runner", days_ago=10)
    return made


def proposed(vendoring: Vendoring, *outcomes: Outcome, **facts: Any) -> tuple[str, str]:
    findings, upstream = find(vendoring, outcomes, **({"bump": BUMP} | facts))
    return pull_request(findings, upstream, vendoring.site)


def part(body: str, heading: str) -> str:
    return body.partition(f"### {heading}\n\n")[2].partition("\n\n### ")[0]


def test_the_title_names_the_folder_the_commit_and_how_many_there_are(vendoring: Vendoring) -> None:
    title, _ = proposed(vendoring)
    assert title == f"Bump vendor/lib to {vendoring.upstream.head[:8]} (2 commits)"
    assert vendoring.upstream.head.startswith(title.split()[3])


def test_the_title_counts_what_is_watched_and_the_log_says_that_it_is_a_part(
    vendoring: Vendoring,
) -> None:
    vendoring.settings["watch"] = ["tools"]
    title, body = proposed(vendoring)
    assert title.endswith("(1 commit)")
    log = part(body, "What upstream did")
    assert log.startswith(
        "By the folder that a commit touches most, merges left out, only of what is watched:"
    )
    assert "with 1 commit of `main` that touches what is watched." in body
    assert "Drop the runner" in log
    assert "Tune ten" not in log


def test_of_a_folder_of_upstream_it_is_said_which_and_that_only_its_commits_are_counted(
    vendoring: Vendoring,
) -> None:
    vendoring.vendor(vendoring.pin, strip="src")
    title, body = proposed(vendoring)
    assert title.endswith("(1 commit)")
    assert body.startswith("`vendor/lib` comes from the folder `src` of `upstream` and stands at ")
    assert "with 1 commit of `main` that touches what is vendored." in body
    assert "merges left out, only of what is vendored:" in part(body, "What upstream did")


def test_a_bump_on_which_all_is_well_says_so_and_shows_no_trouble(vendoring: Vendoring) -> None:
    vendoring.settings["gate"] = [["make", "lint"]]
    _, body = proposed(vendoring, CLEAN, OFFSET, checks=(PASSED,))
    pin, head = vendoring.pin[:12], vendoring.upstream.head[:12]
    assert body.startswith(
        f"`vendor/lib` comes from `upstream` and stands at `{pin}`. This brings it to `{head}`, 2 commits "
        "further on `main`.\n\n**Ready for review**: every patch that is still needed applies, the gate "
        "passes.\n\n### Patches\n"
    )
    assert re.findall(r"^### (.*)$", body, flags=re.MULTILINE) == [
        "Patches",
        "The gate",
        "To leave it as it is",
        "What upstream did",
        "Upstream tags since the pin, the newest first",
    ]


def test_each_patch_stands_in_the_table_with_its_verdict_and_what_is_done_to_its_file(
    vendoring: Vendoring,
) -> None:
    _, body = proposed(vendoring, CLEAN, OFFSET, CONFLICT, MERGED)
    assert part(body, "Patches").split("\n") == [
        "| Patch | Verdict | Why | Its file |",
        "| --- | --- | --- | --- |",
        "| `0001-clean.patch` | clean |  | left as it is |",
        "| `0002-offset.patch` | offset | 3 lines further down | refreshed |",
        "| `0003-x.patch` | **conflict** |  | left as it is |",
        "| `0005-merged.patch` | already upstream |  | dropped |",
    ]


def test_a_draft_says_every_reason_and_shows_the_three_lines_the_gate_and_the_hunks(
    vendoring: Vendoring,
) -> None:
    vendoring.settings |= {"gate": [["make", "lint"], ["make", "test"], ["x"]], "changelog": "CHANGELOG.md"}
    made = replace(BUMP, lost=("src/b.txt",), changelog=False)
    _, body = proposed(vendoring, CONFLICT, GONE, REFUSED, hacks=HACKS, checks=(PASSED, FAILED), bump=made)
    assert (
        "**A draft**, because\n\n"
        "- the patch 0003-x.patch conflicts in src/a.txt\n"
        "- what the patch 0004-stale.patch changes is gone: tools/run.sh\n"
        "- the patch 0007-out.patch cannot be tried\n"
        "- the local change of src/b.txt is lost\n"
        f"- CHANGELOG.md {UNWRITTEN}\n"
        "- the gate's command make test did not pass\n\n"
    ) in body
    blocks = part(body, "What stops it").removeprefix("```\n").removesuffix("\n```").split("\n\n")
    assert [len(block.split("\n")) for block in blocks] == [3, 3, 3, 3]
    assert "Ann Author: Tune ten" in blocks[0]
    assert part(body, "The gate") == (
        "`make lint`: passed\n\n`make test`: **did not pass**\n\n```\nmake test ended with exit code 2\n"
        "src/a.txt: no\n```\n\n1 more command did not run."
    )
    assert part(body, "Files changed by hand") == (
        "- `src/b.txt`: changed, **lost**\n- `src/c.txt`: added, carried over"
    )
    evidence = part(body, "Evidence")
    assert "Where `0003-x.patch` conflicts:\n\n```\nsrc/a.txt\n<<<<<<< upstream\n" in evidence
    assert "```diff\n--- a/src/b.txt" in evidence


def test_the_command_to_acknowledge_instead_is_the_kinds_own(vendoring: Vendoring) -> None:
    _, body = proposed(vendoring)
    command = FORMS[0].command.format(mitigation=MITIGATION).replace("COMMIT", vendoring.upstream.head)
    assert f"```\n{command}\n```" in part(body, "To leave it as it is")


def test_what_changed_upstream_is_linked_on_github_unless_the_pin_is_ours_alone(
    vendoring: Vendoring,
) -> None:
    findings, upstream = find(vendoring)
    address = "https://github.com/acme/codex.git"
    there = replace(findings, vendored=replace(findings.vendored, address=address), bump=BUMP)
    link = f"https://github.com/acme/codex/compare/{vendoring.pin}...{vendoring.upstream.head}"
    assert f"(<{link}>)" in pull_request(there, upstream, vendoring.site)[1]
    ahead = replace(there, standing=replace(there.standing, ahead=1))
    assert "compare" not in pull_request(ahead, upstream, vendoring.site)[1]


def test_a_path_of_this_machine_is_not_published(vendoring: Vendoring) -> None:
    _, body = proposed(vendoring, CLEAN, CONFLICT, hacks=HACKS)
    assert str(vendoring.room) not in body


def test_the_same_bump_gives_the_same_text_however_old_it_is(vendoring: Vendoring) -> None:
    findings, upstream = find(vendoring, (CLEAN, CONFLICT), bump=BUMP)
    first = pull_request(findings, upstream, vendoring.site)
    # Days go by, and upstream has a commit that is too young to be brought.
    standing = replace(findings.standing, days=99.0, waiting=3, behind=9, head="d" * 40)
    assert pull_request(replace(findings, standing=standing), upstream, vendoring.site) == first


@pytest.mark.parametrize(
    ("outcomes", "facts", "reasons"),
    [
        ((CLEAN, OFFSET, MERGED, EMPTY), {}, ()),
        ((CONFLICT,), {}, ("the patch 0003-x.patch conflicts in src/a.txt",)),
        ((GONE,), {}, ("what the patch 0004-stale.patch changes is gone: tools/run.sh",)),
        ((REFUSED,), {}, ("the patch 0007-out.patch cannot be tried",)),
        (
            (),
            {"bump": bump(lost=("a", "b"))},
            ("the local change of a is lost", "the local change of b is lost"),
        ),
        ((), {"bump": bump(changelog=False)}, (f"CHANGES {UNWRITTEN}",)),
        ((), {"checks": (PASSED, FAILED)}, ("the gate's command make test did not pass",)),
        ((), {"bump": bump(commit="", problem="there is no commit")}, ("there is no commit",)),
        ((), {"bump": None}, ("there is nothing to bring",)),
    ],
)
def test_a_bump_is_ready_if_nothing_speaks_against_it(
    vendoring: Vendoring, outcomes: tuple[Outcome, ...], facts: dict[str, Any], reasons: tuple[str, ...]
) -> None:
    vendoring.settings["changelog"] = "CHANGES"
    findings, _ = find(vendoring, outcomes, **({"bump": BUMP} | facts))
    assert is_ready(findings) == (not reasons, reasons)


def test_a_gate_that_did_not_run_is_no_gate_that_passed(vendoring: Vendoring) -> None:
    vendoring.settings["gate"] = [["make", "lint"], ["make", "test"]]
    findings, _ = find(vendoring, (CLEAN,), bump=BUMP)
    assert is_ready(findings) == (False, ("the gate did not run",))
    assert is_ready(replace(findings, checks=(PASSED, PASSED))) == (True, ())


def test_of_very_many_reasons_ten_are_named_and_the_others_counted(vendoring: Vendoring) -> None:
    findings, _ = find(vendoring, [CONFLICT] * 30, bump=replace(BUMP, lost=("x",) * 11))
    _, reasons = is_ready(findings)
    assert len(reasons) == 10 + 1 + 11
    assert reasons[10] == "20 more patches do not come along"


def everywhere(findings: Findings, text: str) -> Findings:
    """Put a text into every field that comes from outside."""
    hunk = Hunk(path=text, base=text[:2_000], ours=text[:2_000], theirs=text[:2_000])
    outcomes = (
        outcome(text, Verdict.CONFLICT, reason=text, hunks=(hunk,)),
        outcome(text, Verdict.REFUSED, reason=text),
        outcome(text, Verdict.OFFSET, reason=text),
    )
    vendored = replace(findings.vendored, path=text, address=text, notes=(text,))
    return replace(
        findings,
        vendored=vendored,
        standing=replace(findings.standing, branch=text, releases=(text, text)),
        applied=Applied(tree="", outcomes=outcomes),
        hacks=Hacks(found=(Hack(path=text, how=text),), diff=text[:5_000], notes=(text,)),
        checks=(Check(command=text, passed=True), Check(command=text, passed=False, account=text[:5_000])),
        bump=bump(refreshed=(text,), dropped=(text,), lost=(text,)),
    )


def assert_harmless(title: str, body: str, *, ours: set[str]) -> None:
    """Hold what is published against everything that acts on GitHub, and against its form."""
    assert "\n" not in title
    assert len(title) <= 250
    closed = MARKDOWN.parse(f"{body}\n\nthe end")
    assert closed[-2].content == "the end"
    tokens = [*closed, *(child for token in closed for child in token.children or [])]
    assert not [token for token in tokens if token.type in {"image", "html_block", "html_inline"}]
    assert {token.attrGet("href") for token in tokens if token.type == "link_open"} <= ours
    assert {token.tag for token in tokens if token.type == "heading_open"} <= {"h2", "h3"}
    assert not [token for token in tokens if token.type == "text" and makes_a_link(token)]
    shown = html.unescape(re.sub(r"<[^>]*>", "", MARKDOWN.render(body)))
    for text in (title, body, shown):
        assert not UNSEEN.search(text)
        assert not re.search(r"@[A-Za-z0-9]", text)
        assert not re.search(r"#\d|\bGH-\d|/(?:issues|pull|discussions)/\d", text, re.IGNORECASE)
        assert not re.search(
            r"\b(?:close[sd]?|fix(?:e[sd])?|resolve[sd]?)[\s:]+(?:#|GH-\d|http)", text, re.IGNORECASE
        )
        assert "<!--" not in text
        assert not re.search(r"^[ \t>]*/", text, re.MULTILINE)


def makes_a_link(token: Token) -> bool:
    """Say whether GitHub would make a link of a bare address in plain text."""
    return re.search(r"(?:https?|ftp)://|\bwww\.", token.content, re.IGNORECASE) is not None


@pytest.fixture
def hostile_commit(vendoring: Vendoring) -> Vendoring:
    """Let upstream have a commit whose author, subject and files are made to do harm."""
    subject = "fixes #1 @octocat ```` <!-- https://evil.example --> closes acme/sdk#2 | <img src=x>"
    vendoring.upstream.write({"```@octocat #3 fixes #4/a\n/close": "1\n"})
    vendoring.upstream.git("add", "--all")
    author = "--author=@acme/all fixes #5 `````` <eve@example.com>"
    vendoring.upstream.git("commit", "--quiet", author, "--message", subject)
    return vendoring


def test_a_hostile_text_in_every_field_does_nothing(hostile_commit: Vendoring) -> None:
    findings, upstream = find(hostile_commit)
    for text in TEXTS.values():
        told = everywhere(findings, text)
        title, body = pull_request(told, upstream, hostile_commit.site)
        assert len(body) <= 60_000
        assert_harmless(title, body, ours=set())
        whole = document(told, upstream, summary=text)
        assert len(whole) <= 200_000
        assert_harmless("", whole, ours=set())


def test_a_table_row_stays_one_row_with_four_cells(vendoring: Vendoring) -> None:
    findings, upstream = find(vendoring)
    for text in TEXTS.values():
        _, body = pull_request(everywhere(findings, text), upstream, vendoring.site)
        tokens = MARKDOWN.parse(body)
        rows = sum(token.type == "tr_open" for token in tokens)
        cells = sum(token.type == "td_open" for token in tokens)
        assert (rows, cells) == (4, 12)
        texts = [token.content for token in tokens if token.type == "inline"]
        assert texts.count("refreshed") == 3


def test_a_body_that_is_too_long_is_cut_on_a_line_with_its_fence_closed(vendoring: Vendoring) -> None:
    hunks = tuple(replace(HUNK, ours="x" * 70 + "\n") for _ in range(40))
    outcomes = [
        replace(CONFLICT, patch=replace(CONFLICT.patch, name=f"{number}.patch"), hunks=hunks)
        for number in range(60)
    ]
    _, body = proposed(vendoring, *outcomes)
    assert 50_000 < len(body) <= 60_000
    assert body.splitlines()[-1].startswith("*Cut here")
    assert len(re.findall(r"^```", body, re.MULTILINE)) % 2 == 0


def test_of_a_long_account_the_last_lines_are_shown(vendoring: Vendoring) -> None:
    account = "\n".join(f"line {number}" for number in range(2_000))
    _, body = proposed(vendoring, checks=(replace(FAILED, account=account),))
    shown = part(body, "The gate")
    assert "\nline 1999\n```" in shown
    assert len(shown) < 5_000
    assert "\n…\nline " in shown


def test_a_log_of_very_many_commits_leaves_room_for_the_rest(vendoring: Vendoring) -> None:
    for number in range(15):
        vendoring.upstream.commit({"src/a.txt": f"{number}\n"}, message=f"Source {number}", days_ago=9)
    _, body = proposed(vendoring, CONFLICT)
    log = part(body, "What upstream did")
    assert "src (16 commits)" in log
    assert "… and 6 more commits" in log
    assert "### Evidence" in body


def test_the_whole_evidence_is_told_uncapped(vendoring: Vendoring) -> None:
    for number in range(15):
        vendoring.upstream.commit({"src/a.txt": f"{number}\n"}, message=f"Source {number}", days_ago=9)
    hacks = Hacks(found=tuple(Hack(path=f"src/{number}.txt", how="added") for number in range(300)))
    hunks = tuple(replace(HUNK, path=f"src/{number}.txt") for number in range(300))
    findings, upstream = find(vendoring, [replace(CONFLICT, hunks=hunks)], hacks=hacks)
    whole = document(findings, upstream, summary="It is 17 commits behind.")
    assert whole.startswith("## vendor/lib\n\nIt is 17 commits behind.\n\n### What stops it\n")
    assert all(f"Source {number}\n" in whole for number in range(15))
    assert all(f"- `src/{number}.txt`: added, found\n" in whole for number in range(300))
    assert all(f"\nsrc/{number}.txt\n<<<<<<< upstream\n" in whole for number in range(300))


def test_without_a_bump_the_whole_evidence_promises_none(vendoring: Vendoring) -> None:
    findings, upstream = find(vendoring, (CLEAN,))
    assert "eady for review" not in document(findings, upstream, summary="x")
    vendoring.settings["bump"] = "never"
    findings, upstream = find(vendoring, (CONFLICT,), bump=Bump(candidate="c" * 40, commit="b" * 40))
    assert "**Not ready for review**, because\n\n- the patch" in document(findings, upstream, summary="x")
