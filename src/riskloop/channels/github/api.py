"""One request to GitHub at a time: sent once, and its answer read as our table of answers says.

PyGithub brings the connection and the token. Its retries, its pauses and its way of following redirections
are off: a retried POST doubled issues, a redirected one could reach another repository, and the only
throttle is the budget in the store.
"""

import json
import logging
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from github import Auth, Github
from github.Requester import HTTPRequestsConnectionClass, HTTPSRequestsConnectionClass, RequestsResponse

from riskloop.channels import Turn
from riskloop.channels.answers import LOST, by_status, refused, wait_asked, without_answer
from riskloop.errors import GaveUp, Undelivered

_log = logging.getLogger(__name__)
_REPOSITORY = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*/(?!\.{1,2}$)[\w.-]+")
_IN_REPOSITORY = re.compile(r"/repos/(?P<name>[^/]+/[^/]+)(?P<rest>/.*)?")
_BY_ID = re.compile(r"/repositories/(\d+)(/.*)?$")
_MOVED = 301
_PERMANENTLY = 308
_PAGE = 100
_UNLESS_ASKED_SECONDS = 60.0
_GRAPHQL = {"FORBIDDEN": "403", "NOT_FOUND": "404", "RATE_LIMITED": "rate limited"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back.

    Args:
        data: the answer's JSON; None where it is a failure.
        row: how the table of answers calls the failure; empty if there is none.
        failure: what to raise for it.
        location: where a redirection points to; empty if it is none.
    """

    data: Any = None
    row: str = ""
    failure: Undelivered | None = None
    location: str = ""

    def need(self) -> Any:
        """Give the JSON; raise the failure if there is one."""
        if self.failure is not None:
            raise self.failure
        return self.data


class Api:
    """GitHub's REST API, asked with one token.

    Args:
        url: the API's base address.
        timeout: seconds to wait for each answer.
    """

    def __init__(self, token: str, url: str, *, timeout: int) -> None:
        self._client = Github(
            auth=Auth.Token(token),
            base_url=url,
            timeout=timeout,
            retry=None,
            seconds_between_requests=None,
            seconds_between_writes=None,
        )
        address = urlsplit(url)
        kind = _Secure if address.scheme == "https" else _Plain
        self._connection = kind(address.hostname or "", address.port, timeout=timeout)
        self._names: dict[str, str] = {}

    def place(self, repository: str) -> str:
        """Give the path of a repository, under the name it has now as far as we know.

        Raises:
            GaveUp: that is no name of a repository.
        """
        if not _REPOSITORY.fullmatch(repository):
            raise GaveUp(
                f"{repository!r} is not the name of a repository", remedy="write owner/name in the register"
            )
        while repository.lower() in self._names:
            repository = self._names[repository.lower()]
        return f"/repos/{repository}"

    def ask(
        self,
        verb: str,
        path: str,
        payload: Mapping[str, Any] | None = None,
        *,
        doing: str,
        query: Mapping[str, str] | None = None,
        expect: str = "",
        turn: Turn | None = None,
    ) -> Answer:
        """Make one request; where its repository has a new name, make it there.

        Args:
            doing: what we are at, `opening an issue in acme/sdk`.
            expect: a field without which the answer is garbled.
            turn: called before each request sent; a request that writes must have one.
        """
        answer = self._once(verb, path, payload, doing=doing, query=query, expect=expect, turn=turn)
        place = _IN_REPOSITORY.fullmatch(path)
        if answer.row != "moved" or place is None or not (name := self._new_name(place["name"])):
            return answer
        path = f"/repos/{name}{place['rest'] or ''}"
        return self._once(verb, path, payload, doing=doing, query=query, expect=expect, turn=turn)

    def mutate(self, mutation: str, subject: Mapping[str, Any], *, doing: str, turn: Turn) -> Answer:
        """Make one change that only GitHub's GraphQL API can; an error in its answer is a failure.

        Args:
            mutation: its name, as docs.github.com/en/graphql/reference/mutations lists it.
            subject: its input.
            doing: what we are at.
            turn: called before the request.
        """
        kind = f"{mutation[0].upper()}{mutation[1:]}Input"
        query = f"mutation($input: {kind}!) {{ {mutation}(input: $input) {{ clientMutationId }} }}"
        payload = {"query": query, "variables": {"input": dict(subject)}}
        answer = self._once("POST", self._client.requester.graphql_url, payload, doing=doing, turn=turn)
        if answer.failure is not None:
            return answer
        data = answer.data if isinstance(answer.data, dict) else {}
        errors = [error for error in data.get("errors") or () if isinstance(error, dict)]
        if errors:
            row = _GRAPHQL.get(str(errors[0].get("type")), "422")
            return Answer(row=row, failure=refused(row, service="GitHub", doing=doing, said=_message(data)))
        if not (data.get("data") or {}).get(mutation):
            return Answer(row="garbled", failure=refused("garbled", service="GitHub", doing=doing))
        return Answer(data=data["data"])

    def pages(self, path: str, query: Mapping[str, str], *, doing: str) -> Iterator[Answer]:
        """Read a list page by page, each a list of rows; the last answer may be a failure."""
        page = 1
        while True:
            asked = {**query, "per_page": str(_PAGE), "page": str(page)}
            answer = self.ask("GET", path, query=asked, doing=doing)
            if answer.failure is None and not isinstance(answer.data, list):
                answer = Answer(row="garbled", failure=refused("garbled", service="GitHub", doing=doing))
            yield answer
            if answer.failure is not None or len(answer.data) < _PAGE:
                return
            page += 1

    def followed(self, location: str) -> str:
        """Give the page that a redirection leads to, for people; the redirection itself if not known."""
        path = _BY_ID.search(urlsplit(location).path)
        if path is None:
            return location
        answer = self._once("GET", path[0], doing=f"reading {location}", expect="html_url")
        return location if answer.failure else str(answer.data["html_url"])

    def _new_name(self, repository: str) -> str:
        """Find out what a repository is called now; empty if GitHub does not redirect its old name."""
        doing = f"reading {repository}"
        by_id = _BY_ID.search(urlsplit(self._once("GET", f"/repos/{repository}", doing=doing).location).path)
        if by_id is None:
            return ""
        name = str(
            self._once("GET", f"/repositories/{by_id[1]}", doing=doing, expect="full_name").need()[
                "full_name"
            ]
        )
        if not _REPOSITORY.fullmatch(name) or name.lower() == repository.lower():
            return ""
        _log.warning("%s is called %s now: write that in the register", repository, name)
        self._names.pop(name.lower(), None)
        self._names[repository.lower()] = name
        return name

    def _once(
        self,
        verb: str,
        path: str,
        payload: Mapping[str, Any] | None = None,
        *,
        doing: str,
        query: Mapping[str, str] | None = None,
        expect: str = "",
        turn: Turn | None = None,
    ) -> Answer:
        if turn is not None:
            turn()
        try:
            status, headers, text = self._client.requester.requestJson(
                verb,
                path,
                parameters=dict(query or {}),
                input=payload,
                cnx=self._connection,
            )
        except LOST as error:
            raise refused(without_answer(error), service="GitHub", doing=doing) from error
        data = _json(text)
        row = by_status(status, headers, _message(data))
        said = f"{status} {_message(data)}".strip()
        if not row and (data is None or (expect and not (isinstance(data, dict) and expect in data))):
            row, said = "garbled", f"status {status}"
        if not row:
            return Answer(data=data)
        after = wait_asked(headers)
        if row == "rate limited" and after is None:
            # "Otherwise, wait for at least one minute" (docs.github.com, "Troubleshooting the REST API").
            after = _UNLESS_ASKED_SECONDS
        failure = refused(row, service="GitHub", doing=doing, said=said, after=after)
        return Answer(
            row=row, failure=failure, location=headers.get("location", "") if row == "moved" else ""
        )


class _Plain(HTTPRequestsConnectionClass):
    def getresponse(self) -> RequestsResponse:
        return _not_followed(super().getresponse())


class _Secure(HTTPSRequestsConnectionClass):
    def getresponse(self) -> RequestsResponse:
        return _not_followed(super().getresponse())


def _not_followed(response: RequestsResponse) -> RequestsResponse:
    # PyGithub follows a 301, and only that, by itself: a POST too, and without the query.
    if response.status == _MOVED:
        response.status = _PERMANENTLY
    return response


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
