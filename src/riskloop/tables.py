"""Prints tables for people and JSON for programs; stdout is data, stderr is talk."""

import os
import shutil
import sys
from collections.abc import Sequence
from datetime import datetime, timedelta
from io import StringIO
from pathlib import PurePath
from typing import Any

import orjson
from rich.console import Console
from rich.table import Table
from rich.text import Text

from riskloop.errors import RiskloopError
from riskloop.redaction import redacted, without_secrets

_ENDLESS = 10_000
_COLOURS = {
    "ok": "green",
    "warning": "yellow",
    "critical": "bold red",
    "unknown": "magenta",
    "dead": "bold red",
    "no": "bold red",
}


def print_json(value: Any) -> None:
    """Print dataclasses, dates and whatever JSON knows, indented, to stdout; lengths of time in seconds."""
    text = orjson.dumps(
        value, default=_spelt, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
    ).decode()
    _print(without_secrets(text).encode())


def _spelt(value: Any) -> Any:
    """Write what JSON has no word for: a length of time in seconds, a path."""
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, PurePath):
        # A path that is no UTF-8 cannot stand in JSON as it is.
        return os.fsencode(value).decode("utf-8", "backslashreplace")
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")


def table(columns: Sequence[str], rows: Sequence[Sequence[object]], *, empty: str) -> str:
    """Write rows under their columns, or the sentence that says there are none.

    On a terminal it is as wide as that, and coloured; elsewhere each row is one line.
    """
    if not rows:
        return empty
    drawn = Table(*columns, box=None, pad_edge=False, header_style="dim")
    for row in rows:
        drawn.add_row(*(_cell(value) for value in row))
    terminal = sys.stdout.isatty()
    width = shutil.get_terminal_size().columns if terminal else _ENDLESS
    drawing = StringIO()
    Console(file=drawing, force_terminal=terminal, highlight=False, width=width).print(drawn)
    return "\n".join(line.rstrip() for line in drawing.getvalue().splitlines())


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]], *, empty: str) -> None:
    """Print `table` to stdout."""
    print_text(table(columns, rows, empty=empty))


def print_text(words: str) -> None:
    """Print text to stdout; what its encoding does not have is written as an escape."""
    _print(f"{without_secrets(words)}\n".encode(sys.stdout.encoding, "backslashreplace"))


def say(words: str) -> None:
    """Say something to the person at the terminal, on stderr."""
    sys.stderr.write(f"{redacted(words)}\n")
    sys.stderr.flush()


def ago(then: datetime | None, now: datetime) -> str:
    """Say how long ago something was: `3 min ago`, `2 days ago`; `never` for None."""
    if then is None:
        return "never"
    seconds = max(0, round((now - then).total_seconds()))
    for unit, name in ((86_400, "day"), (3_600, "h"), (60, "min")):
        if seconds >= unit:
            count = seconds // unit
            return f"{count} {name}{'s' if name == 'day' and count > 1 else ''} ago"
    return f"{seconds} s ago"


def _print(words: bytes) -> None:
    try:
        sys.stdout.buffer.write(words)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        raise  # Nobody reads us any more, which is no failure.
    except OSError as error:
        sys.stdout = None  # so that the interpreter does not try again
        raise RiskloopError(
            f"what stdout leads to cannot be written ({error.strerror})", remedy="free some space there"
        ) from error


def _cell(value: object) -> Text:
    # Text, not markup: ids and reasons may hold brackets.
    words = "" if value is None else str(value)
    return Text(words, style=_COLOURS.get(words, ""), overflow="fold")
