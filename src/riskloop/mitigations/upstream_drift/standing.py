"""Counts what a pin lacks of its upstream, and finds the commit that a bump would bring."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from riskloop.errors import Unmeasurable
from riskloop.git import Followed, Upstream
from riskloop.mitigations.upstream_drift.settings import Settings
from riskloop.risks import Decision, Site

_DAY = 86_400.0
ACKNOWLEDGE = "acknowledge"
"""The name of the decision by which a person moves the baseline."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where a pin stands in the history of its upstream.

    Args:
        pin: the vendored commit.
        baseline: the commit counted from: the pin, or a later one that a person acknowledged.
        acknowledged: the decision that moved the baseline; None if none did.
        head: the newest commit of the followed branch.
        branch: its name.
        behind: commits that the baseline lacks: of what is watched, where that is not everything.
        ahead: commits of the pin that the branch does not have.
        rewritten: the branch once led to the pin, and does no more.
        days: the age of the oldest commit behind; 0 if there is none.
        releases: the tags among what the baseline lacks, the oldest first.
        candidate: the newest commit of the branch older than the cooldown; empty if none is new.
        waiting: commits behind that are younger than the cooldown.
    """

    pin: str
    baseline: str
    acknowledged: Decision | None
    head: str
    branch: str
    behind: int
    ahead: int
    rewritten: bool
    days: float
    releases: tuple[str, ...]
    candidate: str
    waiting: int

    @property
    def diverged(self) -> bool:
        """Whether the branch does not lead to the pin."""
        return self.ahead > 0


def stand(upstream: Upstream, followed: Followed, settings: Settings, site: Site, *, pin: str) -> Standing:
    """Say where a pin stands; it must be in the mirror, with its history.

    Raises:
        Unmeasurable: the mirror cannot be read, or upstream has nothing that is watched.
    """
    head = followed.head
    _require_watched(upstream, settings, pin=pin, followed=followed)
    ahead, total = count(upstream, pin, head)
    rewritten = _was_led_to(upstream, pin, leads=ahead == 0)
    acknowledged = _acknowledged(upstream, site.decisions, pin=pin, head=head) if total else None
    baseline = str(acknowledged.details["commit"]) if acknowledged else pin
    missing = (head, f"^{pin}", *((f"^{baseline}",) if acknowledged else ()))
    everything = _dated(upstream, missing) if total else {}
    watched = settings.watched
    behind = _dated(upstream, missing, watched) if everything and watched else everything
    now = site.now.timestamp()
    cutoff = now - settings.cooldown.total_seconds()
    return Standing(
        pin=pin,
        baseline=baseline,
        acknowledged=acknowledged,
        head=head,
        branch=followed.branch,
        behind=len(behind),
        ahead=ahead,
        rewritten=rewritten,
        days=max(0.0, (now - min(behind.values())) / _DAY) if behind else 0.0,
        releases=_releases(followed.tags, everything),
        candidate=_candidate(upstream, missing, watched, before=cutoff, after="" if ahead else pin)
        if behind
        else "",
        waiting=sum(moment > cutoff for moment in behind.values()),
    )


def count(upstream: Upstream, pin: str, head: str) -> tuple[int, int]:
    """Count the commits that only the pin has, and those that only the head has."""
    if pin == head:
        return 0, 0
    ahead, behind = upstream.git("rev-list", "--left-right", "--count", f"{pin}...{head}").text().split()
    return int(ahead), int(behind)


def count_commits(upstream: Upstream, settings: Settings, *, since: str, until: str) -> int:
    """Count the commits that lead to `until` and not to `since`, of what is watched.

    Raises:
        Unmeasurable: the mirror cannot be read.
    """
    return int(upstream.git("rev-list", "--count", until, f"^{since}", "--", *settings.watched).text())


def is_ancestor(upstream: Upstream, older: str, newer: str) -> bool:
    """Say whether one commit leads to another, or is the same; both must be in the mirror."""
    return not upstream.git("rev-list", "--max-count=1", older, f"^{newer}").stdout


def _dated(upstream: Upstream, missing: Sequence[str], paths: Sequence[str] = ()) -> dict[str, int]:
    """List commits with the moment each was made, in seconds since 1970."""
    listed = upstream.git("rev-list", "--timestamp", *missing, "--", *paths).text().splitlines()
    return {commit: int(moment) for moment, commit in (line.split() for line in listed)}


def _candidate(
    upstream: Upstream, missing: Sequence[str], paths: Sequence[str], *, before: float, after: str
) -> str:
    """Find the newest commit that is old enough, and leads to the commit it has to come after, if any."""
    # On the branch itself: an old commit that was merged yesterday has been on the branch for a day.
    newest = ("rev-list", "--first-parent", "--max-count=1", f"--before={int(before)}")
    found = upstream.git(*newest, *missing, "--", *paths).text().strip()
    # Who merges the branch into work of theirs, and pushes that, makes the work the branch: without the pin.
    return found if found and (not after or is_ancestor(upstream, after, found)) else ""


def _require_watched(upstream: Upstream, settings: Settings, *, pin: str, followed: Followed) -> None:
    """Refuse to watch what never was there: with a name that is misspelt it would be silent for ever."""
    for path in settings.watch:
        if _has_path(upstream, path, pin, followed.head):
            continue
        below = f"{settings.strip.rstrip('/')}/{path}" if settings.strip else ""
        meant = bool(below) and _has_path(upstream, below, pin, followed.head)
        raise Unmeasurable(
            f"{upstream.source} has no {path}, neither at {pin[:12]} nor on {followed.branch}",
            remedy=f"write {below} in `watch`: its paths begin at upstream's top"
            if meant
            else "correct `watch` in the register; its paths begin at upstream's top",
        )


def _has_path(upstream: Upstream, path: str, *commits: str) -> bool:
    listing = ("ls-tree", "-z", "--full-tree")
    return any(upstream.git(*listing, commit, "--", path.rstrip("/")).stdout for commit in commits)


def _releases(tags: Mapping[str, str], missing: Mapping[str, int]) -> tuple[str, ...]:
    found = [(missing[commit], name) for name, commit in tags.items() if commit in missing]
    return tuple(name for _, name in sorted(found))


def _was_led_to(upstream: Upstream, pin: str, *, leads: bool) -> bool:
    """Remember that the branch leads to a pin; say whether it did and does no more."""
    name = f"refs/riskloop/seen/{pin}"
    if not leads:
        return bool(upstream.git("for-each-ref", name).stdout)
    if not (upstream.path / name).exists():
        upstream.git("update-ref", name, pin)
    return False


def _acknowledged(
    upstream: Upstream, decisions: Sequence[Decision], *, pin: str, head: str
) -> Decision | None:
    """Find the acknowledgement that holds: the newest, if it is after the pin and on the branch still."""
    found = next((one for one in decisions if one.decision == ACKNOWLEDGE), None)
    if found is None or found.details.get("upstream") != upstream.source:
        return None
    commit = str(found.details.get("commit", ""))
    if commit == pin or not upstream.has(commit):
        return None
    holds = is_ancestor(upstream, pin, commit) and is_ancestor(upstream, commit, head)
    return found if holds else None
