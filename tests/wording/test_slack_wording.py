"""What a message and the replies in its thread say."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from riskloop.incidents import Change, Concern
from riskloop.measurements import Section
from riskloop.mutes import Mute, Muting
from riskloop.notifications import Action
from riskloop.risks import Owner
from riskloop.thresholds import Verdict
from riskloop.wording import slack
from riskloop.wording.slack import Message
from tests.channels.parcels import OPENED_AT, facts, reading
from tests.proxy.strict import slack_refusal

MUTE = Mute(
    id="m1",
    muting=Muting.ACCEPTED,
    subject="stale-fixtures.fixture_drift",
    concern=Concern.BREACH,
    severity=Verdict.WARNING,
    who="Ada",
    why="the upstream release is late.",
    since=OPENED_AT,
    until=OPENED_AT + timedelta(days=7),
)


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


@pytest.mark.parametrize("concern", [Concern.BREACH, Concern.FLOOD])
@pytest.mark.parametrize("change", [Change.WORSENED, Change.ENDING])
def test_hostile_and_huge_text_stays_within_slacks_limits_and_mentions_nobody(
    concern: Concern, change: Change
) -> None:
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
        mutes=(replace(MUTE, who=hostile, why=hostile),),
        concern=concern,
    )
    for message in (
        slack.message(made, issue_url=f"https://x/{hostile}", previous_url=f"https://x/{hostile}"),
        slack.reply(replace(made, change=change)),
        slack.closed(hostile, duplicate=True),
    ):
        assert accepted(message)
        said = json.dumps([message.text, *message.blocks], ensure_ascii=False)
        for mention in ("<!channel>", "<@U0>", "<https://x|y>", "\u202e"):
            assert mention not in said


def test_nobody_elses_text_is_turned_into_links() -> None:
    blocks = slack.message(facts()).blocks
    parts = [part for block in blocks for part in block.get("elements", [block.get("text")])]
    assert all(part["verbatim"] for part in parts if part["type"] == "mrkdwn")


def test_an_acceptance_is_shown_with_its_end_by_whom_and_why_as_long_as_it_holds() -> None:
    says = "*Accepted until 27 November 2025, 02:20 UTC* by Ada: the upstream release is late.\n"
    for change in (Change.MUTED, Change.UPDATED, Change.ENDING):
        said = texts(slack.message(facts(change, mutes=(MUTE,))))
        assert f"{says}Until then it is not told of, unless it gets worse." in said
    assert "Accepted" not in texts(slack.message(facts(Change.RESOLVED, mutes=(MUTE,))))
    assert "Accepted" not in texts(slack.message(facts()))
    silenced = replace(MUTE, muting=Muting.SILENCED, concern=None)
    said = texts(slack.message(facts(mutes=(silenced,))))
    assert "*Silenced until" in said
    assert "whatever happens to it" in said


def test_what_began_an_acceptance_is_said_once_in_the_message_and_in_the_reply() -> None:
    reason = "accepted until 27 November 2025 02:20 UTC by Ada: the upstream release is late."
    made = facts(Change.MUTED, mutes=(MUTE,), reason=reason)
    assert texts(slack.message(made)).count("the upstream release is late") == 1
    assert slack.reply(made).text.endswith(f"*Not told of for a while*: {reason.rstrip('.')}")
    assert "<@U024BE7LH>" not in texts(slack.reply(made))


def test_a_silence_beside_an_acceptance_hides_neither_and_its_end_does_not_end_the_other() -> None:
    both = facts(Change.MUTED, mutes=(replace(MUTE, muting=Muting.SILENCED, concern=None), MUTE))
    for said in (texts(slack.message(both)), texts(slack.reply(both))):
        assert (
            said.index("*Silenced until")
            < said.index("whatever happens to it")
            < said.index("*Accepted until")
        )
    reply = slack.reply(facts(Change.UNMUTED, mutes=(MUTE,), reason="no longer silenced"))
    assert reply.text.endswith("*Still not told of*: no longer silenced")
    worse = replace(
        facts(Change.UNMUTED, mutes=(MUTE,), reason="no longer silenced"), severity=Verdict.CRITICAL
    )
    assert "*Told of again*" in slack.reply(worse).text
    assert "*Accepted until" in texts(reply)


@pytest.mark.parametrize("change", [Change.ENDING, Change.UNMUTED, Change.REOPENED])
def test_owners_are_mentioned_again_where_they_must_act(change: Change) -> None:
    said = texts(slack.reply(facts(change)))
    assert "<@U024BE7LH>" in said
    assert ("It is warning, and has been open for 3 hours." in said) is (change is not Change.ENDING)


@pytest.mark.parametrize("change", [Change.ENDING, Change.DISMISSED])
def test_what_is_to_be_decided_has_its_links_in_the_reply(change: Change) -> None:
    assert "|Adopt the new fixtures>: `riskloop adopt" in texts(slack.reply(facts(change)))


def test_many_incidents_at_once_are_one_message_with_the_list() -> None:
    lines = [f"critical  risk-{n}.fixture_drift: {n} fixtures drifted" for n in range(37)]
    made = facts(
        concern=Concern.FLOOD,
        subject="owner:QA",
        owners=(Owner(name="QA"),),
        reason="37 incidents opened in one run",
        sections=(Section(title="What opened", body="\n".join(lines)),),
        readings=(),
        risk_id="",
        risk_title="",
    )
    message = slack.message(made)
    assert accepted(message)
    assert message.text == ":large_orange_circle: Warning: many new incidents for QA"
    assert "37 incidents opened in one run" in texts(message)
    assert all(line in texts(message) for line in lines)


def test_the_message_before_is_linked() -> None:
    said = texts(slack.message(facts(), previous_url="https://acme.slack.com/archives/C01/p1"))
    assert "<https://acme.slack.com/archives/C01/p1|the message before>" in said
    assert "the message before" not in texts(slack.message(facts()))


@pytest.mark.parametrize(
    ("says", "said"),
    [
        (
            "One too many: see https://x.test/a?b=1&c=2.",
            "One too many: see <https://x.test/a?b=1&amp;c=2|https://x.test/a?b=1&amp;c=2>.",
        ),
        ("<https://x.test/a> & others", "<https://x.test/a|https://x.test/a> &amp; others"),
        ("It is over.", "It is over."),
    ],
)
def test_what_closes_an_extra_message_links_the_addresses_in_it(says: str, said: str) -> None:
    assert slack.closed(says, duplicate=True).text == f":white_circle: {said}"
    message = slack.closed(says, duplicate=False)
    assert message.text == texts(message) == f":large_green_circle: {said}"
    assert accepted(message)


def test_the_payload_says_whether_the_incident_is_over() -> None:
    message = slack.Message(text="x", blocks=())
    for change, state in ((Change.OPENED, "open"), (Change.MUTED, "open"), (Change.RESOLVED, "resolved")):
        sent = slack.payload("C01", message, marker="m", state=slack.state(facts(change)))
        assert sent["metadata"]["event_payload"] == {"marker": "m", "state": state}
    assert slack.payload("C01", message, marker="m")["metadata"]["event_payload"] == {"marker": "m"}
