"""The doctor tries every place people hear in, for real, and says no secret."""

from pathlib import Path

import pytest

from riskloop.doctor import Check, examine
from riskloop.settings import read_settings
from tests.emulator.emulator import GITHUB_TOKEN, SLACK_TOKEN
from tests.emulator.rig import Rig

pytestmark = pytest.mark.server

REGISTER = """\
project: Toy shop
github: {{repository: {repository}}}
slack: {{channel: {channel}}}
owners:
  Keeper: {{github: octo-lead}}
  Guest: {{channel: C0GUEST, workspace: guests}}
service: {{owner: Keeper}}
risks:
  - id: stale
    title: Fixtures go stale
    likelihood: low
    impact: low
    owner: Guest
    mitigations:
      - {{kind: fixture_drift, directory: golden, regenerate: ["true"], thresholds: {{}}}}
"""


def examined(place: Path, rig: Rig, targets: tuple[str, str], **more: str) -> dict[str, Check]:
    register = place / "riskloop.yaml"
    register.write_text(REGISTER.format(repository=targets[0], channel=targets[1]), encoding="utf-8")
    environment = {
        "RISKLOOP_REGISTER": str(register),
        "RISKLOOP_GITHUB_URL": rig.github_url,
        "RISKLOOP_SLACK_URL": rig.slack_url,
    }
    found = examine(read_settings(environment | more), api_url="", send_test=True)
    assert not any(secret in str(found) for secret in more.values())
    return {f"{check.name}: {check.says.partition(' ')[0]}": check for check in found}


def test_a_test_is_sent_everywhere_and_the_test_issue_is_closed(
    rig: Rig, tmp_path: Path, repository: str, slack_channel: str
) -> None:
    found = examined(
        tmp_path,
        rig,
        (repository, slack_channel),
        RISKLOOP_GITHUB_TOKEN=GITHUB_TOKEN,
        RISKLOOP_SLACK_TOKEN=SLACK_TOKEN,
        RISKLOOP_SLACK_WEBHOOK_URL=f"{rig.slack.url}/services/T000000001/B000000001/X1",
    )
    assert found[f"GitHub {repository}: took"].ok
    assert found[f"Slack {slack_channel}: took"].ok
    assert found["Slack webhook: took"].ok
    assert "by incoming webhook for guests/C0GUEST" in found["Slack: by"].says
    assert [issue["state"] for issue in rig.issues(repository)] == ["closed"]
    assert len(rig.messages(slack_channel)) == 1
    assert len(rig.slack.writes("POST", "/services/.*")) == 1


def test_a_refused_token_is_said_with_what_to_do_and_a_missing_one_means_previews(
    rig: Rig, tmp_path: Path, repository: str, slack_channel: str
) -> None:
    found = examined(tmp_path, rig, (repository, slack_channel), RISKLOOP_GITHUB_TOKEN="ghp_wr0ng")
    said = {name: check.says for name, check in found.items() if not check.ok}
    assert "does not accept the token" in said["GitHub token: asking"]
    assert "are previewed; set RISKLOOP_SLACK_TOKEN" in said["Slack: no"]
    assert rig.issues(repository) == []
