"""One Slack message per incident, edited in place, and its thread.

The SDK brings the connection and the token. Its retries are off: they doubled a message whose answer was
lost.
"""

import itertools
import logging
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from riskloop.channels import Kept, Parcel, Posting, Standing, Turn
from riskloop.channels.answers import (
    LOST,
    by_slack_error,
    by_status,
    looked_into,
    refused,
    wait_asked,
    without_answer,
)
from riskloop.channels.markers import Marker, read_marker
from riskloop.errors import GaveUp, Gone, Refused, Undelivered
from riskloop.identity import Accounts
from riskloop.wording import slack as wording

_log = logging.getLogger(__name__)
_CHANNEL = re.compile(r"[CGD][A-Z0-9]{2,}")
_PAGE = 200
_BEFORE_SECONDS = 120
_WITH_MARKERS = {"include_all_metadata": True}
_FARTHEST = timedelta(days=90)
_UNEDITABLE = frozenset({"cant_update_message", "edit_window_closed"})


class Slack:
    """Messages in channels named `C0123`, or `workspace/C0123` where there are several workspaces.

    Args:
        tokens: bot tokens by workspace; "" is the unnamed one.
        url: the API's base address.
        key: the key that signs our markers.
        accounts: those we have written as, to which the ones we learn of are added.
        timeout: seconds to wait for each answer.
    """

    def __init__(
        self, tokens: Mapping[str, str], url: str, *, key: bytes, accounts: Accounts, timeout: int = 15
    ) -> None:
        self._key = key
        self._accounts = accounts
        # The SDK logs each failed call as an error; we raise it in our own words instead.
        logger = logging.getLogger(f"{__name__}.sdk")
        logger.setLevel(logging.CRITICAL)
        self._clients = {
            workspace: WebClient(token=token, base_url=url, timeout=timeout, retry_handlers=[], logger=logger)
            for workspace, token in tokens.items()
        }
        self._us: dict[str, str] = {}

    def send(self, parcel: Parcel, *, turn: Turn, found: Posting | None = None) -> Posting:
        """Post the incident's message, or edit it and reply in its thread.

        The one POST, a new message or a reply, comes last: nothing can fail after it. With `found`, where it
        is there already, failing to edit is Ambiguous, so that the next attempt looks again. A message that
        Slack lets nobody edit, or only the app that wrote it, is left as it is; the reply is sent.

        Raises:
            TryAgain, Ambiguous, Gone, GaveUp: as the protocol says.
        """
        workspace, channel = self._place(parcel.target)
        if parcel.posting is None:
            if found is not None:
                return found
            payload = _message(channel, parcel, parcel.marker)
            ts = self._post(workspace, payload, doing=f"posting in {parcel.target}", turn=turn)
            return self._posting(workspace, channel, ts)
        payload = _message(channel, parcel, parcel.opening_marker) | {"ts": parcel.posting.reference}
        with looked_into(posted=found is not None):
            self._edit(workspace, payload, doing=f"updating the message in {parcel.target}", turn=turn)
        if parcel.facts.aloud and found is None:
            reply = wording.reply(parcel.facts, issue_url=parcel.issue_url)
            payload = wording.payload(channel, reply, marker=parcel.marker)
            payload["thread_ts"] = parcel.posting.reference
            self._post(workspace, payload, doing=f"replying in {parcel.target}", turn=turn)
        if parcel.posting.url:
            return parcel.posting
        return self._posting(workspace, channel, parcel.posting.reference)

    def find(self, parcel: Parcel) -> Posting | None:
        """Look for the message, or the reply, whose metadata carry this delivery's signed marker, by us.

        Messages are in the channel's history and replies in the thread's: the history has no replies.
        """
        workspace, channel = self._place(parcel.target)
        doing = f"looking for a message in {parcel.target}"
        wanted = read_marker(parcel.marker, self._key)
        found: Iterable[Mapping[str, Any]]
        if parcel.posting is not None:
            query = {"channel": channel, "ts": parcel.posting.reference, "limit": _PAGE}
            pages = self._pages(workspace, "conversations.replies", query | _WITH_MARKERS, doing=doing)
            found = itertools.chain.from_iterable(pages)
        else:
            # Nothing of a delivery is older than its transition, however often it was tried.
            tried = min(parcel.attempted_at or parcel.facts.at, parcel.facts.at)
            found = self._history(workspace, channel, tried.timestamp() - _BEFORE_SECONDS, doing=doing)
        for message in found:
            if wanted is not None and self._marker(workspace, message) == wanted:
                if parcel.posting is not None:
                    return parcel.posting
                return self._posting(workspace, channel, str(message["ts"]))
        return None

    def look_around(self, target: str, *, since: datetime | None) -> Iterable[Kept]:
        """List our messages in a channel whose metadata say that the incident is open, the newest first.

        Args:
            since: only those posted since then; 90 days back if None, as far as a free workspace shows any.

        Their addresses are left empty: each would cost a request.
        """
        workspace, channel = self._place(target)
        # By the clock that Slack's timestamps come from.
        earliest = since.timestamp() if since else time.time() - _FARTHEST.total_seconds()
        doing = f"looking around in {target}"
        for message in self._history(workspace, channel, earliest, doing=doing):
            marker = self._marker(workspace, message)
            if marker is not None and _told(message).get("state") == "open":
                ts = str(message["ts"])
                made_at = datetime.fromtimestamp(float(ts), UTC)
                yield Kept(posting=Posting(reference=ts), marker=marker, made_at=made_at)

    def standing(self, target: str, posting: Posting) -> Standing:
        """Say whether a message is still there; one of which only replies are left is not."""
        workspace, channel = self._place(target)
        query = {"channel": channel, "ts": posting.reference, "limit": 1}
        doing = f"looking for a message in {target}"
        try:
            answer = self._read(workspace, "conversations.replies", query, doing=doing)
        except Gone:
            return Standing.GONE
        for message in answer.get("messages") or []:
            if message.get("ts") == posting.reference and message.get("subtype") != "tombstone":
                return Standing.OPEN
        return Standing.GONE

    def close_extra(
        self, target: str, posting: Posting, *, says: str, duplicate: bool, marker: str, turn: Turn
    ) -> None:
        """Have a message say only why it is over; one that is gone, or that nobody may edit, is left alone.

        Args:
            says: the sentence that replaces it; addresses in it become links.
            duplicate: it is one too many, rather than that of a resolved incident.
            marker: the one it carries, which it keeps.
        """
        workspace, channel = self._place(target)
        message = wording.closed(says, duplicate=duplicate)
        payload = wording.payload(channel, message, marker=marker, state="resolved")
        payload["ts"] = posting.reference
        with suppress(Gone):
            self._edit(workspace, payload, doing=f"closing a message in {target}", turn=turn)

    def prove(self, realm: str) -> None:
        """Ask whose a workspace's token is.

        Args:
            realm: `slack:<workspace>`.
        """
        self._who_we_are(realm.partition(":")[2], anew=True)

    def check(self, targets: Iterable[str]) -> list[tuple[str, bool, str]]:
        """Say for each token and each target whether we can post there: name, yes or no, words."""
        found = []
        for workspace in self._clients:
            name = f"Slack token {workspace}".rstrip()
            try:
                answer = self._read(workspace, "auth.test", {}, doing="asking whose token it is")
                found.append((name, True, f"belongs to {answer.get('user')} in {answer.get('team')}"))
            except Undelivered as error:
                found.append((name, False, str(error)))
        for target in targets:
            name = f"Slack {target}"
            try:
                workspace, channel = self._place(target)
                query = {"channel": channel, "limit": 1}
                self._read(workspace, "conversations.history", query, doing=f"reading {target}")
                found.append((name, True, "can be read; --send-test proves that it can be written"))
            except Undelivered as error:
                found.append((name, False, str(error)))
        return found

    def send_test(self, target: str, *, turn: Turn) -> Posting:
        """Post a test message, and look whether we could find it again after a crash.

        Raises:
            GaveUp: the message is there, but Slack does not show us the metadata we know it by.
        """
        workspace, channel = self._place(target)
        payload = wording.payload(channel, wording.Message(text=wording.TEST, blocks=()), marker="test")
        ts = self._post(workspace, payload, doing=f"posting a test in {target}", turn=turn)
        doing = f"looking for the test in {target}"
        for message in self._history(workspace, channel, float(ts), doing=doing):
            if message.get("ts") == ts and _told(message).get("marker") == "test":
                return self._posting(workspace, channel, ts)
        raise GaveUp(
            f"posted a test in {target}, but Slack does not show it to us with its metadata",
            remedy="give the app the scope metadata.message:read and install it again",
        )

    def _place(self, target: str) -> tuple[str, str]:
        workspace, _, channel = target.rpartition("/")
        self._client(workspace)
        if not _CHANNEL.fullmatch(channel):
            raise GaveUp(
                f"{channel!r} is not the ID of a Slack channel",
                remedy="write the ID (C…) that the channel's details show at the bottom",
            )
        return workspace, channel

    def _client(self, workspace: str) -> WebClient:
        if workspace not in self._clients:
            variable = f"RISKLOOP_SLACK_TOKEN_{workspace.upper()}" if workspace else "RISKLOOP_SLACK_TOKEN"
            whose = f"the workspace {workspace}" if workspace else "the unnamed workspace"
            raise GaveUp(f"there is no Slack token for {whose}", remedy=f"set {variable}")
        return self._clients[workspace]

    def _who_we_are(self, workspace: str, *, anew: bool = False) -> str:
        if anew or workspace not in self._us:
            answer = self._read(workspace, "auth.test", {}, doing="asking whose token it is")
            self._learn(workspace, answer.get("user_id"))
        return self._us.get(workspace, "")

    def _learn(self, workspace: str, user: object) -> None:
        if not isinstance(user, str) or not user or self._us.get(workspace) == user:
            return
        self._us[workspace] = user
        try:
            self._accounts.remember(f"slack:{workspace}", user)
        except Refused as error:
            # What we were at is not undone by it: it is needed only when the token is another one.
            _log.warning("%s", error)

    def _marker(self, workspace: str, message: Mapping[str, Any]) -> Marker | None:
        """Read a message's marker; None unless its signature is ours and so is its author."""
        marker = read_marker(str(_told(message).get("marker") or ""), self._key)
        if marker is None:
            return None
        author = str(message.get("user") or "")
        if not author:
            return None
        known = author in self._accounts.known(f"slack:{workspace}")
        return marker if known or author == self._who_we_are(workspace) else None

    def _posting(self, workspace: str, channel: str, ts: str) -> Posting:
        # The message is there: a link we cannot get is a lesser thing than a message sent twice.
        url = ""
        with suppress(Undelivered):
            query = {"channel": channel, "message_ts": ts}
            answer = self._read(workspace, "chat.getPermalink", query, doing="asking for a link")
            url = str(answer.get("permalink") or "")
        return Posting(reference=ts, url=url)

    def _post(self, workspace: str, payload: Mapping[str, Any], *, doing: str, turn: Turn) -> str:
        quiet = {"unfurl_links": False, "unfurl_media": False}
        answer = self._write(workspace, "chat.postMessage", {**payload, **quiet}, doing=doing, turn=turn)
        if not isinstance(answer.get("ts"), str):
            raise refused("garbled", service="Slack", doing=doing)
        self._learn(workspace, (answer.get("message") or {}).get("user"))
        return str(answer["ts"])

    def _edit(self, workspace: str, payload: Mapping[str, Any], *, doing: str, turn: Turn) -> None:
        answer = self._write(workspace, "chat.update", payload, doing=doing, turn=turn, let=_UNEDITABLE)
        if answer.get("error"):
            _log.warning("%s: it can no longer be edited and stays as it is (%s)", doing, answer["error"])

    def _history(
        self, workspace: str, channel: str, earliest: float, *, doing: str
    ) -> Iterator[Mapping[str, Any]]:
        """List a channel's messages, the newest first, until one is older than the earliest wanted.

        Slack is not told from when: the newest page is read whatever our clock says, so that one which goes
        wrong by hours hides nothing that was posted a moment ago.
        """
        query = {"channel": channel, "limit": _PAGE}
        for page in self._pages(workspace, "conversations.history", query | _WITH_MARKERS, doing=doing):
            yield from page
            if page and float(page[-1]["ts"]) < earliest:
                return

    def _pages(
        self, workspace: str, method: str, query: Mapping[str, Any], *, doing: str
    ) -> Iterator[list[Mapping[str, Any]]]:
        cursor = ""
        while True:
            asked = {**query, "cursor": cursor} if cursor else query
            answer = self._read(workspace, method, asked, doing=doing)
            yield answer.get("messages") or []
            cursor = (answer.get("response_metadata") or {}).get("next_cursor") or ""
            if not cursor:
                return

    def _read(
        self, workspace: str, method: str, query: Mapping[str, Any], *, doing: str
    ) -> Mapping[str, Any]:
        return self._ask(workspace, method, doing=doing, params=dict(query))

    def _write(
        self,
        workspace: str,
        method: str,
        payload: Mapping[str, Any],
        *,
        doing: str,
        turn: Turn,
        let: frozenset[str] = frozenset(),
    ) -> Mapping[str, Any]:
        # Slack reads JSON only where a message is written (docs.slack.dev, "Using the Slack Web API").
        turn()
        return self._ask(workspace, method, doing=doing, json=dict(payload), let=let)

    def _ask(
        self,
        workspace: str,
        method: str,
        *,
        doing: str,
        params: dict[str, Any] | None = None,
        json: dict[str, Any] | None = None,
        let: frozenset[str] = frozenset(),
    ) -> Mapping[str, Any]:
        """Call a method of the API; `let` names the errors that are given as an answer and not raised."""
        client = self._client(workspace)
        try:
            data = client.api_call(method, params=params, json=json).data
        except SlackApiError as error:
            data = error.response.data
            if not isinstance(data, dict) or data.get("error") not in let:
                raise _refused(error, doing=doing) from error
        except LOST as error:
            raise refused(without_answer(error), service="Slack", doing=doing) from error
        except UnicodeDecodeError as error:
            raise refused("garbled", service="Slack", doing=doing) from error
        if not isinstance(data, dict):
            raise refused("garbled", service="Slack", doing=doing)
        return data


def _message(channel: str, parcel: Parcel, marker: str) -> dict[str, Any]:
    facts = parcel.facts
    message = wording.message(facts, issue_url=parcel.issue_url, previous_url=parcel.previous_url)
    return wording.payload(channel, message, marker=marker, state=wording.state(facts))


def _told(message: Mapping[str, Any]) -> Mapping[str, Any]:
    """Read what we told Slack of a message beside its text; empty if somebody else did."""
    metadata = message.get("metadata") or {}
    payload = metadata.get("event_payload")
    return payload if metadata.get("event_type") == wording.EVENT and isinstance(payload, dict) else {}


def _refused(error: SlackApiError, *, doing: str) -> Undelivered:
    response = error.response
    headers = {name.lower(): value for name, value in response.headers.items()}
    named = response.get("error") or ""
    row = by_slack_error(named)
    said = named if row != "garbled" else f"status {response.status_code}"
    if row in {"garbled", "other error"}:
        row = by_status(response.status_code, headers) or row
    needed = response.get("needed")
    if needed:
        said = f"{said}: {needed}"
    return refused(row, service="Slack", doing=doing, said=said, after=wait_asked(headers))
