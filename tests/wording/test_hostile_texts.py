"""Hostile texts in every field that comes from outside, shown in every place: there they do nothing."""

import html
import json
import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt

from riskloop.channels import Parcel, Posting
from riskloop.channels.console import Console
from riskloop.channels.markers import read_marker
from riskloop.incidents import Change, Concern
from riskloop.measurements import Evidence, Look, Observation, Section
from riskloop.mutes import Mute, Muting
from riskloop.notifications import Action, Facts
from riskloop.risks import Owner
from riskloop.thresholds import Assessment, Verdict
from riskloop.wording import github, slack
from riskloop.wording.artifact import page
from tests.channels.parcels import KEY, OPENED_AT, OWNER, TOLD, facts, marker
from tests.hostile import hostile
from tests.proxy.strict import github_refusal, slack_refusal
from tests.toys import LEAD, MITIGATION, RISK

UNSEEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
MARKDOWN = MarkdownIt("gfm-like", {"linkify": False, "html": True})


MARKER = marker("d1")
TEXTS = hostile(marker("d2"))


def mute(text: str) -> Mute:
    return Mute(
        id="m1",
        muting=Muting.ACCEPTED,
        subject="stale-fixtures.fixture_drift",
        concern=Concern.BREACH,
        severity=Verdict.WARNING,
        who=text,
        why=text,
        since=OPENED_AT,
        until=OPENED_AT + timedelta(days=30),
    )


FIELDS: dict[str, Callable[[str], dict[str, Any]]] = {
    "project": lambda text: {"project": text},
    "subject": lambda text: {"subject": text},
    "reason": lambda text: {"reason": text},
    "summary": lambda text: {"summary": text},
    "a section's title": lambda text: {"sections": (Section(title=text, body="-old\n+new"),)},
    "a section's body": lambda text: {"sections": (Section(title="a", body=text, language="diff"),)},
    "a section's language": lambda text: {"sections": (Section(title="a", body="b", language=text),)},
    "the document's name": lambda text: {"document": text},
    "the risk's id": lambda text: {"risk_id": text},
    "the risk's title": lambda text: {"risk_title": text},
    "contingency": lambda text: {"contingency": text},
    "runbook": lambda text: {"runbook": text},
    "what the kind says": lambda text: {"kind_says": text},
    "owners' names": lambda text: {"owners": (replace(OWNER, name=text), replace(TOLD, name=text))},
    "owners' handles": lambda text: {"owners": (Owner(name="QA", github=text, slack=text),)},
    "an action's words": lambda text: {"actions": (Action(says=text),)},
    "an action's command": lambda text: {"actions": (Action(says="adopt", command=text),)},
    "an action's address": lambda text: {"actions": (Action(says="adopt", url=text),)},
    "who muted it, and why": lambda text: {"mutes": (mute(text),)},
    "the run's address": lambda text: {"run_url": text},
}
CHANGES = (Change.OPENED, Change.WORSENED, Change.REMINDED, Change.RESOLVED)


def everywhere(text: str, change: Change = Change.OPENED) -> Facts:
    """Put a text into every field at once, with the real owners, who are to be mentioned."""
    return facts(
        change,
        project=text,
        subject=text,
        reason=text,
        owners=(replace(OWNER, name=text), replace(TOLD, name=text)),
        risk_id=text,
        risk_title=text,
        contingency=text,
        runbook=text,
        kind_says=text,
        summary=text,
        sections=(Section(title=text, body=text, language=text), Section(title=text, body=text)),
        document=text,
        mutes=(mute(text),),
        actions=(Action(says=text, url=text, command=text),),
        run_url=text,
    )


def one_field(text: str) -> Iterable[Facts]:
    for field in FIELDS.values():
        yield facts(Change.WORSENED, **field(text))


def assert_harmless_on_github(text: str, *, mentions: set[str]) -> None:
    """Hold what is sent to GitHub against everything that acts there, and against its form."""
    first, _, rest = text.partition("\n")
    assert first == f"<!-- {MARKER} -->"
    assert "<!--" not in rest
    assert read_marker(rest, KEY) is None
    assert_plain_markdown(text, hidden={first}, headings={"h3"})
    shown = html.unescape(re.sub(r"<[^>]*>", "", MARKDOWN.render(text)))
    for form in (text, shown):
        assert set(re.findall(r"@([A-Za-z0-9][\w/-]*)", form)) <= mentions
        assert not re.search(r"#\d|\bGH-\d|/(?:issues|pull|discussions)/\d", form, re.IGNORECASE)
    assert not re.search(r"^[ \t>]*/", text, re.MULTILINE)


def assert_plain_markdown(text: str, *, hidden: set[str], headings: set[str]) -> None:
    """Hold Markdown against its form: all that is open is closed, and nothing is there that we did not write.

    Args:
        hidden: the HTML comments that are ours.
        headings: the kinds of heading that are ours.
    """
    assert not UNSEEN.search(text)
    closed = MARKDOWN.parse(f"{text}\n\nthe end")
    assert closed[-2].content == "the end"
    tokens = [*closed, *(child for token in closed for child in token.children or [])]
    assert not [token for token in tokens if token.type == "image"]
    assert {token.attrGet("href") for token in tokens if token.type == "link_open"} <= OUR_LINKS
    assert {token.content.strip() for token in tokens if token.type == "html_block"} == hidden
    assert {token.content for token in tokens if token.type == "html_inline"} <= {"<sub>", "</sub>"}
    assert {token.tag for token in tokens if token.type == "heading_open"} <= headings


def assert_harmless_on_slack(message: slack.Message, *, tags: set[str]) -> None:
    """Hold a message against Slack's limits, and against its mentions, links and code blocks."""
    body = {"channel": "C01", "text": message.text, "blocks": list(message.blocks)}
    assert slack_refusal("/api/chat.postMessage", body, token="t", known={"t"}) is None
    json.dumps(body).encode()
    for text in (message.text, *texts(message)):
        assert not UNSEEN.search(text)
        assert set(re.findall(r"<([^>|]*)", text)) <= tags
        assert text.count("<") == text.count(">")
        assert not re.search(r"&(?!amp;|lt;|gt;)", text)
        assert text.count("```") % 2 == 0
    assert all(element["verbatim"] for element in mrkdwn(message))


def texts(message: slack.Message) -> list[str]:
    return [part["text"] for block in message.blocks for part in block.get("elements", [block.get("text")])]


def mrkdwn(message: slack.Message) -> list[dict[str, Any]]:
    parts = [part for block in message.blocks for part in block.get("elements", [block.get("text")])]
    return [part for part in parts if part["type"] == "mrkdwn"]


OUR_LINKS = {facts().actions[0].url, facts().run_url}
MENTIONED = {"octo-lead", "acme/qa"}
OUR_TAGS = {"@U024BE7LH", "!subteam^S0614TZR7", *(link.replace("&", "&amp;") for link in OUR_LINKS)}


def test_there_are_sixty_texts_and_more() -> None:
    assert len(TEXTS) >= 60


@pytest.mark.parametrize("name", TEXTS)
def test_a_hostile_text_does_nothing_in_an_issue_or_a_comment(name: str) -> None:
    for change in CHANGES:
        made = everywhere(TEXTS[name], change)
        body, comment = github.body(made, marker=MARKER), github.comment(made, marker=MARKER)
        for text in (body, comment):
            assert_harmless_on_github(text, mentions=MENTIONED)
        title, labels = github.title(made), list(github.labels(made))
        assert "@octocat" not in title
        assert not re.search(r"#\d", title)
        assert not [text for text in (title, *labels) if UNSEEN.search(text)]
        sent = {"title": title, "body": body, "labels": labels}
        for path, payload in (
            ("/repos/a/b/issues", sent),
            ("/repos/a/b/issues/1/comments", {"body": comment}),
        ):
            assert github_refusal("POST", path, payload, token="t", known={"t"}) is None


@pytest.mark.parametrize("name", TEXTS)
def test_a_hostile_text_does_nothing_in_a_message_or_a_reply(name: str) -> None:
    for change in CHANGES:
        made = everywhere(TEXTS[name], change)
        for message in (slack.message(made, issue_url=TEXTS[name][:1000]), slack.reply(made)):
            assert_harmless_on_slack(message, tags=OUR_TAGS)


@pytest.mark.parametrize("name", TEXTS)
def test_a_hostile_text_in_one_field_leaves_the_others_as_they_are(name: str) -> None:
    for made in one_field(TEXTS[name]):
        for text in (github.body(made, marker=MARKER), github.comment(made, marker=MARKER)):
            assert_harmless_on_github(text, mentions=MENTIONED)
            if made.owners[0].github == OWNER.github:
                assert len(re.findall(r"@octo-lead\b", text)) == 1
        for message in (slack.message(made), slack.reply(made)):
            assert_harmless_on_slack(message, tags=OUR_TAGS)
            if made.owners[0].slack == OWNER.slack:
                assert sum(text.count(f"<@{OWNER.slack}>") for text in texts(message)) == 1


@pytest.mark.parametrize("name", TEXTS)
def test_a_hostile_text_does_nothing_in_a_page_of_the_prefect_ui(name: str) -> None:
    text = TEXTS[name]
    risk = replace(RISK, title=text, owners=(replace(LEAD, name=text),))
    evidence = Evidence(summary=text, sections=(Section(title=text, body=text, language=text),))
    look = Look(
        mitigation="toys.toy", at=OPENED_AT, observation=Observation(measurements=(), evidence=evidence)
    )
    assessment = Assessment(verdict=Verdict.WARNING, reason=text)
    mitigation = replace(MITIGATION, risk=risk)
    written = page(mitigation, look, assessment, changes=(text,), told=(text,), run_url=text)
    assert_plain_markdown(written, hidden=set(), headings={"h1"})
    assert len(written) <= github.BODY_LIMIT


@pytest.mark.parametrize("name", TEXTS)
def test_a_hostile_text_breaks_no_preview_and_passes_for_no_delivery(name: str, tmp_path: Path) -> None:
    console = Console(tmp_path)
    for target in ("github:acme/sdk", "slack:C0123456789"):
        parcel = Parcel(
            delivery="d1",
            target=target,
            facts=everywhere(TEXTS[name]),
            marker=MARKER,
            opening_marker=MARKER,
        )
        posting = console.send(parcel, turn=lambda: None)
        file = tmp_path / posting.reference
        text = file.read_text(encoding="utf-8")
        front, _, rest = text.removeprefix("---\n").partition("\n---\n")
        keys = [line.partition(": ")[0] for line in front.split("\n")]
        values = [json.loads(line.partition(": ")[2]) for line in front.split("\n")]
        assert keys in (["to", "state", "title", "labels"], ["to", "state", "marker"])
        assert values[:2] == [target, "open"]
        if file.suffix == ".md":
            assert_harmless_on_github(rest.rstrip("\n"), mentions=MENTIONED)
        else:
            json.loads(file.with_suffix(".json").read_text(encoding="utf-8"))
        # The delivery whose marker somebody copied was never sent: nothing must say that it was.
        forged = replace(parcel, delivery="d2", marker=marker("d2"))
        assert console.find(forged) is None
        assert console.find(replace(forged, posting=Posting(reference="x"))) is None
        assert console.find(parcel) == posting
