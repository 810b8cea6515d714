"""Proposes a normalising rule for what differs between two runs of the same generator."""

import re
from collections.abc import Sequence
from typing import Any

from riskloop.mitigations.fixture_drift.differing import changes, records_of, show_path
from riskloop.mitigations.fixture_drift.normalizing import Form, Normal, canonical

_USUAL = (
    r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}:\d{2}(?:[.,]\d+)?(?:Z|[+-]\d{2}:?\d{2})?",
    r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b",
    r"\b0x[0-9a-f]{6,16}\b",
    r"\b\d{10}(?:\.\d+|\d{3})?\b",
    r"(?<![\w./-])(?:/[\w.-]+)*/scratch/[\w./-]*",
    r"\b[0-9a-f]{32,64}\b",
    r"\b\d+\.\d+ ?m?s\b",
)
"""Points in time, UUIDs, addresses in memory, seconds since 1970, our own folders, digests, durations."""
_MOST = 12


def suggest(first: Normal, second: Normal) -> tuple[str, ...]:
    """Give rules, as lines of YAML, after which the two runs would probably be the same; or none."""
    if first.records and second.records and first.form is second.form:
        return _by_path(records_of(first), records_of(second), whole=first.form is Form.JSON)
    if Form.BINARY in (first.form, second.form):
        return ()
    return _by_pattern(first.text, second.text)


def _by_path(first: Sequence[Any], second: Sequence[Any], *, whole: bool) -> tuple[str, ...]:
    if first != second and sorted(map(canonical, first)) == sorted(map(canonical, second)):
        return ("- path: $\n  do: sort",) if whole else ('- regex: "^.+$"\n  do: sort',)
    rules: dict[str, None] = {}
    # By position: the two runs make the same records, and what identifies them may be what differs.
    for one, other in zip(first, second, strict=False):
        for change in changes(one, other):
            names = [key for key in change.keys if isinstance(key, str)]
            if change.reordered:
                rules[f"- path: {_quoted(show_path(change.keys, general=True))}\n  do: sort"] = None
            elif names and re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", names[-1]):
                rules[f"- path: $..{names[-1]}\n  do: drop"] = None
            else:
                rules[f"- path: {_quoted(show_path(change.keys, general=True))}\n  do: drop"] = None
    return tuple(rules)[:_MOST]


def _quoted(path: str) -> str:
    # In YAML a plain scalar may hold `[*]` and quotes, but not `: ` or ` #`; single quotes hold anything.
    return "'" + path.replace("'", "''") + "'"


def _by_pattern(first: str, second: str) -> tuple[str, ...]:
    used = []
    for pattern in _USUAL:
        if first == second:
            break
        compiled = re.compile(pattern)
        if set(compiled.findall(first)) != set(compiled.findall(second)):
            first, second = compiled.sub("", first), compiled.sub("", second)
            used.append(pattern)
    return tuple(f"- regex: '{pattern}'\n  do: drop" for pattern in used) if first == second else ()
