"""The one table of what an answer means."""

import errno
import http.client
import socket
import ssl
import urllib.error

import pytest

from riskloop.channels.answers import (
    ANSWERS,
    LOST,
    Outcome,
    by_slack_error,
    by_status,
    refused,
    wait_asked,
    without_answer,
)
from riskloop.errors import Ambiguous, GaveUp, Gone, TryAgain

MEANING = {
    Outcome.WAIT: {
        "unreachable", "untrusted", "rate limited", "409", "ratelimited", "rate_limited",
        "message_limit_exceeded",
    },
    Outcome.LOOK: {
        "lost", "garbled", "408", "5xx", "fatal_error", "internal_error", "service_unavailable",
        "request_timeout", "update_failed",
    },
    Outcome.MISS: {"message_not_found", "thread_not_found"},
    Outcome.LOGIN: {
        "401", "accesslimited", "account_inactive", "invalid_auth", "not_authed", "token_expired",
        "token_revoked", "org_login_required", "team_access_not_granted", "two_factor_setup_required",
    },
}  # fmt: skip


@pytest.mark.parametrize("row", ANSWERS)
def test_every_row_becomes_the_error_it_should_with_words_and_a_remedy(row: str) -> None:
    outcome = next((outcome for outcome, rows in MEANING.items() if row in rows), Outcome.MEND)
    error = refused(row, service="GitHub", doing="opening an issue in acme/sdk", said="a\nb", after=3.0)
    assert ANSWERS[row].outcome is outcome
    kinds = {
        Outcome.WAIT: TryAgain,
        Outcome.LOOK: Ambiguous,
        Outcome.MISS: Gone,
        Outcome.MEND: GaveUp,
        Outcome.LOGIN: GaveUp,
    }
    assert type(error) is kinds[outcome]
    assert error.what == f"opening an issue in acme/sdk: GitHub {ANSWERS[row].words} (a b)"
    if isinstance(error, GaveUp):
        assert error.authentication is (outcome is Outcome.LOGIN)
        assert error.remedy
    if isinstance(error, TryAgain):
        assert error.after == 3


@pytest.mark.parametrize(
    ("error", "row"),
    [
        (ConnectionRefusedError(errno.ECONNREFUSED, "refused"), "unreachable"),
        (urllib.error.URLError(ConnectionRefusedError()), "unreachable"),
        (socket.gaierror(-2, "Name or service not known"), "unreachable"),
        (urllib.error.URLError(socket.gaierror()), "unreachable"),
        (urllib.error.URLError(ssl.SSLCertVerificationError("self-signed")), "untrusted"),
        (ConnectionResetError(), "lost"),
        (TimeoutError(), "lost"),
        (urllib.error.URLError(TimeoutError()), "lost"),
        (ssl.SSLEOFError("cut"), "lost"),
        (http.client.RemoteDisconnected(""), "lost"),
        (http.client.IncompleteRead(b"{"), "lost"),
        (BrokenPipeError(), "lost"),
    ],
)
def test_only_what_fails_before_anything_is_sent_is_safe_to_repeat(error: Exception, row: str) -> None:
    assert isinstance(error, LOST)
    assert without_answer(error) == row


@pytest.mark.parametrize(
    ("status", "headers", "words", "row"),
    [
        (200, {}, "", None),
        (201, {}, "", None),
        (302, {}, "", "moved"),
        (400, {}, "", "400"),
        (401, {}, "", "401"),
        (403, {}, "Must have admin rights", "403"),
        (403, {"retry-after": "60"}, "", "rate limited"),
        (403, {"x-ratelimit-remaining": "0"}, "", "rate limited"),
        (403, {}, "You have exceeded a secondary rate limit", "rate limited"),
        (403, {}, "You have triggered an abuse detection mechanism", "rate limited"),
        (403, {"x-ratelimit-remaining": "5"}, "Repository was archived so is read-only.", "403"),
        (404, {}, "", "404"),
        (404, {"x-ratelimit-remaining": "0"}, "", "404"),
        (408, {}, "", "408"),
        (409, {}, "", "409"),
        (410, {}, "", "410"),
        (418, {}, "", "4xx"),
        (413, {}, "", "413"),
        (422, {}, "", "422"),
        (422, {"retry-after": "7"}, "Validation Failed title is too long", "422"),
        (422, {}, "Validation Failed was submitted too quickly", "rate limited"),
        (451, {}, "", "451"),
        (429, {}, "", "rate limited"),
        (429, {"x-ratelimit-remaining": "5"}, "", "rate limited"),
        (500, {}, "", "5xx"),
        (502, {}, "", "5xx"),
        (504, {"retry-after": "1"}, "", "5xx"),
    ],
)
def test_a_status_finds_its_row(status: int, headers: dict[str, str], words: str, row: str | None) -> None:
    assert by_status(status, headers, words) == row


def test_an_error_slack_invents_tomorrow_is_a_decision_and_not_a_loss() -> None:
    assert by_slack_error("channel_not_found") == "channel_not_found"
    assert by_slack_error("an_error_of_tomorrow") == "other error"
    assert by_slack_error("Received a response in a non-JSON format: <html>") == "garbled"
    assert by_slack_error("") == "garbled"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "-1"}, 0.0),
        ({"retry-after": "1000000000"}, 86_400.0),
        ({"retry-after": "Wed, 21 Oct 2025 07:28:00 GMT"}, None),
        ({"retry-after": "nan"}, None),
        ({"x-ratelimit-remaining": "5", "x-ratelimit-reset": "1"}, None),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "100"}, None),
        (
            {
                "x-ratelimit-remaining": "0",
                "x-ratelimit-reset": "60",
                "date": "Thu, 01 Jan 1970 00:00:30 GMT",
            },
            30.0,
        ),
    ],
)
def test_how_long_to_wait_is_read_from_the_answer_itself(
    headers: dict[str, str], seconds: float | None
) -> None:
    assert wait_asked(headers) == seconds
