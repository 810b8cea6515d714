"""A team with a register and golden fixtures, on one Prefect server that all these tests share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import httpx

from tests.emulator.emulator import GITHUB_TOKEN, SLACK_TOKEN
from tests.emulator.rig import Rig
from tests.waiting import wait_until

if TYPE_CHECKING:
    # To import it takes seconds, which only those tests are to cost that run flows.
    from prefect.client.schemas.objects import State

# The golden fixtures are made by copying; `input/broken` breaks the generator, `input/gate` names a file that
# it waits for.
GENERATOR = """
if [ -e input/broken ]; then echo 'the recorder is broken' >&2; exit 3; fi
if [ -e input/gate ]; then
  touch "$(cat input/gate).reached"
  while [ ! -e "$(cat input/gate)" ]; do sleep 0.05; done
fi
mkdir -p fixtures
cp input/*.txt fixtures/
"""

MITIGATION = "stale-fixtures.fixture_drift"


@dataclass(kw_only=True)
class Team:
    """A project with golden fixtures that match, its register, and where its owner hears.

    Args:
        api_url: of the shared Prefect server.
        runs: the ids of the flow runs the test made, in their order.
    """

    rig: Rig
    api_url: str
    project: Path
    state: Path
    repository: str
    channel: str
    runs: list[UUID] = field(default_factory=list)

    def run(self, flow: str, **parameters: Any) -> "State[Any]":
        """Run a flow as a plain function in this process, and give its final state."""
        function = getattr(import_module(f"flows.{flow}"), flow)
        ended: State[Any] = function(**parameters, return_state=True)
        assert ended.state_details.flow_run_id is not None
        self.runs.append(ended.state_details.flow_run_id)
        return ended

    def look(self, **parameters: Any) -> "State[Any]":
        return self.run("fixture_drift", **parameters)

    def write(self, files: Mapping[str, str]) -> None:
        for name, content in files.items():
            path = self.project / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8")

    def record(self, **inputs: str) -> None:
        """Change what the generator imitates: `a="2"` is the fixture `a.txt`."""
        self.write({f"input/{name}.txt": f"{content}\n" for name, content in inputs.items()})

    def make_golden(self) -> None:
        """Make the fixtures match what the generator imitates, with their manifest."""
        made = {path.name: path.read_text(encoding="utf-8") for path in self.project.glob("input/*.txt")}
        lines = [
            f"{sha256(content.encode()).hexdigest()}  {name}\n" for name, content in sorted(made.items())
        ]
        self.write({f"fixtures/{name}": content for name, content in made.items()})
        self.write({"fixtures/MANIFEST.sha256": "".join(lines)})

    def register(self, text: str) -> None:
        self.write({"riskloop.yaml": text})

    def issues(self) -> list[dict[str, Any]]:
        return self.rig.issues(self.repository)

    def comments(self) -> list[str]:
        """Give the comments of all issues, oldest first."""
        found = [self.rig.comments(self.repository, issue["number"]) for issue in self.issues()]
        return [comment["body"] for comments in found for comment in comments]

    def messages(self) -> list[dict[str, Any]]:
        return self.rig.messages(self.channel)

    def replies(self) -> list[str]:
        """Give the replies under all messages, oldest message first."""
        found = [self.rig.replies(self.channel, message["ts"]) for message in reversed(self.messages())]
        return [reply["text"] for replies in found for reply in replies]

    def told(self) -> tuple[list[str], int, int, int]:
        """Give the issues' states, and how many comments, messages and replies there are."""
        states = [issue["state"] for issue in self.issues()]
        return states, len(self.comments()), len(self.messages()), len(self.replies())

    def writes(self) -> int:
        """Count everything that was sent to GitHub and to Slack to change something."""
        changing = [r for method in ("POST", "PATCH", "PUT") for r in self.rig.github.writes(method)]
        return len(changing) + len(self.rig.slack.writes("POST", r"/api/chat\..*"))

    def ask(self, path: str, body: Mapping[str, Any]) -> Any:
        """Ask the Prefect server."""
        answer = httpx.post(f"{self.api_url}{path}", json=dict(body), trust_env=False, timeout=15)
        answer.raise_for_status()
        return answer.json()

    def artifacts(self, kind: str, *, run: UUID | None = None) -> list[dict[str, Any]]:
        """List the artifacts of a type, oldest first: of one run, or of all runs of the test."""
        wanted = [str(run)] if run else [str(one) for one in self.runs]
        body = {
            "artifacts": {"flow_run_id": {"any_": wanted}, "type": {"any_": [kind]}},
            "sort": "ID_DESC",
            "limit": 200,
        }
        found: list[dict[str, Any]] = self.ask("/artifacts/filter", body)
        return sorted(found, key=lambda one: one["created"])

    def events(self, *, at_least: int) -> list[dict[str, Any]]:
        """Read the events of our incidents, oldest first, once there are so many."""

        def arrived() -> list[dict[str, Any]]:
            body = {"filter": {"event": {"prefix": ["riskloop."]}}, "limit": 50}
            found = [
                event
                for event in self.ask("/events/filter", body)["events"]
                if event["resource"].get("riskloop.project") == self.repository
            ]
            return found if len(found) >= at_least else []

        return sorted(wait_until(arrived, within=20, what="the events arrive"), key=lambda e: e["occurred"])


def register_of(team: Team, *, mitigations: Sequence[str] = (), more: str = "") -> str:
    """Write a register; its project is named as the repository is, which no other test's is.

    Args:
        mitigations: further ones under the same risk, in YAML's flow style.
        more: further lines of the first mitigation, such as `fail_run: critical`.
    """
    rows = "".join(f"      - {{{row}}}\n" for row in mitigations)
    extra = f"        {more}\n" if more else ""
    return f"""
project: {team.repository}
github: {{repository: {team.repository}}}
slack: {{channel: {team.channel}}}
owners:
  SDK Lead: {{github: octo-lead, slack: U024BE7LH}}
  QA: {{github: acme/qa, slack: S0614TZR7}}
service: {{owner: QA}}
risks:
  - id: stale-fixtures
    title: Golden fixtures no longer match
    likelihood: medium
    impact: high
    owner: SDK Lead
    mitigations:
      - kind: fixture_drift
        directory: fixtures
        regenerate: [sh, tools/make.sh]
        thresholds:
          fixtures_changed: {{warning: 1, critical: 2}}
{extra}{rows}"""


def make_team(place: Path, *, rig: Rig, api_url: str) -> Team:
    """Make a project with two fixtures that match, a repository and a channel."""
    team = Team(
        rig=rig,
        api_url=api_url,
        project=place / "project",
        state=place / "state",
        repository=rig.new_repository(),
        channel=rig.new_channel(),
    )
    team.write({"tools/make.sh": GENERATOR})
    team.record(a="1", b="1")
    team.make_golden()
    team.register(register_of(team))
    return team


def settings_of(team: Team) -> dict[str, str]:
    """Give the environment in which flows work for a team."""
    return {
        "RISKLOOP_REGISTER": str(team.project / "riskloop.yaml"),
        "RISKLOOP_STATE": str(team.state),
        "RISKLOOP_GITHUB_URL": team.rig.github_url,
        "RISKLOOP_GITHUB_TOKEN": GITHUB_TOKEN,
        "RISKLOOP_SLACK_URL": team.rig.slack_url,
        "RISKLOOP_SLACK_TOKEN": SLACK_TOKEN,
        "RISKLOOP_SETTLE_SECONDS": "0",
        "RISKLOOP_WRITE_INTERVAL_SECONDS": "0",
    }
