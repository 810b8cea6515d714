"""Two rigs side by side: apart by default, behind one address where a test asks for it."""

import httpx
import pytest

from tests.emulator.emulator import GITHUB_TOKEN, OTHER_TOKENS, SLACK_TOKEN
from tests.emulator.rig import Rig

pytestmark = pytest.mark.server


def post(rig: Rig, token: str, channel: str) -> dict[str, object]:
    answer: dict[str, object] = httpx.post(
        f"{rig.slack_url}chat.postMessage",
        headers={"Authorization": f"Bearer {token}"},
        json={"channel": channel, "text": "x"},
    ).json()
    return answer


def test_each_rig_knows_its_own_tokens_only(rig: Rig, other_rig: Rig) -> None:
    channel = other_rig.new_channel()
    assert post(rig, OTHER_TOKENS.slack, channel)["error"] == "invalid_auth"
    assert post(other_rig, SLACK_TOKEN, channel)["error"] == "invalid_auth"
    assert post(other_rig, OTHER_TOKENS.slack, channel)["ok"] is True


def test_two_workspaces_behind_one_address_are_told_apart_by_their_tokens(
    rig: Rig, other_rig: Rig, slack_channel: str
) -> None:
    rig.join(other_rig)
    other_channel = other_rig.new_channel()
    assert post(rig, SLACK_TOKEN, slack_channel)["ok"] is True
    assert post(rig, OTHER_TOKENS.slack, other_channel)["ok"] is True
    # A channel of one workspace is nothing to the other.
    assert post(rig, SLACK_TOKEN, other_channel)["error"] == "channel_not_found"
    assert [r.sent["channel"] for r in rig.slack.recorded] == [slack_channel, other_channel]
    assert [r.sent["channel"] for r in other_rig.slack.recorded] == [other_channel]
    rig.renew()
    assert post(rig, OTHER_TOKENS.slack, other_channel)["error"] == "invalid_auth"


def test_what_is_done_in_one_rig_is_not_done_in_the_other(rig: Rig, other_rig: Rig, repository: str) -> None:
    rig.join(other_rig)
    elsewhere = other_rig.new_repository()
    for token, place in ((GITHUB_TOKEN, repository), (OTHER_TOKENS.github, elsewhere)):
        headers = {"Authorization": f"Bearer {token}"}
        address = f"{rig.github_url}/repos/{place}/issues"
        assert httpx.post(address, headers=headers, json={"title": place}).status_code == 201
    assert [issue["title"] for issue in rig.issues(repository)] == [repository]
    assert [issue["title"] for issue in other_rig.issues(elsewhere)] == [elsewhere]
    assert [r.path for r in other_rig.github.recorded] == [f"/repos/{elsewhere}/issues"]
