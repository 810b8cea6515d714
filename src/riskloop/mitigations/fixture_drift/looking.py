"""Takes one whole look at a folder of golden fixtures: the project's, the manifest's and the generator's."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from riskloop.errors import Unmeasurable
from riskloop.files import read_file
from riskloop.measurements import Evidence, Measurement, Observation
from riskloop.mitigations.fixture_drift import manifest
from riskloop.mitigations.fixture_drift.comparing import (
    Comparison,
    Entry,
    Fate,
    compare,
    is_fixture,
    manifest_mismatches,
    read_fixtures,
)
from riskloop.mitigations.fixture_drift.explaining import Folders, explain
from riskloop.mitigations.fixture_drift.journal import Resumed, finish_interrupted, holding
from riskloop.mitigations.fixture_drift.regenerating import Origin, Regenerated, regenerated
from riskloop.mitigations.fixture_drift.settings import Settings
from riskloop.risks import Site

_DAY = 86_400.0
_COUNTED = {
    "fixtures_changed": Fate.CHANGED,
    "fixtures_added": Fate.ADDED,
    "fixtures_removed": Fate.REMOVED,
    "fixtures_nondeterministic": Fate.NONDETERMINISTIC,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Golden:
    """What stands in the project.

    Args:
        fixtures: the golden fixtures.
        others: what the manifest lists and is there, but is no fixture.
        listed: the manifest, path to digest; None if there is none.
        manifest: the manifest's bytes; None if there is none.
        mismatches: how the fixtures differ from the manifest, a phrase each.
        resumed: the steps of an adoption that was interrupted, now finished.
    """

    folder: Path
    fixtures: Mapping[str, Entry]
    others: Mapping[str, Entry]
    listed: Mapping[str, str] | None
    manifest: bytes | None
    mismatches: tuple[str, ...]
    resumed: Resumed


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """Everything a look found; the scratch folder it speaks of lives as long as the look."""

    golden: Golden
    made: Regenerated
    comparison: Comparison
    evidence: Evidence


def read_golden(settings: Settings, site: Site) -> Golden:
    """Read the project's fixtures and manifest, after finishing an adoption that was interrupted.

    Raises:
        Unmeasurable: a file or the manifest cannot be read; the manifest's line is named.
    """
    folder = site.project / settings.directory
    with holding(site.project, settings.directory) as root:
        resumed = finish_interrupted(root)
        content = None
        listed: dict[str, str] = {}
        if (folder / settings.manifest).is_symlink() or (folder / settings.manifest).exists():
            content = read_file(folder, settings.manifest, limit=manifest.LIMIT)
            listed = manifest.parse(content, name=str(PurePosixPath(settings.directory) / settings.manifest))
        entries = read_fixtures(folder, settings, also=tuple(listed), state=site.state)
    return Golden(
        folder=folder,
        fixtures={path: entry for path, entry in entries.items() if is_fixture(settings, path)},
        others={path: entry for path, entry in entries.items() if not is_fixture(settings, path)},
        listed=None if content is None else listed,
        manifest=content,
        mismatches=() if content is None else manifest_mismatches(entries, listed, settings),
        resumed=resumed,
    )


@contextmanager
def looking(settings: Settings, site: Site) -> Iterator[Seen]:
    """Look at everything, and keep what the generator made until the caller is done with it.

    Raises:
        Unmeasurable: something cannot be read, or the fixtures cannot be made anew.
    """
    try:
        golden = read_golden(settings, site)
        with regenerated(settings, site, golden=golden.fixtures) as made:
            comparison = compare(golden.fixtures, made.fresh, made.again)
            evidence = explain(
                comparison,
                settings,
                Folders(golden=golden.folder, fresh=made.folder, again=made.other),
                mismatches=golden.mismatches,
                proposed="" if golden.listed is not None else _proposal(made, comparison),
                notes=(*golden.resumed.notes, *made.notes),
            )
            yield Seen(golden=golden, made=made, comparison=comparison, evidence=evidence)
    except OSError as error:
        raise Unmeasurable(
            f"the look at {settings.directory} broke off: {error.filename or 'a file'}: {error.strerror}",
            remedy="free space, or correct the permissions of the state directory",
        ) from error


def measure(settings: Settings, site: Site) -> Observation:
    """Make the fixtures anew and say how the project's differ from them; change nothing in the project.

    Raises:
        Unmeasurable: the generator failed, hung or wrote nothing, or something cannot be read.
    """
    with looking(settings, site) as seen:
        counted = {name: float(len(seen.comparison.of(fate))) for name, fate in _COUNTED.items()}
        if seen.golden.manifest is not None:
            counted["manifest_mismatches"] = float(len(seen.golden.mismatches))
            counted["days_since_adopted"] = _days_since_adopted(settings, site, seen)
        measurements = tuple(Measurement(metric=name, value=value) for name, value in counted.items())
        return Observation(measurements=measurements, evidence=seen.evidence)


def _proposal(made: Regenerated, comparison: Comparison) -> str:
    calm = {finding.path for finding in comparison.findings if finding.fate is not Fate.NONDETERMINISTIC}
    digests = {path: entry.raw for path, entry in made.fresh.items() if path in calm and entry.regular}
    return manifest.write(digests).decode("utf-8", "replace")


def _days_since_adopted(settings: Settings, site: Site, seen: Seen) -> float:
    """Give the age of the manifest: of its last commit if it is unchanged since, else of the file."""
    changed = _last_commit(settings, seen.made.origin, seen.golden.manifest)
    if changed is None:
        try:
            changed = (seen.golden.folder / settings.manifest).lstat().st_mtime
        except OSError as error:
            raise Unmeasurable(
                f"{settings.manifest} went away during the look", remedy="look again"
            ) from error
    return max(0.0, (site.now.timestamp() - changed) / _DAY)


def _last_commit(settings: Settings, origin: Origin, content: bytes | None) -> float | None:
    if origin.mirror is None or content is None:
        return None
    path = (PurePosixPath(origin.below) / settings.directory / settings.manifest).as_posix()
    if origin.mirror.content(origin.commit, path) != content:
        return None
    return origin.mirror.last_changed(origin.commit, path)
