"""The rig: the emulator behind the two strict proxies, and what a test needs to set up and look at."""

import itertools
import json
import urllib.request
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self

from tests.emulator.emulator import ORGANISATION, STRANGER, TOKENS, Emulator, Tokens
from tests.openapi.checking import mistakes
from tests.proxy.proxy import FaultProxy

_PAGE = 100


class Rig:
    """Both services, ready; addresses for us, and a way round the proxies for the test itself.

    Args:
        tokens: those it knows.
    """

    def __init__(self, tokens: Tokens = TOKENS) -> None:
        self.tokens = tokens
        self.github = FaultProxy("github", {tokens.github, tokens.strangers_github}, check=mistakes)
        self.slack = FaultProxy("slack", {tokens.slack, tokens.strangers_slack})
        self._emulator = Emulator(github_url=self.github.url, slack_url=self.slack.url, tokens=tokens)
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
        self.ask_slack("conversations.join", {"channel": channel}, token=self.tokens.strangers_slack)
        return channel

    def renew(self) -> None:
        """Be as at the start, except for what is in the repositories and channels."""
        self.github.renew()
        self.slack.renew()

    def join(self, other: "Rig") -> None:
        """Have the other rig answer what comes here with its tokens, as one slack.com answers for all.

        The other must know other tokens. `renew` parts them.
        """
        for token in (other.tokens.github, other.tokens.strangers_github):
            self.github.pass_on(token, other.github)
        for token in (other.tokens.slack, other.tokens.strangers_slack):
            self.slack.pass_on(token, other.slack)

    def revoke_github(self) -> None:
        """Have our token not be known to GitHub."""
        self.github.tokens.discard(self.tokens.github)

    def restore_github(self) -> None:
        """Have our token be known to GitHub again."""
        self.github.tokens.add(self.tokens.github)

    def revoke_slack(self) -> None:
        """Have our token not be known to Slack."""
        self.slack.tokens.discard(self.tokens.slack)

    def restore_slack(self) -> None:
        """Have our token be known to Slack again."""
        self.slack.tokens.add(self.tokens.slack)

    def close_issue(self, repository: str, number: int | str, reason: str = "completed") -> None:
        """Close an issue as a stranger."""
        sent = {"state": "closed", "state_reason": reason}
        path = f"/repos/{repository}/issues/{number}"
        self.ask_github("PATCH", path, sent, token=self.tokens.strangers_github)
        self.github.people.keep_reason(repository, int(number), sent)

    def delete_issue(self, repository: str, number: int | str) -> None:
        """Delete an issue: from now on it is gone (410), and in no list."""
        self.github.people.delete(repository, int(number))

    def transfer_issue(self, repository: str, number: int | str, to: str) -> int:
        """Transfer an issue with its comments to another repository; give its number there.

        From now on GitHub redirects whoever asks for the old number.
        """
        old = self.ask_github("GET", f"/repos/{repository}/issues/{number}")
        kept = {name: old[name] for name in ("title", "body")}
        kept["labels"] = [label["name"] for label in old["labels"]]
        new = self.ask_github("POST", f"/repos/{to}/issues", kept, token=self._token_of(old))
        for comment in self.comments(repository, number):
            path = f"/repos/{to}/issues/{new['number']}/comments"
            self.ask_github("POST", path, {"body": comment["body"]}, token=self._token_of(comment))
        if old["state"] == "closed":
            state = {name: old[name] for name in ("state", "state_reason")}
            self.ask_github("PATCH", f"/repos/{to}/issues/{new['number']}", state)
        to_id = self.ask_github("GET", f"/repos/{to}")["id"]
        self.github.people.transfer(repository, int(number), to=to, to_id=to_id, to_number=new["number"])
        return int(new["number"])

    def lock_issue(self, repository: str, number: int | str, *, for_us: bool = True) -> None:
        """Lock an issue; who has write access may comment all the same, so say if we may not."""
        self.ask_github("PUT", f"/repos/{repository}/issues/{number}/lock", {"lock_reason": "resolved"})
        if for_us:
            self.github.people.lock(repository, int(number))

    def unlock_issue(self, repository: str, number: int | str) -> None:
        """Let everybody comment again."""
        self.ask_github("DELETE", f"/repos/{repository}/issues/{number}/lock")
        self.github.people.unlock(repository, int(number))

    def archive(self, repository: str) -> None:
        """Archive a repository: it can be read, and not written."""
        self.ask_github("PATCH", f"/repos/{repository}", {"archived": True})
        self.github.people.archive(repository)

    def unarchive(self, repository: str) -> None:
        """Have a repository be written again."""
        self.ask_github("PATCH", f"/repos/{repository}", {"archived": False})
        self.github.people.unarchive(repository)

    def switch_off_issues(self, repository: str) -> None:
        """Switch issues off in a repository: none can be read or written."""
        self.ask_github("PATCH", f"/repos/{repository}", {"has_issues": False})
        self.github.people.switch_off_issues(repository)

    def delete_message(self, channel: str, ts: str) -> None:
        """Delete a message of ours or of a stranger; one with replies leaves a tombstone."""
        replied = bool(self.replies(channel, ts))
        if not replied:
            sent = {"channel": channel, "ts": ts}
            if not self.ask_slack("chat.delete", sent)["ok"]:
                self.ask_slack("chat.delete", sent, token=self.tokens.strangers_slack)
        self.slack.deleted_messages.add(channel, ts, replies=replied)

    def issues(self, repository: str) -> list[dict[str, Any]]:
        """List every issue of a repository that is not gone, oldest first."""
        rows = self._every(f"/repos/{repository}/issues?state=all&sort=created&direction=asc&")
        return self.github.people.shown(repository, rows)

    def comments(self, repository: str, number: int | str) -> list[dict[str, Any]]:
        """List the comments of an issue, oldest first."""
        return self._every(f"/repos/{repository}/issues/{number}/comments?")

    def messages(self, channel: str) -> list[dict[str, Any]]:
        """List the messages of a channel, newest first, without replies."""
        found: list[dict[str, Any]] = []
        sent = {"channel": channel, "limit": 1000}
        while True:
            answer = self.ask_slack("conversations.history", sent)
            found += answer["messages"]
            if not answer["has_more"]:
                return self.slack.deleted_messages.shown(channel, found)
            sent["cursor"] = answer["response_metadata"]["next_cursor"]

    def replies(self, channel: str, ts: str) -> list[dict[str, Any]]:
        """List the replies in a thread, oldest first, without the parent."""
        answer = self.ask_slack("conversations.replies", {"channel": channel, "ts": ts})
        return [message for message in answer["messages"] if message["ts"] != ts]

    def ask_github(
        self, method: str, path: str, sent: dict[str, Any] | None = None, *, token: str = ""
    ) -> Any:
        """Ask the emulator itself, with our token or another: not recorded, not refused, never failing."""
        url = f"http://127.0.0.1:{self.github.upstream}{path}"
        return _ask(url, method, sent, self.github.alias(token or self.tokens.github))

    def ask_slack(self, method: str, sent: dict[str, Any], *, token: str = "") -> Any:
        """Ask the emulator itself, with our token or another: not recorded, not refused, never failing."""
        url = f"http://127.0.0.1:{self.slack.upstream}/api/{method}"
        return _ask(url, "POST", sent, self.slack.alias(token or self.tokens.slack))

    def _token_of(self, written: dict[str, Any]) -> str:
        is_strangers = written["user"]["login"] == STRANGER
        return self.tokens.strangers_github if is_strangers else self.tokens.github

    def _every(self, path: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        for page in itertools.count(1):
            rows = self.ask_github("GET", f"{path}per_page={_PAGE}&page={page}")
            found += rows
            if len(rows) < _PAGE:
                break
        return found


def _ask(url: str, method: str, sent: dict[str, Any] | None, token: str) -> Any:
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    data = None if sent is None else json.dumps(sent).encode()
    request = urllib.request.Request(url, data=data, headers=headers, method=method)
    with urllib.request.urlopen(request, timeout=30) as answer:
        read = answer.read()
    return json.loads(read) if read else None
