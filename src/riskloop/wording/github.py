"""An incident as a GitHub issue and its comments."""

import re

from riskloop.incidents import Change, Concern
from riskloop.measurements import Section
from riskloop.mutes import Mute, Muting
from riskloop.notifications import Action, Facts
from riskloop.risks import Owner
from riskloop.thresholds import Reading, Verdict
from riskloop.wording import escaping, figures

BODY_LIMIT = 60_000
"""Characters of a body or comment; GitHub takes 65,536."""
CUT = "*Cut here: the whole would not fit. The rest is in the run's evidence.*"
"""What is said where a body was cut."""
TITLE_LIMIT = 250
"""Characters of a title; GitHub takes 256."""
LABEL_LIMIT = 50
"""Characters of a label, as GitHub takes them."""

LABEL = "riskloop"
"""The label every issue of ours carries, unless the repository drops it."""
SEVERITY = "severity:"
"""How the labels begin of which an issue carries one at a time."""

_LOGIN = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_-]*)(?:/[A-Za-z0-9][\w.-]*)?")
_SECTION_LIMIT = 20_000
_HEADINGS = {
    Change.OPENED: "Opened",
    Change.WORSENED: "Worsened",
    Change.EASED: "Eased",
    Change.UPDATED: "Updated",
    Change.REMINDED: "Still open",
    Change.MUTED: "Quiet for a while",
    Change.ENDING: "Soon told of again",
    Change.UNMUTED: "Told of again",
    Change.DISMISSED: "Closed, while it still stands",
    Change.REOPENED: "Opened again",
    Change.RESOLVED: "Resolved",
}
_STILL_QUIET = "Still quiet"
_MUTES = frozenset({Change.MUTED, Change.ENDING, Change.UNMUTED})
_TOLD_WITHOUT_MENTION = frozenset({Change.EASED, Change.MUTED, Change.RESOLVED})
_SAID_THEN = {
    Change.ENDING: "If it still stands by then, it is told of again, unless somebody decides anew.",
    Change.DISMISSED: (
        "This issue is left closed for 24 hours, unless it gets worse; then it is opened again."
    ),
}
_TO_BE_LEFT_ALONE = "To be left alone for longer, accept the risk until a date."
_DECIDES_NOTHING = "To close this issue decides nothing: approve the plan or reject it."
_IS_OPENED_AGAIN = "It is opened again with the next reminder, or when it is asked anew."
_SIGNS = {
    Verdict.OK: "🟢 ok",
    Verdict.WARNING: "🟠 **warning**",
    Verdict.CRITICAL: "🔴 **critical**",
    Verdict.UNKNOWN: "⚪ unknown",
}


def title(facts: Facts) -> str:
    """Say in one line how bad it is and what it is about; plain text of at most 250 characters."""
    state = "Resolved" if facts.change is Change.RESOLVED else str(facts.severity).capitalize()
    if facts.concern is Concern.FLOOD:
        subject, what = facts.owners[0].name, facts.summary.partition(";")[0]
    else:
        subject, what = facts.risk_title or facts.subject, _what(facts)
    return escaping.plain(": ".join(part for part in (state, subject, what) if part), limit=TITLE_LIMIT)


def _what(facts: Facts) -> str:
    return {
        # No numbers: each new one would be a line in the history.
        Concern.BREACH: ", ".join(figures.metric(r.metric) for r in facts.readings if r.breached),
        Concern.BLIND: f"{facts.subject} could not be looked at",
        Concern.OVERDUE: "its review is overdue",
        Concern.FLOOD: "many at once",
        Concern.APPROVAL: "a plan to be decided about",
    }[facts.concern]


def labels(facts: Facts) -> tuple[str, ...]:
    """List the issue's labels; a resolved one keeps the severity it had last."""
    severity = facts.previous if facts.change is Change.RESOLVED else facts.severity
    found = [LABEL]
    if facts.risk_id:
        # GitHub separates labels by commas in a list's query.
        found.append(escaping.plain(f"risk:{facts.risk_id}".replace(",", " "), limit=LABEL_LIMIT))
    if severity.rank:
        found.append(f"{SEVERITY}{severity}")
    found += [str(mute.muting) for mute in _holding(facts)]
    return tuple(found)


def is_label(name: str) -> bool:
    """Say whether a label is one of those we set and take away."""
    return name == LABEL or name in set(Muting) or name.startswith((SEVERITY, "risk:"))


def body(facts: Facts, *, marker: str, previous_url: str = "") -> str:
    """Write the issue's body: how bad since when, whose, the numbers, what to do, and last the evidence.

    Args:
        facts: of the latest transition.
        marker: the signed line of the delivery that opened the issue; hidden in the first line.
        previous_url: the last resolved issue of the same subject and concern, or the one that this one stands
            in for; empty if there is none.
    """
    parts = [
        _hidden(marker),
        _state(facts),
        _muted(facts),
        _owners(facts.owners),
        escaping.prose(facts.summary),
        readings_table(facts.readings),
        _to_do(facts),
        _about(facts, previous_url),
        _found(facts),
    ]
    return _whole(parts)


def comment(facts: Facts, *, marker: str) -> str:
    """Write the comment that tells of a transition; owners are mentioned where it is they who must act.

    Args:
        facts: of the transition told of.
        marker: the signed line of this very delivery; hidden in the first line.
    """
    parts = [_hidden(marker), _heading(facts)]
    if facts.change is Change.RESOLVED:
        parts.append(f"It was open for {figures.duration(facts.at - facts.opened_at)}.")
    if facts.change is Change.REMINDED:
        open_for = figures.duration(facts.at - facts.opened_at)
        parts.append(f"It is {facts.severity}, and has been open for {open_for}.")
    if facts.change in _MUTES and _holds_beside(facts):
        parts.append(_muted(facts))
    elif facts.change is Change.MUTED:
        parts += [_until_then(mute) for mute in _holding(facts)]
    parts += _said_then(facts)
    if facts.change not in _TOLD_WITHOUT_MENTION:
        parts.append(_owners(facts.owners))
    if facts.change not in {Change.RESOLVED, Change.MUTED, Change.ENDING}:
        parts.append(escaping.prose(facts.summary))
    if facts.change is not Change.MUTED:
        parts.append(readings_table(tuple(r for r in facts.readings if r.breached)))
    return _whole([*parts, _run(facts)])


def _said_then(facts: Facts) -> list[str]:
    """Say what follows, with what can be done about it, where a person must know that."""
    owed = facts.concern is Concern.APPROVAL and facts.change in {Change.REMINDED, Change.DISMISSED}
    if not owed and facts.change not in _SAID_THEN:
        return []
    says = ""
    if not owed:
        # What tells of riskloop itself has nothing that could be decided.
        alone = _TO_BE_LEFT_ALONE if facts.change is Change.DISMISSED and facts.actions else ""
        says = f"{_SAID_THEN[facts.change]} {alone}".rstrip()
    elif facts.change is Change.DISMISSED:
        # One that came to nothing is critical, and there is nothing to decide about it.
        decides = _DECIDES_NOTHING if facts.severity is Verdict.WARNING else ""
        says = f"{decides} {_IS_OPENED_AGAIN}".lstrip()
    return [says, "\n".join(f"- {_action(action)}" for action in facts.actions)]


def superseded(old: str, *, marker: str, says: str) -> str:
    """Write the body of an issue that is closed because it should not be open: why, and the old body below.

    Args:
        old: the body as it is.
        marker: the signed line of the delivery that opened it; hidden in the first line.
        says: why, in a sentence of ours: Markdown.
    """
    first, _, rest = old.partition("\n")
    below = rest if marker in first else old
    return _whole([_hidden(marker), says, "---", below.strip("\n")])


def _whole(parts: list[str]) -> str:
    return escaping.cut("\n\n".join(part for part in parts if part), BODY_LIMIT, word=CUT)


def _hidden(marker: str) -> str:
    return f"<!-- {marker} -->"


def _state(facts: Facts) -> str:
    since = figures.moment(facts.opened_at)
    if facts.change is Change.RESOLVED:
        return f"🟢 **Resolved** on {figures.moment(facts.at)}: {_reason(facts)} It was open since {since}."
    sign = _SIGNS[facts.severity]
    return f"{sign} since {since}. Last change, on {figures.moment(facts.at)}: {_reason(facts)}"


def _holding(facts: Facts) -> tuple[Mute, ...]:
    """Give the silence and the acceptance that hold after this change; what is resolved needs none."""
    return () if facts.change is Change.RESOLVED else facts.mutes


def _holds_beside(facts: Facts) -> bool:
    """Say whether something holds besides what began, ends soon or is over with this change."""
    return len(_holding(facts)) > (facts.change is not Change.UNMUTED)


def _muted(facts: Facts) -> str:
    lines = []
    for mute in _holding(facts):
        said = f"**{str(mute.muting).capitalize()} until {figures.moment(mute.until)}**"
        why = escaping.prose(mute.why.rstrip(". \n"))
        until_then = _until_then(mute)
        lines.append(f"{said} by {escaping.prose(mute.who)} (the name as given): {why}. {until_then}")
    return "\n\n".join(lines)


def _until_then(mute: Mute) -> str:
    but = "unless it gets worse" if mute.muting is Muting.ACCEPTED else "whatever happens to it"
    return f"Until then it is not told of, {but}."


def _heading(facts: Facts) -> str:
    heading = _STILL_QUIET if facts.still_quiet else _HEADINGS[facts.change]
    reason = _reason(facts)
    if facts.change in _MUTES:
        return f"**{heading}.** {reason[:1].upper()}{reason[1:]}"
    return f"**{heading}**: {reason}"


def _reason(facts: Facts) -> str:
    return escaping.prose(facts.reason.rstrip(". \n")) + "."


def _owners(owners: tuple[Owner, ...]) -> str:
    if not owners:
        return ""
    first, *others = (_mention(owner) for owner in owners)
    told = f"; told with them: {', '.join(others)}" if others else ""
    return f"Owner: {first}{told}."


def _mention(owner: Owner) -> str:
    name = escaping.prose(owner.name)
    return f"@{owner.github} ({name})" if _LOGIN.fullmatch(owner.github) else name


def readings_table(readings: tuple[Reading, ...]) -> str:
    """Write readings as a table, one row each; empty if there are none."""
    if not readings:
        return ""
    rows = ["| Metric | Now | Warning from | Critical from | Verdict |", "| --- | ---: | ---: | ---: | --- |"]
    rows += [
        f"| {figures.metric(r.metric)} | {figures.quantity(r.value, r.unit)} "
        f"| {_bound(r.warning, r.unit)} | {_bound(r.critical, r.unit)} | {_SIGNS[r.verdict]} |"
        for r in readings
    ]
    return "\n".join(rows)


def _bound(bound: float | None, unit: str) -> str:
    return "none" if bound is None else figures.bound(bound, unit)


def section(found: Section) -> str:
    """Write a piece of evidence: its title, and its text in a fence it cannot break out of."""
    body = escaping.fenced(found.body, language=found.language, limit=_SECTION_LIMIT)
    return f"**{escaping.prose(found.title)}**\n\n{body}"


def _to_do(facts: Facts) -> str:
    if facts.change is Change.RESOLVED:
        return ""
    # What is ready to be looked at comes before what can be done or decided.
    lines = [f"- {_action(action)}" for action in facts.actions if not action.command]
    lines += [f"- {sentence}" for sentence in facts.remedy]
    lines += [f"- {_action(action)}" for action in facts.actions if action.command]
    if facts.contingency:
        lines.append(f"- If it cannot be mended: {escaping.prose(facts.contingency)}")
    if facts.runbook:
        address = escaping.link(facts.runbook)
        lines.append(f"- Runbook: {f'<{address}>' if address else escaping.code(facts.runbook)}")
    return "\n".join(["### What to do", "", *lines]) if lines else ""


def _action(action: Action) -> str:
    address = escaping.link(action.url)
    says = f"[{escaping.prose(action.says)}](<{address}>)" if address else escaping.prose(action.says)
    if not action.command:
        return says
    return f"{says}: {escaping.code(action.command, limit=2_000)}"


def _found(facts: Facts) -> str:
    if not facts.sections and not facts.document:
        return ""
    lines = ["### What was found"]
    lines += [section(found) for found in facts.sections]
    if facts.document:
        lines.append(f"The whole of it, in the state directory: {escaping.code(facts.document)}")
    return "\n\n".join(lines)


def _run(facts: Facts) -> str:
    address = escaping.link(facts.run_url)
    return f"[The run that found this](<{address}>)." if address else ""


def _about(facts: Facts, previous_url: str) -> str:
    lines = ["### About", ""]
    if facts.risk_id:
        score = f", score {facts.risk_score} of 12" if facts.risk_score else ""
        lines.append(f"- Risk: {escaping.prose(facts.risk_title)} ({escaping.code(facts.risk_id)}{score})")
    kind = f": {escaping.prose(facts.kind_says)}" if facts.kind_says else ""
    lines.append(f"- Subject: {escaping.code(facts.subject)}{kind}")
    if run := _run(facts):
        lines.append(f"- {run}")
    if previous := escaping.link(previous_url):
        lines.append(f"- Before this one: <{previous}>")
    does = (
        "it edits the text above as the numbers change, comments when it gets worse or better, and closes it "
        "when they are good again"
    )
    if facts.concern is Concern.APPROVAL:
        does = "it reminds of the decision, says what came of it, and closes it then"
    footer = (
        f"<sub>riskloop keeps this issue for {escaping.prose(facts.project)}: {does}. "
        "Discuss below; edits to the text are lost.</sub>"
    )
    return "\n".join([*lines, "", footer])
