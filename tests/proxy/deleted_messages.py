"""What becomes of a Slack thread whose first message was deleted, which the emulator does not know."""

import threading
from typing import Any

from tests.proxy.traffic import Answer, Recorded

_TOMBSTONE = {
    "subtype": "tombstone",
    "text": "This message was deleted.",
    "user": "USLACKBOT",
    "hidden": True,
}
_KEPT = ("type", "ts", "thread_ts", "reply_count", "reply_users")


class DeletedMessages:
    """The messages of one workspace that somebody deleted.

    One without replies is gone: its thread is not found, and Slack silently posts a later reply as a message
    of its own (observed by others: github.com/slack-go/slack/issues/1571). One with replies leaves a
    tombstone above them, and its thread goes on.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._gone: set[tuple[str, str]] = set()
        self._tombstones: set[tuple[str, str]] = set()

    def add(self, channel: str, ts: str, *, replies: bool) -> None:
        """Have a message be deleted; one with replies is to stay in the emulator."""
        with self._lock:
            (self._tombstones if replies else self._gone).add((channel, ts))

    def refusal(self, path: str, sent: dict[str, Any]) -> Answer | None:
        """Say what Slack answers to a request about a deleted message; None if nothing special."""
        message = (str(sent.get("channel")), str(sent.get("ts")))
        with self._lock:
            if path == "/api/chat.update" and message in self._tombstones:
                return Answer.of(200, {"ok": False, "error": "message_not_found"})
            if path == "/api/conversations.replies" and message in self._gone:
                return Answer.of(200, {"ok": False, "error": "thread_not_found"})
        return None

    def loses_its_thread(self, request: Recorded) -> bool:
        """Say whether a message is posted into a thread that is gone."""
        thread = (str(request.sent.get("channel")), str(request.sent.get("thread_ts")))
        with self._lock:
            return request.path == "/api/chat.postMessage" and thread in self._gone

    def shown(self, channel: str, messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Show a tombstone in place of each deleted message."""
        with self._lock:
            tombstones = {ts for where, ts in self._tombstones if where == channel}
        return [
            {**{name: row[name] for name in _KEPT if name in row}, **_TOMBSTONE}
            if row["ts"] in tombstones
            else row
            for row in messages
        ]
