"""Tries every local patch on a state of upstream, and gives each a verdict; one never hides the next."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from riskloop.git import Upstream
from riskloop.mitigations.upstream_drift.patches.adopted import Adoptions
from riskloop.mitigations.upstream_drift.patches.diffs import NOWHERE, Diff
from riskloop.mitigations.upstream_drift.patches.merging import Merged, merge, unplaced
from riskloop.mitigations.upstream_drift.patches.series import Patch, Series
from riskloop.mitigations.upstream_drift.patches.verdicts import Applied, Hunk, Outcome, Step, Verdict
from riskloop.mitigations.upstream_drift.patches.workbench import Workbench

__all__ = ["Applied", "Hunk", "Outcome", "Verdict", "apply_series"]

_FAILED = re.compile(r"^error: patch failed: (.*):(\d+)$", re.MULTILINE)
_ASIDE = re.compile(r"~[0-9a-f]{40}(_\d+)?$")
# What git says of a patch that must not be tried, and how we say it.
_REFUSALS = (
    (r"^error: invalid path '(.*)'$", "it names '{}', which is not inside the vendored tree"),
    (r"^error: affected file '(.*)' is beyond a symbolic link$", "'{}' is behind a symbolic link"),
    (r"^error: corrupt (?:binary )?patch at (?:line |.*:)(\d+)", "it is damaged at line {}"),
    (
        r"^error: (?:cannot apply binary patch to|missing binary patch data for) '(.*?)'",
        "it changes '{}', which is binary, and does not hold the data",
    ),
    (
        r"^error: (?:No valid patches|unrecognized input|patch fragment without|git diff header lacks)()",
        "it cannot be read as a patch",
    ),
)


def apply_series(
    upstream: Upstream,
    series: Series,
    *,
    onto: str,
    room: Path,
    at_pin: Applied | None = None,
    since: tuple[str, str] | None = None,
    beside: tuple[Path, ...] = (),
) -> Applied:
    """Try the patches of a series in their order, each on what those before it made.

    Args:
        upstream: the mirror; trees and files that are made are stored in it.
        onto: the tree object to apply them to.
        room: a scratch folder.
        at_pin: what became of them on the pin, for three-way merges; not given for the pin itself.
        since: the commits of the pin and of `onto`: an upstream commit between them may be a patch of ours.
        beside: other repositories whose objects may be read.

    Raises:
        Unmeasurable: the mirror cannot be read, or content that is needed cannot be fetched.
    """
    if at_pin is not None and at_pin.onto == onto:
        return at_pin
    paths = tuple(dict.fromkeys(path for patch in series.patches for path in patch.paths))
    bench = Workbench(upstream=upstream, room=room, paths=paths, beside=beside)
    if paths:
        bench.lay(onto)
    adoptions = Adoptions(series, since) if since is not None else None
    return _Trial(bench=bench, series=series, onto=onto, at_pin=at_pin, adoptions=adoptions, base=onto).run()


@dataclass(slots=True, kw_only=True)
class _Trial:
    """One series on one tree: the bench holds the tree with all patches so far that apply.

    Args:
        base: a tree that is known, and that the steps lead from to what the bench holds.
        touched: the files that those steps change.
        taken: what is known of patches that are there already; forgotten where a patch changes their files.
    """

    bench: Workbench
    series: Series
    onto: str
    at_pin: Applied | None
    adoptions: Adoptions | None
    base: str
    steps: list[Step] = field(default_factory=list)
    touched: set[str] = field(default_factory=set)
    outcomes: list[Outcome] = field(default_factory=list)
    taken: dict[str, int | None] = field(default_factory=dict)

    def run(self) -> Applied:
        waiting = list(self.series.patches)
        while waiting:
            before = len(self.outcomes)
            patch = waiting[0]
            if patch.refused:
                self._conclude(patch, Verdict.REFUSED, patch.refused)
            elif patch.is_empty:
                self._conclude(patch, Verdict.EMPTY)
            else:
                self._apply_run(waiting)
            del waiting[: len(self.outcomes) - before]
        tree = self.bench.tree() if self.steps else self.base
        return Applied(tree=tree, outcomes=tuple(self.outcomes), onto=self.onto)

    def _conclude(self, patch: Patch, verdict: Verdict, reason: str = "") -> None:
        self.outcomes.append(Outcome(patch=patch, verdict=verdict, reason=reason))

    def _step(self, patch: Patch, diff: Diff, shift: int | None) -> None:
        """Note that a patch was applied, and how far from its place."""
        step = Step(diff=diff, level=patch.level)
        reason = f"{shift} lines away" if shift != 1 else "1 line away"
        self.outcomes.append(
            Outcome(
                patch=patch,
                verdict=Verdict.CLEAN if shift == 0 else Verdict.OFFSET,
                before=self.base,
                earlier=tuple(self.steps),
                step=step,
                reason="" if shift == 0 else "a file's mode differs" if shift is None else reason,
            )
        )
        self._follow(patch, step)

    def _follow(self, patch: Patch, step: Step | None, tree: str = "") -> None:
        """Remember what the bench holds now: a step more, or another tree."""
        if step is None:
            self.base, self.steps, self.touched = tree, [], set()
        else:
            self.steps.append(step)
            self.touched.update(patch.paths)
        for other in self.series.patches:
            if other.name in self.taken and not set(other.paths).isdisjoint(patch.paths):
                del self.taken[other.name]

    def _apply_run(self, waiting: Sequence[Patch]) -> None:
        """Apply patches with one command, up to one that needs a closer look, and take that look."""
        run: list[Patch] = []
        for patch in waiting:
            if patch.refused or patch.is_empty or patch.level != waiting[0].level:
                break
            run.append(patch)
        level = run[0].level
        diffs = [patch.diffs[0] for patch in run]
        self.bench.keep()
        attempt = self.bench.apply(diffs, level)
        good = min(len(run), len(attempt.shifts))
        failing = not attempt.done
        if attempt.exact < len(run):
            if attempt.done:
                self.bench.restore()
            self._see_what_is_there(run[attempt.exact :])
            # What is moved and what upstream has already can look alike.
            for at in range(attempt.exact, good):
                if attempt.shifts[at] is None or self.taken.get(run[at].name, 0) is not None:
                    good, failing = at, False
                    break
            again = self.bench.apply(diffs[:good], level)
            if not again.done or again.shifts != attempt.shifts[:good]:
                self.bench.restore()
                good, failing = 0, False
        for patch, shift in zip(run[:good], attempt.shifts, strict=False):
            self._step(patch, patch.diffs[0], shift)
        if good < len(run):
            known = failing and attempt.told and len(run[good].diffs) == 1
            self._judge(run[good], attempt.words if known else "")

    def _judge(self, patch: Patch, words: str) -> None:
        """Give one patch its verdict, and leave the bench with it if it applies.

        Args:
            words: what git says of it, if it is known not to apply.
        """
        self.bench.keep()
        moved: tuple[int | None, Diff] | None = None
        for diff in () if words else patch.diffs:
            attempt = self.bench.apply([diff], patch.level)
            if attempt.done and attempt.shifts[0] == 0:
                self._step(patch, diff, 0)
                return
            if attempt.done:
                self.bench.restore()
                moved = moved or (attempt.shifts[0], diff)
            words = words or attempt.words
        if self._is_there(patch, None if moved is None else moved[0] or 0):
            self._conclude(patch, Verdict.UPSTREAMED)
        elif moved is not None:
            self.bench.apply([moved[1]], patch.level)
            self._step(patch, moved[1], moved[0])
        elif refused := _refusal(words):
            self._conclude(patch, Verdict.REFUSED, refused)
        elif self.adoptions and (commit := self.adoptions.find(self.bench, patch)):
            self._conclude(patch, Verdict.UPSTREAMED, f"as upstream commit {commit[:12]}")
        else:
            self._merge(patch, words)

    def _see_what_is_there(self, patches: Sequence[Patch]) -> None:
        """Find out of patches whether they could be taken away: with one command for those not known yet."""
        unknown = [patch for patch in patches if patch.name not in self.taken]
        if unknown:
            found = self.bench.taken([patch.diffs[0] for patch in unknown], unknown[0].level)
            for patch, away in zip(unknown, found or (), strict=False):
                self.taken[patch.name] = away

    def _is_there(self, patch: Patch, shift: int | None) -> bool:
        """Say whether what the patch makes is there already: it can be taken away.

        Args:
            shift: how far away it can be applied, if it can. Then both are possible, as in a text that
                repeats itself, and the nearer place decides.
        """
        if len(patch.diffs) == 1 and self.taken.get(patch.name, 0) is None:
            return False
        for diff in patch.diffs:
            attempt = self.bench.apply([diff], patch.level, reverse=True, check=True)
            if not attempt.done:
                continue
            away = attempt.shifts[0]
            if shift is None or away == 0 or (away is not None and away <= shift and _adds(diff)):
                return True
        return False

    def _merge(self, patch: Patch, words: str) -> None:
        """Merge a patch that finds no place; the bench is as it was if that does not work."""
        then = self._then(patch)
        if then is not None and then.verdict is Verdict.UPSTREAMED:
            self._conclude(patch, Verdict.UPSTREAMED, "upstream has it at the pin")
            return
        if not self.touched.isdisjoint(patch.paths):
            self._follow(patch, None, self.bench.tree())
        # That is what `git am -3` does, and with one command; it knows nothing of files that were renamed.
        if self.bench.merge_by_name(patch.diffs[0], patch.level):
            self._conclude_merge(patch)
            return
        self.bench.restore()
        if then is None or not then.verdict.applies:
            self.outcomes.append(self._blamed(self._unmerged(patch, words)))
            return
        if self.steps:
            self._follow(patch, None, self.bench.tree())
        aside = replace(self.bench, room=self.bench.room / "pin")
        base, theirs = aside.trees_around(then)
        pin = self.at_pin.onto if self.at_pin is not None else ""
        merged = merge(self.bench, base=base, ours=self.base, theirs=theirs, paths=patch.paths, pin=pin)
        if merged.clashing:
            self.outcomes.append(self._blamed(_clashing(patch, merged)))
        elif merged.tree == self.base:
            self._conclude(patch, Verdict.UPSTREAMED)
        else:
            outcome = Outcome(patch=patch, verdict=Verdict.THREE_WAY, before=self.base, after=merged.tree)
            self.outcomes.append(outcome)
            self._follow(patch, None, merged.tree)
            self.bench.lay(merged.tree)

    def _conclude_merge(self, patch: Patch) -> None:
        """Note that a patch was merged; if that changed nothing, upstream has it."""
        if not self.bench.differs(self.base, patch.paths):
            self._conclude(patch, Verdict.UPSTREAMED)
            return
        step = Step(diff=patch.diffs[0], level=patch.level, merged=True)
        self.outcomes.append(
            Outcome(
                patch=patch,
                verdict=Verdict.THREE_WAY,
                before=self.base,
                earlier=tuple(self.steps),
                step=step,
            )
        )
        self._follow(patch, step)

    def _then(self, patch: Patch) -> Outcome | None:
        """Say what became of a patch on the pin."""
        outcomes = self.at_pin.outcomes if self.at_pin is not None else ()
        return next((outcome for outcome in outcomes if outcome.patch.name == patch.name), None)

    def _unmerged(self, patch: Patch, words: str) -> Outcome:
        """Say what stands in the way of a patch that has nothing to be merged with."""
        diff = patch.diffs[0]
        targets = [change.names(patch.level)[0] for change in diff.changes if change.old != NOWHERE]
        there = self.bench.git("ls-files", "-z", "--", *targets).text().split("\0") if targets else []
        gone = tuple(dict.fromkeys(path for path in targets if path not in there))
        failed = [(path, int(line)) for path, line in _FAILED.findall(words)]
        elsewhere = "; it does not apply to the pin either" if self.at_pin is not None else ""
        if gone and len(gone) == len(set(targets)):
            return Outcome(
                patch=patch, verdict=Verdict.TARGET_GONE, reason=f"{_lacking(gone)}{elsewhere}", files=gone
            )
        clashing = (*(path for path, _ in failed), *gone) or patch.paths
        return Outcome(
            patch=patch,
            verdict=Verdict.CONFLICT,
            reason=f"it finds no place{elsewhere}",
            files=tuple(dict.fromkeys(clashing)),
            hunks=unplaced(self.bench, diff, patch.level, failed),
        )

    def _blamed(self, outcome: Outcome) -> Outcome:
        """Say so if a patch fails that builds on an earlier one which was left out."""
        left = [one.patch for one in self.outcomes if one.verdict in (Verdict.CONFLICT, Verdict.TARGET_GONE)]
        below = next((one for one in reversed(left) if set(one.paths) & set(outcome.patch.paths)), None)
        if below is None:
            return outcome
        return replace(outcome, reason=f"{outcome.reason}; builds on {below.name}, which is left out")


def _clashing(patch: Patch, merged: Merged) -> Outcome:
    gone = set(merged.clashing) == set(merged.gone)
    files = tuple(dict.fromkeys(_ASIDE.sub("", path) for path in merged.clashing))
    if gone:
        reason = _lacking(files)
    elif files != merged.clashing:
        reason = "upstream has a folder where it wants a file, or the other way round"
    else:
        reason = "upstream changed the same lines" if merged.hunks else "upstream changed the same file"
    return Outcome(
        patch=patch,
        verdict=Verdict.TARGET_GONE if gone else Verdict.CONFLICT,
        reason=reason,
        files=files,
        hunks=merged.hunks,
    )


def _adds(diff: Diff) -> bool:
    return any(len(piece.new) >= len(piece.old) for change in diff.changes for piece in change.pieces)


def _lacking(paths: Sequence[str]) -> str:
    more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
    return f"upstream has no {paths[0]}{more}"


def _refusal(words: str) -> str:
    for pattern, says in _REFUSALS:
        if found := re.search(pattern, words, re.MULTILINE):
            return says.format(found[1])
    return ""
