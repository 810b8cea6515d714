"""Keeps secrets out of everything that is written down: ours, and whatever looks like somebody's.

Two strengths. `redacted`, for logs and errors, hides our own secrets and whatever has the shape of one: a
token, a key, a password in an address. `without_secrets`, for what people are to read as it was found, hides
our own and nothing else.
"""

import base64
import html
import json
import logging
import re
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from types import TracebackType
from urllib.parse import parse_qsl, quote, quote_plus, unquote, urlsplit

from pydantic import SecretStr

from riskloop.errors import RiskloopError
from riskloop.settings import Settings
from riskloop.wording.escaping import inert, prose

HIDDEN = "[redacted]"
"""What stands where a secret stood."""

SHORTEST = 6
"""Characters of a value from which it is hidden: a shorter one would be found in innocent words."""

_WORD = re.compile(r"[a-z]{1,11}|[A-Z]{1,11}|[0-9]{1,7}")
_SHORTEST_PATH = 12
_SHORTEST_BASE64 = 8
_PASSWORDS = frozenset({"password", "sslpassword"})
_UNFORMATTED = (TypeError, ValueError, LookupError, AttributeError)

# What is kept of a match is its group. Every repetition is bounded or ends at a space, so that the time grows
# with the length of the text and no faster.
_PATTERNS = tuple(
    re.compile(pattern)
    for pattern in (
        # GitHub: docs.github.com, "About authentication to GitHub", token formats.
        r"()\bgh[pousr]_[A-Za-z0-9]{20,}",
        r"()\bgithub_pat_[A-Za-z0-9_]{20,}",
        # Slack: docs.slack.dev, "Tokens" and "Sending messages using incoming webhooks".
        r"()\bxox[a-z](?:\.xox[a-z])?-[A-Za-z0-9-]{10,}",
        r"()\bxapp-[A-Za-z0-9-]{10,}",
        r"(\bhooks\.slack(?:-gov)?\.com/(?:services|workflows|triggers)/)[^\s\"'<>)\]]+",
        # AWS: "IAM identifiers", and its keys as files and environments spell them.
        r"()\b(?:AKIA|ASIA)[A-Z0-9]{16}\b",
        r"((?i:secret_?access_?key)[\"']?\s{0,9}[:=]\s{0,9}[\"']?)[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+])",
        # Headers: RFC 9110, section 11.6.2; GitHub's `token` besides.
        r"((?i:authorization)[\"']?\s{0,9}[:=]\s{0,9}[\"']?(?i:(?:bearer|basic|token|digest)\s{1,9})?)[^\s\"',;]+",
        r"(\b(?i:bearer|basic|token)\s{1,9})(?=[^\s\d]{0,200}\d)[A-Za-z0-9._~+/=-]{16,}",
        # PEM: RFC 7468; one that was cut off goes on to the end.
        r"()(?s:-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----.*?(?:-----END [A-Z ]{0,30}PRIVATE KEY-----|\Z))",
        # User information in an address: RFC 3986, section 3.2.1; `ssh://git@` is no secret.
        r"(\b[A-Za-z][A-Za-z0-9+.-]{1,20}://)(?:[^\s/:@\"'<>]*:[^\s/\"'<>]+|[^\s/:@\"'<>]{16,})@",
    )
)
_KEEPS_AT = _PATTERNS[-1]


class Redactor:
    """Hides secrets in texts.

    Args:
        secrets: our own, as they are used; bytes for what is no text. Those too short to be told from other
            words, or plain words themselves, are passed over.
    """

    def __init__(self, secrets: Iterable[str | bytes]) -> None:
        self.secrets = frozenset(secret for secret in secrets if _is_telling(secret))
        # The longest first: an address whole, rather than the password in it.
        spelled = {spelling for secret in self.secrets for spelling in _spellings(secret)}
        self._spellings = sorted(spelled, key=len, reverse=True)

    def exact(self, text: str) -> str:
        """Hide our own secrets, also as base64, hexadecimal, addresses, JSON, HTML, Markdown have them."""
        for spelling in self._spellings:
            text = text.replace(spelling, HIDDEN)
        return text

    def __call__(self, text: str) -> str:
        """Hide our own secrets, and what has the shape of a token, a key or a password in an address."""
        text = self.exact(text)
        for pattern in _PATTERNS:
            text = pattern.sub(rf"\1{HIDDEN}@" if pattern is _KEEPS_AT else rf"\1{HIDDEN}", text)
        return text


def secrets_in(settings: Settings) -> Iterator[str]:
    """List the secrets among the settings: of an address, what is secret in it."""
    for field in fields(settings):
        value = getattr(settings, field.name)
        for one in value.values() if isinstance(value, Mapping) else (value,):
            if isinstance(one, SecretStr):
                yield from _secret_parts(one.get_secret_value())


def _secret_parts(value: str) -> Iterator[str]:
    """Take an address apart: a password in it is secret; of a web address also the whole, and its path."""
    try:
        parts = urlsplit(value)
    except ValueError:
        parts = urlsplit("")
    if not parts.netloc and not parts.scheme.startswith(("sqlite", "postgres")):
        yield value
        return
    if parts.password:
        yield parts.password
        yield unquote(parts.password)
    yield from (word for name, word in parse_qsl(parts.query) if name in _PASSWORDS)
    if parts.scheme in {"http", "https"}:
        yield value
        # Whoever could not reach it names host and path apart.
        path = value.partition("://")[2].partition("/")[2]
        if len(path) >= _SHORTEST_PATH:
            yield path


def _is_telling(secret: str | bytes) -> bool:
    return len(secret) >= SHORTEST and not (isinstance(secret, str) and _WORD.fullmatch(secret))


def _spellings(secret: str | bytes) -> Iterator[str]:
    raw = secret if isinstance(secret, bytes) else secret.encode("utf-8", "surrogateescape")
    if isinstance(secret, str):
        yield secret
        yield json.dumps(secret)[1:-1]
        yield json.dumps(secret, ensure_ascii=False)[1:-1]
        yield html.escape(secret)
        yield html.escape(secret, quote=False)
        # As texts have it that are ready to be shown.
        yield inert(secret)
        yield prose(secret)
    else:
        yield secret.decode("latin-1")
    yield repr(secret).removeprefix("b")[1:-1]
    for encoded in (quote(raw, safe=""), quote(raw), quote_plus(raw)):
        yield encoded
        yield re.sub("%..", lambda match: match[0].lower(), encoded)
    yield raw.hex()
    yield raw.hex().upper()
    yield from _in_base64(raw)


def _in_base64(raw: bytes) -> Iterator[str]:
    """Spell bytes in base64, alone and within something longer: there each of three alignments differs."""
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        yield encode(raw).decode("ascii")
        for before, mixed in ((0, 0), (1, 2), (2, 3)):
            alone = (before + len(raw)) * 8 // 6
            inner = encode(b"\0" * before + raw).decode("ascii")[mixed:alone]
            if len(inner) >= _SHORTEST_BASE64:
                yield inner


class _Known:
    """What this process hides."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.redactor = Redactor(())


_known = _Known()


def redacted(text: str) -> str:
    """Hide in a log line or an error what this process knows for a secret, and what has the shape of one."""
    return _known.redactor(text)


def without_secrets(text: str) -> str:
    """Hide in a text from anywhere what this process knows for a secret, and leave the rest as it is."""
    return _known.redactor.exact(text)


def install(settings: Settings) -> None:
    """Hide these secrets from now on in every log record, warning and traceback of this process.

    With them the key in the state directory that signs our markers, if there is one yet. What was told before
    stays hidden. Repeating it costs next to nothing.
    """
    _learn({_key(settings.state), *secrets_in(settings)})
    with _known.lock:
        if not isinstance(logging.getLogRecordFactory(), _CleanRecords):
            logging.setLogRecordFactory(_CleanRecords(logging.getLogRecordFactory()))
        if not isinstance(sys.excepthook, _CleanEnd):
            sys.excepthook = _CleanEnd(sys.excepthook)
        if not isinstance(threading.excepthook, _CleanThreadEnd):
            threading.excepthook = _CleanThreadEnd(threading.excepthook)
        if not isinstance(warnings.formatwarning, _CleanWarnings):
            warnings.formatwarning = _CleanWarnings(warnings.formatwarning)


def without_values(printed: bytes, values: Mapping[str, str]) -> bytes:
    """Write `$NAME` where the value of a variable stands in what a program printed.

    A value in another spelling is hidden; one that is shorter than SHORTEST stays.

    Args:
        values: by the variable's name, as the program was given them.
    """
    text = printed.decode("utf-8", "surrogateescape")
    for name, value in values.items():
        if len(value) >= SHORTEST:
            text = Redactor((value,)).exact(text.replace(value, f"${name}"))
    return text.encode("utf-8", "surrogateescape")


def learn(secret: str) -> None:
    """Hide one more secret from now on: one that stands in no setting of ours, and is about to be used."""
    _learn({secret})


def _learn(told: set[str | bytes]) -> None:
    with _known.lock:
        new = {secret for secret in told if _is_telling(secret)} - _known.redactor.secrets
        if new:
            _known.redactor = Redactor(_known.redactor.secrets | new)


def _key(state: Path) -> bytes:
    try:
        return (state / "key").read_bytes()
    except OSError:
        return b""


class clean_errors:  # noqa: N801 - it is used as a statement, as contextlib's are
    """A `with` block that no error leaves with a secret in its words: Prefect keeps them in its states."""

    def __enter__(self) -> None:
        """Nothing to do before."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None or redacted(str(error)) == str(error):
            return
        error.args = tuple(redacted(word) if isinstance(word, str) else word for word in error.args)
        for name, word in list(getattr(error, "__dict__", {}).items()):
            if isinstance(word, str):
                setattr(error, name, redacted(word))
        words = str(error)
        if redacted(words) != words:
            # It makes its words out of something that we cannot reach.
            raise RiskloopError(f"{type(error).__name__}: {redacted(words)}") from None


class _CleanRecords:
    """Makes log records with nothing secret in their message, arguments, traceback or stack.

    A record that holds nothing secret stays as it was made: some handlers read its arguments.
    """

    def __init__(self, make: Callable[..., logging.LogRecord]) -> None:
        self._make = make

    def __call__(self, *args: object, **kwargs: object) -> logging.LogRecord:
        record = self._make(*args, **kwargs)
        try:
            message = record.getMessage()
        except _UNFORMATTED:
            # Logging would complain about it with message and arguments as they are.
            message = f"{record.msg!r} % {record.args!r}"
        clean = redacted(message)
        if clean != message:
            record.msg, record.args = clean, None
        if record.exc_info and record.exc_info[0] is not None:
            trace = "".join(traceback.format_exception(*record.exc_info)).rstrip("\n")
            clean = redacted(trace)
            if clean != trace:
                # Formatters take the text as it is, and no longer look for the exception.
                record.exc_info, record.exc_text = None, clean
        if record.stack_info:
            record.stack_info = redacted(record.stack_info)
        return record


class _CleanEnd:
    """Says what ended the process, with nothing secret in it."""

    def __init__(self, say: Callable[..., object]) -> None:
        self._say = say

    def __call__(self, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        words = "".join(traceback.format_exception(kind, error, trace))
        if redacted(words) == words or sys.stderr is None:
            self._say(kind, error, trace)
        else:
            sys.stderr.write(redacted(words))


class _CleanThreadEnd:
    """Says what ended a thread, with nothing secret in it."""

    def __init__(self, say: Callable[[threading.ExceptHookArgs], object]) -> None:
        self._say = say

    def __call__(self, end: threading.ExceptHookArgs, /) -> None:
        words = "".join(traceback.format_exception(end.exc_type, end.exc_value, end.exc_traceback))
        if redacted(words) == words or sys.stderr is None:
            self._say(end)
        else:
            name = end.thread.name if end.thread else "unknown"
            sys.stderr.write(f"Exception in thread {name}:\n{redacted(words)}")


class _CleanWarnings:
    """Words warnings with nothing secret in them."""

    def __init__(self, word: Callable[..., str]) -> None:
        self._word = word

    def __call__(self, *args: object, **kwargs: object) -> str:
        return redacted(self._word(*args, **kwargs))
