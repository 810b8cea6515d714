"""What people do to repositories and issues that the emulator cannot: delete, transfer, lock, archive.

From then on the proxy answers as GitHub documents it (docs.github.com/rest/issues/issues).
"""

import json
import re
import threading
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from tests.proxy.traffic import Answer, Recorded

Forward = Callable[[str, str], Answer]
"""Asks the emulator: method and target."""

_PLACE = re.compile(
    r"/repos/(?P<repository>[^/]+/[^/]+)(?P<issues>/issues(?:/(?P<number>\d+)(?P<rest>/.*)?)?)?"
)
_REDIRECTED = re.compile(r"/repositories/(\d+)(/.*)?")
_REDIRECTION = 300
_LARGEST_PAGE = 100
_USUAL_PAGE = 30


class People:
    """What has happened to the repositories of one GitHub."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._deleted: set[tuple[str, int]] = set()
        self._transferred: dict[tuple[str, int], str] = {}
        self._locked: set[tuple[str, int]] = set()
        self._duplicates: set[tuple[str, int]] = set()
        self._archived: set[str] = set()
        self._without_issues: set[str] = set()
        self._by_id: dict[str, str] = {}

    def delete(self, repository: str, number: int) -> None:
        """Have an issue be gone."""
        with self._lock:
            self._deleted.add((repository.lower(), number))

    def transfer(self, repository: str, number: int, *, to: str, to_id: int, to_number: int) -> None:
        """Have an issue be another one in another repository, whose id is needed for the redirection."""
        with self._lock:
            self._transferred[repository.lower(), number] = f"/repositories/{to_id}/issues/{to_number}"
            self._by_id[str(to_id)] = to

    def lock(self, repository: str, number: int) -> None:
        """Have an issue take no comments of ours."""
        with self._lock:
            self._locked.add((repository.lower(), number))

    def unlock(self, repository: str, number: int) -> None:
        """Have an issue take comments again."""
        with self._lock:
            self._locked.discard((repository.lower(), number))

    def archive(self, repository: str) -> None:
        """Have a repository be read-only."""
        with self._lock:
            self._archived.add(repository.lower())

    def unarchive(self, repository: str) -> None:
        """Have a repository be written again."""
        with self._lock:
            self._archived.discard(repository.lower())

    def switch_off_issues(self, repository: str) -> None:
        """Have a repository have no issues."""
        with self._lock:
            self._without_issues.add(repository.lower())

    def keep_reason(self, repository: str, number: int, sent: dict[str, Any]) -> None:
        """Remember a closing as a duplicate, which the emulator takes for one as completed."""
        issue = (repository.lower(), number)
        with self._lock:
            if sent.get("state") == "closed" and sent.get("state_reason") == "duplicate":
                self._duplicates.add(issue)
            elif "state" in sent:
                self._duplicates.discard(issue)

    def refusal(self, method: str, path: str, base: str) -> Answer | None:
        """Say what GitHub answers where people have changed something; None if nothing special.

        Args:
            base: the address of the API, for a redirection.
        """
        place = _PLACE.match(path)
        if place is None:
            return None
        repository = place["repository"].lower()
        issue = (repository, int(place["number"] or 0))
        comments = place["rest"] == "/comments"
        with self._lock:
            if place["issues"] and repository in self._without_issues:
                return Answer.of(410, {"message": "Issues are disabled for this repo"})
            if issue in self._transferred and comments:
                return Answer.of(404, {"message": "Not Found"})
            if issue in self._transferred:
                where = base + self._transferred[issue] + (place["rest"] or "")
                return Answer.of(301, {"message": "Moved Permanently", "url": where}, Location=where)
            if issue in self._deleted:
                return Answer.of(410, {"message": "This issue was deleted"})
            if method != "GET" and repository in self._archived:
                return Answer.of(403, {"message": "Repository was archived so is read-only."})
            if method == "POST" and comments and issue in self._locked:
                return Answer.of(403, {"message": "Unable to create comment because issue is locked."})
        return None

    def resolved(self, target: str) -> str:
        """Give the target that the emulator knows for one with a repository's id."""
        match = _REDIRECTED.match(target)
        if match is None or match[1] not in self._by_id:
            return target
        return f"/repos/{self._by_id[match[1]]}{match[2] or ''}"

    def amended(self, request: Recorded, path: str, answer: Answer, forward: Forward) -> Answer:
        """Show in the emulator's answer what it does not know of, and keep what it did not keep.

        Args:
            path: the request's, as the emulator knows it.
        """
        place = _PLACE.fullmatch(path)
        if place is None or not place["issues"] or place["rest"] or answer.status >= _REDIRECTION:
            return answer
        repository = place["repository"]
        if place["number"] and request.method == "PATCH":
            self.keep_reason(repository, int(place["number"]), request.sent)
        if request.method == "GET" and not place["number"] and self._hidden(repository):
            size = min(int(request.query.get("per_page", _USUAL_PAGE)), _LARGEST_PAGE)
            first = (int(request.query.get("page", 1)) - 1) * size
            rows = self.shown(repository, _every_row(request, path, forward))
            return Answer.of(200, rows[first : first + size])
        if not self._closed_as_duplicates(repository):
            return answer
        data = json.loads(answer.body)
        if isinstance(data, list):
            return answer.with_data(self.shown(repository, data))
        return answer.with_data(self.shown(repository, [data])[0])

    def shown(self, repository: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Leave out of a list of issues what is gone, and show those closed as duplicates as such."""
        hidden = self._hidden(repository)
        duplicates = self._closed_as_duplicates(repository)
        return [
            {**row, "state_reason": "duplicate"} if row.get("number") in duplicates else row
            for row in rows
            if row.get("number") not in hidden
        ]

    def _hidden(self, repository: str) -> set[int]:
        with self._lock:
            gone = self._deleted | self._transferred.keys()
        return {number for where, number in gone if where == repository.lower()}

    def _closed_as_duplicates(self, repository: str) -> set[int]:
        with self._lock:
            return {number for where, number in self._duplicates if where == repository.lower()}


def _every_row(request: Recorded, path: str, forward: Forward) -> list[dict[str, Any]]:
    asked = {name: value for name, value in request.query.items() if name not in {"page", "per_page"}}
    rows: list[dict[str, Any]] = []
    page = 1
    while True:
        target = f"{path}?{urlencode({**asked, 'per_page': _LARGEST_PAGE, 'page': page})}"
        found = json.loads(forward("GET", target).body)
        rows += found
        if len(found) < _LARGEST_PAGE:
            return rows
        page += 1
