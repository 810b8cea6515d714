"""The rig: the emulator behind the two strict proxies, and what a test needs to set up and look at."""

import itertools
import json
import urllib.request
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self

from tests.emulator.emulator import (
    GITHUB_TOKEN,
    ORGANISATION,
    SLACK_TOKEN,
    STRANGERS_GITHUB_TOKEN,
    STRANGERS_SLACK_TOKEN,
    Emulator,
)
from tests.proxy.proxy import FaultProxy


class Rig:
    """Both services, ready; addresses for us, and a way round the proxies for the test itself."""

    def __init__(self) -> None:
        self.github = FaultProxy("github", {GITHUB_TOKEN, STRANGERS_GITHUB_TOKEN})
        self.slack = FaultProxy("slack", {SLACK_TOKEN, STRANGERS_SLACK_TOKEN})
        self._emulator = Emulator(github_url=self.github.url, slack_url=self.slack.url)
        self._open = ExitStack()
        self._count = itertools.count(1)

    @property
    def github_url(self) -> str:
        """What RISKLOOP_GITHUB_URL is set to."""
        return self.github.url

    @property
    def slack_url(self) -> str:
        """What RISKLOOP_SLACK_URL is set to."""
        return f"{self.slack.url}/api/"

    def __enter__(self) -> Self:
        self._open.enter_context(self._emulator)
        self.github.upstream = self._emulator.github_port
        self.slack.upstream = self._emulator.slack_port
        self._open.enter_context(self.github)
        self._open.enter_context(self.slack)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    def new_repository(self) -> str:
        """Make a repository with one commit on `main`, and give its `owner/name`."""
        name = f"repository-{next(self._count)}"
        self.ask_github("POST", f"/orgs/{ORGANISATION}/repos", {"name": name, "auto_init": True})
        return f"{ORGANISATION}/{name}"

    def make_branch(self, repository: str, name: str) -> None:
        """Make a branch with one commit more than `main`, as a push would; only the API knows of it."""
        place = f"/repos/{repository}"
        head = self.ask_github("GET", f"{place}/git/ref/heads/main")["object"]["sha"]
        self.ask_github("POST", f"{place}/git/refs", {"ref": f"refs/heads/{name}", "sha": head})
        change = {"message": "Adopt", "content": "aGVsbG8=", "branch": name}
        self.ask_github("PUT", f"{place}/contents/adopted.txt", change)

    def new_channel(self) -> str:
        """Make a Slack channel with both users in it, and give its ID."""
        name = f"channel-{next(self._count)}"
        answer = self.ask_slack("conversations.create", {"name": name})
        channel = str(answer["channel"]["id"])
        self.ask_slack("conversations.join", {"channel": channel}, token=STRANGERS_SLACK_TOKEN)
        return channel

    def issues(self, repository: str) -> list[dict[str, Any]]:
        """List every issue of a repository, oldest first, at most 100."""
        path = f"/repos/{repository}/issues?state=all&per_page=100&sort=created&direction=asc"
        found: list[dict[str, Any]] = self.ask_github("GET", path)
        return found

    def comments(self, repository: str, number: int | str) -> list[dict[str, Any]]:
        """List the comments of an issue, oldest first, at most 100."""
        found: list[dict[str, Any]] = self.ask_github(
            "GET", f"/repos/{repository}/issues/{number}/comments?per_page=100"
        )
        return found

    def messages(self, channel: str) -> list[dict[str, Any]]:
        """List the messages of a channel, newest first, without replies."""
        answer = self.ask_slack("conversations.history", {"channel": channel, "limit": 1000})
        return list(answer["messages"])

    def replies(self, channel: str, ts: str) -> list[dict[str, Any]]:
        """List the replies in a thread, oldest first, without the parent."""
        answer = self.ask_slack("conversations.replies", {"channel": channel, "ts": ts})
        return [message for message in answer["messages"] if message["ts"] != ts]

    def ask_github(
        self, method: str, path: str, sent: dict[str, Any] | None = None, *, token: str = GITHUB_TOKEN
    ) -> Any:
        """Ask the emulator itself: not recorded, not refused, never failing on request."""
        return _ask(f"http://127.0.0.1:{self.github.upstream}{path}", method, sent, token)

    def ask_slack(self, method: str, sent: dict[str, Any], *, token: str = SLACK_TOKEN) -> Any:
        """Ask the emulator itself: not recorded, not refused, never failing on request."""
        return _ask(f"http://127.0.0.1:{self.slack.upstream}/api/{method}", "POST", sent, token)


def _ask(url: str, method: str, sent: dict[str, Any] | None, token: str) -> Any:
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    data = None if sent is None else json.dumps(sent).encode()
    request = urllib.request.Request(url, data=data, headers=headers, method=method)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)
