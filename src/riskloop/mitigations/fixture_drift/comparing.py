"""Holds the golden fixtures against the regenerated ones, file by file."""

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from riskloop.errors import Unmeasurable
from riskloop.files import Sort, list_tree, matches, read_file
from riskloop.hashing import hash_files
from riskloop.mitigations.fixture_drift.normalizing import LARGEST, normalise
from riskloop.mitigations.fixture_drift.settings import Rule, Settings

STAGE = ".riskloop-adopting"
"""The folder that adopting works in, among the fixtures; never a fixture itself."""
_NEVER = frozenset({STAGE, ".git"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One fixture as it was found.

    Args:
        size: bytes.
        mode: permission bits.
        raw: SHA-256 of its bytes; of a file that is not a regular one, what it is instead.
        normal: SHA-256 of its normalised content.
        note: what is odd about it, in words.
    """

    path: str
    size: int
    mode: int
    raw: str
    normal: str
    regular: bool = True
    note: str = ""


class Fate(StrEnum):
    """What became of a fixture. `same` and `equivalent` are no drift: the rules take the difference out."""

    CHANGED = "changed"
    ADDED = "added"
    REMOVED = "removed"
    NONDETERMINISTIC = "nondeterministic"
    EQUIVALENT = "equivalent"
    SAME = "same"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One fixture: as it is in the project, and as each of the two runs made it."""

    path: str
    fate: Fate
    golden: Entry | None
    fresh: Entry | None
    again: Entry | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Every fixture's fate, and a digest of what was made that two looks at the same thing share."""

    findings: tuple[Finding, ...]
    fingerprint: str

    def of(self, *fates: Fate) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.fate in fates)


def is_fixture(settings: Settings, path: str) -> bool:
    """Say whether a path below the fixtures' folder is a fixture; what is git's or ours never is."""
    if path == settings.manifest or not _NEVER.isdisjoint(path.split("/")):
        return False
    return matches(path, settings.include) and not matches(path, settings.exclude)


def read_fixtures(
    folder: Path,
    settings: Settings,
    *,
    also: Sequence[str] = (),
    state: Path | None = None,
    known: Mapping[str, Entry] | None = None,
) -> dict[str, Entry]:
    """Read every fixture of a folder.

    Args:
        folder: the fixtures' folder, in the project or in an export of it.
        settings: which files are fixtures, and the rules for them.
        also: further paths to read, if they are there.
        state: our own directory, which is left out if it lies in there.
        known: fixtures read before; one that has the same bytes here is not normalised again.

    Raises:
        Unmeasurable: the folder cannot be read.
    """
    wanted = frozenset(also)
    ours = os.path.relpath(state.resolve(), folder.resolve()) if state is not None else ""
    listed = [
        found
        for found in list_tree(folder, skip=lambda path: path == ours or path.rpartition("/")[2] in _NEVER)
        if is_fixture(settings, found.path) or found.path in wanted
    ]
    regular = [found.path for found in listed if found.sort is Sort.FILE]
    digests = dict(zip(regular, hash_files(regular, folder=folder), strict=True))
    entries = {}
    for found in listed:
        raw = digests.get(found.path) or f"{found.sort} {found.target}".strip()
        if raw.startswith("!"):
            raise Unmeasurable(
                f"{folder / found.path} cannot be read: {raw[1:]}", remedy="correct its permissions"
            )
        entry = Entry(path=found.path, size=found.size, mode=found.mode, raw=raw, normal=raw)
        if found.sort is not Sort.FILE:
            entry = replace(entry, regular=False, note=f"a {found.sort}, which is not followed or opened")
        before = known.get(found.path) if known is not None else None
        if before is not None and before.raw == raw:
            entries[found.path] = replace(
                entry, normal=before.normal, regular=before.regular, note=before.note
            )
        else:
            entries[found.path] = _normalised(entry, folder, settings.normalize)
    return entries


def _normalised(entry: Entry, folder: Path, rules: Sequence[Rule]) -> Entry:
    if not entry.regular or not any(matches(entry.path, [rule.files]) for rule in rules):
        return entry
    if entry.size > LARGEST:
        return replace(entry, note=f"over {LARGEST >> 20} MiB, compared byte by byte")
    normal = normalise(entry.path, read_file(folder, entry.path, limit=LARGEST), rules)
    return replace(entry, normal=hashlib.sha256(normal.content).hexdigest(), note=normal.note)


def compare(
    golden: Mapping[str, Entry], fresh: Mapping[str, Entry], again: Mapping[str, Entry]
) -> Comparison:
    """Decide every fixture's fate from the project's fixtures and those of the two runs."""
    findings = []
    for path in sorted({*golden, *fresh, *again}):
        three = golden.get(path), fresh.get(path), again.get(path)
        findings.append(
            Finding(path=path, fate=_fate(*three), golden=three[0], fresh=three[1], again=three[2])
        )
    digest = hashlib.sha256()
    for finding in findings:
        if finding.fresh is not None and finding.fate is not Fate.NONDETERMINISTIC:
            name = finding.path.encode("utf-8", "surrogateescape")
            digest.update(name + b"\0" + finding.fresh.normal.encode("utf-8", "surrogateescape") + b"\n")
    return Comparison(findings=tuple(findings), fingerprint=digest.hexdigest())


def _fate(golden: Entry | None, fresh: Entry | None, again: Entry | None) -> Fate:
    if (fresh and fresh.normal) != (again and again.normal):
        return Fate.NONDETERMINISTIC
    if golden is None:
        return Fate.ADDED
    if fresh is None:
        return Fate.REMOVED
    if golden.normal != fresh.normal:
        return Fate.CHANGED
    return Fate.SAME if golden.raw == fresh.raw else Fate.EQUIVALENT


def manifest_mismatches(
    golden: Mapping[str, Entry], listed: Mapping[str, str], settings: Settings
) -> tuple[str, ...]:
    """Say how the fixtures differ from their manifest, a phrase for each file, as `sha256sum -c` would.

    Args:
        golden: the fixtures, and whatever else the manifest lists and is there.
        listed: the manifest.
        settings: to tell fixtures from other files.
    """
    says = {path: "missing" for path in listed if path not in golden}
    for path, entry in golden.items():
        if path in listed:
            if listed[path] != entry.raw:
                says[path] = "edited by hand"
        elif is_fixture(settings, path):
            says[path] = "not listed"
    return tuple(f"{path}: {says[path]}" for path in sorted(says))
