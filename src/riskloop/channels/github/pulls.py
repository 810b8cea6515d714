"""The one pull request of a branch of ours: opened, kept current, commented on, and closed."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from riskloop.channels import Turn
from riskloop.channels.github.api import Answer, Api
from riskloop.channels.github.authorship import Authorship
from riskloop.channels.markers import PullMarker, digest, read_pull_marker
from riskloop.errors import GaveUp, TryAgain
from riskloop.identity import Identity
from riskloop.proposals import Proposal
from riskloop.wording import pulls as wording

_log = logging.getLogger(__name__)
_RIGHTS = (
    "give the token the rights contents: write and pull requests: write there, or correct the repository in "
    "the register"
)
_ELSEWHERE = "name another repository in the register, or take this one out of the archive"
_FORBIDDEN = frozenset({"403", "404"})
# GitHub tells these refusals from others by its words only.
_THERE_ALREADY = "a pull request already exists"
_ARCHIVED = "was archived"
_NO_DRAFTS = "draft pull requests are not supported"


class Said(StrEnum):
    """The last word of a pull request, or the word of a comment on one; it stands in the marker."""

    READY = "ready"
    DRAFT = "draft"
    UNREADY = "unready"
    """Not ready, and no draft: its repository has none, or a person took it out of that."""
    OVERTAKEN = "overtaken"
    LEFT = "left"
    """Of a comment: left to the person whose commit is on the branch."""
    LEFT_OPEN = "leftopen"
    """Of a comment: overtaken, and left to a person all the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pull:
    """A pull request from a branch of ours.

    Args:
        ended_at: when it was merged or closed; None if it is open.
        head: the last commit of its branch that it has, 40 hexadecimal digits.
        ours: we have written it.
        marker: its signed last word; None if it is not ours, or a person took that out.
        locked: not everybody may comment.
        node: its id in the GraphQL API.
    """

    number: int
    url: str
    branch: str
    title: str
    body: str
    draft: bool
    merged: bool
    ended_at: datetime | None
    head: str
    ours: bool
    marker: PullMarker | None
    locked: bool
    node: str

    @property
    def said(self) -> Said | None:
        """Its last word, where that is known."""
        return Said(self.marker.said) if self.marker else None

    def proposed(self, what: str) -> bool:
        """Say whether it proposes, or proposed last, just that; not if its marker cannot tell."""
        return self.marker is not None and self.marker.of == digest(what)


class Pulls:
    """The pull requests of one repository, written with one token."""

    def __init__(self, api: Api, authorship: Authorship, identity: Identity, repository: str) -> None:
        self._api = api
        self._authorship = authorship
        self._identity = identity
        self._repository = repository
        self._default = ""

    def name(self) -> str:
        """Ask what the repository is called now, `owner/name`: it may have been renamed.

        Raises:
            TryAgain, Ambiguous, GaveUp: it cannot be asked.
        """
        self.default_branch()
        return self._place().removeprefix("/repos/")

    def of(self, branch: str) -> Sequence[Pull]:
        """List the pull requests from a branch of the repository: the open ones first, then the newest.

        Raises:
            TryAgain, Ambiguous, GaveUp: they cannot be listed.
        """
        # By its owner's present name the list is filtered.
        owner = self.name().partition("/")[0]
        query = {"state": "all", "head": f"{owner}:{branch}", "sort": "created", "direction": "desc"}
        doing = f"looking for a pull request from {branch} in {self._repository}"
        found: list[Pull] = []
        for page in self._api.pages(f"{self._place()}/pulls", query, doing=doing):
            found += [self._pull(data) for data in _allowed(page) if _is_from(data, branch)]
        return sorted(found, key=lambda pull: (pull.ended_at is not None, not pull.ours, -pull.number))

    def open(self, proposal: Proposal, *, turn: Turn) -> Pull:
        """Open the pull request of a branch that was pushed; one there meanwhile is brought up to date.

        At most one POST is applied. A repository without drafts gets one that says it is not ready.

        Raises:
            TryAgain, Ambiguous, GaveUp: as the protocol says; `of` finds what was opened all the same.
        """
        answer = self._post(proposal, Said.READY if proposal.ready else Said.DRAFT, turn)
        if _refuses(answer, _NO_DRAFTS):
            answer = self._post(proposal, Said.UNREADY, turn)
        if _refuses(answer, _THERE_ALREADY):
            there = next((pull for pull in self.of(proposal.branch) if pull.ended_at is None), None)
            if there is None:
                raise TryAgain(f"{self._repository} has a pull request from {proposal.branch} and lists none")
            self.update(there, proposal, turn=turn)
            return there
        data = _allowed(answer)
        self._authorship.learn(data)
        return self._pull(data)

    def update(self, pull: Pull, proposal: Proposal, *, turn: Turn) -> bool:
        """Bring an open pull request's text and readiness up to date; one that is not ours is left alone.

        It becomes a draft, or ready, only where that is another word than our last: in between, a person
        may have chosen.

        Returns:
            whether anything had to be changed.

        Raises:
            TryAgain, Ambiguous, GaveUp: as the channels' protocol says; safe to repeat.
        """
        if not pull.ours:
            return False
        # Readiness first: the marker in the text tells that it was done.
        said, changed = self._settle(pull, proposal, turn)
        wanted = {"title": wording.title(proposal.title), "body": self._body(proposal, said)}
        has = {"title": pull.title, "body": pull.body}
        sent = {name: text for name, text in wanted.items() if _as_kept(text) != _as_kept(has[name])}
        if sent:
            self._patch(pull, sent, doing="updating", turn=turn)
        return changed or bool(sent)

    def tell(self, pull: Pull, said: Said, text: str, *, head: str, turn: Turn) -> None:
        """Comment on a pull request, once for each word and head; nothing where it is locked for us.

        Args:
            text: Markdown.
            head: the commit that the comment is about.

        Raises:
            TryAgain, Ambiguous, GaveUp: as the channels' protocol says; safe to repeat.
        """
        marker = self._marker(pull.branch, of=head, said=said)
        path = f"{self._place()}/issues/{pull.number}/comments"
        doing = f"looking for our comment on {self._name(pull)}"
        for page in self._api.pages(path, {}, doing=doing):
            if any(self._read(comment) == marker for comment in _allowed(page)):
                return
        body = wording.marked(text, marker=marker.signed(self._identity.key))
        doing = f"commenting on {self._name(pull)}"
        answer = self._api.ask("POST", path, {"body": body}, doing=doing, expect="id", turn=turn)
        if answer.row == "403" and pull.locked:
            _log.warning("%s is locked: not commented on", self._name(pull))
            return
        self._authorship.learn(_allowed(answer))

    def close(self, pull: Pull, *, turn: Turn) -> None:
        """Close a pull request of ours as overtaken, so that it is not taken for closed by a person.

        Raises:
            TryAgain, Ambiguous, GaveUp: as the channels' protocol says; safe to repeat.
        """
        marker = pull.marker or self._marker(pull.branch, of="", said=Said.OVERTAKEN)
        marker = replace(marker, said=Said.OVERTAKEN)
        body = wording.marked_anew(pull.body, marker=marker.signed(self._identity.key))
        # In one request: whoever reads it closed reads by whom.
        self._patch(pull, {"state": "closed", "body": body}, doing="closing", turn=turn)

    def _settle(self, pull: Pull, proposal: Proposal, turn: Turn) -> tuple[Said, bool]:
        """Make it ready, or a draft, where our word changes; give our word, and whether that was done."""
        last = pull.said
        if last is None or last is Said.OVERTAKEN:
            # What we last said of it is not known: it stays as people see it.
            not_ready = Said.DRAFT if pull.draft else Said.UNREADY
            return (Said.READY if proposal.ready else not_ready), False
        if proposal.ready:
            if last is Said.READY or not pull.draft:
                return Said.READY, False
            _allowed(self._mutate(pull, "markPullRequestReadyForReview", turn))
            return Said.READY, True
        if last is not Said.READY or pull.draft:
            return (Said.DRAFT if last is Said.READY else last), False
        answer = self._mutate(pull, "convertPullRequestToDraft", turn)
        if _refuses(answer, _NO_DRAFTS):
            return Said.UNREADY, False
        _allowed(answer)
        return Said.DRAFT, True

    def _mutate(self, pull: Pull, mutation: str, turn: Turn) -> Answer:
        # https://docs.github.com/en/graphql/reference/mutations: the REST API cannot do either.
        doing = f"changing the readiness of {self._name(pull)}"
        return self._api.mutate(mutation, {"pullRequestId": pull.node}, doing=doing, turn=turn)

    def _post(self, proposal: Proposal, said: Said, turn: Turn) -> Answer:
        payload = {
            "title": wording.title(proposal.title),
            "body": self._body(proposal, said),
            "head": proposal.branch,
            "base": self.default_branch(),
            "draft": said is Said.DRAFT,
        }
        doing = f"opening a pull request from {proposal.branch} in {self._repository}"
        return self._api.ask(
            "POST", f"{self._place()}/pulls", payload, doing=doing, expect="number", turn=turn
        )

    def _patch(self, pull: Pull, sent: Mapping[str, str], *, doing: str, turn: Turn) -> None:
        path = f"{self._place()}/pulls/{pull.number}"
        doing = f"{doing} {self._name(pull)}"
        _allowed(self._api.ask("PATCH", path, sent, doing=doing, expect="number", turn=turn))

    def _body(self, proposal: Proposal, said: Said) -> str:
        not_ready = proposal.reason if said is Said.UNREADY else None
        marker = self._marker(proposal.branch, of=proposal.proposes, said=said)
        text = wording.body(proposal.body, not_ready=not_ready)
        return wording.marked(text, marker=marker.signed(self._identity.key))

    def _marker(self, branch: str, *, of: str, said: Said) -> PullMarker:
        return PullMarker(
            installation=self._identity.installation, pull=digest(branch), of=digest(of), said=said
        )

    def _pull(self, data: Mapping[str, Any]) -> Pull:
        branch = data["head"]["ref"]
        marker = self._read(data)
        known = marker is not None and marker.pull == digest(branch) and marker.said in set(Said)
        ended = data.get("merged_at") or data.get("closed_at")
        return Pull(
            number=int(data["number"]),
            url=data.get("html_url") or "",
            branch=branch,
            title=data.get("title") or "",
            body=data.get("body") or "",
            draft=bool(data.get("draft")),
            merged=bool(data.get("merged_at")),
            ended_at=datetime.fromisoformat(ended) if ended and data.get("state") != "open" else None,
            head=data["head"].get("sha") or "",
            ours=self._authorship.is_ours(data),
            marker=marker if known else None,
            locked=bool(data.get("locked")),
            node=data.get("node_id") or "",
        )

    def _read(self, posted: Mapping[str, Any]) -> PullMarker | None:
        """Read the marker in the first line of what we have written; None if we have not, or it has none."""
        first = str(posted.get("body") or "").partition("\n")[0]
        marker = read_pull_marker(first, self._identity.key)
        return marker if marker is not None and self._authorship.is_ours(posted) else None

    def default_branch(self) -> str:
        """Name the branch that pull requests go into; asked once.

        Raises:
            TryAgain, Ambiguous, GaveUp: the repository cannot be read.
        """
        if not self._default:
            doing = f"reading {self._repository}"
            answer = self._api.ask("GET", self._place(), doing=doing, expect="default_branch")
            self._default = str(_allowed(answer)["default_branch"])
        return self._default

    def _place(self) -> str:
        return self._api.place(self._repository)

    def _name(self, pull: Pull) -> str:
        return f"pull request {pull.number} in {self._repository}"


def _is_from(data: Mapping[str, Any], branch: str) -> bool:
    """Say whether it is from this branch of the repository itself: a fork may have one of that name."""
    head, base = data.get("head") or {}, data.get("base") or {}
    place = (head.get("repo") or {}).get("id")
    return head.get("ref") == branch and place == (base.get("repo") or {}).get("id")


def _allowed(answer: Answer) -> Any:
    """Give what came back; a refusal names the rights it takes, unless there are none to be had.

    Raises:
        TryAgain, Ambiguous, GaveUp: the answer is a failure.
    """
    if answer.failure is not None and answer.row in _FORBIDDEN:
        archived = _ARCHIVED in answer.failure.what.lower()
        raise GaveUp(answer.failure.what, remedy=_ELSEWHERE if archived else _RIGHTS)
    return answer.need()


def _refuses(answer: Answer, words: str) -> bool:
    return answer.row == "422" and answer.failure is not None and words in answer.failure.what.lower()


def _as_kept(text: str) -> str:
    # What people edit on GitHub's pages comes back with other line ends.
    return text.replace("\r\n", "\n").strip()
