"""Tries every local patch on a state of upstream, and gives each a verdict; one never hides the next."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from riskloop.git import Upstream
from riskloop.mitigations.upstream_drift.adopted import find_adopted
from riskloop.mitigations.upstream_drift.diffs import NOWHERE, Diff
from riskloop.mitigations.upstream_drift.merging import merge, unplaced
from riskloop.mitigations.upstream_drift.series import Patch, Series
from riskloop.mitigations.upstream_drift.verdicts import Applied, Hunk, Outcome, Verdict
from riskloop.mitigations.upstream_drift.workbench import Attempt, Workbench

__all__ = ["Applied", "Hunk", "Outcome", "Verdict", "apply_series"]

_FAILED = re.compile(r"^error: patch failed: (.*):(\d+)$", re.MULTILINE)
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
    room.mkdir(parents=True, exist_ok=True)
    paths = dict.fromkeys(path for patch in series.patches for path in patch.paths)
    upstream.bring_files(onto, tuple(paths))
    bench = Workbench(upstream=upstream, room=room, beside=beside)
    bench.lay(onto)
    return _Trial(bench=bench, series=series, onto=onto, at_pin=at_pin, since=since).run()


@dataclass(slots=True, kw_only=True)
class _Trial:
    """One series on one tree: the bench holds the tree with all patches so far that apply."""

    bench: Workbench
    series: Series
    onto: str
    at_pin: Applied | None
    since: tuple[str, str] | None
    outcomes: list[Outcome] = field(default_factory=list)

    def run(self) -> Applied:
        waiting = list(self.series.patches)
        while waiting:
            patch = waiting[0]
            if patch.refused:
                found = [Outcome(patch=patch, verdict=Verdict.REFUSED, reason=patch.refused)]
            elif patch.is_empty:
                found = [Outcome(patch=patch, verdict=Verdict.EMPTY)]
            else:
                found = self._apply_clean(waiting) or [self._judge(patch)]
            self.outcomes += found
            del waiting[: len(found)]
        return Applied(tree=self.bench.tree(), outcomes=tuple(self.outcomes), onto=self.onto)

    def _apply_clean(self, waiting: Sequence[Patch]) -> list[Outcome]:
        """Apply the patches that apply exactly, from the first to where one does not: with one command."""
        run: list[Patch] = []
        for patch in waiting:
            if patch.refused or patch.is_empty or patch.level != waiting[0].level:
                break
            run.append(patch)
        self.bench.keep()
        attempt = self._try(run)
        if not attempt.done or attempt.exact < len(run):
            self.bench.restore()
            run = run[: attempt.exact]
            attempt = self._try(run)
            if not attempt.done or attempt.exact < len(run):
                self.bench.restore()
                return []
        return [Outcome(patch=patch, verdict=Verdict.CLEAN, diff=patch.diffs[0]) for patch in run]

    def _try(self, patches: Sequence[Patch]) -> Attempt:
        level = patches[0].level if patches else 1
        return self.bench.apply([patch.diffs[0] for patch in patches], level)

    def _judge(self, patch: Patch) -> Outcome:
        """Give one patch its verdict, and leave the bench with it if it applies."""
        before = self.bench.tree()
        self.bench.keep()
        best: tuple[int, Diff] | None = None
        words = []
        for diff in patch.diffs:
            attempt = self.bench.apply([diff], patch.level)
            if attempt.done:
                after = self.bench.tree()
                shift = attempt.shifts[0]
                if after == before:
                    return Outcome(patch=patch, verdict=Verdict.UPSTREAMED)
                if shift == 0:
                    return Outcome(patch=patch, verdict=Verdict.CLEAN, before=before, after=after, diff=diff)
                self.bench.restore()
                best = best or (shift or 0, diff)
            words.append(attempt.words)
        if self._is_there(patch, None if best is None else best[0]):
            return Outcome(patch=patch, verdict=Verdict.UPSTREAMED)
        if best is not None:
            return self._apply_shifted(patch, before, *best)
        refused = _refusal(words[0])
        if refused:
            return Outcome(patch=patch, verdict=Verdict.REFUSED, reason=refused)
        commit = find_adopted(self.bench, patch, self.series.strip, self.since) if self.since else ""
        if commit:
            return Outcome(
                patch=patch, verdict=Verdict.UPSTREAMED, reason=f"as upstream commit {commit[:12]}"
            )
        outcome = self._merge(patch, before, words[0])
        self._settle(outcome, before)
        return outcome if outcome.verdict.applies else self._blamed(outcome)

    def _settle(self, outcome: Outcome, before: str) -> None:
        self.bench.lay(outcome.after if outcome.verdict.applies else before)

    def _apply_shifted(self, patch: Patch, before: str, shift: int, diff: Diff) -> Outcome:
        self.bench.apply([diff], patch.level)
        reason = f"{shift} lines away" if shift > 1 else "1 line away" if shift else "a file's mode differs"
        after = self.bench.tree()
        return Outcome(
            patch=patch, verdict=Verdict.OFFSET, before=before, after=after, reason=reason, diff=diff
        )

    def _is_there(self, patch: Patch, shift: int | None) -> bool:
        """Say whether what the patch makes is there already: it can be taken away.

        Args:
            shift: how far away it can be applied, if it can. Then both are possible, as in a text that
                repeats itself, and the nearer place decides.
        """
        for diff in patch.diffs:
            attempt = self.bench.apply([diff], patch.level, reverse=True, check=True)
            if not attempt.done:
                continue
            away = attempt.shifts[0]
            if shift is None or away == 0 or (away is not None and away <= shift and _adds(diff)):
                return True
        return False

    def _merge(self, patch: Patch, before: str, words: str) -> Outcome:
        at_pin = self._at_pin(patch)
        if at_pin is not None and at_pin.verdict is Verdict.UPSTREAMED:
            return Outcome(patch=patch, verdict=Verdict.UPSTREAMED, reason="upstream has it at the pin")
        if at_pin is None or not at_pin.verdict.applies:
            return self._merge_by_name(patch, before, words)
        merged = merge(self.bench, base=at_pin.before, ours=before, theirs=at_pin.after, paths=patch.paths)
        if not merged.clashing:
            verdict = Verdict.UPSTREAMED if merged.tree == before else Verdict.THREE_WAY
            return Outcome(patch=patch, verdict=verdict, before=before, after=merged.tree)
        gone = merged.clashing == merged.gone
        return Outcome(
            patch=patch,
            verdict=Verdict.TARGET_GONE if gone else Verdict.CONFLICT,
            before=before,
            reason=_lacking(merged.gone) if gone else "upstream changed the same lines",
            files=merged.clashing,
            hunks=merged.hunks,
        )

    def _merge_by_name(self, patch: Patch, before: str, words: str) -> Outcome:
        """Merge with the files that the patch itself names as its base, as it fits the pin no better."""
        diff = patch.diffs[0]
        if self.bench.merge_by_name(diff, patch.level):
            return Outcome(
                patch=patch, verdict=Verdict.THREE_WAY, before=before, after=self.bench.tree(), diff=diff
            )
        self.bench.lay(before)
        targets = [change.names(patch.level)[0] for change in diff.changes if change.old != NOWHERE]
        there = self.bench.git("ls-files", "-z", "--", *targets).text().split("\0") if targets else []
        gone = tuple(dict.fromkeys(path for path in targets if path not in there))
        failed = [(path, int(line)) for path, line in _FAILED.findall(words)]
        clashing = tuple(dict.fromkeys(path for path, _ in failed)) or patch.paths
        all_gone = bool(gone) and len(gone) == len(set(targets))
        elsewhere = ", and does not apply to the pin either" if self.at_pin is not None else ""
        return Outcome(
            patch=patch,
            verdict=Verdict.TARGET_GONE if all_gone else Verdict.CONFLICT,
            before=before,
            reason=(_lacking(gone) if all_gone else "it finds no place") + elsewhere,
            files=gone if all_gone else tuple(dict.fromkeys((*clashing, *gone))),
            hunks=() if all_gone else unplaced(self.bench, diff, patch.level, failed),
        )

    def _at_pin(self, patch: Patch) -> Outcome | None:
        """Say what became of a patch on the pin, with the trees before and after it."""
        if self.at_pin is None:
            return None
        earlier: list[Outcome] = []
        for outcome in self.at_pin.outcomes:
            if outcome.patch == patch:
                break
            earlier.append(outcome)
        else:
            return None
        if outcome.after or outcome.diff is None:
            return outcome
        room = self.bench.room / "pin"
        room.mkdir(exist_ok=True)
        bench = replace(self.bench, room=room)
        start = max((at for at, one in enumerate(earlier) if one.after), default=-1)
        bench.lay(earlier[start].after if start >= 0 else self.at_pin.onto)
        for one in earlier[start + 1 :]:
            if one.diff is not None:
                bench.apply([one.diff], one.patch.level)
        before = bench.tree()
        bench.apply([outcome.diff], patch.level)
        return replace(outcome, before=before, after=bench.tree())

    def _blamed(self, outcome: Outcome) -> Outcome:
        """Say so if a patch fails that builds on an earlier one which was left out."""
        left = [one.patch for one in self.outcomes if one.verdict in (Verdict.CONFLICT, Verdict.TARGET_GONE)]
        below = next((one for one in reversed(left) if set(one.paths) & set(outcome.patch.paths)), None)
        if below is None:
            return outcome
        return replace(outcome, reason=f"{outcome.reason}; builds on {below.name}, which is left out")


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
