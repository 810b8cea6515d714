"""Single Slack messages by one incoming webhook, which can neither be edited, answered nor found again."""

import logging
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from slack_sdk.webhook import WebhookClient

from riskloop.channels import Kept, Parcel, Posting, Turn
from riskloop.channels.answers import LOST, by_status, refused, wait_asked, without_answer
from riskloop.wording import slack as wording

_LESSER = (
    "Sent by an incoming webhook: it can neither be updated nor answered in a thread, and may come twice. "
    "A bot token does both; see docs/channels.md."
)


class SlackWebhook:
    """Single messages: a lesser sink, which cannot edit, reply or look.

    Args:
        url: the webhook's address, which is a secret.
        timeout: seconds to wait for the answer.
    """

    def __init__(self, url: str, *, timeout: int = 15) -> None:
        # The SDK logs each failed call as an error; we raise it in our own words instead.
        logger = logging.getLogger(f"{__name__}.sdk")
        logger.setLevel(logging.CRITICAL)
        self._client = WebhookClient(url, timeout=timeout, retry_handlers=[], logger=logger)

    def send(self, parcel: Parcel, *, turn: Turn, found: Posting | None = None) -> Posting:
        """Post the incident as it stands, one more message for each transition that is told of.

        The webhook decides the channel; what a bot would only edit is not worth a message.

        Raises:
            TryAgain, Ambiguous, GaveUp: as the protocol says.
        """
        posting = parcel.posting or Posting(reference="webhook")
        if found is not None or (parcel.posting is not None and not parcel.facts.aloud):
            return posting
        message = wording.message(parcel.facts, issue_url=parcel.issue_url, previous_url=parcel.previous_url)
        self._post(message.text, [dict(block) for block in message.blocks], turn=turn)
        return posting

    def send_test(self, target: str, *, turn: Turn) -> Posting:
        """Post a test message; where it appears the webhook decides, `target` is only what we call it."""
        self._post(wording.TEST, [], turn=turn)
        return Posting(reference=target)

    def find(self, parcel: Parcel) -> Posting | None:
        """Find nothing: a webhook cannot look, which is why its messages may come twice."""
        del parcel
        return None

    def look_around(self, target: str, *, since: datetime | None) -> Iterable[Kept]:
        """Find nothing, likewise."""
        del target, since
        return ()

    def prove(self, realm: str) -> None:
        """Need no token: the address itself is the secret, and only a message would prove it."""

    def _post(self, text: str, blocks: list[dict[str, Any]], *, turn: Turn) -> None:
        said = {"type": "section", "text": {"type": "mrkdwn", "text": text}}
        lesser = {"type": "context", "elements": [{"type": "plain_text", "text": _LESSER}]}
        doing = "posting by the Slack webhook"
        turn()
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
