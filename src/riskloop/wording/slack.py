"""An incident as a Slack message and the replies in its thread."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from riskloop.incidents import Change, Concern
from riskloop.mutes import Mute, Muting
from riskloop.notifications import Action, Facts
from riskloop.risks import Owner
from riskloop.thresholds import Reading, Verdict
from riskloop.wording import escaping, figures

BLOCKS_LIMIT = 50
"""Blocks of a message, as Slack takes them."""
SECTION_LIMIT = 3_000
"""Characters of a section, as Slack takes them."""
HEADER_LIMIT = 150
"""Characters of a header, as Slack takes them."""
EVENT = "riskloop"
"""The type of the metadata that our messages carry."""
TEST = "A test by `riskloop doctor --send-test`: riskloop can post here. No answer is needed."
"""What a test message says."""

_TEXT_LIMIT = 600
_EVIDENCE_LIMIT = 1_500
_LIST_LIMIT = 2_600
_EVIDENCE_SECTIONS = 2
_ACTIONS_LIMIT = 10
_READINGS_LIMIT = 30
_LINE_LIMIT = 300
_USER = re.compile(r"[UW][A-Z0-9]{2,}")
_ADDRESS = re.compile(r"<?(https?://[^\s<>|]*[^\s<>|.,;:!?)])>?")
_GROUP = re.compile(r"S[A-Z0-9]{2,}")
_SIGNS = {
    Verdict.OK: ":large_green_circle:",
    Verdict.WARNING: ":large_orange_circle:",
    Verdict.CRITICAL: ":red_circle:",
    Verdict.UNKNOWN: ":white_circle:",
}
_HEADINGS = {
    Change.OPENED: "Opened",
    Change.WORSENED: "Worsened",
    Change.EASED: "Eased",
    Change.UPDATED: "Updated",
    Change.REMINDED: "Still open",
    Change.MUTED: "Not told of for a while",
    Change.ENDING: "Soon told of again",
    Change.UNMUTED: "Told of again",
    Change.DISMISSED: "Taken away, while it still stands",
    Change.REOPENED: "Opened again",
    Change.RESOLVED: "Resolved",
}
_STILL_QUIET = "Still not told of"
_MUTES = frozenset({Change.MUTED, Change.ENDING, Change.UNMUTED})
_OWNERS_MUST_ACT = frozenset(
    {Change.WORSENED, Change.REMINDED, Change.ENDING, Change.UNMUTED, Change.REOPENED}
)
_STILL_OPEN = frozenset({Change.REMINDED, Change.UNMUTED, Change.REOPENED})
_TO_BE_DECIDED = frozenset({Change.ENDING, Change.DISMISSED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A message as Slack takes it.

    Args:
        text: what a notification shows, and a client that shows no blocks.
        blocks: Block Kit, JSON values only.
    """

    text: str
    blocks: tuple[Mapping[str, Any], ...]


def payload(channel: str, message: Message, *, marker: str, state: str = "") -> dict[str, Any]:
    """Write what Slack's chat.postMessage is called with.

    Args:
        marker: the signed line by which we know the message again; Slack shows it to nobody.
        state: of the incident, where the message is the incident's own: `open` or `resolved`.
    """
    told = {"marker": marker, "state": state} if state else {"marker": marker}
    return {
        "channel": channel,
        "text": message.text,
        "blocks": [dict(block) for block in message.blocks],
        "metadata": {"event_type": EVENT, "event_payload": told},
    }


def state(facts: Facts) -> str:
    """Say for the message's payload whether the incident is `open` or `resolved`."""
    return "resolved" if facts.change is Change.RESOLVED else "open"


def message(facts: Facts, *, issue_url: str = "", previous_url: str = "") -> Message:
    """Write the incident's message as it stands after a transition.

    Args:
        facts: of the latest transition.
        issue_url: the incident's GitHub issue; empty if there is none.
        previous_url: the message that told of the same before this one; empty if there is none.
    """
    resolved = facts.change is Change.RESOLVED
    title = _title(facts)
    blocks = [
        _header(f"{_SIGNS[Verdict.OK if resolved else facts.severity]} {title}"),
        _section(_how_bad(facts)),
        *(_section(_quiet(mute)) for mute in facts.mutes if not resolved),
        _section(_readings(facts.readings)),
    ]
    if not resolved:
        limit = _LIST_LIMIT if facts.concern is Concern.FLOOD else _EVIDENCE_LIMIT
        sections = facts.sections[:_EVIDENCE_SECTIONS]
        blocks += [_section(_evidence(found.title, found.body, limit=limit)) for found in sections]
        blocks.append(_section(_to_do(facts)))
    blocks.append(_context(_links(facts, issue_url, previous_url)))
    return Message(text=f"{_SIGNS[Verdict.OK if resolved else facts.severity]} {title}", blocks=_kept(blocks))


def reply(facts: Facts, *, issue_url: str = "") -> Message:
    """Write the reply in the thread that tells of a transition, with its owners where they must act.

    Args:
        facts: of the transition told of.
        issue_url: the incident's GitHub issue; empty if there is none.
    """
    sign = _SIGNS[Verdict.OK if facts.change is Change.RESOLVED else facts.severity]
    first = f"{sign} *{_STILL_QUIET if facts.still_quiet else _HEADINGS[facts.change]}*: {_reason(facts)}"
    lines = [first]
    open_for = figures.duration(facts.at - facts.opened_at)
    if facts.change is Change.RESOLVED:
        lines.append(f"It was open for {open_for}.")
    if facts.still_quiet or (facts.change in _MUTES and len(facts.mutes) > 1):
        lines += [_quiet(mute) for mute in facts.mutes]
    if facts.change in _STILL_OPEN:
        lines.append(f"It is {facts.severity}, and has been open for {open_for}.")
    if facts.change in _OWNERS_MUST_ACT:
        lines.append(_owners(facts.owners))
    owed = facts.concern is Concern.APPROVAL and facts.change is Change.REMINDED
    if facts.change in _TO_BE_DECIDED or owed:
        lines += [f"• {_action(action)}" for action in facts.actions[:_ACTIONS_LIMIT]]
    breaches = tuple(reading for reading in facts.readings if reading.breached)
    blocks = [
        _section("\n".join(line for line in lines if line)),
        _section(_readings(breaches)),
        _context(_links(facts, issue_url)),
    ]
    return Message(text=first, blocks=_kept(blocks))


def closed(says: str, *, duplicate: bool) -> Message:
    """Write what is left of a message that should not be there.

    Args:
        says: why, in one sentence; addresses in it become links.
        duplicate: it is one too many, rather than that of a resolved incident.
    """
    sign = _SIGNS[Verdict.UNKNOWN if duplicate else Verdict.OK]
    parts = _ADDRESS.split(" ".join(says[:SECTION_LIMIT].split()))
    texts = [escaping.slack(text, limit=_TEXT_LIMIT) for text in parts[::2]]
    addresses = [_link(url, escaping.slack(url, limit=_LINE_LIMIT)) for url in parts[1::2]]
    said = "".join(part for pair in zip_longest(texts, addresses, fillvalue="") for part in pair)
    return Message(text=f"{sign} {said}", blocks=_kept([_section(f"{sign} {said}")]))


def _kept(blocks: list[Mapping[str, Any] | None]) -> tuple[Mapping[str, Any], ...]:
    return tuple(block for block in blocks if block is not None)[:BLOCKS_LIMIT]


def _title(facts: Facts) -> str:
    state = "Resolved" if facts.change is Change.RESOLVED else str(facts.severity).capitalize()
    what = {
        Concern.BREACH: facts.risk_title or facts.subject,
        Concern.BLIND: f"{facts.subject} could not be looked at",
        Concern.OVERDUE: f"the review of {facts.risk_title or facts.subject} is overdue",
        # No number: more may follow in the next run.
        Concern.FLOOD: f"many new incidents for {facts.owners[0].name}",
        Concern.APPROVAL: f"a plan to be decided about for {facts.risk_title or facts.subject}",
    }[facts.concern]
    # Room for the sign before it.
    return escaping.slack(" ".join(f"{state}: {what}".split()), limit=HEADER_LIMIT - 30)


def _how_bad(facts: Facts) -> str:
    since = figures.moment(facts.opened_at)
    reason = _reason(facts)
    if facts.change is Change.RESOLVED:
        state = f"*Resolved* on {figures.moment(facts.at)}: {reason}. It was open since {since}."
    else:
        # The section below says so with the facts of the acceptance or silence itself.
        why = "" if facts.mutes and facts.change in {Change.MUTED, Change.ENDING} else f": {reason}"
        state = f"*{str(facts.severity).capitalize()}* since {since}{why}."
    lines = [state, escaping.slack(facts.summary, limit=_TEXT_LIMIT), _owners(facts.owners)]
    return "\n".join(line for line in lines if line)


def _quiet(mute: Mute) -> str:
    who = escaping.slack(mute.who, limit=_LINE_LIMIT)
    why = escaping.slack(mute.why.rstrip(". \n"), limit=_TEXT_LIMIT)
    but = "unless it gets worse" if mute.muting is Muting.ACCEPTED else "whatever happens to it"
    said = f"*{str(mute.muting).capitalize()} until {figures.moment(mute.until)}* by {who}: {why}."
    return f"{said}\nUntil then it is not told of, {but}."


def _reason(facts: Facts) -> str:
    return escaping.slack(facts.reason.rstrip(". \n"), limit=_TEXT_LIMIT)


def _readings(readings: tuple[Reading, ...]) -> str:
    lines = []
    for reading in readings[:_READINGS_LIMIT]:
        bounds = [
            f"{name} from {figures.bound(bound, reading.unit)}"
            for name, bound in (("warning", reading.warning), ("critical", reading.critical))
            if bound is not None
        ]
        said = f" ({', '.join(bounds)})" if bounds else ""
        name = escaping.slack(figures.metric(reading.metric), limit=_LINE_LIMIT)
        value = escaping.slack(figures.quantity(reading.value, reading.unit), limit=_LINE_LIMIT)
        lines.append(f"{_SIGNS[reading.verdict]} {name}: *{value}*{said}")
    return "\n".join(lines)


def _evidence(title: str, body: str, *, limit: int) -> str:
    return f"*{escaping.slack(title, limit=_LINE_LIMIT)}*\n{escaping.slack_block(body, limit=limit)}"


def _to_do(facts: Facts) -> str:
    actions = facts.actions[:_ACTIONS_LIMIT]
    # What is ready to be looked at comes before what can be done or decided.
    lines = [f"• {_action(action)}" for action in actions if not action.command]
    lines += [
        f"• {escaping.slack(sentence, limit=_LINE_LIMIT)}" for sentence in facts.remedy[:_ACTIONS_LIMIT]
    ]
    lines += [f"• {_action(action)}" for action in actions if action.command]
    if facts.contingency:
        contingency = escaping.slack(facts.contingency, limit=_LINE_LIMIT)
        lines.append(f"• If it cannot be mended: {contingency}")
    return "\n".join(["*What to do*", *lines]) if lines else ""


def _action(action: Action) -> str:
    says = escaping.slack(action.says, limit=_LINE_LIMIT)
    said = _link(action.url, says) or says
    if not action.command:
        return said
    return f"{said}: `{escaping.slack(action.command, limit=_LINE_LIMIT).replace('`', chr(39))}`"


def _links(facts: Facts, issue_url: str, previous_url: str = "") -> str:
    runbook = _link(facts.runbook, "runbook")
    if facts.runbook and not runbook:
        runbook = f"runbook: {escaping.slack(facts.runbook, limit=_LINE_LIMIT)}"
    before = _link(previous_url, "the message before")
    links = (_link(issue_url, "issue"), _link(facts.run_url, "flow run"), runbook, before)
    about = escaping.slack(f"{facts.project} · {facts.subject}", limit=_LINE_LIMIT)
    return " · ".join((about, *(link for link in links if link)))


def _link(url: str, says: str) -> str:
    address = escaping.link(url).replace("&", "&amp;")
    return f"<{address}|{says}>" if address and len(address) <= SECTION_LIMIT // 2 else ""


def _owners(owners: tuple[Owner, ...]) -> str:
    if not owners:
        return ""
    first, *others = (_mention(owner) for owner in owners[:_ACTIONS_LIMIT])
    told = f"; told with them: {', '.join(others)}" if others else ""
    return f"Owner: {first}{told}"


def _mention(owner: Owner) -> str:
    if _USER.fullmatch(owner.slack):
        return f"<@{owner.slack}>"
    if _GROUP.fullmatch(owner.slack):
        return f"<!subteam^{owner.slack}>"
    return escaping.slack(owner.name, limit=_LINE_LIMIT)


def _header(text: str) -> Mapping[str, Any]:
    return {"type": "header", "text": {"type": "plain_text", "text": text[:HEADER_LIMIT], "emoji": True}}


def _section(text: str) -> Mapping[str, Any] | None:
    return {"type": "section", "text": _mrkdwn(text)} if text else None


def _context(text: str) -> Mapping[str, Any]:
    return {"type": "context", "elements": [_mrkdwn(text)]}


def _mrkdwn(text: str) -> Mapping[str, Any]:
    # Verbatim: Slack turns no bare address, channel name or @here of somebody else's text into a link.
    return {"type": "mrkdwn", "text": _within(text), "verbatim": True}


def _within(text: str) -> str:
    """Keep whole lines up to Slack's limit: every line here is complete in itself, links included."""
    if len(text) <= SECTION_LIMIT:
        return text
    kept = text[: SECTION_LIMIT - 1]
    return (kept[: kept.rindex("\n")] if "\n" in kept else kept) + "…"
