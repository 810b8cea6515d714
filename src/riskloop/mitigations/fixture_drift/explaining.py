"""Writes down what a comparison found, so that a person believes it and knows what to do."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from riskloop.errors import Unmeasurable
from riskloop.files import read_file
from riskloop.measurements import Evidence, Section
from riskloop.mitigations.fixture_drift.comparing import Comparison, Entry, Fate, Finding
from riskloop.mitigations.fixture_drift.differing import Difference, differ, visible
from riskloop.mitigations.fixture_drift.normalizing import LARGEST, Normal, normalise
from riskloop.mitigations.fixture_drift.settings import Settings
from riskloop.mitigations.fixture_drift.suggesting import suggest

INLINE_HUNKS = 50
_INLINE_ROWS = 60
_LISTED = 200
_LARGEST_DOCUMENT = 8 * 1024 * 1024
_DRIFT = (Fate.CHANGED, Fate.ADDED, Fate.REMOVED)
_EMPTY = Normal(form=normalise("", b"", ()).form, content=b"")


@dataclass(frozen=True, slots=True, kw_only=True)
class Folders:
    """Where the three versions of the fixtures are: the project's, the first run's, the second run's."""

    golden: Path
    fresh: Path
    again: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class _Told:
    """One fixture, told: a line, the difference, and the rules that would make it deterministic."""

    finding: Finding
    line: str
    difference: Difference
    rules: tuple[str, ...] = ()


def explain(
    comparison: Comparison,
    settings: Settings,
    folders: Folders,
    *,
    mismatches: Sequence[str],
    proposed: str = "",
    notes: Sequence[str] = (),
) -> Evidence:
    """Write the evidence of a look.

    Args:
        comparison: what was found.
        settings: the rules.
        folders: where to read the contents again, for the differences.
        mismatches: how the fixtures differ from their manifest.
        proposed: the manifest to begin with where there is none.
        notes: what else to know, a sentence each.
    """
    told = list(_tell_all(comparison.of(*_DRIFT, Fate.NONDETERMINISTIC), settings, folders))
    drifted = [one for one in told if one.finding.fate in _DRIFT]
    restless = [one for one in told if one.finding.fate is Fate.NONDETERMINISTIC]
    equivalent = comparison.of(Fate.EQUIVALENT)
    odd = [entry for finding in comparison.findings for entry in _odd(finding)]
    lists = {
        "Fixtures that drifted": [one.line for one in drifted],
        "Fixtures that differ between two runs": [
            "\n".join((one.line, *(f"  {line}" for line in _advice(one)))) for one in restless
        ],
        "Fixtures that differ from the manifest": [visible(phrase) for phrase in mismatches],
        "Differences the rules take out (no drift)": [visible(finding.path) for finding in equivalent],
        "Read with care": [*(f"{visible(entry.path)}: {visible(entry.note)}" for entry in odd), *notes],
    }
    sections = [Section(title=title, body=_shortened(lines)) for title, lines in lists.items() if lines]
    if proposed:
        body = _shortened(proposed.splitlines())
        title = f"No {settings.manifest} yet; adopting writes this one"
        sections.append(Section(title=title, body=body))
    inline, left = _inline(drifted)
    whole = [f"{title}\n\n{_joined(lines)}" for title, lines in lists.items() if lines]
    if proposed:
        whole.append(f"Proposed {settings.manifest}\n\n{proposed}")
    return Evidence(
        summary=_summary(comparison, mismatches, left),
        sections=(*sections[:1], *inline, *sections[1:]),
        document=_limited([*whole, *(_whole(one) for one in told)]),
        fingerprint=comparison.fingerprint,
        details=_details(comparison, mismatches, told),
    )


def _tell_all(findings: Sequence[Finding], settings: Settings, folders: Folders) -> Iterator[_Told]:
    """Describe each finding, and keep the hunks of all together below the size of a document."""
    room = _LARGEST_DOCUMENT
    for finding in findings:
        told = _tell(finding, settings, folders)
        kept = []
        for hunk in told.difference.hunks:
            room -= len(hunk)
            if room < 0:
                break
            kept.append(hunk)
        yield replace(told, difference=replace(told.difference, hunks=tuple(kept)))


def _tell(finding: Finding, settings: Settings, folders: Folders) -> _Told:
    """Describe one finding; what is too large to be read, or gone by now, is told by its sizes."""
    nondeterministic = finding.fate is Fate.NONDETERMINISTIC
    before, after = (finding.fresh, finding.again) if nondeterministic else (finding.golden, finding.fresh)
    places = (folders.fresh, folders.again) if nondeterministic else (folders.golden, folders.fresh)
    line = f"{finding.fate}: {visible(finding.path)}  {_facts(before)} → {_facts(after)}"
    contents = [
        _content(entry, place, settings) for entry, place in zip((before, after), places, strict=True)
    ]
    old, new = contents
    if old is None or new is None:
        return _Told(finding=finding, line=line, difference=Difference(summary="compared byte by byte"))
    if before is None or after is None:
        # What is not there reads as an empty file of the other's form.
        form = new.form if before is None else old.form
        both = replace(old, form=form), replace(new, form=form)
        difference = Difference(summary="made by one of two runs only") if nondeterministic else differ(*both)
        return _Told(finding=finding, line=line, difference=difference)
    rules = suggest(old, new) if nondeterministic else ()
    return _Told(finding=finding, line=line, difference=differ(old, new), rules=rules)


def _content(entry: Entry | None, folder: Path, settings: Settings) -> Normal | None:
    if entry is None:
        return _EMPTY
    if not entry.regular or entry.size > LARGEST:
        return None
    try:
        content = read_file(folder, entry.path, limit=LARGEST)
    except Unmeasurable:
        return None
    return normalise(entry.path, content, settings.normalize)


def _facts(entry: Entry | None) -> str:
    if entry is None:
        return "nothing"
    if not entry.regular:
        return visible(entry.raw)
    normal = "" if entry.normal == entry.raw else f", normalised {entry.normal[:12]}"
    return f"{entry.size} bytes, sha256 {entry.raw[:12]}{normal}"


def _odd(finding: Finding) -> Iterator[Entry]:
    entry = next((one for one in (finding.golden, finding.fresh) if one is not None and one.note), None)
    if entry is not None:
        yield entry


def _advice(one: _Told) -> list[str]:
    lines = [one.difference.summary]
    if one.difference.paths:
        lines.append(f"differs at {', '.join(one.difference.paths[:10])}")
    if one.rules:
        lines += ["add to normalize:", *(f"  {line}" for rule in one.rules for line in rule.splitlines())]
    return lines


def _inline(drifted: Sequence[_Told]) -> tuple[list[Section], int]:
    """Give the first 50 hunks, a section for each file, and how many are left."""
    sections = []
    room = INLINE_HUNKS
    for one in drifted:
        hunks = one.difference.hunks[:room]
        room -= len(hunks)
        if hunks:
            title = f"{visible(one.finding.path)}: {one.difference.summary}"
            sections.append(Section(title=title, body="\n".join(hunks), language="diff"))
    return sections, sum(len(one.difference.hunks) for one in drifted) - (INLINE_HUNKS - room)


def _shortened(lines: Sequence[str]) -> str:
    more = [f"… and {len(lines) - _INLINE_ROWS} more"] if len(lines) > _INLINE_ROWS else []
    return _joined([*lines[:_INLINE_ROWS], *more])


def _joined(lines: Sequence[str]) -> str:
    return "\n".join(lines)


def _summary(comparison: Comparison, mismatches: Sequence[str], left: int) -> str:
    counts = {fate: len(comparison.of(fate)) for fate in Fate}
    drift = [f"{counts[fate]} {fate}" for fate in _DRIFT if counts[fate]]
    total = len(comparison.findings)
    sentence = f"{', '.join(drift)} of {total} fixtures" if drift else f"None of {total} fixtures drifted"
    if counts[Fate.NONDETERMINISTIC]:
        sentence += f"; {counts[Fate.NONDETERMINISTIC]} differ between two runs and are not judged"
    if mismatches:
        sentence += f"; {len(mismatches)} differ from the manifest"
    more = f" {left} more differences are in the whole evidence." if left else ""
    return f"{sentence}.{more}"


def _whole(one: _Told) -> str:
    finding = one.finding
    digests = [
        f"  {name}: raw {entry.raw}, normalised {entry.normal}, {entry.size} bytes"
        for name, entry in (("project", finding.golden), ("run 1", finding.fresh), ("run 2", finding.again))
        if entry is not None
    ]
    lines = [f"{finding.fate}: {finding.path}", *digests, f"  {one.difference.summary}"]
    return "\n".join((*(visible(line) for line in lines), *one.difference.hunks))


def _limited(parts: Sequence[str]) -> str:
    kept: list[str] = []
    room = _LARGEST_DOCUMENT
    for part in parts:
        room -= len(part)
        if room < 0:
            kept.append(f"… and {len(parts) - len(kept)} more parts, left out for their size")
            break
        kept.append(part)
    return "".join(f"{part}\n\n" for part in kept)


def _details(comparison: Comparison, mismatches: Sequence[str], told: Sequence[_Told]) -> dict[str, Any]:
    return {
        "fixtures": len(comparison.findings),
        "files": [
            {
                "path": visible(one.finding.path),
                "fate": str(one.finding.fate),
                "golden": _facts_for_programs(one.finding.golden),
                "fresh": _facts_for_programs(one.finding.fresh),
                "json_paths": list(one.difference.paths[:50]),
                "suggested_rules": list(one.rules),
            }
            for one in told[:_LISTED]
        ],
        "equivalent": [visible(finding.path) for finding in comparison.of(Fate.EQUIVALENT)[:_LISTED]],
        "manifest_mismatches": [visible(phrase) for phrase in mismatches[:_LISTED]],
    }


def _facts_for_programs(entry: Entry | None) -> dict[str, Any] | None:
    if entry is None:
        return None
    return {"raw": visible(entry.raw), "normalised": visible(entry.normal), "size": entry.size}
