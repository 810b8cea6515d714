"""Secrets are hidden wherever text is written down, in whatever spelling; innocent text stays as it is."""

import base64
import json
import logging
import subprocess
import sys
import time
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
from pydantic import SecretStr

from riskloop.errors import GaveUp, RiskloopError, StoreError
from riskloop.redaction import (
    HIDDEN,
    Redactor,
    clean_errors,
    install,
    learn,
    redacted,
    secrets_in,
    without_secrets,
    without_values,
)
from riskloop.settings import Settings, read_settings
from riskloop.wording.escaping import fenced, inert, prose

TOKEN = 'correct/horse+battery&"staple"=ü-7'
KEY = bytes(range(200, 232))


@pytest.fixture(scope="module", autouse=True)
def _installed(tmp_path_factory: pytest.TempPathFactory) -> None:
    place = tmp_path_factory.mktemp("redaction")
    settings = Settings(
        register=place / "riskloop.yaml",
        state=place,
        store_url=SecretStr("postgresql://riskloop:c4nary-p%40ss@host/db"),
        github_token=SecretStr(TOKEN),
    )
    (place / "key").write_bytes(KEY)
    install(settings)


@pytest.mark.parametrize(
    "spelled",
    [
        TOKEN,
        quote(TOKEN, safe=""),
        quote(TOKEN),
        quote_plus(TOKEN),
        quote(TOKEN, safe="").lower(),
        json.dumps(TOKEN),
        json.dumps(TOKEN, ensure_ascii=False),
        repr(TOKEN),
        TOKEN.encode().hex(),
        base64.b64encode(TOKEN.encode()).decode(),
        base64.urlsafe_b64encode(TOKEN.encode()).decode(),
        *(base64.b64encode(b"x" * before + TOKEN.encode() + b"yz").decode() for before in range(6)),
        *(base64.urlsafe_b64encode(b"x" * before + TOKEN.encode()).decode() for before in range(3)),
    ],
)
def test_a_secret_of_ours_is_hidden_in_every_spelling(spelled: str) -> None:
    said = without_secrets(f"before {spelled} after")
    assert HIDDEN in said
    assert said.startswith("before ")
    assert said.endswith(" after")
    assert "staple" not in said
    assert base64.b64encode(b"battery")[2:8].decode() not in said


@pytest.mark.parametrize("spelled", [KEY.hex(), KEY.hex().upper(), repr(KEY), base64.b64encode(KEY).decode()])
def test_the_signing_key_is_hidden_in_every_spelling(spelled: str) -> None:
    assert HIDDEN in without_secrets(f"key={spelled}")
    assert spelled not in without_secrets(f"key={spelled}")


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        (f"remote: ghp_{'a1B2' * 9} denied", f"remote: {HIDDEN} denied"),
        (f"ghs_{'a1B2' * 9},gho_{'a1B2' * 9}", f"{HIDDEN},{HIDDEN}"),
        (f"github_pat_{'a1_B2' * 16}.", f"{HIDDEN}."),
        ("token=xoxb-1234567890-abcDEF!", f"token={HIDDEN}!"),
        ("xoxe.xoxp-1-Mi0yLTEy and xapp-1-A0123-456-abc", f"{HIDDEN} and {HIDDEN}"),
        (
            "POST https://hooks.slack.com/services/T0/B0/x1Y2 failed",
            f"POST https://hooks.slack.com/services/{HIDDEN} failed",
        ),
        ("Authorization: Bearer abc.def", f"Authorization: Bearer {HIDDEN}"),
        ("{'Authorization': 'token abc', 'x': 1}", f"{{'Authorization': 'token {HIDDEN}', 'x': 1}}"),
        ('"authorization":"Basic dTpw"', f'"authorization":"Basic {HIDDEN}"'),
        ("sent Basic dXNlcjpwYXNzd29yZDE= there", f"sent Basic {HIDDEN} there"),
        ("AKIAIOSFODNN7EXAMPLE", HIDDEN),
        (f"aws_secret_access_key = {'aB3/' * 10}", f"aws_secret_access_key = {HIDDEN}"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\nx", f"{HIDDEN}\nx"),
        ("-----BEGIN PRIVATE KEY-----\nMIIE cut off", HIDDEN),
        ("fatal: https://user:pass@host/x.git", f"fatal: https://{HIDDEN}@host/x.git"),
        ("https://x-access-token:p@ss@host/x", f"https://{HIDDEN}@host/x"),
        ("https://abcdefghij0123456789@host/x", f"https://{HIDDEN}@host/x"),
        ("postgresql+psycopg://u:p@host:5432/db", f"postgresql+psycopg://{HIDDEN}@host:5432/db"),
    ],
)
def test_what_has_the_shape_of_a_secret_is_hidden_in_logs_and_errors(text: str, clean: str) -> None:
    assert redacted(text) == clean
    assert without_secrets(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "the token belongs to riskloop-bot, and a bearer of bad news has a basic understanding",
        "https://host:4200/a@b ssh://git@github.com/acme/sdk mail@example.com",
        "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "postgresql://riskloop@host/db sqlite:////srv/riskloop.sqlite",
        "gh_token xoxb github_pat_ AKIA hooks.slack.com -----BEGIN CERTIFICATE-----",
    ],
)
def test_innocent_text_stays_as_it_is(text: str) -> None:
    assert redacted(text) == text


def test_a_word_that_is_somebodys_password_does_not_blacken_every_sentence() -> None:
    redactor = Redactor(["", "short", "postgres", "123456", "riskloop"])
    assert redactor("riskloop on postgres, 123456 rows, short") == "riskloop on postgres, 123456 rows, short"


def test_every_secret_among_the_settings_is_found_and_of_addresses_what_is_secret(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("xoxb-from-a-file\n")
    settings = read_settings(
        {
            "RISKLOOP_STORE_URL": "postgresql://u:p%40ssword@host/db?sslpassword=other1&x=1",
            "RISKLOOP_GITHUB_TOKEN": "the-token",
            "RISKLOOP_SLACK_TOKEN_FILE": str(file),
            "RISKLOOP_SLACK_TOKEN_ACME": "xoxb-acme",
            "RISKLOOP_SLACK_WEBHOOK_URL": "https://hooks.slack.com/services/T0/B0/x1",
        },
        register=tmp_path / "riskloop.yaml",
    )
    assert set(secrets_in(settings)) == {
        "p%40ssword",
        "p@ssword",
        "other1",
        "the-token",
        "xoxb-from-a-file",
        "xoxb-acme",
        "https://hooks.slack.com/services/T0/B0/x1",
        "services/T0/B0/x1",
    }
    assert set(secrets_in(read_settings({}, register=tmp_path / "riskloop.yaml"))) == set()


def test_a_megabyte_takes_a_second_or_two_whatever_is_in_it() -> None:
    redactor = Redactor([TOKEN, KEY, *(f"secret-number-{number}" for number in range(10))])
    for piece in (
        "a",
        "ghp_",
        "a://b:",
        "bearer ",
        "authorization: ",
        "-----BEGIN PRIVATE KEY-----",
        "bearer 1",
    ):
        text = piece * (1024 * 1024 // len(piece))
        started = time.process_time()
        redactor(text)
        assert time.process_time() - started < 4, piece


def logged(call: str, *arguments: object, format_: str = "%(message)s", **more: object) -> str:
    """Log one error as a handler of anybody's would write it."""
    stream = StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter(format_))
    log = logging.getLogger("somebody.else")
    log.addHandler(handler)
    log.propagate = False
    try:
        getattr(log, call)(*arguments, **more)
    finally:
        log.removeHandler(handler)
        log.propagate = True
    return stream.getvalue()


def test_a_log_line_holds_no_secret_in_its_message_or_its_arguments() -> None:
    assert logged("error", f"it is {TOKEN}") == f"it is {HIDDEN}\n"
    assert logged("error", "it is %s and %r", TOKEN, {"token": TOKEN}).count(HIDDEN) == 2
    assert logged("error", "%(what)s", {"what": TOKEN}) == f"{HIDDEN}\n"
    assert logged("error", StoreError(TOKEN)) == f"{HIDDEN}\n"


def test_a_log_line_holds_no_secret_in_its_traceback_its_causes_or_its_stack() -> None:
    def fail() -> None:
        raise RuntimeError(f"not with ghp_{'a1B2' * 9}") from ValueError(TOKEN)

    try:
        fail()
    except RuntimeError:
        said = logged("exception", "it failed")
    assert "RuntimeError: not with [redacted]" in said
    assert "ValueError: [redacted]" in said
    assert TOKEN not in said
    assert TOKEN not in logged("error", "here", stack_info=True)


def test_a_log_line_whose_arguments_do_not_fit_is_written_all_the_same_and_holds_no_secret() -> None:
    said = logged("error", "%d of them", TOKEN)
    assert "of them" in said
    assert HIDDEN in said
    assert "staple" not in said


def test_a_log_record_without_a_secret_keeps_its_arguments() -> None:
    record = logging.getLogRecordFactory()("x", logging.INFO, "f", 1, "%s of %d", ("a", 2), None)
    assert record.args == ("a", 2)


def test_installing_again_adds_what_is_new_and_wraps_nothing_twice(tmp_path: Path) -> None:
    made = logging.getLogRecordFactory(), sys.excepthook
    another = Settings(
        register=tmp_path / "riskloop.yaml",
        state=tmp_path,
        store_url=SecretStr("sqlite:////x"),
        github_token=SecretStr("another-token-1"),
    )
    install(another)
    assert (logging.getLogRecordFactory(), sys.excepthook) == made
    assert redacted(f"another-token-1 {TOKEN}") == f"{HIDDEN} {HIDDEN}"


def test_an_error_leaves_the_block_as_what_it_is_and_without_secrets() -> None:
    with pytest.raises(GaveUp) as caught, clean_errors():
        raise GaveUp(f"rejected {TOKEN}", remedy=f"do not send {TOKEN}", authentication=True)
    assert str(caught.value) == f"rejected {HIDDEN}; do not send {HIDDEN}"
    assert caught.value.authentication


def test_an_error_that_words_itself_out_of_something_else_leaves_the_block_in_our_words() -> None:
    class Stubborn(Exception):
        def __str__(self) -> str:
            return f"it is {TOKEN}"

    with pytest.raises(RiskloopError, match=r"Stubborn: it is \[redacted\]") as caught, clean_errors():
        raise Stubborn
    assert caught.value.__suppress_context__


def test_an_innocent_error_leaves_the_block_untouched() -> None:
    given = ValueError("x", 1)
    with pytest.raises(ValueError, match="x") as caught, clean_errors():
        raise given
    assert caught.value is given


@pytest.mark.parametrize(
    "end",
    [
        "raise ValueError(token)",
        "threading.Thread(target=int, args=(token,)).start()",
        "warnings.warn(token)",
        "logging.getLogger('x').error(token)",
    ],
)
def test_what_a_process_says_at_its_end_in_its_threads_and_as_warnings_holds_no_secret(
    end: str, tmp_path: Path
) -> None:
    program = (
        "import logging, os, threading, warnings\n"
        "from riskloop.redaction import install\n"
        "from riskloop.settings import read_settings\n"
        "install(read_settings())\n"
        "token = os.environ['RISKLOOP_GITHUB_TOKEN']\n"
    )
    said = subprocess.run(
        [sys.executable, "-c", program + end],
        env={"RISKLOOP_GITHUB_TOKEN": "canary-of-a-token-1", "RISKLOOP_REGISTER": str(tmp_path / "r.yaml")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert HIDDEN in said.stderr
    assert "canary" not in said.stdout + said.stderr


def test_a_secret_that_is_learnt_later_is_hidden_from_then_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("riskloop.redaction._known.redactor", Redactor(()))
    said = "the token is an-upstreams-t0ken"
    assert without_secrets(said) == redacted(said) == said
    learn("an-upstreams-t0ken")
    learn("")
    assert without_secrets(said) == redacted(said) == f"the token is {HIDDEN}"


@pytest.mark.parametrize("show", [inert, prose, lambda text: fenced(text).split("\n")[1]])
def test_a_secret_is_hidden_in_a_text_that_is_ready_to_be_shown(show: Callable[[str], str]) -> None:
    secret = "s@cret/#1*[x]_y"
    shown = show(f"it is {secret} here")
    assert secret not in shown
    assert Redactor((secret,)).exact(shown) == f"it is {HIDDEN} here"


def test_the_value_of_a_variable_is_hidden_in_every_spelling_and_named_where_it_stands_as_it_is() -> None:
    value = "va/lue+1"
    encoded = base64.b64encode(f"user:{value}".encode())
    printed = b"is %s, \xff %s, %s" % (value.encode(), encoded, quote(value, safe="").encode())
    said = without_values(printed, {"TOKEN": value, "MODE": "on"})
    assert said.startswith(b"is $TOKEN, \xff ")
    assert encoded not in said
    assert said.count(HIDDEN.encode()) == 2
    assert said.endswith(HIDDEN.encode())
    assert without_values(b"mode on", {"MODE": "on"}) == b"mode on"
