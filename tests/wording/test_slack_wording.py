"""What a message and the replies in its thread say."""

import json

import pytest

from riskloop.incidents import Change, Concern
from riskloop.measurements import Section
from riskloop.notifications import Action
from riskloop.risks import Owner
from riskloop.thresholds import Verdict
from riskloop.wording import slack
from riskloop.wording.slack import Message
from tests.channels.parcels import facts, reading
from tests.proxy.strict import slack_refusal


def texts(message: Message) -> str:
    return "\n".join(
        part["text"] for block in message.blocks for part in block.get("elements", [block.get("text")])
    )


def accepted(message: Message) -> bool:
    """Say whether Slack would take the message, by the proxy's rules."""
    body = {"channel": "C01", "text": message.text, "blocks": list(message.blocks)}
    return slack_refusal("/api/chat.postMessage", body, token="t", known={"t"}) is None


def test_a_message_says_what_how_bad_since_when_whose_and_where() -> None:
    message = slack.message(facts(), issue_url="https://github.com/acme/sdk/issues/7")
    said = texts(message)
    for part in (
        ":large_orange_circle: Warning: Stale fixtures",
        "*Warning* since 20 November 2025, 02:20 UTC",
        "fixtures changed: *3 fixtures* (warning from 1, critical from 10)",
        "Owner: <@U024BE7LH>; told with them: <!subteam^S0614TZR7>",
        "<https://github.com/acme/sdk/issues/7|issue>",
        "<http://127.0.0.1:4200/runs/flow-run/1|flow run>",
        "|Adopt the new fixtures>: `riskloop adopt stale-fixtures.fixture_drift`",
    ):
        assert part in said
    assert message.text == ":large_orange_circle: Warning: Stale fixtures"
    assert accepted(message)


@pytest.mark.parametrize(
    ("change", "severity", "sign"),
    [
        (Change.WORSENED, Verdict.CRITICAL, ":red_circle:"),
        (Change.EASED, Verdict.WARNING, ":large_orange_circle:"),
        (Change.RESOLVED, Verdict.OK, ":large_green_circle:"),
    ],
)
def test_the_colour_says_how_bad(change: Change, severity: Verdict, sign: str) -> None:
    made = facts(change, severity=severity)
    assert slack.message(made).text.startswith(sign)
    assert slack.reply(made).text.startswith(sign)


@pytest.mark.parametrize("concern", Concern)
@pytest.mark.parametrize("change", Change)
def test_every_concern_and_change_has_words_that_slack_takes(concern: Concern, change: Change) -> None:
    made = facts(change, concern=concern, readings=(), sections=(), remedy=(), actions=(), summary="")
    assert accepted(slack.message(made))
    assert accepted(slack.reply(made))


def test_owners_are_mentioned_only_by_ids_of_the_map() -> None:
    owners = (Owner(name="Docs", slack="!channel"), Owner(name="QA"))
    said = texts(slack.message(facts(owners=owners)))
    assert "Owner: Docs; told with them: QA" in said


def test_hostile_and_huge_text_stays_within_slacks_limits_and_mentions_nobody() -> None:
    hostile = "<!channel> <@U0> & ``` *x* \u202e \x00 <https://x|y>\n" * 10_000
    made = facts(
        project=hostile,
        subject=hostile,
        reason=hostile,
        summary=hostile,
        risk_title=hostile,
        contingency=hostile,
        runbook=hostile,
        remedy=(hostile,) * 100,
        actions=tuple(Action(says=hostile, url=f"https://x/{hostile}", command=hostile) for _ in range(100)),
        readings=tuple(reading(f"metric_{n}") for n in range(200)),
        sections=tuple(Section(title=hostile, body=hostile) for _ in range(100)),
        owners=tuple(Owner(name=hostile) for _ in range(100)),
        run_url=f"https://x/{hostile}",
    )
    for message in (slack.message(made, issue_url=f"https://x/{hostile}"), slack.reply(made)):
        assert accepted(message)
        said = json.dumps([message.text, *message.blocks], ensure_ascii=False)
        for mention in ("<!channel>", "<@U0>", "<https://x|y>", "\u202e"):
            assert mention not in said


def test_nobody_elses_text_is_turned_into_links() -> None:
    blocks = slack.message(facts()).blocks
    parts = [part for block in blocks for part in block.get("elements", [block.get("text")])]
    assert all(part["verbatim"] for part in parts if part["type"] == "mrkdwn")
