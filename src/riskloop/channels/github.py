"""One GitHub issue per incident: opened, kept current, commented on and closed.

PyGithub brings the connection and the token. Its retries and its own pauses are off: a retried POST doubled
issues, and the only throttle is the budget in the store.
"""

import json
import logging
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from github import Auth, Github

from riskloop.channels import Kept, Parcel, Posting, Turn
from riskloop.channels.answers import LOST, by_status, looked_into, refused, wait_asked, without_answer
from riskloop.channels.markers import read_marker
from riskloop.errors import GaveUp, Undelivered
from riskloop.identity import Accounts
from riskloop.incidents import Change
from riskloop.wording import github as wording

_log = logging.getLogger(__name__)
_REPOSITORY = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*/(?!\.{1,2}$)[\w.-]+")
_PAGE = 100
_BEFORE = timedelta(minutes=2)
_CLOSED = {"state": "closed", "state_reason": "completed"}
_REOPENED = {"state": "open", "state_reason": "reopened"}


class GitHub:
    """Issues in repositories named `owner/name`, written with one token.

    Args:
        token: with metadata read and issues write; contents and pull requests write for pull requests.
        url: the API's base address.
        key: the key that signs our markers.
        accounts: who we have written as.
        timeout: seconds to wait for each answer.
    """

    def __init__(self, token: str, url: str, *, key: bytes, accounts: Accounts, timeout: int = 15) -> None:
        self._key = key
        self._accounts = accounts
        self._client = Github(
            auth=Auth.Token(token),
            base_url=url,
            timeout=timeout,
            retry=None,
            seconds_between_requests=None,
            seconds_between_writes=None,
        )
        self._proven = False

    def send(self, parcel: Parcel, *, turn: Turn, found: Posting | None = None) -> Posting:
        """Open the incident's issue, or bring it and its comments up to date.

        The one POST opens the issue or adds the comment. Whatever fails after it is Ambiguous, so that the
        next attempt looks before it posts again.

        Raises:
            TryAgain, Ambiguous, GaveUp: as the protocol says.
        """
        if parcel.posting is None:
            return self._open(parcel, found, turn)
        return self._update(parcel, parcel.posting, found, turn)

    def find(self, parcel: Parcel) -> Posting | None:
        """Look for the issue, or the comment, that carries this delivery's signed marker and is by us.

        Issues are listed, never searched: the search index lags. `since` rather than our label where it is
        known when we tried, because a repository we may not label drops it.
        """
        us = self._who_we_are()
        if parcel.posting is None:
            path = f"{self._place(parcel.target)}/issues"
            query = {"state": "all", "sort": "created", "direction": "asc", **_since(parcel)}
            if parcel.attempted_at is None:
                query["labels"] = wording.LABEL
            for issue in self._pages(path, query, doing=f"looking for an issue in {parcel.target}"):
                if "pull_request" not in issue and self._is_this(issue, parcel, us):
                    return _posting(issue)
            return None
        doing = f"looking for a comment on {_name(parcel, parcel.posting)}"
        path = f"{self._issue(parcel.target, parcel.posting)}/comments"
        for comment in self._pages(path, _since(parcel), doing=doing):
            if self._is_this(comment, parcel, us):
                return parcel.posting
        return None

    def look_around(self, target: str, *, since: datetime | None) -> Iterator[Kept]:
        """List our open issues, by their signed marker and our authorship; labels may have been dropped."""
        us = self._who_we_are()
        query = {"state": "open", "sort": "created", "direction": "asc"}
        if since is not None:
            query["since"] = f"{since.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
        doing = f"looking for our issues in {target}"
        for issue in self._pages(f"{self._place(target)}/issues", query, doing=doing):
            marker = read_marker((issue.get("body") or "").partition("\n")[0], self._key)
            author = str((issue.get("user") or {}).get("id"))
            if marker is not None and author in us and "pull_request" not in issue:
                made_at = datetime.fromisoformat(issue["created_at"])
                yield Kept(posting=_posting(issue), marker=marker, made_at=made_at)

    def prove(self, realm: str) -> None:
        """Make sure that the token works, and remember whose it is."""
        user = self._call("GET", "/user", doing="asking whose token it is", expect="id")
        self._accounts.remember(realm, str(user["id"]))
        self._proven = True

    def check(self, repositories: Iterable[str]) -> list[tuple[str, bool, str]]:
        """Say for the token and for each repository whether we can work there: name, yes or no, words."""
        try:
            user = self._call("GET", "/user", doing="asking whose token it is")
            self._accounts.remember("github", str(user["id"]))
            found = [("GitHub token", True, f"belongs to {user['login']}")]
        except Undelivered as error:
            return [("GitHub token", False, str(error))]
        for repository in repositories:
            name = f"GitHub {repository}"
            try:
                data = self._call("GET", self._place(repository), doing=f"reading {repository}")
            except Undelivered as error:
                found.append((name, False, str(error)))
                continue
            rights = data.get("permissions") or {}
            if data.get("archived"):
                found.append((name, False, "is archived: name another repository in the register"))
            elif not data.get("has_issues", True):
                found.append((name, False, "has issues switched off: switch them on in its settings"))
            elif not (rights.get("push") or rights.get("triage")):
                # Anybody may open an issue in a public repository; its labels are then dropped.
                found.append((name, False, "can be read; give the token's account the triage role or more"))
            else:
                found.append((name, True, "can be read and written; --send-test proves it"))
        return found

    def send_test(self, target: str, *, turn: Turn) -> Posting:
        """Open a test issue and close it again; its address is in the posting."""
        payload = {
            "title": "riskloop: a test, please ignore",
            "body": "`riskloop doctor --send-test` opened this issue, and closes it at once.",
            "labels": [wording.LABEL],
        }
        place = self._place(target)
        doing = f"opening a test issue in {target}"
        turn()
        posting = _posting(self._call("POST", f"{place}/issues", payload, doing=doing, expect="number"))
        closed = {"state": "closed", "state_reason": "not_planned"}
        turn()
        self._call("PATCH", self._issue(target, posting), closed, doing=f"closing test issue {posting.url}")
        return posting

    def ensure_pull_request(
        self,
        repository: str,
        branch: str,
        *,
        title: str,
        body: str,
        turn: Turn,
    ) -> Posting:
        """Have one pull request from a branch into the default one: the one there is, else a new one.

        One that a person closed without merging is left alone, and a new one opened. At most one POST; safe
        to repeat after an Ambiguous, since it looks first.
        """
        place = self._place(repository)
        doing = f"reading {repository}"
        base = self._call("GET", place, doing=doing, expect="default_branch")["default_branch"]
        query = {"state": "all", "head": f"{repository.partition('/')[0]}:{branch}", "base": base}
        doing = f"looking for a pull request from {branch} in {repository}"
        for pull in self._pages(f"{place}/pulls", query, doing=doing):
            from_branch = (pull.get("head") or {}).get("ref") == branch
            if from_branch and (pull.get("state") == "open" or pull.get("merged_at")):
                return _posting(pull)
        payload = {"title": title, "body": body, "head": branch, "base": base}
        doing = f"opening a pull request from {branch} in {repository}"
        turn()
        return _posting(self._call("POST", f"{place}/pulls", payload, doing=doing, expect="number"))

    def _open(self, parcel: Parcel, found: Posting | None, turn: Turn) -> Posting:
        posting = found
        if posting is None:
            payload = _content(parcel, marker=parcel.marker)
            doing = f"opening an issue in {parcel.target}"
            path = f"{self._place(parcel.target)}/issues"
            turn()
            issue = self._call("POST", path, payload, doing=doing, expect="number")
            self._remember(issue)
            posting = _posting(issue)
            _compare_labels(issue, payload["labels"])
        if parcel.facts.change is Change.RESOLVED:
            with looked_into(posted=True):
                doing = f"closing {_name(parcel, posting)}"
                turn()
                self._call(
                    "PATCH", self._issue(parcel.target, posting), _CLOSED, doing=doing, expect="number"
                )
        return posting

    def _update(self, parcel: Parcel, posting: Posting, found: Posting | None, turn: Turn) -> Posting:
        resolved = parcel.facts.change is Change.RESOLVED
        posted = found is not None
        with looked_into(posted=posted):
            issue = self._read(parcel, posting)
            if not resolved:
                issue = self._edit(parcel, posting, issue, turn)
        if parcel.facts.aloud and not posted:
            self._comment(parcel, posting, turn)
            posted = True
        if resolved:
            with looked_into(posted=posted):
                issue = self._edit(parcel, posting, issue, turn)
        return _posting(issue)

    def _read(self, parcel: Parcel, posting: Posting) -> Mapping[str, Any]:
        path = self._issue(parcel.target, posting)
        issue: Mapping[str, Any] = self._call(
            "GET", path, doing=f"reading {_name(parcel, posting)}", expect="number"
        )
        if str(issue["number"]) != posting.reference or self._is_elsewhere(issue, parcel.target):
            raise GaveUp(
                f"{_name(parcel, posting)} was transferred to {issue.get('html_url', 'another repository')}",
                remedy="transfer it back, or follow it there by hand",
            )
        return issue

    def _is_elsewhere(self, issue: Mapping[str, Any], repository: str) -> bool:
        """Say whether an issue stands in another repository; one that was only renamed is the same."""
        where = "/".join(str(issue.get("repository_url") or repository).rsplit("/", 2)[-2:]).lower()
        if where == repository.lower():
            return False
        named = self._call("GET", self._place(repository), doing=f"reading {repository}", expect="full_name")[
            "full_name"
        ]
        return where != str(named).lower()

    def _edit(
        self, parcel: Parcel, posting: Posting, issue: Mapping[str, Any], turn: Turn
    ) -> Mapping[str, Any]:
        """Bring title, body and labels up to date; people's labels and a closing by hand are kept."""
        payload = _content(parcel, marker=parcel.opening_marker)
        payload["labels"] = [*payload["labels"], *_labels_of_people(issue)]
        if parcel.facts.change is Change.RESOLVED and issue.get("state") == "open":
            payload |= _CLOSED
        elif parcel.reopen and issue.get("state") == "closed":
            payload |= _REOPENED
        path = self._issue(parcel.target, posting)
        doing = f"updating {_name(parcel, posting)}"
        turn()
        edited: Mapping[str, Any] = self._call("PATCH", path, payload, doing=doing, expect="number")
        _compare_labels(edited, payload["labels"])
        return edited

    def _comment(self, parcel: Parcel, posting: Posting, turn: Turn) -> None:
        text = wording.comment(parcel.facts, marker=parcel.marker)
        path = f"{self._issue(parcel.target, posting)}/comments"
        doing = f"commenting on {_name(parcel, posting)}"
        turn()
        self._remember(self._call("POST", path, {"body": text}, doing=doing, expect="id"))

    def _who_we_are(self) -> frozenset[str]:
        if not self._proven:
            self.prove("github")
        return self._accounts.known("github")

    def _remember(self, posted: Mapping[str, Any]) -> None:
        author = (posted.get("user") or {}).get("id")
        if author is not None:
            self._accounts.remember("github", str(author))

    def _is_this(self, posted: Mapping[str, Any], parcel: Parcel, us: frozenset[str]) -> bool:
        first_line = (posted.get("body") or "").partition("\n")[0]
        marker = read_marker(first_line, self._key)
        author = (posted.get("user") or {}).get("id")
        return marker is not None and marker == read_marker(parcel.marker, self._key) and str(author) in us

    def _place(self, repository: str) -> str:
        if not _REPOSITORY.fullmatch(repository):
            raise GaveUp(
                f"{repository!r} is not the name of a repository", remedy="write owner/name in the register"
            )
        return f"/repos/{repository}"

    def _issue(self, repository: str, posting: Posting) -> str:
        return f"{self._place(repository)}/issues/{int(posting.reference)}"

    def _pages(self, path: str, query: Mapping[str, str], *, doing: str) -> Iterator[Mapping[str, Any]]:
        page = 1
        while True:
            asked = {**query, "per_page": str(_PAGE), "page": str(page)}
            rows = self._call("GET", path, query=asked, doing=doing)
            if not isinstance(rows, list):
                raise refused("garbled", service="GitHub", doing=doing)
            yield from rows
            if len(rows) < _PAGE:
                return
            page += 1

    def _call(
        self,
        verb: str,
        path: str,
        payload: Mapping[str, Any] | None = None,
        *,
        doing: str,
        query: Mapping[str, str] | None = None,
        expect: str = "",
    ) -> Any:
        """Make one request and give its JSON; `expect` is a field without which the answer is garbled."""
        try:
            status, headers, text = self._client.requester.requestJson(
                verb,
                path,
                parameters=dict(query or {}),
                input=payload,
            )
        except LOST as error:
            raise refused(without_answer(error), service="GitHub", doing=doing) from error
        except RuntimeError as error:
            # PyGithub's own word for a redirect to another host or scheme.
            raise refused("moved", service="GitHub", doing=doing) from error
        data = _json(text)
        row = by_status(status, headers, _message(data))
        if row:
            said = f"{status} {_message(data)}".strip()
            raise refused(row, service="GitHub", doing=doing, said=said, after=wait_asked(headers))
        if data is None or (expect and not (isinstance(data, dict) and expect in data)):
            raise refused("garbled", service="GitHub", doing=doing, said=f"status {status}")
        return data


def _content(parcel: Parcel, *, marker: str) -> dict[str, Any]:
    return {
        "title": wording.title(parcel.facts),
        "body": wording.body(parcel.facts, marker=marker, previous_url=parcel.previous_url),
        "labels": list(wording.labels(parcel.facts)),
    }


def _since(parcel: Parcel) -> dict[str, str]:
    if parcel.attempted_at is None:
        return {}
    # Nothing of a delivery is older than its transition, however often it was tried; clocks differ a little.
    earliest = min(parcel.attempted_at, parcel.facts.at) - _BEFORE
    return {"since": f"{earliest.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"}


def _posting(issue: Mapping[str, Any]) -> Posting:
    return Posting(reference=str(issue["number"]), url=issue.get("html_url") or "")


def _name(parcel: Parcel, posting: Posting) -> str:
    return f"issue {posting.reference} in {parcel.target}"


def _label_names(issue: Mapping[str, Any]) -> list[str]:
    return [label["name"] for label in issue.get("labels") or []]


def _labels_of_people(issue: Mapping[str, Any]) -> list[str]:
    return [
        name
        for name in _label_names(issue)
        if name != wording.LABEL and not name.startswith((wording.SEVERITY, "risk:"))
    ]


def _compare_labels(issue: Mapping[str, Any], wanted: Iterable[str]) -> None:
    missing = sorted({name.lower() for name in wanted} - {name.lower() for name in _label_names(issue)})
    if missing:
        url = issue.get("html_url")
        _log.warning("GitHub dropped the labels %s of %s: the token may not label there", missing, url)


def _json(text: object) -> Any:
    if not isinstance(text, str):
        return None
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return None


def _message(data: Any) -> str:
    if not isinstance(data, dict):
        return ""
    errors = data.get("errors")
    details = [error.get("message", "") for error in errors if isinstance(error, dict)] if errors else []
    return " ".join(str(part) for part in (data.get("message", ""), *details) if part)
