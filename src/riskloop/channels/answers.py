"""What an answer of GitHub or Slack means for a delivery: send again, look first, or give up and say why.

One table for both. A row is found by what came back: a status, Slack's name of an error, or how it
failed to come.
"""

import http.client
import re
import socket
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from enum import Enum, auto

from riskloop.errors import Ambiguous, GaveUp, Gone, TryAgain, Undelivered
from riskloop.redaction import redacted
from riskloop.wording.escaping import visible

LOST = (OSError, http.client.HTTPException)
"""What both SDKs let through when no answer came: requests' and urllib's exceptions are among these."""

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_SERVER_ERROR = 500
_REFUSED = 400
_FORBIDDEN = 403
_TOO_MANY = 429
_UNPROCESSABLE = 422
_LONGEST_WAIT = 86_400.0


class Outcome(Enum):
    """What is to be done: wait and send again, look first, do without, mend the channel, or its token."""

    WAIT = auto()
    LOOK = auto()
    MISS = auto()
    MEND = auto()
    LOGIN = auto()


@dataclass(frozen=True, slots=True)
class Row:
    """What one kind of answer means, in words that follow the service's name, and the remedy."""

    outcome: Outcome
    words: str
    remedy: str = ""


_SCOPES = "give the token the rights that docs/channels.md lists"
_ID = "check the channel's ID in the register, and that the app is installed in that workspace"
_TOKEN = "set a token that works, then run riskloop doctor"  # noqa: S105 - a sentence, not a secret
_OURS = "this is a fault of riskloop: report it with this line"

ANSWERS: Mapping[str, Row] = {
    # How an answer failed to come.
    "unreachable": Row(Outcome.WAIT, "cannot be reached", "check the network and the address"),
    "untrusted": Row(
        Outcome.WAIT, "shows a certificate that is not trusted", "check the address and the clock"
    ),
    "lost": Row(Outcome.LOOK, "gave no answer in time, or cut it off"),
    "garbled": Row(Outcome.LOOK, "gave an answer that cannot be read"),
    "moved": Row(Outcome.MEND, "answers that the address has moved", "correct the address of the API"),
    # GitHub, by status.
    "rate limited": Row(Outcome.WAIT, "asks us to send less often"),
    "400": Row(Outcome.MEND, "did not understand what was sent", _OURS),
    "401": Row(Outcome.LOGIN, "does not accept the token", _TOKEN),
    "403": Row(Outcome.MEND, "does not let the token do this", _SCOPES),
    "404": Row(
        Outcome.MEND, "does not know the place, or hides it from the token", "check its name, and the rights"
    ),
    "408": Row(Outcome.LOOK, "gave up waiting for what was sent"),
    "409": Row(Outcome.WAIT, "is busy with another change of the same thing"),
    "410": Row(
        Outcome.MEND, "says it is gone, or issues are switched off", "switch issues on, or name another place"
    ),
    "413": Row(Outcome.MEND, "says what was sent is too large", _OURS),
    "422": Row(Outcome.MEND, "rejects what was sent", _OURS),
    "451": Row(Outcome.MEND, "has blocked the place for legal reasons", "name another place in the register"),
    "4xx": Row(Outcome.MEND, "rejects what was sent", "see the status and the service's documentation"),
    "5xx": Row(Outcome.LOOK, "failed on its side"),
    # Slack, by the name of its error (docs.slack.dev, chat.postMessage and conversations.history).
    "ratelimited": Row(Outcome.WAIT, "asks us to send less often"),
    "rate_limited": Row(Outcome.WAIT, "asks us to send less often"),
    "message_limit_exceeded": Row(Outcome.WAIT, "has no room for more messages today"),
    "fatal_error": Row(Outcome.LOOK, "failed on its side, perhaps half-way"),
    "internal_error": Row(Outcome.LOOK, "failed on its side"),
    "service_unavailable": Row(Outcome.LOOK, "failed on its side"),
    "update_failed": Row(Outcome.LOOK, "failed on its side"),
    "request_timeout": Row(Outcome.LOOK, "gave up waiting for what was sent"),
    "accesslimited": Row(Outcome.LOGIN, "does not let this network in", "ask the workspace's administrator"),
    "account_inactive": Row(Outcome.LOGIN, "has deactivated the token's account", _TOKEN),
    "invalid_auth": Row(Outcome.LOGIN, "does not accept the token", _TOKEN),
    "not_authed": Row(Outcome.LOGIN, "received no token", _TOKEN),
    "token_expired": Row(Outcome.LOGIN, "says the token has expired", _TOKEN),
    "token_revoked": Row(Outcome.LOGIN, "says the token was revoked", _TOKEN),
    "org_login_required": Row(Outcome.LOGIN, "is moving the workspace to an organisation", "try again later"),
    "team_access_not_granted": Row(
        Outcome.LOGIN, "does not let the token into the workspace", "install the app in that workspace"
    ),
    "two_factor_setup_required": Row(
        Outcome.LOGIN, "wants two-factor authentication of the token's account", "set it up"
    ),
    "ekm_access_denied": Row(
        Outcome.MEND, "has messages suspended by an administrator", "ask the administrator"
    ),
    "missing_scope": Row(Outcome.MEND, "does not let the token do this", _SCOPES),
    "not_allowed_token_type": Row(Outcome.MEND, "wants another kind of token", "use a bot token (xoxb-…)"),
    "no_permission": Row(Outcome.MEND, "does not let the token do this", _SCOPES),
    "restricted_action": Row(
        Outcome.MEND, "does not let the app post here", "ask the workspace's administrator"
    ),
    "channel_not_found": Row(Outcome.MEND, "does not know the channel", _ID),
    "not_in_channel": Row(
        Outcome.MEND, "says the app is not in the channel", "invite the app to the channel"
    ),
    "is_archived": Row(Outcome.MEND, "says the channel is archived", "name another channel in the register"),
    "channel_is_archived": Row(
        Outcome.MEND, "says the channel is archived", "name another channel in the register"
    ),
    "message_not_found": Row(Outcome.MISS, "no longer has the message"),
    "thread_not_found": Row(Outcome.MISS, "no longer has the thread"),
    "cant_update_message": Row(
        Outcome.MEND, "says the message is not ours to edit", "use the token it was sent with"
    ),
    "edit_window_closed": Row(
        Outcome.MEND, "allows no edit so late", "change the workspace's message settings"
    ),
    "is_inactive": Row(Outcome.MEND, "says the channel is frozen", "name another channel in the register"),
    "restricted_action_read_only_channel": Row(
        Outcome.MEND, "lets nobody but a few post in the channel", "let the app post, or name another channel"
    ),
    "restricted_action_thread_locked": Row(
        Outcome.MEND, "says the thread is locked", "unlock it, or ask the workspace's administrator"
    ),
    "restricted_action_non_threadable_channel": Row(
        Outcome.MEND, "allows no threads in the channel", "allow them, or name another channel"
    ),
    "restricted_action_thread_only_channel": Row(
        Outcome.MEND, "allows nothing but replies in the channel", "allow messages, or name another channel"
    ),
    "cannot_reply_to_message": Row(
        Outcome.MEND, "allows no reply to that message", "see what the message has become"
    ),
    "invalid_blocks": Row(Outcome.MEND, "rejects what was sent", _OURS),
    "msg_too_long": Row(Outcome.MEND, "says what was sent is too large", _OURS),
    "no_text": Row(Outcome.MEND, "rejects an empty message", _OURS),
    "invalid_metadata_format": Row(Outcome.MEND, "rejects what was sent", _OURS),
    "metadata_too_large": Row(Outcome.MEND, "says what was sent is too large", _OURS),
    # An answer of ok: false is a decision, known to us or not.
    "other error": Row(
        Outcome.MEND, "rejects what was sent", "see what Slack's documentation says of this error"
    ),
}


def refused(row: str, *, service: str, doing: str, said: str = "", after: float | None = None) -> Undelivered:
    """Turn a row of the table into the error that a channel raises.

    Args:
        row: the row's name.
        service: who answered, `GitHub`.
        doing: what we were at, `opening an issue in acme/sdk`.
        said: a few of the service's own words, where they help; shown on one line, at most 200 characters,
            what cannot be seen spelled out.
        after: seconds the other side asked us to wait, if it said.
    """
    meaning = ANSWERS[row]
    # Before it is cut: half a secret is no longer known as one.
    quoted = visible(" ".join(redacted(said).split())[:200])
    what = f"{doing}: {service} {meaning.words}" + (f" ({quoted})" if quoted else "")
    match meaning.outcome:
        case Outcome.WAIT:
            return TryAgain(what, remedy=meaning.remedy, after=after)
        case Outcome.LOOK:
            return Ambiguous(what, remedy=meaning.remedy)
        case Outcome.MISS:
            return Gone(what, remedy=meaning.remedy)
        case Outcome.MEND:
            return GaveUp(what, remedy=meaning.remedy)
        case Outcome.LOGIN:
            return GaveUp(what, remedy=meaning.remedy, authentication=True)


@contextmanager
def looked_into(*, posted: bool) -> Iterator[None]:
    """Make a failure after the POST Ambiguous: sent again without a look, the POST would come twice.

    What is gone is said as it is: it took what was posted with it.

    Args:
        posted: whether this delivery's POST has been applied, now or in an earlier attempt.
    """
    try:
        yield
    except Undelivered as error:
        if not posted or isinstance(error, Gone) or (isinstance(error, GaveUp) and not error.authentication):
            raise
        raise Ambiguous(error.what, remedy=error.remedy) from error


def without_answer(error: BaseException) -> str:
    """Name the row for a call that ended in an exception instead of an answer.

    Only what is known to fail before anything is sent is safe to repeat: a refused connection, a name that is
    not found, a certificate that is not trusted. All else may have been applied.
    """
    causes = tuple(_causes(error))
    if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes):
        return "untrusted"
    if any(isinstance(cause, ConnectionRefusedError | socket.gaierror) for cause in causes):
        return "unreachable"
    return "lost"


def by_status(status: int, headers: Mapping[str, str], words: str = "") -> str | None:
    """Name the row for an HTTP status, or None if it is not an error.

    Args:
        status: the HTTP status.
        headers: with names in lower case.
        words: the answer's own message: GitHub's secondary limit is a 403 told apart by it
            (docs.github.com, "Rate limits for the REST API"; older servers speak of abuse), and its limit on
            new content a 422 (github.com/cli/cli, issue 4801).
    """
    if status < 300:  # noqa: PLR2004 - the statuses of success (RFC 9110, section 15.3)
        return None
    if status < _REFUSED:
        return "moved"
    limited = (
        "retry-after" in headers
        or headers.get("x-ratelimit-remaining") == "0"
        or re.search("rate limit|abuse detection", words, re.IGNORECASE) is not None
    )
    too_quickly = status == _UNPROCESSABLE and "submitted too quickly" in words
    if status == _TOO_MANY or (status == _FORBIDDEN and limited) or too_quickly:
        return "rate limited"
    if status >= _SERVER_ERROR:
        return "5xx"
    return str(status) if str(status) in ANSWERS else "4xx"


def by_slack_error(error: str) -> str:
    """Name the row for the `error` of a Slack answer; what is not the name of an error is garbled."""
    if not _NAME.fullmatch(error):
        return "garbled"
    return error if error in ANSWERS else "other error"


def wait_asked(headers: Mapping[str, str]) -> float | None:
    """Read how many seconds an answer asks us to wait: from `retry-after`, or until GitHub's limit is reset.

    The reset is a moment of the server's clock, so it is counted from the answer's own `date`. None if
    neither is there; never less than 0 or more than a day.
    """
    try:
        if "retry-after" in headers:
            seconds: float = int(headers["retry-after"])
        elif headers.get("x-ratelimit-remaining") == "0":
            answered = parsedate_to_datetime(headers["date"]).timestamp()
            seconds = int(headers["x-ratelimit-reset"]) - answered
        else:
            return None
    except (KeyError, ValueError):
        return None
    return min(max(seconds, 0.0), _LONGEST_WAIT)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Walk through all an exception was made from; urllib and urllib3 keep some of it in attributes."""
    waiting: list[object] = [error]
    seen = set()
    while waiting:
        cause = waiting.pop()
        if not isinstance(cause, BaseException) or id(cause) in seen:
            continue
        seen.add(id(cause))
        yield cause
        waiting += [cause.__cause__, cause.__context__, getattr(cause, "reason", None), *cause.args]
