"""Makes the regenerated fixtures the golden ones: all of them or none, with a way back."""

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from itertools import count
from pathlib import Path, PurePosixPath

from riskloop.errors import Refused
from riskloop.files import remove_tree, scratch
from riskloop.git import Mirror
from riskloop.hashing import hash_files
from riskloop.measurements import Evidence
from riskloop.mitigations.fixture_drift import manifest
from riskloop.mitigations.fixture_drift.comparing import Entry, Fate, is_fixture
from riskloop.mitigations.fixture_drift.journal import Source, Step, carry_out, holding
from riskloop.mitigations.fixture_drift.looking import Seen, looking
from riskloop.mitigations.fixture_drift.regenerating import committed_fixtures
from riskloop.mitigations.fixture_drift.settings import Settings
from riskloop.risks import Site

KEPT = 5
"""Adoptions whose replaced files are kept under the state directory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileChange:
    """One file that adopting replaced, made or removed: its SHA-256 before and after, None for no file."""

    path: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BranchCommit:
    """The adopted fixtures as a commit on a branch of our mirror, to be pushed.

    Args:
        base: the commit it follows: the project's HEAD.
    """

    branch: str
    commit: str
    base: str
    mirror: Mirror


@dataclass(frozen=True, slots=True, kw_only=True)
class Adoption:
    """What adopting did.

    Args:
        fingerprint: of what was adopted.
        files: every file that changed, the manifest aside.
        manifest: the manifest's path in the project, and its SHA-256 before and after.
        not_adopted: fixtures that differ between two runs, and stay as they are.
        replaced: where the files that no commit holds were kept; None if there were none.
        branch: the commit, where the fixtures go to a pull request; None where they are in the project.
        evidence: what the look showed that this was decided on.
    """

    fingerprint: str
    files: tuple[FileChange, ...]
    manifest: FileChange
    not_adopted: tuple[str, ...]
    evidence: Evidence
    replaced: Path | None = None
    branch: BranchCommit | None = None

    @property
    def written(self) -> tuple[FileChange, ...]:
        return tuple(change for change in self.files if change.after is not None)

    @property
    def removed(self) -> tuple[FileChange, ...]:
        return tuple(change for change in self.files if change.after is None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to change against some state of the fixtures: new ones, removed ones, the new manifest."""

    written: Mapping[str, Entry]
    removed: tuple[str, ...]
    manifest: bytes


def adopt(
    settings: Settings,
    site: Site,
    *,
    expected: str | None,
    to_branch: bool = False,
    who: str = "",
    reason: str = "",
) -> Adoption:
    """Make the fixtures anew and put them, with their manifest, in place of the golden ones.

    Fixtures that differ between two runs stay as they are, and so do those whose difference the rules take
    out. Adopting twice is adopting once; an adoption that was killed is finished by the next one, or by the
    next look.

    Args:
        settings: the mitigation's settings.
        site: where it works.
        expected: the fingerprint of the look it was decided on; None to adopt whatever there is.
        to_branch: make a commit on a branch of our mirror, and leave the project's folder alone.
        who: who decided it, for the commit's message.
        reason: why, for the commit's message.

    Raises:
        Refused: what is made now is not what was decided on, or a file may not be replaced; nothing changed.
        Unmeasurable: the fixtures cannot be made anew.
    """
    with looking(settings, site) as seen:
        if expected is not None and seen.comparison.fingerprint != expected:
            raise Refused(
                f"the fixtures of {settings.directory} come out differently from those this was decided on",
                rule="changed-since",
                remedy="look at the new difference, and decide again",
            )
        if to_branch:
            return _adopt_to_branch(settings, site, seen, who=who, reason=reason)
        return _adopt_in_place(settings, site, seen)


def _adopt_in_place(settings: Settings, site: Site, seen: Seen) -> Adoption:
    golden = seen.golden
    others = {path: entry.raw for path, entry in golden.others.items()}
    plan = _plan(seen, golden.fixtures, others)
    _refuse_special(plan, golden.fixtures)
    replaced = _keep_replaced(settings, site, seen, plan)
    steps = list(_steps(settings, seen, plan))
    if steps:
        with holding(site.project, settings.directory) as root:
            carry_out(root, steps)
    changes = [
        FileChange(path=step.path, before=step.before, after=step.after)
        for step in (*golden.resumed.steps, *(step for step, _ in steps))
        if step.path != settings.manifest
    ]
    before = next(
        (step.before for step in golden.resumed.steps if step.path == settings.manifest),
        _digest(golden.manifest),
    )
    return Adoption(
        fingerprint=seen.comparison.fingerprint,
        files=tuple(changes),
        manifest=FileChange(
            path=_in_project(settings, settings.manifest),
            before=before,
            after=_digest(plan.manifest),
        ),
        not_adopted=_restless(seen),
        evidence=seen.evidence,
        replaced=replaced,
    )


def _adopt_to_branch(settings: Settings, site: Site, seen: Seen, *, who: str, reason: str) -> Adoption:
    origin = seen.made.origin
    name = (PurePosixPath(origin.below) / _in_project(settings, settings.manifest)).as_posix()
    old = origin.mirror.content(origin.commit, name) if origin.mirror is not None else None
    listed = manifest.parse(old, name=name) if old is not None else {}
    others = {path: digest for path, digest in listed.items() if not is_fixture(settings, path)}
    base = committed_fixtures(settings, site, origin)
    plan = _plan(seen, base, others)
    _refuse_special(plan, base)
    changes = [
        FileChange(path=path, before=base[path].raw if path in base else None, after=entry.raw)
        for path, entry in plan.written.items()
    ]
    changes += [FileChange(path=path, before=base[path].raw, after=None) for path in plan.removed]
    message = _message(settings, seen, who=who, reason=reason)
    branch = commit_for_pull_request(settings, site, seen, plan, message=message)
    return Adoption(
        fingerprint=seen.comparison.fingerprint,
        files=tuple(changes),
        manifest=FileChange(
            path=_in_project(settings, settings.manifest), before=_digest(old), after=_digest(plan.manifest)
        ),
        not_adopted=_restless(seen),
        evidence=seen.evidence,
        branch=branch,
    )


def commit_for_pull_request(
    settings: Settings, site: Site, seen: Seen, plan: Plan, *, message: str
) -> BranchCommit:
    """Make the planned change a commit on a branch of our mirror, from the first run's files.

    The branch is named after what is adopted, so that deciding it twice gives one branch.

    Raises:
        Refused: there is no commit to build on, or a file was changed since it was looked at.
    """
    origin = seen.made.origin
    if origin.mirror is None:
        raise Refused(
            "there is no commit to put a branch on",
            rule="no-repository",
            remedy="commit the project to git, or let `adopt` be in_place",
        )
    paths = list(plan.written)
    now = hash_files(paths, folder=seen.made.folder)
    changed = [path for path, digest in zip(paths, now, strict=True) if digest != plan.written[path].raw]
    if changed:
        raise Refused(f"{changed[0]} changed while it was copied", rule="changed-since", remedy="look again")
    folder = PurePosixPath(origin.below) / settings.directory
    place = "-".join("".join(c if c.isascii() and c.isalnum() else " " for c in str(folder)).split())
    branch = f"riskloop/{place or 'fixtures'}-{seen.comparison.fingerprint[:12]}"
    with scratch(site.state, "manifest") as aside:
        listed = aside / "manifest"
        listed.write_bytes(plan.manifest)
        files = {
            (folder / path).as_posix(): (seen.made.folder / path, bool(entry.mode & 0o100))
            for path, entry in plan.written.items()
        }
        commit = origin.mirror.commit_files(
            origin.commit,
            branch=branch,
            message=message,
            written={**files, (folder / settings.manifest).as_posix(): (listed, False)},
            removed=[(folder / path).as_posix() for path in plan.removed],
        )
    return BranchCommit(branch=branch, commit=commit, base=origin.commit, mirror=origin.mirror)


def _message(settings: Settings, seen: Seen, *, who: str, reason: str) -> str:
    lines = [f"Adopt the regenerated fixtures of {settings.directory}", "", seen.evidence.summary]
    lines += ["", f"Why: {' '.join(reason.split())}"] if reason else []
    lines += ["", f"Decided-by: {' '.join(who.split())}"] if who else []
    return "\n".join((*lines, ""))


def _plan(seen: Seen, base: Mapping[str, Entry], others: Mapping[str, str]) -> Plan:
    """Decide what changes against a state of the fixtures: the project's, or a commit's."""
    listed = seen.golden.listed or {}
    written: dict[str, Entry] = {}
    removed: list[str] = []
    for finding in seen.comparison.findings:
        path, fresh, old = finding.path, finding.fresh, base.get(finding.path)
        if finding.fate is Fate.NONDETERMINISTIC:
            continue
        if fresh is None:
            removed += [path] if old is not None else []
        elif old is None or old.raw != fresh.raw:
            # A difference the rules take out is no reason to write, unless somebody edited the file.
            tolerated = old is not None and old.normal == fresh.normal
            if not tolerated or (old is not None and path in listed and listed[path] != old.raw):
                written[path] = fresh
    # A commit may hold fixtures that neither the project's folder nor the generator has any more.
    known = {finding.path for finding in seen.comparison.findings}
    removed += [path for path in base if path not in known]
    gone = frozenset(removed)
    digests = {path: entry.raw for path, entry in base.items() if entry.regular and path not in gone}
    digests |= {path: entry.raw for path, entry in written.items()} | dict(others)
    return Plan(written=written, removed=tuple(removed), manifest=manifest.write(digests))


def _refuse_special(plan: Plan, base: Mapping[str, Entry]) -> None:
    for path in (*plan.written, *plan.removed):
        for entry in (base.get(path), plan.written.get(path)):
            if entry is not None and not entry.regular:
                raise Refused(
                    f"{path} is {entry.note}",
                    rule="not-a-regular-file",
                    remedy="remove it, or exclude it, and look again",
                )


def _steps(settings: Settings, seen: Seen, plan: Plan) -> Iterator[tuple[Step, Source | None]]:
    golden = seen.golden.fixtures
    # Removed first: a new file may want the place of an old one's folder, or a folder that of an old file.
    for path in plan.removed:
        yield Step(path=path, before=golden[path].raw, after=None), None
    for path, entry in plan.written.items():
        old = golden.get(path)
        mode = old.mode if old is not None else 0o644 | (entry.mode & 0o111)
        before = old.raw if old is not None else None
        yield (
            Step(path=path, before=before, after=entry.raw),
            Source(content=seen.made.folder / path, mode=mode),
        )
    # The manifest last: until it is there, it says that the rest is not what was adopted.
    if plan.manifest != seen.golden.manifest:
        before, after = _digest(seen.golden.manifest), _digest(plan.manifest)
        yield Step(path=settings.manifest, before=before, after=after), Source(content=plan.manifest)


def _keep_replaced(settings: Settings, site: Site, seen: Seen, plan: Plan) -> Path | None:
    """Copy what will be replaced or removed and is in no commit to the state directory: the way back."""
    committed = committed_fixtures(settings, site, seen.made.origin)
    golden = seen.golden.fixtures
    at_risk = [
        path
        for path in (*plan.written, *plan.removed)
        if path in golden and (path not in committed or committed[path].raw != golden[path].raw)
    ]
    if not at_risk:
        return None
    place = site.state / "replaced"
    name = f"{site.now:%Y%m%dT%H%M%SZ}-{seen.comparison.fingerprint[:12]}"
    kept = next(folder for n in count() if not (folder := place / (f"{name}-{n}" if n else name)).exists())
    try:
        for path in at_risk:
            to = kept / path
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(seen.golden.folder / path, to, follow_symlinks=False)
        # Not by order alone: where the clock was set back, the newest has the oldest name.
        for old in sorted(folder for folder in place.iterdir() if folder != kept)[: 1 - KEPT]:
            remove_tree(old)
    except OSError as error:
        raise Refused(
            f"the fixtures to be replaced cannot be kept in {kept}: {error.strerror}; nothing was changed",
            rule="no-way-back",
            remedy="free space there",
        ) from error
    return kept


def _restless(seen: Seen) -> tuple[str, ...]:
    return tuple(finding.path for finding in seen.comparison.of(Fate.NONDETERMINISTIC))


def _in_project(settings: Settings, path: str) -> str:
    return (PurePosixPath(settings.directory) / path).as_posix()


def _digest(content: bytes | None) -> str | None:
    return None if content is None else sha256(content).hexdigest()
