"""The evidence of a look says in a sentence what is wrong, and shows first what stops a bump."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from riskloop.measurements import Evidence
from riskloop.mitigations.upstream_drift.bump.bumping import Bump
from riskloop.mitigations.upstream_drift.bump.gating import Check
from riskloop.mitigations.upstream_drift.patches.patching import apply_series
from riskloop.mitigations.upstream_drift.patches.series import read_series
from riskloop.mitigations.upstream_drift.patches.verdicts import Applied, Hunk, Outcome, Verdict
from riskloop.mitigations.upstream_drift.project.hacks import Hack, Hacks, find_hacks
from riskloop.mitigations.upstream_drift.telling.explaining import explain, fingerprint, summarise
from riskloop.mitigations.upstream_drift.telling.findings import Findings
from riskloop.risks import Decision
from riskloop.store.text import storable
from tests.hostile import hostile
from tests.mitigations.found import bump, find, outcome
from tests.mitigations.vendoring import FOLDER, Vendoring, numbered

CLEAN = outcome("0001-clean.patch", Verdict.CLEAN)
HUNK = Hunk(path="src/a.txt", base="line 10\n", ours="theirs\n", theirs="ours\nmore\n")
CONFLICT = outcome(
    "0002-x.patch", Verdict.CONFLICT, files=("src/a.txt",), hunks=(HUNK,), reason="line 10 differs"
)
GONE = outcome("0003-stale.patch", Verdict.TARGET_GONE, files=("tools/run.sh",))
MERGED = outcome("0004-merged.patch", Verdict.UPSTREAMED)
REFUSED = outcome("0005-out.patch", Verdict.REFUSED, reason="it names '../x'")
HACKS = Hacks(found=(Hack(path="src/b.txt", how="changed"),), diff="--- a/src/b.txt\n+++ b/src/b.txt\n+x\n")
FAILED = Check(command="make test", passed=False, account="make test ended with exit code 2\nsrc/a.txt: no")
PASSED = Check(command="make lint", passed=True)
BUMP = bump()


@pytest.fixture
def vendoring(tmp_path: Path) -> Vendoring:
    made = Vendoring(tmp_path)
    made.vendor()
    return made


@pytest.fixture
def behind(vendoring: Vendoring) -> Vendoring:
    """Let upstream be three commits and a release ahead."""
    vendoring.upstream.commit({"src/a.txt": "1\n"}, message="Tune ten", days_ago=31.5)
    vendoring.upstream.git("tag", "v1.1")
    vendoring.upstream.commit({"docs/a.md": "1\n"}, message="Describe", days_ago=12)
    vendoring.upstream.commit({"tools/run.sh": None}, message="Drop the runner", days_ago=10)
    return vendoring


def explained(vendoring: Vendoring, *outcomes: Outcome, **facts: Any) -> Evidence:
    findings, upstream = find(vendoring, outcomes, **facts)
    return explain(findings, upstream, vendoring.site)


def section(evidence: Evidence, title: str) -> str:
    return next(part.body for part in evidence.sections if part.title.startswith(title))


def test_the_summary_says_how_far_behind_it_is_and_what_is_wrong(behind: Vendoring) -> None:
    findings, _ = find(behind, (CLEAN, CONFLICT, GONE, MERGED, REFUSED), hacks=HACKS, checks=(PASSED, FAILED))
    assert summarise(findings) == (
        "vendor/lib is 3 commits and 31 days behind main (1 release); 2 of 5 patches no longer apply; 1 of 5 "
        "patches cannot be tried; 1 of 5 patches is upstream by now; 1 file was changed by hand; the gate "
        "does not pass (make test)."
    )


@pytest.mark.parametrize(
    ("outcomes", "says"),
    [
        ((), "vendor/lib lacks nothing of main."),
        ((CLEAN,), "vendor/lib lacks nothing of main; its one patch applies."),
        ((CLEAN, CLEAN), "vendor/lib lacks nothing of main; all 2 patches apply."),
        ((CONFLICT,), "vendor/lib lacks nothing of main; 1 of 1 patch no longer applies."),
        ((MERGED, MERGED), "vendor/lib lacks nothing of main; 2 of 2 patches are upstream by now."),
    ],
)
def test_the_summary_says_so_where_nothing_is_missing(
    vendoring: Vendoring, outcomes: tuple[Outcome, ...], says: str
) -> None:
    assert summarise(find(vendoring, outcomes)[0]) == says


def test_the_summary_of_a_single_young_commit_is_in_the_singular(vendoring: Vendoring) -> None:
    vendoring.upstream.commit({"new.txt": "1\n"}, days_ago=0.5)
    hacks = Hacks(found=(Hack(path="a", how="added"), Hack(path="b", how="added")))
    assert summarise(find(vendoring, hacks=hacks)[0]) == (
        "vendor/lib is 1 commit behind main; 2 files were changed by hand."
    )


def test_commits_of_ours_and_a_rewritten_history_are_said(behind: Vendoring) -> None:
    findings, _ = find(behind)
    ahead = replace(findings, standing=replace(findings.standing, ahead=1))
    assert "; the pin has 1 commit that upstream does not have." in summarise(ahead)
    rewritten = replace(findings, standing=replace(ahead.standing, rewritten=True))
    assert "; upstream rewrote its history, and no longer leads to the pin." in summarise(rewritten)


def test_where_only_a_part_is_watched_its_commits_are_called_so(behind: Vendoring) -> None:
    behind.settings["watch"] = ["tools", "src"]
    assert summarise(find(behind)[0]).startswith("vendor/lib is 2 watched commits and 31 days behind main")


def test_commits_that_only_the_pin_has_are_listed(tmp_path: Path) -> None:
    vendoring = Vendoring(tmp_path)
    vendoring.submodule()
    ours = vendoring.diverge({"src/a.txt": "ours\n"})
    evidence = explained(vendoring)
    listed = section(evidence, "Commits that only the pin has")
    assert listed.startswith(f"{ours[:12]} ")
    assert listed.endswith(": Ours alone")
    assert f"### Commits that only the pin has\n\n```\n{listed}\n```" in evidence.document


def test_what_was_acknowledged_is_said_with_who_and_why(behind: Vendoring) -> None:
    commit = behind.upstream.git("rev-parse", "HEAD~1")
    details = {"commit": commit, "upstream": str(behind.upstream.path)}
    at = datetime(2026, 3, 2, 23, 0, tzinfo=UTC)
    behind.decisions = (
        Decision(decision="acknowledge", who="Mia", why="docs only.\n", at=at, details=details),
    )
    evidence = explained(behind)
    assert evidence.summary == (
        "vendor/lib is 1 commit and 10 days behind main. This is counted from "
        f"{commit[:12]}, which Mia acknowledged on 2026-03-02: docs only."
    )
    assert section(evidence, "What upstream did").startswith("tools (1 commit)\n")
    settings = {**behind.settings, "cooldown": "20d"}
    behind.settings = settings
    assert section(explained(behind), "The bump").startswith("None: 1 commit of upstream is younger")
    behind.decisions = (replace(behind.decisions[0], details=details | {"commit": behind.upstream.head}),)
    said = section(explained(behind), "The bump")
    assert said == f"None: what upstream has, up to {behind.upstream.head[:12]}, was acknowledged."


def test_the_sections_stand_in_the_order_in_which_a_person_needs_them(behind: Vendoring) -> None:
    behind.settings["gate"] = [["make", "lint"], ["make", "test"], ["make", "more"]]
    evidence = explained(behind, CLEAN, CONFLICT, GONE, hacks=HACKS, checks=(PASSED, FAILED), bump=BUMP)
    head = behind.upstream.head[:12]
    assert [(part.title, part.language) for part in evidence.sections] == [
        ("What stops it: which patch or check, which file, whose upstream commit", ""),
        (f"Patches on {head}", ""),
        ("Where 0002-x.patch conflicts", ""),
        ("Files changed by hand", ""),
        ("What was changed by hand", "diff"),
        ("What upstream did, by the folder a commit touches most, merges left out", ""),
        ("The gate", ""),
        ("Upstream tags since the pin, the newest first", ""),
        ("The bump", ""),
    ]
    blocks = section(evidence, "What stops it").split("\n\n")
    assert [len(block.split("\n")) for block in blocks] == [3, 3, 3]
    assert section(evidence, "Patches on") == (
        "verdict      patch             why\n"
        "clean        0001-clean.patch\n"
        "conflict     0002-x.patch      line 10 differs\n"
        "target gone  0003-stale.patch"
    )
    assert section(evidence, "Where 0002-x.patch") == (
        "src/a.txt\n<<<<<<< upstream\ntheirs\n||||||| what the patch was made for\nline 10\n=======\nours\n"
        "more\n>>>>>>> 0002-x.patch"
    )
    assert section(evidence, "The gate") == (
        "make lint: passed\nmake test: did not pass\n  make test ended with exit code 2\n  src/a.txt: no\n"
        "1 more command did not run"
    )
    assert section(evidence, "Upstream tags") == "v1.1"


def test_upstreams_log_is_capped_for_each_area_and_in_all_and_whole_in_the_document(
    vendoring: Vendoring,
) -> None:
    for number in range(12):
        vendoring.upstream.commit({"src/a.txt": f"{number}\n"}, message=f"Source {number}", days_ago=50)
    # With each area its commits are more than may be shown in all.
    lines = [
        f"commit refs/heads/main\ncommitter A <a@example.com> {1770000000 + number} +0000\n"
        f"data <<E\nArea {number}\nE\n{f'from {vendoring.upstream.head}' if not number else ''}\n"
        f"M 644 inline area{number:02}/n.txt\ndata <<E\n{number}\nE\n"
        for number in range(60)
    ]
    vendoring.upstream.git("fast-import", "--quiet", stdin="".join(lines).encode())
    evidence = explained(vendoring)
    log = section(evidence, "What upstream did")
    assert log.startswith("src (12 commits)\n")
    assert "\n  … and 2 more commits\n\narea00 (1 commit)\n" in log
    assert log.endswith("\n\n… and 10 commits in 10 more areas")
    assert all(f"Source {number}" in evidence.document for number in range(12))
    assert all(f"Area {number}" in evidence.document for number in range(60))


def test_of_very_many_patches_those_in_need_of_a_person_are_shown(behind: Vendoring) -> None:
    many = [replace(CLEAN, patch=replace(CLEAN.patch, name=f"p{number:02}.patch")) for number in range(80)]
    evidence = explained(behind, *many, CONFLICT)
    table = section(evidence, "Patches on")
    assert "0002-x.patch" in table
    assert table.endswith("… and 21 more patches")
    assert "p79.patch" in evidence.document


@pytest.mark.parametrize(
    ("facts", "says"),
    [
        ({}, "could be brought; no bump was made of it."),
        ({"bump": bump(commit="", problem="the project has no commit")}, ": the project has no commit."),
        ({"bump": BUMP}, "\nIt is ready for review."),
        (
            {"bump": bump(lost=("a",))},
            "\nIt is not ready for review, because\n- the local change of a is lost",
        ),
        ({"bump": bump(refreshed=("x.patch",))}, "\nPatch files refreshed:\n  x.patch"),
        ({"bump": bump(dropped=("x.patch",))}, "\nPatch files dropped, as upstream has them:\n  x.patch"),
        (
            {"bump": BUMP},
            (
                "was made and tried in our own mirror of the project.\nNo pull request is opened of it: the "
                "register says `bump: never`."
            ),
        ),
    ],
)
def test_what_the_bump_is_or_why_there_is_none_is_said(
    behind: Vendoring, facts: dict[str, Bump], says: str
) -> None:
    assert says in section(explained(behind, **facts), "The bump")


def test_no_branch_is_promised_that_may_never_have_been_pushed(behind: Vendoring) -> None:
    behind.settings["bump"] = "pull_request"
    assert BUMP.branch not in section(explained(behind, bump=BUMP), "The bump")


def test_without_anything_old_enough_there_is_no_bump_and_it_is_said_why(vendoring: Vendoring) -> None:
    assert section(explained(vendoring), "The bump") == "None: upstream has nothing new to bring."
    vendoring.upstream.commit({"new.txt": "1\n"}, days_ago=1)
    said = section(explained(vendoring), "The bump")
    assert said == "None: 1 commit of upstream is younger than the cooldown."


def test_notes_on_how_it_was_read_are_shown_last(behind: Vendoring) -> None:
    evidence = explained(behind, hacks=Hacks(notes=("all files differ in their line ends",)))
    assert evidence.sections[-1].title == "Read with care"
    assert evidence.sections[-1].body == "all files differ in their line ends"
    assert "- all files differ in their line ends" in evidence.document


def aged(findings: Findings) -> Findings:
    """Let days go by, in which upstream has a commit that is too young, and the gate prints a time."""
    checks = tuple(replace(check, account="in 3 seconds") for check in findings.checks)
    standing = replace(findings.standing, days=99.0, waiting=4, behind=9, head="d" * 40)
    return replace(findings, standing=standing, checks=checks)


def test_the_fingerprint_is_of_what_is_decided_on_and_not_of_when(behind: Vendoring) -> None:
    findings, _ = find(behind, (CLEAN, CONFLICT), hacks=HACKS, checks=(FAILED,), bump=BUMP)
    known = fingerprint(findings)
    assert fingerprint(aged(findings)) == known
    assert len(known) == 64


OFFSET = outcome("0001-clean.patch", Verdict.OFFSET)
MOVED_ON: dict[str, dict[str, Any]] = {
    "the target": {"target": "e" * 40},
    "a verdict": {"applied": Applied(tree="", outcomes=(CONFLICT,))},
    "a patch's content": {
        "applied": Applied(tree="", outcomes=(replace(OFFSET, patch=replace(OFFSET.patch, content=b"new")),))
    },
    "a patch's name": {
        "applied": Applied(tree="", outcomes=(replace(OFFSET, patch=replace(OFFSET.patch, name="\udc80")),))
    },
    "a local change": {"hacks": replace(HACKS, found=(Hack(path="src/b.txt", how="removed"),))},
    "what was changed": {"hacks": replace(HACKS, digest="3" * 64)},
    "the gate": {"checks": (replace(FAILED, passed=True),)},
    "a command": {"checks": (replace(FAILED, command="make check"),)},
}


@pytest.mark.parametrize("what", MOVED_ON)
def test_the_fingerprint_changes_with_what_is_decided_on(behind: Vendoring, what: str) -> None:
    findings, _ = find(behind, (OFFSET,), hacks=HACKS, checks=(FAILED,))
    assert fingerprint(replace(findings, **MOVED_ON[what])) != fingerprint(findings)


SAME: dict[str, dict[str, Any]] = {
    "how git came to it": {
        "applied": Applied(tree="", outcomes=(replace(OFFSET, before="1" * 40, after="2" * 40),))
    },
    "what could be shown": {"hacks": replace(HACKS, diff="")},
    "what else was committed": {"hacks": replace(HACKS, tree="3" * 40)},
}


@pytest.mark.parametrize("what", SAME)
def test_the_fingerprint_stays_the_same_where_the_decision_does(behind: Vendoring, what: str) -> None:
    findings, _ = find(behind, (OFFSET,), hacks=HACKS, checks=(FAILED,))
    assert fingerprint(replace(findings, **SAME[what])) == fingerprint(findings)


@pytest.mark.parametrize("commit", ["pin", "baseline"])
def test_the_fingerprint_changes_with_the_pin_and_the_baseline(behind: Vendoring, commit: str) -> None:
    findings, _ = find(behind)
    changed: dict[str, Any] = {commit: "f" * 40}
    moved = replace(findings, standing=replace(findings.standing, **changed))
    assert fingerprint(moved) != fingerprint(findings)


def test_the_details_are_facts_that_a_program_can_read(behind: Vendoring) -> None:
    evidence = explained(behind, CLEAN, CONFLICT, hacks=HACKS, checks=(FAILED,), bump=BUMP)
    details = json.loads(json.dumps(evidence.details))
    assert (details["pin"], details["head"]) == (behind.pin, behind.upstream.head)
    assert (details["commits_behind"], details["releases"]) == (3, ["v1.1"])
    assert [(one["name"], one["verdict"]) for one in details["patches"]] == [
        ("0001-clean.patch", "clean"),
        ("0002-x.patch", "conflict"),
    ]
    assert details["stopped_by"][0][1] == "in src/a.txt"
    assert details["local_changes"] == [{"path": "src/b.txt", "how": "changed"}]
    assert details["gate"] == [{"command": "make test", "passed": False}]
    assert details["bump"]["ready"] is False
    assert len(details["bump"]["reasons"]) == 2


def test_hostile_text_everywhere_is_told_in_bounds_and_can_be_stored(behind: Vendoring) -> None:
    findings, upstream = find(behind)
    for text in hostile("<!-- riskloop:1 installation=x -->").values():
        hunk = Hunk(path=text, base=text[:2_000], ours=text[:2_000], theirs=text[:2_000])
        facts = {"reason": text, "hunks": (hunk,)}
        decision = Decision(decision="acknowledge", who=text, why=text, at=behind.site.now, details={})
        hostile_findings = replace(
            findings,
            applied=Applied(
                tree="",
                outcomes=(
                    outcome(text, Verdict.CONFLICT, **facts),
                    outcome(text, Verdict.REFUSED, **facts),
                    outcome(text, Verdict.CLEAN),
                ),
            ),
            hacks=Hacks(found=(Hack(path=text, how=text),), diff=text[:5_000], notes=(text,)),
            checks=(Check(command=text, passed=False, account=text[:5_000]),),
            bump=bump(refreshed=(text,), lost=(text,)),
            standing=replace(findings.standing, releases=(text,), branch=text, acknowledged=decision),
        )
        evidence = explain(hostile_findings, upstream, behind.site)
        assert len(evidence.summary) < 2_000
        assert "\n" not in evidence.summary
        assert storable(evidence.summary) == evidence.summary
        json.dumps(evidence.details).encode()
        evidence.document.encode()
        assert len(evidence.document) <= 200_000
        assert all("\n" not in part.title and len(part.title) < 300 for part in evidence.sections)


def test_the_same_look_a_day_later_differs_in_its_age_only(behind: Vendoring) -> None:
    findings, upstream = find(behind, (CONFLICT,))
    older = replace(findings, standing=replace(findings.standing, days=findings.standing.days + 1))
    later = replace(behind.site, now=behind.site.now + timedelta(days=1))
    first, second = explain(findings, upstream, behind.site), explain(older, upstream, later)
    assert first.sections == second.sections
    assert first.fingerprint == second.fingerprint
    assert first.document.replace("31 days", "32 days") == second.document


def test_what_the_real_parts_find_is_told(vendoring: Vendoring) -> None:
    vendoring.patch("0001-clean.patch", {"src/b.txt": numbered(changed={20: "ours"}, lines=30)})
    vendoring.patch("0002-conflict.patch", {"src/a.txt": numbered(changed={10: "ours"})})
    vendoring.patch("0003-stale.patch", {"tools/run.sh": "#!/bin/sh\necho ours\n"})
    vendoring.vendor(vendoring.pin, patched=True)
    vendoring.project.commit({f"{FOLDER}/src/hack.txt": "by hand\n"})
    theirs = {"src/a.txt": numbered(changed={10: "theirs"})}
    tuned = vendoring.upstream.commit(theirs, message="Tune ten", days_ago=20)
    vendoring.upstream.commit({"tools/run.sh": None}, message="Drop the runner", days_ago=10)
    settings, site = vendoring.read_settings(), vendoring.site
    findings, upstream = find(vendoring)
    series = read_series(settings, site)
    pin, head = upstream.folder(vendoring.pin), upstream.folder(findings.target)
    since = (vendoring.pin, findings.target)
    at_pin = apply_series(upstream, series, onto=pin, room=vendoring.room / "pin")
    applied = apply_series(
        upstream, series, onto=head, room=vendoring.room / "head", at_pin=at_pin, since=since
    )
    hacks = find_hacks(findings.vendored, upstream, site, pin=pin, patched=at_pin.tree)
    evidence = explain(replace(findings, applied=applied, hacks=hacks), upstream, site)
    assert evidence.summary == (
        "vendor/lib is 2 commits and 20 days behind main; 2 of 3 patches no longer apply; 1 file was changed "
        "by hand."
    )
    first, second = (block.split("\n") for block in section(evidence, "What stops it").split("\n\n"))
    assert first[0].startswith("patch 0002-conflict.patch: conflict")
    assert first[1:] == [
        "in src/a.txt",
        f"last changed upstream by {tuned[:12]} 2026-02-19 Ann Author: Tune ten",
    ]
    assert second[0].startswith("patch 0003-stale.patch: target gone")
    assert second[1] == "in tools/run.sh"
    assert second[2].startswith("last removed upstream by ")
    hunks = section(evidence, "Where 0002-conflict.patch")
    assert all(f"\n{line}\n" in hunks for line in ("theirs", "line 10", "ours"))
    assert section(evidence, "Files changed by hand") == "added: src/hack.txt"
    assert "+by hand" in section(evidence, "What was changed by hand")
