"""Writes the pull request of a bump, and the whole of what a look found; nothing foreign in it acts."""

import re
from collections.abc import Sequence
from pathlib import PurePosixPath

from riskloop.git import Upstream
from riskloop.mitigations.upstream_drift.addresses import is_remote
from riskloop.mitigations.upstream_drift.bump.bumping import Bump
from riskloop.mitigations.upstream_drift.patches.verdicts import Outcome, Verdict
from riskloop.mitigations.upstream_drift.standing import count_commits
from riskloop.mitigations.upstream_drift.telling import listing
from riskloop.mitigations.upstream_drift.telling.blaming import Blame, blame
from riskloop.mitigations.upstream_drift.telling.findings import Findings, is_ready
from riskloop.mitigations.upstream_drift.telling.history import LONGEST, Log, read_log, read_own
from riskloop.risks import Site
from riskloop.wording import escaping
from riskloop.wording.figures import quantity
from riskloop.wording.github import BODY_LIMIT, CUT, TITLE_LIMIT

DOCUMENT_LIMIT = 200_000
"""Characters of the whole evidence."""
_ROWS = 100
_NAMES = 50
_TAGS = 12
_LOG_ROWS = 60
_LOG_EACH = 10
_ACCOUNT = 4_000
_HUNKS = 8_000
_DIFF = 12_000
_GITHUB = re.compile(r"https://github\.com/[\w.-]+/[\w.-]+?(?:\.git)?/?")
_AUTOLINK = re.compile(r"(?<=:)(?=//)|(?<=\bwww)(?=\.)", re.IGNORECASE)


def pull_request(findings: Findings, upstream: Upstream, site: Site) -> tuple[str, str]:
    """Write the title and the body of the pull request that brings the bump.

    The same findings give the same text: no age and no moment stands in it.

    Args:
        findings: of a look with a bump.

    Returns:
        The title, one line of at most 250 characters; the body, Markdown of at most 60,000 characters.

    Raises:
        Unmeasurable: the mirror cannot be read.
    """
    standing = findings.standing
    path = findings.vendored.path
    commits = count_commits(upstream, findings.settings, since=standing.pin, until=findings.target)
    title = f"Bump {path} to {findings.target[:8]} ({quantity(commits, 'commits')})"
    log = read_log(upstream, findings.settings, since=standing.pin, until=findings.target)
    parts = [
        _intro(findings, commits),
        _readiness(findings),
        _stops(blame(findings, upstream)),
        _patches(findings, rows=_ROWS),
        _local_changes(findings, rows=_NAMES),
        _gate(findings, limit=_ACCOUNT),
        _to_leave_it(findings, site),
        _log(log, findings, rows=_LOG_ROWS, each=_LOG_EACH),
        _releases(findings, rows=_TAGS),
        _evidence(findings, hunks=_HUNKS, diff=_DIFF),
    ]
    return escaping.plain(title, limit=TITLE_LIMIT), _joined(parts, limit=BODY_LIMIT)


def document(findings: Findings, upstream: Upstream, *, summary: str) -> str:
    """Write the whole of what a look found: Markdown of at most DOCUMENT_LIMIT characters.

    Args:
        summary: what was found in one or two sentences.

    Raises:
        Unmeasurable: the mirror cannot be read.
    """
    standing = findings.standing
    log = read_log(upstream, findings.settings, since=standing.baseline, until=standing.head)
    everything = DOCUMENT_LIMIT
    parts = [
        f"## {_safe(findings.vendored.path)}",
        _safe(summary, limit=2_000),
        "\n".join(f"- {_safe(note)}" for note in findings.notes),
        _readiness(findings) if findings.bump is not None else "",
        _stops(blame(findings, upstream)),
        _patches(findings, rows=everything),
        _local_changes(findings, rows=everything),
        _gate(findings, limit=everything),
        _own(upstream, findings),
        _log(log, findings, rows=LONGEST, each=LONGEST),
        _releases(findings, rows=everything),
        _evidence(findings, hunks=everything, diff=everything),
    ]
    return _joined(parts, limit=DOCUMENT_LIMIT)


def done_to(outcome: Outcome, bump: Bump | None) -> str:
    """Say in a word or two what a bump does to a patch's file."""
    name = outcome.patch.name
    if bump is not None and name in bump.refreshed:
        return "refreshed"
    if bump is not None and name in bump.dropped:
        return "dropped"
    return "left as it is"


def _joined(parts: Sequence[str], *, limit: int) -> str:
    return escaping.cut("\n\n".join(part for part in parts if part), limit, word=CUT)


def _safe(text: str, *, limit: int = 300) -> str:
    """Write text from anywhere as one line of Markdown in which nothing acts, and nothing becomes a link."""
    return _AUTOLINK.sub(escaping.INERT, escaping.prose(text, limit=limit))


def _intro(findings: Findings, commits: int) -> str:
    vendored, standing = findings.vendored, findings.standing
    old, new = (escaping.code(commit[: listing.SHORT]) for commit in (standing.pin, findings.target))
    # A folder of this machine is nothing to publish.
    source = vendored.address if is_remote(vendored.address) else PurePosixPath(vendored.address).name
    path, address = escaping.code(vendored.path), escaping.code(source)
    branch, settings = escaping.code(standing.branch), findings.settings
    if settings.strip:
        address = f"the folder {escaping.code(settings.strip)} of {address}"
    if settings.watched:
        touch = "touches" if commits == 1 else "touch"
        further = f"with {quantity(commits, 'commits')} of {branch} that {touch} what is {_counted(findings)}"
    else:
        further = f"{quantity(commits, 'commits')} further on {branch}"
    lines = [f"{path} comes from {address} and stands at {old}. This brings it to {new}, {further}."]
    if _GITHUB.fullmatch(vendored.address) and not standing.ahead:
        place = vendored.address.rstrip("/").removesuffix(".git")
        link = escaping.link(f"{place}/compare/{standing.pin}...{findings.target}")
        lines.append(f"[All that changed upstream](<{link}>).")
    lines += [f"{_safe(note)}." for note in findings.notes]
    return "\n\n".join(lines)


def _counted(findings: Findings) -> str:
    """Say of which part of upstream the commits are counted, where that is not all of it."""
    return "watched" if findings.settings.watch else "vendored"


def _own(upstream: Upstream, findings: Findings) -> str:
    own = read_own(upstream, findings.standing)
    return f"### {listing.OWN}\n\n{escaping.fenced(listing.list_commits(own, rows=LONGEST))}" if own else ""


def _readiness(findings: Findings) -> str:
    ready, reasons = is_ready(findings)
    if ready:
        held = [
            "every patch that is still needed applies" if findings.applied.outcomes else "",
            "no local change is lost" if findings.hacks.found else "",
            "the changelog has its entry" if findings.settings.changelog else "",
            "the gate passes" if findings.settings.gate else "",
        ]
        said = ", ".join(one for one in held if one)
        return f"**Ready for review**: {said}." if said else "**Ready for review.**"
    never = findings.settings.bump == "never"
    what = "Not ready for review" if never else "A draft"
    return "\n".join([f"**{what}**, because", "", *(f"- {_safe(reason)}" for reason in reasons)])


def _stops(blames: Sequence[Blame]) -> str:
    if not blames:
        return ""
    text = "\n\n".join(one.text for one in blames)
    return f"### What stops it\n\n{escaping.fenced(text)}"


def _patches(findings: Findings, *, rows: int) -> str:
    outcomes = findings.applied.outcomes
    if not outcomes:
        return ""
    shown = listing.pick(findings.applied, rows)
    table = ["| Patch | Verdict | Why | Its file |", "| --- | --- | --- | --- |"]
    table += [
        f"| {_name(one.patch.name)} | {_verdict(one)} | {_safe(one.reason)} | {done_to(one, findings.bump)} |"
        for one in shown
    ]
    left = len(outcomes) - len(shown)
    more = f"\n\n{quantity(left, 'more patches')} simply apply." if left else ""
    return "\n".join(["### Patches", "", *table]) + more


def _name(text: str) -> str:
    """Write a name for a table: in a code span no `|` can be escaped for good."""
    return _safe(text) if "|" in text else escaping.code(text, limit=300)


def _verdict(outcome: Outcome) -> str:
    stops = outcome.verdict.conflicts or outcome.verdict is Verdict.TARGET_GONE
    return f"**{outcome.verdict}**" if stops else str(outcome.verdict)


def _local_changes(findings: Findings, *, rows: int) -> str:
    found, bump = findings.hacks.found, findings.bump
    if not found:
        return ""
    lost = set(bump.lost if bump else ())
    kept = "carried over" if bump is not None and bump.commit else "found"
    lines = [
        f"- {escaping.code(hack.path)}: {_safe(hack.how)}, {'**lost**' if hack.path in lost else kept}"
        for hack in sorted(found, key=lambda hack: hack.path not in lost)[:rows]
    ]
    if len(found) > rows:
        lines.append(f"- … and {quantity(len(found) - rows, 'more files')}")
    return "\n".join(["### Files changed by hand", "", *lines])


def _gate(findings: Findings, *, limit: int) -> str:
    lines = []
    for check in findings.checks:
        lines.append(f"{escaping.code(check.command)}: {'passed' if check.passed else '**did not pass**'}")
        if check.account:
            lines.append(escaping.fenced(_last(check.account, limit), limit=limit))
    if left := findings.unchecked:
        lines.append(f"{quantity(left, 'more commands')} did not run.")
    return "\n\n".join(["### The gate", *lines]) if lines else ""


def _last(text: str, limit: int) -> str:
    """Keep the last whole lines of a text."""
    if len(text) <= limit:
        return text
    kept = text[-limit + len("…\n") :]
    _, _, whole = kept.partition("\n")
    return f"…\n{whole or kept}"


def _to_leave_it(findings: Findings, site: Site) -> str:
    command = (
        f"riskloop upstream acknowledge {site.mitigation} --to {findings.target} "
        '--who "your name" --reason "why"'
    )
    return (
        "### To leave it as it is\n\nIf nothing in it concerns the project, acknowledge it instead; what is "
        f"behind is then counted from that commit:\n\n{escaping.fenced(command)}"
    )


def _log(log: Log, findings: Findings, *, rows: int, each: int) -> str:
    if not log.commits:
        return ""
    only = f", only of what is {_counted(findings)}" if findings.settings.watched else ""
    return (
        f"### What upstream did\n\nBy the folder that a commit touches most, merges left out{only}:\n\n"
        f"{escaping.fenced(listing.list_log(log, rows=rows, each=each), limit=DOCUMENT_LIMIT)}"
    )


def _releases(findings: Findings, *, rows: int) -> str:
    releases = findings.standing.releases[::-1]
    if not releases:
        return ""
    names = listing.list_names(releases, rows=rows, what="tags")
    return (
        f"### Upstream tags since the pin, the newest first\n\n{escaping.fenced(names, limit=DOCUMENT_LIMIT)}"
    )


def _evidence(findings: Findings, *, hunks: int, diff: int) -> str:
    parts = []
    for outcome in findings.stopped:
        if outcome.hunks:
            title = f"Where {escaping.code(outcome.patch.name)} conflicts:"
            parts += [title, escaping.fenced(listing.list_hunks(outcome), limit=hunks)]
    if findings.hacks.diff:
        parts += ["What was changed by hand:", _diff(findings.hacks.diff, limit=diff)]
    return "\n\n".join(["### Evidence", *parts]) if parts else ""


def _diff(text: str, *, limit: int) -> str:
    return escaping.fenced(text, language="diff", limit=limit)
