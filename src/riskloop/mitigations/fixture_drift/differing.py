"""Shows how two versions of a fixture differ: by record and JSON path where it can, by line elsewhere."""

import difflib
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from riskloop.mitigations.fixture_drift.normalizing import Form, Normal, canonical

ALIGNABLE = 4_000_000
"""Lines (or records) of one side times those of the other that are still aligned; more would take minutes."""
_LONGEST_LINE = 400
_LONGEST_HUNK = 120
_MOST_HUNKS = 2_000
_IDENTITIES = ("id", "uuid", "key", "name", "path", "seq", "sequence", "index")
_SHAPES = ("type", "event", "event_type", "kind", "action", "role")
_NO_END = "\\ no line end at the end of the file"
_CONTROLS = {code: f"\\x{code:02x}" for code in (*range(9), *range(10, 32), 127)}


class Missing:
    """Stands where one of the sides has nothing."""


MISSING: Final = Missing()
Keys = tuple[str | int, ...]
Pair = tuple[int | None, int | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One JSON path under which two values differ.

    Args:
        reordered: both are arrays of the same elements in another order.
    """

    keys: Keys
    before: Any
    after: Any
    reordered: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """How two versions differ.

    Args:
        summary: in a phrase.
        hunks: the differing places, each with a heading line, as a diff.
        paths: the JSON paths that differ, with `[*]` for every index; empty if it is not JSON.
    """

    summary: str
    hunks: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()


def differ(before: Normal, after: Normal) -> Difference:
    """Describe how two versions differ; at most 2,000 hunks, each at most 120 lines."""
    one_is_new = before.form is Form.JSONL and (before.records or after.records)
    if before.form is after.form and ((before.records and after.records) or one_is_new):
        by_record = _differ_records(records_of(before), records_of(after))
        if by_record.hunks:
            return by_record
    if Form.BINARY in (before.form, after.form):
        return Difference(summary=f"binary, {len(before.content)} bytes became {len(after.content)}")
    return _differ_lines(before.text, after.text)


def records_of(normal: Normal) -> Sequence[Any]:
    """Give the records of JSONL, or of a JSON array; any other JSON value is one record."""
    if normal.form is Form.JSON and isinstance(normal.records[0], list):
        return normal.records[0]
    return normal.records


def show_path(keys: Keys, *, general: bool = False) -> str:
    """Write a JSON path as RFC 9535 does; `general` puts `[*]` for every index."""
    path = "$"
    for key in keys:
        if isinstance(key, int):
            path += "[*]" if general else f"[{key}]"
        elif re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", key):
            path += f".{key}"
        else:
            quoted = json.dumps(key)[1:-1].replace('\\"', '"').replace("'", "\\'")
            path += f"['{quoted}']"
    return path


def changes(before: Any, after: Any, keys: Keys = ()) -> Iterator[Change]:
    """List the JSON paths under which two values differ, in the order of the document."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key in (*before, *(key for key in after if key not in before)):
            yield from changes(before.get(key, MISSING), after.get(key, MISSING), (*keys, key))
    elif isinstance(before, list) and isinstance(after, list):
        texts = [canonical(one) for one in before], [canonical(one) for one in after]
        if texts[0] != texts[1] and sorted(texts[0]) == sorted(texts[1]):
            yield Change(keys=keys, before=before, after=after, reordered=True)
            return
        for old, new in pair(before, after):
            place = new if new is not None else old
            yield from changes(
                MISSING if old is None else before[old],
                MISSING if new is None else after[new],
                (*keys, place if place is not None else 0),
            )
    elif isinstance(before, Missing) or isinstance(after, Missing) or canonical(before) != canonical(after):
        yield Change(keys=keys, before=before, after=after)


def pair(before: Sequence[Any], after: Sequence[Any]) -> list[Pair]:
    """Pair the records of two lists: by a member that identifies them, else equal ones, else alike ones."""
    identity = _identity(before, after)
    if identity is not None:
        places = {canonical(record[identity]): number for number, record in enumerate(after)}
        pairs: list[Pair] = [
            (number, places.pop(canonical(record[identity]), None)) for number, record in enumerate(before)
        ]
        return [*pairs, *((None, number) for number in places.values())]
    pairs = []
    for old, new in _align(before, after, canonical):
        if len(old) == len(new) == 1:
            pairs.append((old[0], new[0]))
            continue
        for alike_old, alike_new in _align([before[n] for n in old], [after[n] for n in new], _shape):
            both = min(len(alike_old), len(alike_new))
            pairs += [(old[m], new[n]) for m, n in zip(alike_old, alike_new, strict=False)]
            pairs += [(old[m], None) for m in alike_old[both:]]
            pairs += [(None, new[n]) for n in alike_new[both:]]
    return pairs


def _align(
    before: Sequence[Any], after: Sequence[Any], key: Callable[[Any], str]
) -> Iterator[tuple[range, range]]:
    """Give the stretches of two lists that belong together: pairs of equal ones, and what lies between."""
    old, new = [key(one) for one in before], [key(one) for one in after]
    start = _common(old, new)
    end = _common(old[start:][::-1], new[start:][::-1])
    yield from ((range(n, n + 1), range(n, n + 1)) for n in range(start))
    rest = old[start : len(old) - end], new[start : len(new) - end]
    if len(rest[0]) * len(rest[1]) > ALIGNABLE:
        yield range(start, len(old) - end), range(start, len(new) - end)
    else:
        matcher = difflib.SequenceMatcher(None, *rest, autojunk=False)
        for tag, i1, i2, j1, j2 in matcher.get_opcodes():
            m, n = range(start + i1, start + i2), range(start + j1, start + j2)
            if tag == "equal":
                yield from ((range(a, a + 1), range(b, b + 1)) for a, b in zip(m, n, strict=True))
            else:
                yield m, n
    for back in range(end, 0, -1):
        a, b = len(old) - back, len(new) - back
        yield range(a, a + 1), range(b, b + 1)


def _common(before: Sequence[str], after: Sequence[str]) -> int:
    shorter = min(len(before), len(after))
    return next((n for n in range(shorter) if before[n] != after[n]), shorter)


def _identity(before: Sequence[Any], after: Sequence[Any]) -> str | None:
    """Find a member that every record of both has, once each, and that some have in common."""
    if not before or not after or not all(isinstance(record, dict) for record in (*before, *after)):
        return None
    for name in _IDENTITIES:
        values = [
            [canonical(record[name]) for record in records if isinstance(record.get(name), str | int)]
            for records in (before, after)
        ]
        whole = len(values[0]) == len(before) and len(values[1]) == len(after)
        if whole and all(len(set(each)) == len(each) for each in values) and set(values[0]) & set(values[1]):
            return name
    return None


def _shape(record: Any) -> str:
    if not isinstance(record, dict):
        return type(record).__name__
    says = next((record[name] for name in _SHAPES if isinstance(record.get(name), str)), "")
    return f"{says} {sorted(record)}"


def _differ_records(before: Sequence[Any], after: Sequence[Any]) -> Difference:
    hunks: list[str] = []
    paths: dict[str, None] = {}
    changed = added = removed = same = moved = 0
    if before != after and sorted(map(canonical, before)) == sorted(map(canonical, after)):
        moved = 1
        hunks.append("@@ the same records in another order @@")
    pairs = [] if moved else pair(before, after)
    single = len(before) == len(after) == 1
    for old, new in pairs:
        if old is None:
            added += 1
            hunks.append(f"@@ record {_number(new)} added @@\n+{_shown(after[new or 0])}")
        elif new is None:
            removed += 1
            hunks.append(f"@@ record {old + 1} removed @@\n-{_shown(before[old])}")
        elif found := list(changes(before[old], after[new])):
            changed += 1
            paths.update(dict.fromkeys(show_path(change.keys, general=True) for change in found))
            heading = "value" if single else f"record {_number(old)}{_moved(old, new)}"
            hunks.append("\n".join((f"@@ {heading}, {len(found)} changed @@", *_lines_of(found))))
        else:
            same += 1
    summary = "the same records in another order"
    if not moved:
        summary = (
            f"records: {same + changed} matched, {changed} of them changed, {added} added, {removed} removed"
        )
    return Difference(summary=summary, hunks=tuple(hunks[:_MOST_HUNKS]), paths=tuple(paths))


def _number(index: int | None) -> int:
    return (index or 0) + 1


def _moved(old: int, new: int) -> str:
    return "" if old == new else f" (now {new + 1})"


def _lines_of(found: Sequence[Change]) -> Iterator[str]:
    for change in found[: _LONGEST_HUNK // 2]:
        path = show_path(change.keys)
        if change.reordered:
            yield f" {path}: the same elements in another order"
            continue
        if not isinstance(change.before, Missing):
            yield f"-{path}: {_shown(change.before)}"
        if not isinstance(change.after, Missing):
            yield f"+{path}: {_shown(change.after)}"
    if len(found) > _LONGEST_HUNK // 2:
        yield f" … and {len(found) - _LONGEST_HUNK // 2} more"


def _shown(value: Any) -> str:
    return visible(json.dumps(value, ensure_ascii=False))


def visible(text: str) -> str:
    """Cut a line to 400 characters and write out its control characters, which a terminal would obey."""
    cut = text if len(text) <= _LONGEST_LINE else f"{text[:_LONGEST_LINE]}…"
    return cut.translate(_CONTROLS).encode("utf-8", "backslashreplace").decode()


def _lines(text: str) -> list[str]:
    *lines, last = text.split("\n")
    return [*lines, last, _NO_END] if last else lines


def _differ_lines(before: str, after: str) -> Difference:
    old, new = _lines(before), _lines(after)
    removed = added = 0
    hunks: list[str] = []
    start = _common(old, new)
    end = _common(old[start:][::-1], new[start:][::-1])
    if (len(old) - start - end) * (len(new) - start - end) > ALIGNABLE:
        old, new = old[start : len(old) - end], new[start : len(new) - end]
        removed, added = len(old), len(new)
        shown = [f"-{visible(line)}" for line in old[: _LONGEST_HUNK // 2]]
        shown += [f"+{visible(line)}" for line in new[: _LONGEST_HUNK // 2]]
        heading = f"@@ from line {start + 1}, {removed} lines became {added}; the first of them @@"
        hunks.append("\n".join((heading, *shown)))
    else:
        for line in difflib.unified_diff(old, new, lineterm="", n=3):
            if line.startswith("@@"):
                hunks.append(line)
            elif hunks:
                removed += line.startswith("-")
                added += line.startswith("+")
                hunks[-1] += f"\n{visible(line)}"
    cut = tuple("\n".join(hunk.split("\n")[: _LONGEST_HUNK + 1]) for hunk in hunks[:_MOST_HUNKS])
    return Difference(summary=f"lines: {removed} removed, {added} added", hunks=cut)
