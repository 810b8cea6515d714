"""What may go wrong on the way to GitHub and Slack, each thing by name, so that a test can ask for it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto


class Breakage(Enum):
    """How an answer itself fails to arrive."""

    NONE = auto()
    RESET = auto()
    SILENCE = auto()
    CUT_OFF = auto()
    CUT_JSON = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """An answer in place of the real one.

    Args:
        breakage: how the connection fails; CUT_OFF and CUT_JSON damage the real answer.
    """

    status: int = 502
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = ""
    breakage: Breakage = Breakage.NONE


def github_says(status: int, message: str, **headers: str) -> Fault:
    """Make an error as GitHub words it; header names are written with `_` for `-`."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Fault(status=status, headers=named, body=json.dumps({"message": message}))


def slack_says(error: str, *, status: int = 200, **headers: str) -> Fault:
    """Make an error as Slack words it: ok is false, whatever the status."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Fault(status=status, headers=named, body=json.dumps({"ok": False, "error": error}))


HTML = "<!DOCTYPE html><html><body><h1>Unicorn!</h1></body></html>"

FAULTS: Mapping[str, Fault] = {
    "502": Fault(status=502, body=HTML),
    "503": Fault(status=503, body=json.dumps({"message": "No server is available"})),
    "reset": Fault(breakage=Breakage.RESET),
    "timeout": Fault(breakage=Breakage.SILENCE),
    "cut off": Fault(breakage=Breakage.CUT_OFF),
    "truncated JSON": Fault(breakage=Breakage.CUT_JSON),
    "HTML": Fault(status=200, body=HTML),
    "429": github_says(429, "Too many requests"),
    "429 with Retry-After": github_says(429, "Too many requests", Retry_After="7"),
    "403 secondary": github_says(403, "You have exceeded a secondary rate limit", Retry_After="60"),
    "403": github_says(403, "Resource not accessible by personal access token"),
    "401": github_says(401, "Bad credentials"),
    "404": github_says(404, "Not Found"),
    "410": github_says(410, "Issues are disabled for this repo"),
    "422": github_says(422, "Validation Failed"),
    "ok: false": slack_says("internal_error"),
    "ratelimited": slack_says("ratelimited", status=429, Retry_After="7"),
    "invalid_auth": slack_says("invalid_auth"),
    "channel_not_found": slack_says("channel_not_found"),
    "is_archived": slack_says("is_archived"),
}

GITHUB_FAULTS: tuple[str, ...] = (
    "502 before",
    "502 after",
    "reset before",
    "reset after",
    "timeout before",
    "timeout after",
    "429 with Retry-After",
    "429",
    "403 secondary",
    "403",
    "401",
    "404",
    "410",
    "422",
    "truncated JSON",
    "HTML before",
    "HTML after",
)
"""What every call to GitHub is to survive, by names that `FaultProxy.fail` takes."""

SLACK_FAULTS: tuple[str, ...] = (
    "502 before",
    "502 after",
    "reset before",
    "reset after",
    "timeout before",
    "timeout after",
    "ratelimited",
    "429",
    "truncated JSON",
    "HTML before",
    "HTML after",
    "ok: false before",
    "ok: false after",
    "invalid_auth",
    "channel_not_found",
    "is_archived",
)
"""The same for Slack, whose refusals are answers of 200."""


def named(name: str) -> tuple[Fault, bool | None]:
    """Find a fault by its name, which may end in `before` or `after`: the commit, that is.

    Returns:
        the fault, and whether it comes after the commit; None if the name leaves that open.
    """
    for ending, after in ((" before", False), (" after", True)):
        if name.endswith(ending):
            return FAULTS[name.removesuffix(ending)], after
    return FAULTS[name], None
