"""What can become of a patch when it is tried on another state of the code it was written for."""

from dataclasses import dataclass, field
from enum import StrEnum

from riskloop.mitigations.upstream_drift.patches.diffs import Diff
from riskloop.mitigations.upstream_drift.patches.series import Patch


class Verdict(StrEnum):
    """What became of one patch; refused is one that cannot or must not be tried at all."""

    CLEAN = "clean"
    OFFSET = "offset"
    THREE_WAY = "three-way"
    CONFLICT = "conflict"
    UPSTREAMED = "already upstream"
    TARGET_GONE = "target gone"
    EMPTY = "empty"
    REFUSED = "refused"

    @property
    def applies(self) -> bool:
        """Whether the patch is in the resulting tree; what upstream has, or is empty, need not be."""
        return self in (Verdict.CLEAN, Verdict.OFFSET, Verdict.THREE_WAY)

    @property
    def conflicts(self) -> bool:
        """Whether a person must bring the patch up to date."""
        return self in (Verdict.CONFLICT, Verdict.REFUSED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hunk:
    """Where upstream and a patch changed the same lines; text, with the longest cut short.

    Args:
        path: the file.
        base: the lines as the patch knew them.
        ours: as upstream has them now.
        theirs: as the patch wants them.
    """

    path: str
    base: str
    ours: str
    theirs: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A patch as it was applied.

    Args:
        diff: as it was understood.
        level: how many folders were taken off the front of its names.
        merged: whether it was merged with the files that it names as its base.
    """

    diff: Diff
    level: int
    merged: bool = False

    @property
    def paths(self) -> tuple[str, ...]:
        """The files it touches, by their old and new names."""
        return tuple(name for change in self.diff.changes for name in change.names(self.level))


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one patch.

    Args:
        before: a tree from which it is not far to the one this patch was tried on.
        earlier: what was applied to that tree before this patch was tried.
        step: how the patch was applied; None if it was not, or in a way of which only the tree is left.
        after: the tree with it, where there is no step.
        reason: why, in one phrase; empty where the verdict says it all.
        files: the files that conflict or are gone.
        hunks: where it conflicts.
    """

    patch: Patch
    verdict: Verdict
    before: str = ""
    earlier: tuple[Step, ...] = field(default=(), repr=False)
    step: Step | None = field(default=None, repr=False)
    after: str = ""
    reason: str = ""
    files: tuple[str, ...] = ()
    hunks: tuple[Hunk, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """What became of a series on one state of upstream.

    Args:
        tree: that state with every patch that applies.
        outcomes: one for each patch, in their order.
        onto: that state.
    """

    tree: str
    outcomes: tuple[Outcome, ...]
    onto: str = ""
