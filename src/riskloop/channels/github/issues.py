"""One GitHub issue per incident: opened, kept current, commented on and closed, whatever people do to it."""

import itertools
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from riskloop.channels import Kept, Parcel, Posting, Standing, Turn
from riskloop.channels.answers import looked_into
from riskloop.channels.github import rights
from riskloop.channels.github.api import Answer, Api
from riskloop.channels.github.authorship import Authorship
from riskloop.channels.github.pulls import Pulls
from riskloop.channels.markers import read_marker
from riskloop.errors import Ambiguous, GaveUp, Gone, TryAgain, Undelivered
from riskloop.identity import Accounts, Identity
from riskloop.incidents import Change
from riskloop.wording import github as wording

_log = logging.getLogger(__name__)
_CLOCKS_DIFFER = timedelta(minutes=2)
_CLOSED = {"state": "closed", "state_reason": "completed"}
_DUPLICATE = {"state": "closed", "state_reason": "duplicate"}
_REOPENED = {"state": "open", "state_reason": "reopened"}
_MISSING = frozenset({"404", "410", "moved"})


class GitHub:
    """Issues in repositories named `owner/name`, written with one token.

    Args:
        token: with metadata read and issues write; contents and pull requests write for pull requests.
        url: the API's base address.
        key: the key that signs our markers.
        accounts: those we have written as.
        timeout: seconds to wait for each answer.
    """

    def __init__(self, token: str, url: str, *, key: bytes, accounts: Accounts, timeout: int = 15) -> None:
        self._key = key
        self._api = Api(token, url, timeout=timeout)
        self._authorship = Authorship(self._api, accounts, key)

    def send(self, parcel: Parcel, *, turn: Turn, found: Posting | None = None) -> Posting:
        """Open the incident's issue, or bring it and its comments up to date.

        The one POST opens the issue or adds the comment. Whatever fails after it is Ambiguous, so that the
        next attempt looks before it posts again. An issue that a person closed stays closed unless the parcel
        reopens it; one that is locked for us is edited and not commented on.

        Raises:
            TryAgain, Ambiguous, Gone, GaveUp: as the protocol says.
        """
        if parcel.posting is None:
            return self._open(parcel, found, turn)
        return self._update(parcel, parcel.posting, found, turn)

    def find(self, parcel: Parcel) -> Posting | None:
        """Look for the issue, or the comment, that carries this delivery's signed marker and is by us.

        Issues are listed, never searched: the search index lags. Nor are they asked for by our label, which
        a repository drops that we may not label, or by a moment of our clock, which may be wrong: the newest
        are read first, until one is older than the delivery.
        """
        if parcel.posting is None:
            # Nothing of a delivery is older than its transition, however often it was tried.
            earliest = min(parcel.attempted_at or parcel.facts.at, parcel.facts.at) - _CLOCKS_DIFFER
            query = {"state": "all", "sort": "created", "direction": "desc"}
            doing = f"looking for an issue in {parcel.target}"
            for page in self._pages(parcel.target, None, query, doing=doing):
                for issue in page:
                    if "pull_request" not in issue and self._is_of(issue, parcel):
                        return _posting(issue)
                if page and datetime.fromisoformat(page[-1]["created_at"]) < earliest:
                    break
            return None
        doing = f"looking for a comment on {_name(parcel.target, parcel.posting)}"
        for page in self._pages(parcel.target, parcel.posting, {}, doing=doing):
            if any(self._is_of(comment, parcel) for comment in page):
                return parcel.posting
        return None

    def look_around(self, target: str, *, since: datetime | None) -> Iterator[Kept]:
        """List our open issues in a repository, known by their signed marker and their author.

        Asked for by author where all our accounts are known by name; never by label, which people remove.
        """
        query = {"state": "open", "sort": "created", "direction": "asc"}
        if since is not None:
            query["since"] = _as_github_writes(since)
        doing = f"looking for our issues in {target}"
        for login in self._authorship.logins() or (None,):
            by = {} if login is None else {"creator": login}
            for issue in itertools.chain.from_iterable(self._pages(target, None, query | by, doing=doing)):
                marker = None if "pull_request" in issue else self._authorship.marker(issue)
                if marker is not None:
                    made_at = datetime.fromisoformat(issue["created_at"])
                    yield Kept(posting=_posting(issue), marker=marker, made_at=made_at)

    def standing(self, target: str, posting: Posting) -> Standing:
        """Say what an issue of ours is now.

        Raises:
            TryAgain, Ambiguous, GaveUp: the repository cannot be asked, or has its issues switched off.
        """
        try:
            issue = self._read(target, posting)
        except Gone:
            return Standing.GONE
        return Standing.OPEN if issue.get("state") == "open" else Standing.CLOSED

    def close_extra(
        self, target: str, posting: Posting, *, says: str, duplicate: bool, marker: str, turn: Turn
    ) -> None:
        """Close an issue of ours that should not be open; one that is gone or closed already is left alone.

        Args:
            says: a sentence of ours with the link to what stands in its place, put above its text.
            duplicate: another issue tells of the same incident; else what it told of is over.
            marker: its signed line, which stays the first.
        """
        try:
            issue = self._read(target, posting)
        except Gone:
            return
        if issue.get("state") != "open":
            return
        payload = {
            "body": wording.superseded(str(issue.get("body") or ""), marker=marker, says=says),
            **(_DUPLICATE if duplicate else _CLOSED),
        }
        doing = f"closing {_name(target, posting)}"
        try:
            self._write("PATCH", target, posting, payload, doing=doing, expect="number", turn=turn)
        except Gone:
            return

    def prove(self, realm: str) -> None:  # noqa: ARG002 - the protocol's; there is one token for all of GitHub
        """Make sure that the token works, and remember whose it is."""
        self._authorship.prove()

    def check(self, repositories: Iterable[str]) -> list[tuple[str, bool, str]]:
        """Say for the token and for each repository whether we can work there: name, yes or no, words."""
        return rights.check(self._api, self._authorship, repositories)

    def send_test(self, target: str, *, turn: Turn) -> Posting:
        """Open a test issue and close it again; its address is in the posting."""
        return rights.send_test(self._api, self._authorship, target, turn)

    def pulls(self, repository: str, identity: Identity) -> Pulls:
        """Give the pull requests of a repository, as this installation writes them."""
        return Pulls(self._api, self._authorship, identity, repository)

    def _open(self, parcel: Parcel, found: Posting | None, turn: Turn) -> Posting:
        posting = found
        if posting is None:
            payload = _content(parcel, marker=parcel.marker)
            doing = f"opening an issue in {parcel.target}"
            issue = self._write("POST", parcel.target, None, payload, doing=doing, expect="number", turn=turn)
            self._authorship.learn(issue)
            posting = _posting(issue)
            _compare_labels(issue, payload["labels"])
        if parcel.facts.change is Change.RESOLVED:
            with looked_into(posted=True):
                doing = f"closing {_name(parcel.target, posting)}"
                self._write("PATCH", parcel.target, posting, _CLOSED, doing=doing, expect="number", turn=turn)
        return posting

    def _update(self, parcel: Parcel, posting: Posting, found: Posting | None, turn: Turn) -> Posting:
        resolved = parcel.facts.change is Change.RESOLVED
        posted = found is not None
        with looked_into(posted=posted):
            issue = self._read(parcel.target, posting)
            if not resolved:
                issue = self._edit(parcel, posting, issue, turn)
        if parcel.facts.aloud and not posted:
            self._comment(parcel, posting, turn)
            posted = True
        if resolved:
            with looked_into(posted=posted):
                issue = self._edit(parcel, posting, issue, turn)
        return _posting(issue)

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
        doing = f"updating {_name(parcel.target, posting)}"
        edited = self._write(
            "PATCH", parcel.target, posting, payload, doing=doing, expect="number", turn=turn
        )
        _compare_labels(edited, payload["labels"])
        return edited

    def _comment(self, parcel: Parcel, posting: Posting, turn: Turn) -> None:
        text = wording.comment(parcel.facts, marker=parcel.marker)
        doing = f"commenting on {_name(parcel.target, posting)}"
        path = f"{self._path(parcel.target, posting)}/comments"
        answer = self._api.ask("POST", path, {"body": text}, doing=doing, expect="id", turn=turn)
        if answer.failure is None:
            self._authorship.learn(answer.data)
        elif answer.row == "403" and self._is_locked(parcel.target, posting):
            _log.warning("%s is locked: edited, and not commented on", _name(parcel.target, posting))
        else:
            raise self._understood(answer.failure, answer.row, parcel.target, posting)

    def _read(self, target: str, posting: Posting) -> Mapping[str, Any]:
        """Read an issue of ours.

        Raises:
            Gone: it was deleted or transferred, or under its number is what somebody else has written.
        """
        answer = self._look_at(target, posting)
        if answer.failure is not None:
            raise self._understood(answer.failure, answer.row, target, posting)
        issue: Mapping[str, Any] = answer.data
        if not self._authorship.is_ours(issue):
            raise Gone(f"{_name(target, posting)} is not what we opened there")
        return issue

    def _is_of(self, posted: Mapping[str, Any], parcel: Parcel) -> bool:
        marker = self._authorship.marker(posted)
        return marker is not None and marker == read_marker(parcel.marker, self._key)

    def _look_at(self, target: str, posting: Posting) -> Answer:
        doing = f"reading {_name(target, posting)}"
        return self._api.ask("GET", self._path(target, posting), doing=doing, expect="number")

    def _is_locked(self, target: str, posting: Posting) -> bool:
        answer = self._look_at(target, posting)
        if isinstance(answer.failure, TryAgain):
            raise answer.failure
        if isinstance(answer.failure, Ambiguous):
            # Only what was read is lost: the comment was surely not added.
            raise TryAgain(answer.failure.what, remedy=answer.failure.remedy)
        return answer.failure is None and bool(answer.data.get("locked"))

    def _write(
        self,
        verb: str,
        target: str,
        posting: Posting | None,
        payload: Mapping[str, Any],
        *,
        doing: str,
        expect: str,
        turn: Turn,
    ) -> Mapping[str, Any]:
        path = self._path(target, posting)
        answer = self._api.ask(verb, path, payload, doing=doing, expect=expect, turn=turn)
        if answer.failure is not None:
            raise self._understood(answer.failure, answer.row, target, posting)
        data: Mapping[str, Any] = answer.data
        return data

    def _pages(
        self, target: str, posting: Posting | None, query: Mapping[str, str], *, doing: str
    ) -> Iterator[Sequence[Mapping[str, Any]]]:
        """List a repository's issues, or one issue's comments, page by page."""
        path = self._path(target, posting) + ("/comments" if posting else "")
        for page in self._api.pages(path, query, doing=doing):
            if page.failure is not None:
                raise self._understood(page.failure, page.row, target, posting)
            yield page.data

    def _understood(
        self, failure: Undelivered, row: str, target: str, posting: Posting | None
    ) -> Undelivered:
        """Find out what a refusal means by looking at the issue and the repository: the words may change."""
        if row not in _MISSING and row != "403":
            return failure
        look = self._look_at(target, posting) if posting is not None else None
        doing = f"reading {target}"
        repository = self._api.ask("GET", self._api.place(target), doing=doing, expect="full_name")
        for looked in (look, repository):
            if looked is not None and looked.row == "401":
                return looked.failure or failure
            # What was refused was surely not applied, however the look ended.
            if looked is not None and isinstance(looked.failure, TryAgain | Ambiguous):
                return TryAgain(failure.what, remedy=failure.remedy)
        if repository.failure is not None:
            return failure
        if repository.data.get("archived"):
            return GaveUp(
                f"{target} is archived: nothing can be written there",
                remedy="unarchive it, or name another repository in the register",
            )
        if not repository.data.get("has_issues", True):
            return GaveUp(
                f"{target} has issues switched off",
                remedy="switch them on in its settings, or name another repository in the register",
            )
        if look is None or posting is None:
            return failure
        if look.row in _MISSING:
            how = f"transferred to {self._api.followed(look.location)}" if look.location else "deleted"
            return Gone(f"{_name(target, posting)} was {how}")
        return TryAgain(failure.what) if look.failure is None and row in _MISSING else failure

    def _path(self, target: str, posting: Posting | None) -> str:
        issue = f"/{int(posting.reference)}" if posting else ""
        return f"{self._api.place(target)}/issues{issue}"


def _content(parcel: Parcel, *, marker: str) -> dict[str, Any]:
    return {
        "title": wording.title(parcel.facts),
        "body": wording.body(parcel.facts, marker=marker, previous_url=parcel.previous_url),
        "labels": list(wording.labels(parcel.facts)),
    }


def _as_github_writes(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _posting(issue: Mapping[str, Any]) -> Posting:
    return Posting(reference=str(issue["number"]), url=issue.get("html_url") or "")


def _name(target: str, posting: Posting) -> str:
    return f"issue {posting.reference} in {target}"


def _label_names(issue: Mapping[str, Any]) -> list[str]:
    return [label["name"] for label in issue.get("labels") or []]


def _labels_of_people(issue: Mapping[str, Any]) -> list[str]:
    return [name for name in _label_names(issue) if not wording.is_label(name)]


def _compare_labels(issue: Mapping[str, Any], wanted: Iterable[str]) -> None:
    missing = sorted({name.lower() for name in wanted} - {name.lower() for name in _label_names(issue)})
    if missing:
        url = issue.get("html_url")
        _log.warning("GitHub dropped the labels %s of %s: the token may not label there", missing, url)
