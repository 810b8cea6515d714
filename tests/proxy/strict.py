"""What GitHub and Slack refuse and the emulator lets pass: unknown tokens, texts too long, and so on."""

import json
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

STATE_REASONS = {"completed", "not_planned", "duplicate", "reopened", None}
ISSUES = re.compile(r"/repos/[^/]+/[^/]+/issues(?:/\d+)?")
PULLS = re.compile(r"/repos/[^/]+/[^/]+/pulls(?:/\d+)?")
COMMENTS = re.compile(r"/repos/[^/]+/[^/]+/issues/(?:\d+/comments|comments/\d+)")
READS_MESSAGES = ("/api/conversations.history", "/api/conversations.replies")
WRITES_MESSAGES = ("/api/chat.postMessage", "/api/chat.update")

Refusal = tuple[int, dict[str, Any]]


def github_refusal(
    method: str, path: str, body: Mapping[str, Any], *, token: str, known: Collection[str]
) -> Refusal | None:
    """Say what GitHub would answer to a request that it refuses: status and JSON; None if it would not."""
    if token not in known:
        return 401, {"message": "Bad credentials", "documentation_url": "https://docs.github.com/rest"}
    if method not in {"POST", "PATCH"}:
        return None
    wrong = []
    if ISSUES.fullmatch(path) or PULLS.fullmatch(path):
        wrong = list(_wrong_issue(method, body))
    elif COMMENTS.fullmatch(path):
        wrong = list(_wrong_text(body, required=True))
    return (
        (422, {"message": "Validation Failed", "errors": [{"message": w} for w in wrong]}) if wrong else None
    )


def slack_refusal(
    path: str, body: Mapping[str, Any], *, token: str, known: Collection[str]
) -> Refusal | None:
    """Say what Slack would answer to a request that it refuses, status and JSON; None if it would not."""
    if not path.startswith("/api/"):
        return None
    if not token:
        return _no("not_authed")
    if token not in known:
        return _no("invalid_auth")
    if path not in WRITES_MESSAGES:
        return None
    if not re.fullmatch(r"[CGD][A-Z0-9]+", str(body.get("channel", ""))):
        return _no("channel_not_found")
    if len(body.get("text") or "") > 40_000:
        return _no("msg_too_long")
    if _wrong_blocks(body.get("blocks") or []):
        return _no("invalid_blocks")
    metadata = body.get("metadata")
    if metadata is not None and not (
        isinstance(metadata, dict)
        and isinstance(metadata.get("event_type"), str)
        and isinstance(metadata.get("event_payload"), dict)
    ):
        return _no("invalid_metadata_format")
    return None


def slack_answer(path: str, asked: Mapping[str, Any], answer: bytes) -> bytes:
    """Leave out of an answer what Slack leaves out: metadata nobody asked for, messages older than asked."""
    if path not in READS_MESSAGES:
        return answer
    data = json.loads(answer)
    messages = data.get("messages")
    if messages is None:
        return answer
    oldest = float(asked.get("oldest") or 0)
    inclusive = asked.get("inclusive") in {"1", "true", True}
    # Slack's replies always begin with the parent.
    parent = asked.get("ts")
    kept = [
        m
        for m in messages
        if m["ts"] == parent or float(m["ts"]) > oldest or (inclusive and float(m["ts"]) == oldest)
    ]
    if asked.get("include_all_metadata") not in {"1", "true", True}:
        kept = [{name: value for name, value in m.items() if name != "metadata"} for m in kept]
    return json.dumps({**data, "messages": kept}).encode()


def _wrong_issue(method: str, body: Mapping[str, Any]) -> Iterator[str]:
    yield from _wrong_text(body)
    title = body.get("title")
    if method == "POST" and not title:
        yield "title is missing"
    if title is not None and len(title) > 256:
        yield "title is too long (maximum is 256 characters)"
    for label in body.get("labels") or []:
        if not 0 < len(label) <= 50:
            yield "label name is too long (maximum is 50 characters)"
    if body.get("state", "open") not in {"open", "closed"}:
        yield "state is not one of open, closed"
    if body.get("state_reason") not in STATE_REASONS:
        yield "state_reason is not known"


def _wrong_text(body: Mapping[str, Any], *, required: bool = False) -> Iterator[str]:
    text = body.get("body") or ""
    if len(text) > 65_536:
        yield "body is too long (maximum is 65536 characters)"
    if required and not text:
        yield "body is missing"
    if "\x00" in text or any("\ud800" <= character <= "\udfff" for character in text):
        yield "body has characters that are none"


def _wrong_blocks(blocks: list[Mapping[str, Any]]) -> bool:
    if len(blocks) > 50:
        return True
    for block in blocks:
        text = (block.get("text") or {}).get("text", "")
        limit = {"header": 150, "section": 3_000}.get(block.get("type", ""), 3_000)
        if len(text) > limit or ("text" in block and not text):
            return True
        elements = block.get("elements", [])
        if block.get("type") == "context" and not 0 < len(elements) <= 10:
            return True
        if any(not 0 < len(element.get("text", " ")) <= 3_000 for element in elements):
            return True
    return False


def _no(error: str) -> Refusal:
    return 200, {"ok": False, "error": error}
