"""One Slack message per incident, edited in place, and its thread; or, by incoming webhook, single messages.

The SDK brings the connection and the token. Its retries are off: they doubled a message whose answer was
lost.
"""

import logging
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.webhook import WebhookClient

from riskloop.channels import Parcel, Posting
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
from riskloop.errors import GaveUp, Undelivered
from riskloop.incidents import Change
from riskloop.wording import slack as wording

_EVENT = "riskloop"
_CHANNEL = re.compile(r"[CGD][A-Z0-9]{2,}")
_PAGE = 200
_BEFORE_SECONDS = 120
_TOLD_IN_A_REPLY = frozenset({Change.WORSENED, Change.EASED, Change.REMINDED, Change.RESOLVED})
_LESSER = (
    "Sent by an incoming webhook: it can neither be updated nor answered in a thread, and may come twice. "
    "A bot token does both; see docs/channels.md."
)


class Slack:
    """Messages in channels named `C0123`, or `workspace/C0123` where there are several workspaces.

    Args:
        tokens: bot tokens by workspace; "" is the unnamed one.
        url: the API's base address.
        key: the key that signs our markers.
        timeout: seconds to wait for each answer.
    """

    def __init__(self, tokens: Mapping[str, str], url: str, *, key: bytes, timeout: int = 15) -> None:
        self._key = key
        # The SDK logs each failed call as an error; we raise it in our own words instead.
        logger = logging.getLogger(f"{__name__}.sdk")
        logger.setLevel(logging.CRITICAL)
        self._clients = {
            workspace: WebClient(token=token, base_url=url, timeout=timeout, retry_handlers=[], logger=logger)
            for workspace, token in tokens.items()
        }
        self._us: dict[str, str] = {}

    def send(self, parcel: Parcel, *, found: Posting | None = None) -> Posting:
        """Post the incident's message, or edit it and reply in its thread.

        The one POST, a new message or a reply, comes last: nothing can fail after it. With `found`, where it
        is there already, failing to edit is Ambiguous, so that the next attempt looks again.

        Raises:
            TryAgain, Ambiguous, GaveUp: as the protocol says.
        """
        workspace, channel = self._place(parcel.target)
        if parcel.posting is None:
            if found is not None:
                return found
            message = wording.message(parcel.facts, issue_url=parcel.issue_url)
            payload = _payload(channel, message, parcel.marker)
            doing = f"posting in {parcel.target}"
            ts = self._post(workspace, payload, doing=doing)
            return Posting(reference=ts, url=self._permalink(workspace, channel, ts))
        message = wording.message(parcel.facts, issue_url=parcel.issue_url)
        payload = _payload(channel, message, parcel.opening_marker) | {"ts": parcel.posting.reference}
        with looked_into(posted=found is not None):
            self._call(workspace, "chat.update", payload, doing=f"updating the message in {parcel.target}")
        if parcel.facts.change in _TOLD_IN_A_REPLY and found is None:
            reply = wording.reply(parcel.facts, issue_url=parcel.issue_url)
            payload = _payload(channel, reply, parcel.marker) | {"thread_ts": parcel.posting.reference}
            self._post(workspace, payload, doing=f"replying in {parcel.target}")
        return parcel.posting

    def find(self, parcel: Parcel) -> Posting | None:
        """Look for the message, or the reply, whose metadata carry this delivery's signed marker, by us.

        Messages are in the channel's history and replies in the thread's: the history has no replies.
        """
        workspace, channel = self._place(parcel.target)
        us = self._who_we_are(workspace)
        query: dict[str, Any] = {"channel": channel, "limit": _PAGE, "include_all_metadata": True}
        if parcel.attempted_at is not None:
            # Nothing of a delivery is older than its transition, however often it was tried.
            earliest = min(parcel.attempted_at, parcel.facts.at)
            query["oldest"] = f"{earliest.timestamp() - _BEFORE_SECONDS:.6f}"
        method = "conversations.history"
        if parcel.posting is not None:
            method = "conversations.replies"
            query["ts"] = parcel.posting.reference
        doing = f"looking for a message in {parcel.target}"
        wanted = read_marker(parcel.marker, self._key)
        for message in self._pages(workspace, method, query, doing=doing):
            if wanted is not None and self._marker(message) == wanted and message.get("user") == us:
                if parcel.posting is not None:
                    return parcel.posting
                ts = str(message["ts"])
                return Posting(reference=ts, url=self._permalink(workspace, channel, ts))
        return None

    def check(self, targets: Iterable[str]) -> list[tuple[str, bool, str]]:
        """Say for each token and each target whether we can post there: name, yes or no, words."""
        found = []
        for workspace in self._clients:
            name = f"Slack token {workspace}".rstrip()
            try:
                answer = self._call(workspace, "auth.test", {}, doing="asking whose token it is")
                found.append((name, True, f"belongs to {answer.get('user')} in {answer.get('team')}"))
            except Undelivered as error:
                found.append((name, False, str(error)))
        for target in targets:
            name = f"Slack {target}"
            try:
                workspace, channel = self._place(target)
                query = {"channel": channel, "limit": 1}
                self._call(workspace, "conversations.history", query, doing=f"reading {target}")
                found.append((name, True, "can be read; --send-test proves that it can be written"))
            except Undelivered as error:
                found.append((name, False, str(error)))
        return found

    def send_test(self, target: str) -> Posting:
        """Post a test message, and look whether we could find it again after a crash.

        Raises:
            GaveUp: the message is there, but Slack does not show us the metadata we know it by.
        """
        workspace, channel = self._place(target)
        text = "A test by `riskloop doctor --send-test`: riskloop can post here. No answer is needed."
        payload = {
            "channel": channel,
            "text": text,
            "metadata": {"event_type": _EVENT, "event_payload": {"marker": "test"}},
        }
        ts = self._post(workspace, payload, doing=f"posting a test in {target}")
        query: dict[str, Any] = {"channel": channel, "limit": 1, "include_all_metadata": True}
        query |= {"oldest": ts, "inclusive": True}
        doing = f"looking for the test in {target}"
        for message in self._pages(workspace, "conversations.history", query, doing=doing):
            if message.get("ts") == ts and _marker_text(message) == "test":
                return Posting(reference=ts, url=self._permalink(workspace, channel, ts))
        raise GaveUp(
            f"posted a test in {target}, but Slack does not show it to us with its metadata",
            remedy="give the app the scope metadata.message:read and install it again",
        )

    def _place(self, target: str) -> tuple[str, str]:
        workspace, _, channel = target.rpartition("/")
        if workspace not in self._clients:
            variable = f"RISKLOOP_SLACK_TOKEN_{workspace.upper()}" if workspace else "RISKLOOP_SLACK_TOKEN"
            raise GaveUp(f"there is no Slack token for {target}", remedy=f"set {variable}")
        if not _CHANNEL.fullmatch(channel):
            raise GaveUp(
                f"{channel!r} is not the ID of a Slack channel",
                remedy="write the ID (C…) that the channel's details show at the bottom",
            )
        return workspace, channel

    def _who_we_are(self, workspace: str) -> str:
        if workspace not in self._us:
            answer = self._call(workspace, "auth.test", {}, doing="asking whose token it is")
            self._us[workspace] = str(answer.get("user_id"))
        return self._us[workspace]

    def _marker(self, message: Mapping[str, Any]) -> Marker | None:
        return read_marker(_marker_text(message), self._key)

    def _permalink(self, workspace: str, channel: str, ts: str) -> str:
        # The message is there: a link we cannot get is a lesser thing than a message sent twice.
        with suppress(Undelivered):
            query = {"channel": channel, "message_ts": ts}
            answer = self._call(workspace, "chat.getPermalink", query, doing="asking for a link")
            return str(answer.get("permalink") or "")
        return ""

    def _post(self, workspace: str, payload: Mapping[str, Any], *, doing: str) -> str:
        quiet = {"unfurl_links": False, "unfurl_media": False}
        answer = self._call(workspace, "chat.postMessage", {**payload, **quiet}, doing=doing)
        if not isinstance(answer.get("ts"), str):
            raise refused("garbled", service="Slack", doing=doing)
        return str(answer["ts"])

    def _pages(
        self, workspace: str, method: str, query: Mapping[str, Any], *, doing: str
    ) -> Iterator[Mapping[str, Any]]:
        cursor = ""
        while True:
            asked = {**query, "cursor": cursor} if cursor else query
            answer = self._call(workspace, method, asked, doing=doing)
            yield from answer.get("messages") or []
            cursor = (answer.get("response_metadata") or {}).get("next_cursor") or ""
            if not cursor:
                return

    def _call(
        self, workspace: str, method: str, payload: Mapping[str, Any], *, doing: str
    ) -> Mapping[str, Any]:
        # Slack reads JSON only where a message is written (docs.slack.dev, "Using the Slack Web API").
        written = method in _WRITES
        try:
            answer = self._clients[workspace].api_call(
                method,
                json=dict(payload) if written else None,
                params=None if written else dict(payload),
            )
        except SlackApiError as error:
            raise _refused(error, doing=doing) from error
        except LOST as error:
            raise refused(without_answer(error), service="Slack", doing=doing) from error
        except UnicodeDecodeError as error:
            raise refused("garbled", service="Slack", doing=doing) from error
        data = answer.data
        if not isinstance(data, dict):
            raise refused("garbled", service="Slack", doing=doing)
        return data


class SlackWebhook:
    """Single messages by one incoming webhook: a lesser sink, which cannot edit, reply or look.

    Args:
        url: the webhook's address, which is a secret.
        timeout: seconds to wait for the answer.
    """

    def __init__(self, url: str, *, timeout: int = 15) -> None:
        logger = logging.getLogger(f"{__name__}.sdk")
        logger.setLevel(logging.CRITICAL)
        self._client = WebhookClient(url, timeout=timeout, retry_handlers=[], logger=logger)

    def send(self, parcel: Parcel, *, found: Posting | None = None) -> Posting:
        """Post the incident as it stands, one more message for each transition that is told of.

        The webhook decides the channel; new numbers under the same severity are not worth a message.

        Raises:
            TryAgain, Ambiguous, GaveUp: as the protocol says.
        """
        posting = parcel.posting or Posting(reference="webhook")
        if found is not None or (parcel.posting is not None and parcel.facts.change is Change.UPDATED):
            return posting
        message = wording.message(parcel.facts, issue_url=parcel.issue_url)
        self._post(message.text, [dict(block) for block in message.blocks])
        return posting

    def send_test(self, target: str) -> Posting:
        """Post a test message; where it appears the webhook decides, `target` is only what we call it."""
        self._post(
            "A test by `riskloop doctor --send-test`: riskloop can post here. No answer is needed.", []
        )
        return Posting(reference=target)

    def find(self, parcel: Parcel) -> Posting | None:
        """Find nothing: a webhook cannot look, which is why its messages may come twice."""
        del parcel
        return None

    def _post(self, text: str, blocks: list[dict[str, Any]]) -> None:
        said = {"type": "section", "text": {"type": "mrkdwn", "text": text}}
        lesser = {"type": "context", "elements": [{"type": "plain_text", "text": _LESSER}]}
        doing = "posting by the Slack webhook"
        try:
            answer = self._client.send(
                text=text, blocks=[*(blocks or [said]), lesser], unfurl_links=False, unfurl_media=False
            )
        except LOST as error:
            raise refused(without_answer(error), service="Slack", doing=doing) from error
        headers = {name.lower(): value for name, value in answer.headers.items()}
        row = by_status(answer.status_code, headers)
        if row:
            raise refused(row, service="Slack", doing=doing, said=answer.body, after=wait_asked(headers))
        if answer.body != "ok":
            raise refused("garbled", service="Slack", doing=doing)


_WRITES = frozenset({"chat.postMessage", "chat.update"})


def _payload(channel: str, message: wording.Message, marker: str) -> dict[str, Any]:
    return {
        "channel": channel,
        "text": message.text,
        "blocks": [dict(block) for block in message.blocks],
        "metadata": {"event_type": _EVENT, "event_payload": {"marker": marker}},
    }


def _marker_text(message: Mapping[str, Any]) -> str:
    metadata = message.get("metadata") or {}
    if metadata.get("event_type") != _EVENT:
        return ""
    return str((metadata.get("event_payload") or {}).get("marker") or "")


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
