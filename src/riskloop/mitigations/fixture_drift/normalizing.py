"""Takes out of a fixture what may differ without being drift, as the register's rules say."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from riskloop.files import matches
from riskloop.mitigations.fixture_drift.settings import Rule

LARGEST = 32 * 1024 * 1024
"""Bytes of the largest fixture that is looked into; a larger one is compared byte by byte."""
DEEPEST = 90
"""Levels of the deepest JSON that is looked into; python-jsonpath descends 100."""
_DROPPED = object()
_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"))


class Form(StrEnum):
    """How a fixture's content is read."""

    JSON = "JSON"
    JSONL = "JSONL"
    TEXT = "text"
    BINARY = "binary"


@dataclass(frozen=True, slots=True, kw_only=True)
class Normal:
    """A fixture's content, read.

    Args:
        content: what is compared: the bytes as they are where no rule is for them.
        records: the JSON value (one), or the records of JSONL; a line that is no JSON stands as its text.
        text: the text that is compared, of everything but binary files.
        note: why it could not be read as its name promises; empty if it could.
    """

    form: Form
    content: bytes
    records: tuple[Any, ...] = ()
    text: str = ""
    note: str = ""


def normalise(path: str, content: bytes, rules: Sequence[Rule]) -> Normal:
    """Read a fixture and apply the rules that are for it, in their order, sorting last.

    A file that a JSON path is for is compared as JSON: the order of keys and white space do not count.

    Args:
        path: the fixture's path in its folder; its ending says what it is (.json, .jsonl, .ndjson).
        content: its bytes, at most LARGEST.
        rules: the register's rules.
    """
    rules = [rule for rule in rules if matches(path, [rule.files])]
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        note = f"not UTF-8 (byte {error.start + 1})"
        promised = _promised(path) is not Form.TEXT or any(rule.regex is not None for rule in rules)
        return Normal(form=Form.BINARY, content=content, note=note if promised else "")
    if "\0" in text:
        return Normal(form=Form.BINARY, content=content)
    for rule in _ordered(rules):
        if rule.regex is not None and rule.do != "sort":
            text = _rewrite(text, rule)
    form, note, records = _read(path, text)
    by_path = [rule for rule in _ordered(rules) if rule.path is not None]
    if by_path and records:
        records = tuple(apply(record, by_path) for record in records)
        text = "".join(f"{canonical(record)}\n" for record in records)
    for rule in rules:
        if rule.regex is not None and rule.do == "sort":
            text = _sort_lines(text, rule.compiled_regex)
            form, note, records = _read(path, text)
    changed = text.encode("utf-8", "surrogatepass")
    return Normal(form=form, content=changed, records=records, text=text, note=note)


def canonical(value: Any) -> str:
    """Write a JSON value in the one way in which equal values are equal texts."""
    return _CANONICAL.encode(value)


def apply(value: Any, rules: Sequence[Rule]) -> Any:
    """Apply JSON path rules to a value, in place where it can be; returns the value."""
    for rule in rules:
        # A string is no document to look into, though the library would parse it as one.
        found = [] if isinstance(value, str) else list(rule.compiled_path.finditer(value))
        for match in found:
            if match.parent is None:
                value = None if rule.do == "drop" else _changed(match.obj, rule)
            else:
                parent: Any = match.parent.obj
                key = match.parts[-1]
                parent[key] = _DROPPED if rule.do == "drop" else _changed(parent[key], rule)
        if rule.do == "drop":
            for match in found:
                _sweep(match.parent.obj if match.parent is not None else None)
    return value


def _sweep(parent: Any) -> None:
    """Take what was dropped out of its array or object, all of it at once: one by one, indices would move."""
    if isinstance(parent, list):
        parent[:] = [one for one in parent if one is not _DROPPED]
    elif isinstance(parent, dict):
        for key in [key for key, one in parent.items() if one is _DROPPED]:
            del parent[key]


def _changed(value: Any, rule: Rule) -> Any:
    match rule.do:
        case "constant":
            return rule.value
        case "round" if isinstance(value, int | float) and not isinstance(value, bool):
            return round(value, rule.digits)
        case "sort" if isinstance(value, list):
            return sorted(value, key=canonical)
    return value


def _ordered(rules: Sequence[Rule]) -> list[Rule]:
    return sorted(rules, key=lambda rule: rule.do == "sort")


def _promised(path: str) -> Form:
    ending = path.rpartition(".")[2].lower()
    return {"json": Form.JSON, "jsonl": Form.JSONL, "ndjson": Form.JSONL}.get(ending, Form.TEXT)


def _read(path: str, text: str) -> tuple[Form, str, tuple[Any, ...]]:
    promised = _promised(path)
    try:
        if promised is Form.JSON:
            return promised, "", (_parse(text),)
        if promised is Form.JSONL:
            return _read_lines(text)
    except RecursionError:
        return Form.TEXT, f"JSON more than {DEEPEST} levels deep, compared as text", ()
    except ValueError as error:
        return Form.TEXT, f"not JSON ({str(error)[:100]}), compared as text", ()
    return Form.TEXT, "", ()


def _read_lines(text: str) -> tuple[Form, str, tuple[Any, ...]]:
    # Not str.splitlines, which also splits at U+2028 and others that may stand in a JSON string.
    records: list[Any] = []
    bad: list[str] = []
    for number, line in enumerate(text.removesuffix("\n").split("\n") if text else (), start=1):
        try:
            records.append(_parse(line))
        except (RecursionError, ValueError):
            records.append(line)
            if line.strip():
                bad.append(str(number))
    more = "" if len(bad) <= 10 else ", …"  # noqa: PLR2004 - enough to find them
    note = f"not JSON in line {', '.join(bad[:10])}{more}, compared as text there" if bad else ""
    return Form.JSONL, note, tuple(records)


def _parse(text: str) -> Any:
    value = json.loads(text)
    level = [value]
    for _ in range(DEEPEST):
        level = [
            below
            for one in level
            if isinstance(one, dict | list)
            for below in (one.values() if isinstance(one, dict) else one)
        ]
        if not level:
            return value
    raise RecursionError


def _rewrite(text: str, rule: Rule) -> str:
    def put(match: re.Match[str]) -> str:
        if rule.do == "drop":
            return ""
        if rule.do == "constant":
            return str(rule.value)
        try:
            return f"{float(match[0]):.{rule.digits}f}"
        except ValueError:
            return match[0]

    return rule.compiled_regex.sub(put, text)


def _sort_lines(text: str, pattern: re.Pattern[str]) -> str:
    """Sort the lines that match among the places where they stand."""
    lines = re.findall(r"[^\n]*\n|[^\n]+", text)
    places = [number for number, line in enumerate(lines) if pattern.search(line)]
    for place, line in zip(places, sorted(lines[place] for place in places), strict=True):
        lines[place] = line
    return "".join(lines)
