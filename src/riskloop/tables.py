"""Prints tables for people and JSON for programs; stdout is data, stderr is talk."""

import sys
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import orjson
from rich.console import Console
from rich.table import Table
from rich.text import Text

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
    """Print dataclasses, dates and whatever JSON knows, indented, to stdout."""
    sys.stdout.buffer.write(orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    sys.stdout.buffer.flush()


def table(columns: Sequence[str], rows: Sequence[Sequence[object]], *, empty: str) -> str:
    """Write rows under their columns, or the sentence that says there are none.

    On a terminal it is as wide as that, and coloured; elsewhere each row is one line.
    """
    if not rows:
        return empty
    drawn = Table(*columns, box=None, pad_edge=False, header_style="dim")
    for row in rows:
        drawn.add_row(*(_cell(value) for value in row))
    console = Console(highlight=False, width=None if sys.stdout.isatty() else _ENDLESS)
    with console.capture() as capture:
        console.print(drawn)
    return "\n".join(line.rstrip() for line in capture.get().splitlines())


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]], *, empty: str) -> None:
    """Print `table` to stdout."""
    print_text(table(columns, rows, empty=empty))


def print_text(words: str) -> None:
    """Print text as it is to stdout."""
    sys.stdout.write(f"{words}\n")


def say(words: str) -> None:
    """Say something to the person at the terminal, on stderr."""
    sys.stderr.write(f"{words}\n")
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


def _cell(value: object) -> Text:
    # Text, not markup: ids and reasons may hold brackets.
    words = "" if value is None else str(value)
    return Text(words, style=_COLOURS.get(words, ""), overflow="fold")
