"""Reads what upstream did between two commits: which part of it, and who touched a file last."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from riskloop.git import Upstream
from riskloop.mitigations.upstream_drift.settings import Settings
from riskloop.mitigations.upstream_drift.standing import Standing

LONGEST = 2_000
"""Commits of a log that are read; of a longer one the newest."""
AT_THE_TOP = "files at the top"
"""The area of what is in no folder."""
_NOWHERE = "no files"
_COMMIT = "--format=%H%x00%an%x00%as%x00%s%x00"
_FIELDS = 5
# No renames: to find them git would read the content of files, which the mirror does not have.
_LOG = ("-c", "core.quotePath=false", "log", "--no-merges", "--no-renames", "--no-mailmap", _COMMIT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """One upstream commit, as its author wrote it.

    Args:
        name: 40 hexadecimal digits.
        author: the name they gave.
        day: `2026-03-02`, where they were.
        subject: one line.
    """

    name: str
    author: str
    day: str
    subject: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Area:
    """The commits of one part of upstream, the newest first: those that touch most of their files there."""

    name: str
    commits: tuple[Commit, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """Commits by area, the busiest first; merges are left out.

    Args:
        whole: whether all were read; only the newest LONGEST otherwise.
    """

    areas: tuple[Area, ...]
    whole: bool

    @property
    def commits(self) -> int:
        return sum(len(area.commits) for area in self.areas)


@dataclass(frozen=True, slots=True, kw_only=True)
class Touch:
    """The last commit that touched a file, and what it did: `changed`, `added` or `removed`."""

    commit: Commit
    did: str


def read_log(upstream: Upstream, settings: Settings, *, since: str, until: str) -> Log:
    """Read the commits that lead to `until` and not to `since`, of what is watched.

    Raises:
        Unmeasurable: the mirror cannot be read.
    """
    if since == until:
        return Log(areas=(), whole=True)
    return _read_log(upstream, since, until, settings.watched, (settings.strip or "").strip("/"))


def read_own(upstream: Upstream, standing: Standing) -> tuple[Commit, ...]:
    """Read the commits that the pin has and the followed branch has not, the newest first; LONGEST at most.

    Raises:
        Unmeasurable: the mirror cannot be read.
    """
    if not standing.ahead:
        return ()
    asked = (*_LOG, f"--max-count={LONGEST}", standing.pin, f"^{standing.head}", "--")
    return tuple(commit for commit, _ in _commits(upstream.git(*asked).text()))


# What two commits say never changes: the issue and the pull request of one look are told from one reading.
@lru_cache(maxsize=8)
def _read_log(upstream: Upstream, since: str, until: str, watched: tuple[str, ...], strip: str) -> Log:
    asked = (*_LOG, "--name-only", f"--max-count={LONGEST + 1}", until, f"^{since}", "--", *watched)
    found = list(_commits(upstream.git(*asked).text()))
    areas: dict[str, list[Commit]] = {}
    for commit, paths in found[:LONGEST]:
        areas.setdefault(_area(paths, strip), []).append(commit)
    busiest = sorted(areas.items(), key=lambda item: (-len(item[1]), item[0]))
    return Log(
        areas=tuple(Area(name=name, commits=tuple(commits)) for name, commits in busiest),
        whole=len(found) <= LONGEST,
    )


@lru_cache(maxsize=64)
def last_touch(upstream: Upstream, since: str, until: str, path: str) -> Touch | None:
    """Find the last commit after `since` and up to `until` that touched a file; None if none did.

    Args:
        path: from upstream's top.

    Raises:
        Unmeasurable: the mirror cannot be read.
    """
    asked = (*_LOG, "--name-status", "--max-count=1", until, f"^{since}", "--", path)
    for commit, lines in _commits(upstream.git(*asked).text()):
        did = {"A": "added", "D": "removed"}.get(lines[0][:1] if lines else "", "changed")
        return Touch(commit=commit, did=did)
    return None


@lru_cache(maxsize=8)
def changed_files(upstream: Upstream, since: str, until: str) -> tuple[str, ...]:
    """List the files that differ between two commits, by their paths from upstream's top.

    Raises:
        Unmeasurable: the mirror cannot be read.
    """
    listed = upstream.git("diff-tree", "-r", "-z", "--name-only", "--no-renames", since, until)
    return tuple(listed.text().split("\0")[:-1])


def _commits(text: str) -> Iterator[tuple[Commit, list[str]]]:
    """Read a log: each commit with the lines on its files. No name and no subject has a line end."""
    commit, lines = None, list[str]()
    for line in text.split("\n"):
        fields = line.split("\0")
        if len(fields) == _FIELDS:
            if commit is not None:
                yield commit, lines
            name, author, day, subject, _ = fields
            commit, lines = Commit(name=name, author=author, day=day, subject=subject), []
        elif line:
            lines.append(line)
    if commit is not None:
        yield commit, lines


def _area(paths: list[str], strip: str) -> str:
    """Name the part of upstream in which most of a commit's files are: the first folder below `strip`."""
    counts: Counter[str] = Counter()
    for path in paths:
        # Git puts a path with odd characters in quotes.
        below = path.strip('"').removeprefix(f"{strip}/" if strip else "")
        folder, slash, _ = below.partition("/")
        counts[folder if slash else AT_THE_TOP] += 1
    return min(counts, key=lambda name: (-counts[name], name)) if counts else _NOWHERE
