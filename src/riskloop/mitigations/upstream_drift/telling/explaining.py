"""Tells an owner what a look at vendored code found: first what stops a bump, then everything else."""

import hashlib
import json
from collections.abc import Iterator
from typing import Any

from riskloop.git import Upstream
from riskloop.measurements import Evidence, Section
from riskloop.mitigations.upstream_drift.patches.verdicts import Verdict
from riskloop.mitigations.upstream_drift.telling import listing
from riskloop.mitigations.upstream_drift.telling.blaming import Blame, blame
from riskloop.mitigations.upstream_drift.telling.documenting import document, done_to
from riskloop.mitigations.upstream_drift.telling.findings import Findings, is_ready
from riskloop.mitigations.upstream_drift.telling.history import Commit, Log, read_log, read_own
from riskloop.mitigations.upstream_drift.telling.listing import SHORT, one_line
from riskloop.risks import Site
from riskloop.wording.figures import quantity

__all__ = ["Findings", "explain", "fingerprint", "summarise"]

_TAGS = 12
_ROWS = 60
_LOG_EACH = 10
_BLOCKS = 10
_CONFLICTS = 10
_LISTED = 200


def explain(findings: Findings, upstream: Upstream, site: Site) -> Evidence:
    """Write what the incident shows: the summary, the sections in their order, and the whole as a document.

    Raises:
        Unmeasurable: the mirror cannot be read.
    """
    standing = findings.standing
    log = read_log(upstream, findings.settings, since=standing.baseline, until=standing.head)
    blames = blame(findings, upstream)
    said = summarise(findings)
    return Evidence(
        summary=said,
        sections=tuple(_sections(findings, blames, log, read_own(upstream, standing))),
        document=document(findings, upstream, summary=said),
        fingerprint=fingerprint(findings),
        details=_details(findings, blames, site),
    )


def summarise(findings: Findings) -> str:
    """Say in one or two sentences how far behind it is, and what is wrong with it."""
    standing, hacks = findings.standing, findings.hacks
    parts = [f"{one_line(findings.vendored.path)} {_how_far(findings)}"]
    if standing.rewritten:
        parts.append("upstream rewrote its history, and no longer leads to the pin")
    elif standing.ahead:
        parts.append(f"the pin has {quantity(standing.ahead, 'commits')} that upstream does not have")
    parts += _how_patches_are(findings)
    if hacks.found:
        were = "was" if len(hacks.found) == 1 else "were"
        parts.append(f"{quantity(len(hacks.found), 'files')} {were} changed by hand")
    if findings.failure is not None:
        parts.append(f"the gate does not pass ({one_line(findings.failure.command, limit=120)})")
    first = "; ".join(parts) + "."
    if standing.acknowledged is None:
        return first
    decision = standing.acknowledged
    who, why = one_line(decision.who, limit=120), one_line(decision.why).rstrip(". ")
    return (
        f"{first} This is counted from {standing.baseline[:SHORT]}, which {who} acknowledged on "
        f"{decision.at:%Y-%m-%d}: {why}."
    )


def _how_far(findings: Findings) -> str:
    standing = findings.standing
    branch = one_line(standing.branch, limit=120)
    if not standing.behind:
        return f"lacks nothing of {branch}"
    days = f" and {quantity(int(standing.days), 'days')}" if standing.days >= 1 else ""
    count = len(standing.releases)
    releases = f" ({quantity(count, 'releases')})" if count else ""
    commits = quantity(standing.behind, "watched commits" if findings.settings.watch else "commits")
    return f"is {commits}{days} behind {branch}{releases}"


def _how_patches_are(findings: Findings) -> Iterator[str]:
    outcomes = findings.applied.outcomes
    if not outcomes:
        return
    total = len(outcomes)
    refused = sum(outcome.verdict is Verdict.REFUSED for outcome in outcomes)
    failed = len(findings.stopped) - refused
    of = f"of {quantity(total, 'patches')}"
    if failed:
        yield f"{failed} {of} no longer {'applies' if failed == 1 else 'apply'}"
    if refused:
        yield f"{refused} {of} cannot be tried"
    merged = sum(outcome.verdict is Verdict.UPSTREAMED for outcome in outcomes)
    if merged:
        yield f"{merged} {of} {'is' if merged == 1 else 'are'} upstream by now"
    if not findings.stopped and not merged:
        yield "its one patch applies" if total == 1 else f"all {total} patches apply"


def _sections(
    findings: Findings, blames: tuple[Blame, ...], log: Log, own: tuple[Commit, ...]
) -> Iterator[Section]:
    """Give the sections, the most telling first; those with nothing in them are left out."""
    if blames:
        shown = [one.text for one in blames[:_BLOCKS]]
        left = len(blames) - len(shown)
        more = [f"… and {left} more"] if left else []
        yield Section(
            title="What stops it: which patch or check, which file, whose upstream commit",
            body="\n\n".join([*shown, *more]),
        )
    if findings.applied.outcomes:
        title = f"Patches on {findings.target[:SHORT]}"
        yield Section(title=title, body=listing.list_patches(findings.applied, rows=_ROWS))
    for outcome in [one for one in findings.stopped if one.hunks][:_CONFLICTS]:
        name = one_line(outcome.patch.name, limit=120)
        yield Section(title=f"Where {name} conflicts", body=listing.list_hunks(outcome))
    if findings.hacks.found:
        yield Section(title="Files changed by hand", body=listing.list_hacks(findings.hacks, rows=_ROWS))
    if findings.hacks.diff:
        yield Section(title="What was changed by hand", body=findings.hacks.diff, language="diff")
    yield from _histories(log, own)
    if findings.checks:
        yield Section(title="The gate", body=_gate(findings))
    if findings.standing.releases:
        names = listing.list_names(findings.standing.releases[::-1], rows=_TAGS, what="tags")
        yield Section(title="Upstream tags since the pin, the newest first", body=names)
    yield Section(title="The bump", body=_bump(findings))
    if findings.notes:
        notes = listing.list_names(findings.notes, rows=_ROWS, what="notes")
        yield Section(title="Read with care", body=notes)


def _histories(log: Log, own: tuple[Commit, ...]) -> Iterator[Section]:
    if own:
        yield Section(title=listing.OWN, body=listing.list_commits(own, rows=_LOG_EACH))
    if log.commits:
        text = listing.list_log(log, rows=_ROWS, each=_LOG_EACH)
        yield Section(title=f"What upstream did, {listing.HOW_LOGGED}", body=text)


def _gate(findings: Findings) -> str:
    lines = []
    for check in findings.checks:
        lines.append(f"{one_line(check.command)}: {'passed' if check.passed else 'did not pass'}")
        lines += [f"  {line}" for line in check.account.splitlines()]
    if left := findings.unchecked:
        lines.append(f"{quantity(left, 'more commands')} did not run")
    return "\n".join(lines)


def _bump(findings: Findings) -> str:
    """Say what a bump would bring and whether it may be merged, or why there is none."""
    bump, standing = findings.bump, findings.standing
    if bump is None:
        if standing.candidate:
            return f"Upstream's {standing.candidate[:SHORT]} could be brought; no bump was made of it."
        if standing.waiting:
            return (
                f"None: {quantity(standing.waiting, 'commits')} of upstream "
                f"{'is' if standing.waiting == 1 else 'are'} younger than the cooldown."
            )
        if standing.acknowledged:
            return f"None: what upstream has, up to {standing.baseline[:SHORT]}, was acknowledged."
        return "None: upstream has nothing new to bring."
    if not bump.commit:
        return f"None of {bump.candidate[:SHORT]}: {one_line(bump.problem)}."
    # Whether it was pushed is not known here: who carries it out says so.
    made = f"Commit {bump.commit[:SHORT]}, which brings {bump.candidate[:SHORT]}"
    lines = [f"{made}, was made and tried in our own mirror of the project."]
    if findings.settings.bump == "never":
        lines.append("No pull request is opened of it: the register says `bump: never`.")
    ready, reasons = is_ready(findings)
    lines.append("It is ready for review." if ready else "It is not ready for review, because")
    lines += [f"- {one_line(reason)}" for reason in reasons]
    for what, names in (
        ("Patch files refreshed", bump.refreshed),
        ("Patch files dropped, as upstream has them", bump.dropped),
        ("Local changes lost", bump.lost),
    ):
        if names:
            lines += [f"{what}:", *(f"  {one_line(name)}" for name in names[:_ROWS])]
    return "\n".join(lines)


def fingerprint(findings: Findings) -> str:
    """Digest what a person would decide on: the commits, the verdicts, the local changes, the gate.

    No age and no moment is in it, nor what a command printed: both differ where nothing else does.
    """
    standing, hacks = findings.standing, findings.hacks
    decided: dict[str, Any] = {
        "pin": standing.pin,
        "baseline": standing.baseline,
        "target": findings.target,
        "patches": [
            {
                "name": outcome.patch.name,
                "verdict": str(outcome.verdict),
                "content": hashlib.sha256(outcome.patch.content).hexdigest(),
            }
            for outcome in findings.applied.outcomes
        ],
        "hacks": [[hack.path, hack.how] for hack in hacks.found],
        "hacked": hacks.digest,
        "gate": [[check.command, check.passed] for check in findings.checks],
    }
    return hashlib.sha256(json.dumps(decided, sort_keys=True).encode()).hexdigest()


def _details(findings: Findings, blames: tuple[Blame, ...], site: Site) -> dict[str, Any]:
    standing, bump = findings.standing, findings.bump
    ready, reasons = is_ready(findings)
    return {
        "mitigation": site.mitigation,
        "path": one_line(findings.vendored.path),
        "upstream": one_line(findings.vendored.address),
        "branch": one_line(standing.branch),
        "pin": standing.pin,
        "baseline": standing.baseline,
        "head": standing.head,
        "candidate": standing.candidate,
        "target": findings.target,
        "commits_behind": standing.behind,
        "commits_ahead": standing.ahead,
        "commits_waiting": standing.waiting,
        "rewritten": standing.rewritten,
        "releases": [one_line(name) for name in standing.releases[-_LISTED:]],
        "patches": [
            {
                "name": one_line(outcome.patch.name),
                "verdict": str(outcome.verdict),
                "reason": one_line(outcome.reason),
                "files": [one_line(file) for file in outcome.files[:_LISTED]],
                "file": done_to(outcome, bump),
            }
            for outcome in listing.pick(findings.applied, _LISTED)
        ],
        "local_changes": [
            {"path": one_line(hack.path), "how": one_line(hack.how)}
            for hack in findings.hacks.found[:_LISTED]
        ],
        "stopped_by": [one.text.split("\n") for one in blames[:_LISTED]],
        "gate": [{"command": one_line(check.command), "passed": check.passed} for check in findings.checks],
        "bump": None
        if bump is None
        else {
            "commit": bump.commit,
            "branch": bump.branch,
            "problem": one_line(bump.problem),
            "ready": ready,
            "reasons": [one_line(reason) for reason in reasons],
        },
    }
