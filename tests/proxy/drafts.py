"""Makes pull requests drafts and ready again, which GitHub does in its GraphQL API and the emulator does not.

The two mutations answer as docs.github.com/en/graphql/reference/mutations has them; every other query is an
error. What they change the emulator keeps, so that its lists show it.
"""

import json
import re
import threading
from collections.abc import Callable
from typing import Any

from tests.proxy.traffic import Answer, Recorded

PATH = "/graphql"

Forward = Callable[[str, str, bytes], Answer]
"""Asks the emulator: method, target and body."""

_MUTATIONS = {"markPullRequestReadyForReview": False, "convertPullRequestToDraft": True}
_QUERY = re.compile(
    r"mutation\(\$input: (?P<kind>\w+)!\) \{ (?P<name>\w+)\(input: \$input\) \{ clientMutationId \} \}"
)
_PULLS = re.compile(r"/repos/(?P<repository>[^/]+/[^/]+)/pulls(?:/\d+)?")
_NO_DRAFTS = "Draft pull requests are not supported in this repository."
_SUCCESS = 300


class Drafts:
    """Which pull requests there are by their node, and which repositories have no drafts."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._without: set[str] = set()
        self._nodes: dict[str, tuple[str, int]] = {}

    def switch_off(self, repository: str) -> None:
        """Have a repository have no drafts, as private ones of some plans have none."""
        with self._lock:
            self._without.add(repository.lower())

    def notice(self, path: str, answer: Answer) -> None:
        """Learn the nodes of the pull requests in an answer of the emulator."""
        place = _PULLS.fullmatch(path)
        if place is None or answer.status >= _SUCCESS:
            return
        data = json.loads(answer.body)
        with self._lock:
            for pull in data if isinstance(data, list) else [data]:
                self._nodes[pull["node_id"]] = place["repository"], pull["number"]

    def refusal(self, request: Recorded, path: str) -> Answer | None:
        """Say what GitHub answers to a draft where there are none; None if nothing special."""
        place = _PULLS.fullmatch(path)
        if place is None or request.method != "POST" or not request.sent.get("draft"):
            return None
        if not self._has_none(place["repository"]):
            return None
        return Answer.of(422, {"message": "Validation Failed", "errors": [{"message": _NO_DRAFTS}]})

    def answer(self, request: Recorded, forward: Forward) -> Answer:
        """Answer a request to the GraphQL API."""
        query = _QUERY.fullmatch(str(request.sent.get("query")))
        subject = (request.sent.get("variables") or {}).get("input") or {}
        if query is None or set(subject) != {"pullRequestId"} or query["name"] not in _MUTATIONS:
            return _failed("", "Parse error on what was sent")
        name = query["name"]
        if query["kind"] != f"{name[0].upper()}{name[1:]}Input":
            return _failed("", f"Type mismatch on variable $input and argument input ({query['kind']}!)")
        with self._lock:
            known = self._nodes.get(subject["pullRequestId"])
        if known is None:
            words = f"Could not resolve to a node with the global id of '{subject['pullRequestId']}'"
            return _failed("NOT_FOUND", words)
        repository, number = known
        if _MUTATIONS[name] and self._has_none(repository):
            return _failed("UNPROCESSABLE", _NO_DRAFTS)
        sent = json.dumps({"draft": _MUTATIONS[name]}).encode()
        changed = forward("PATCH", f"/repos/{repository}/pulls/{number}", sent)
        if changed.status >= _SUCCESS:
            return _failed("FORBIDDEN", "Resource not accessible by personal access token")
        return Answer.of(200, {"data": {name: {"clientMutationId": None}}})

    def _has_none(self, repository: str) -> bool:
        with self._lock:
            return repository.lower() in self._without


def _failed(kind: str, words: str) -> Answer:
    error: dict[str, Any] = {"message": words}
    return Answer.of(200, {"data": None, "errors": [error | ({"type": kind} if kind else {})]})
