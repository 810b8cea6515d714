"""The proxy refuses what the real services refuse, and records what it saw."""

from typing import Any

import httpx
import pytest

from tests.emulator.emulator import GITHUB_TOKEN, SLACK_TOKEN
from tests.emulator.rig import Rig
from tests.proxy.strict import github_refusal, slack_answer, slack_refusal

ISSUES = "/repos/acme/sdk/issues"
POST = "/api/chat.postMessage"


@pytest.mark.parametrize(
    ("method", "path", "sent"),
    [
        ("POST", ISSUES, {"body": "no title"}),
        ("POST", ISSUES, {"title": "x" * 257}),
        ("POST", ISSUES, {"title": "x", "body": "x" * 65_537}),
        ("POST", ISSUES, {"title": "x", "labels": ["l" * 51]}),
        ("PATCH", f"{ISSUES}/1", {"state": "resolved"}),
        ("PATCH", f"{ISSUES}/1", {"state": "closed", "state_reason": "done"}),
        ("POST", f"{ISSUES}/1/comments", {"body": ""}),
        ("POST", f"{ISSUES}/1/comments", {"body": "x" * 65_537}),
        ("POST", ISSUES, {"title": "x", "body": "\x00"}),
    ],
)
def test_github_refuses_what_is_out_of_its_limits(method: str, path: str, sent: dict[str, Any]) -> None:
    refusal = github_refusal(method, path, sent, token="t", known={"t"})
    assert refusal is not None
    assert refusal[0] == 422
    assert github_refusal(method, path, {**sent, "title": "x"}, token="other", known={"t"}) is not None


@pytest.mark.parametrize(
    ("sent", "error"),
    [
        ({"channel": "general", "text": "x"}, "channel_not_found"),
        ({"channel": "C01", "text": "x" * 40_001}, "msg_too_long"),
        ({"channel": "C01", "blocks": [{"type": "divider"}] * 51}, "invalid_blocks"),
        (
            {"channel": "C01", "blocks": [{"type": "section", "text": {"text": "x" * 3_001}}]},
            "invalid_blocks",
        ),
        ({"channel": "C01", "blocks": [{"type": "header", "text": {"text": "x" * 151}}]}, "invalid_blocks"),
        ({"channel": "C01", "blocks": [{"type": "context", "elements": []}]}, "invalid_blocks"),
        ({"channel": "C01", "metadata": {"event_type": "x"}}, "invalid_metadata_format"),
    ],
)
def test_slack_refuses_what_is_out_of_its_limits(sent: dict[str, Any], error: str) -> None:
    refusal = slack_refusal(POST, sent, token="t", known={"t"})
    assert refusal == (200, {"ok": False, "error": error})


def test_slack_knows_its_tokens() -> None:
    assert slack_refusal(POST, {}, token="", known={"t"}) == (200, {"ok": False, "error": "not_authed"})
    assert slack_refusal(POST, {}, token="u", known={"t"}) == (200, {"ok": False, "error": "invalid_auth"})


def test_slack_shows_metadata_and_old_messages_only_to_those_who_ask() -> None:
    path = "/api/conversations.history"
    answer = b'{"ok": true, "messages": [{"ts": "9.0", "metadata": {}}, {"ts": "5.0"}]}'
    assert b"metadata" not in slack_answer(path, {}, answer)
    asked = slack_answer(path, {"include_all_metadata": "1", "oldest": "5.0"}, answer)
    assert b"metadata" in asked
    assert b"5.0" not in asked


@pytest.mark.server
def test_a_request_is_recorded_with_what_became_of_it(rig: Rig, repository: str) -> None:
    rig.github.fail("502", path=".*/issues")
    client = httpx.Client(base_url=rig.github_url, headers={"Authorization": f"Bearer {GITHUB_TOKEN}"})
    with client:
        for _ in range(2):
            client.post(f"/repos/{repository}/issues", json={"title": "x"})
        client.get(f"/repos/{repository}/issues", headers={"Authorization": "Bearer nobody"})
    seen = [(r.method, r.status, r.committed) for r in rig.github.recorded]
    assert seen == [("POST", 502, False), ("POST", 201, True), ("GET", 401, False)]
    assert rig.github.recorded[0].sent == {"title": "x"}


@pytest.mark.server
def test_the_emulator_listens_on_loopback_only_and_knows_its_addresses(rig: Rig, repository: str) -> None:
    answer = rig.ask_github("GET", f"/repos/{repository}")
    assert answer["url"].startswith(rig.github_url)
    assert rig.ask_slack("auth.test", {}, token=SLACK_TOKEN)["ok"] is True
