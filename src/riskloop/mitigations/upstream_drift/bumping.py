"""Makes the commit that brings vendored code up to date, with our patches and local changes on top."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Bump:
    """The commit that brings an upstream commit into the project, or the reason why there is none.

    Args:
        candidate: the upstream commit.
        commit: ours, in our mirror of the project; empty if none could be made.
        base: the project's commit it follows.
        branch: its branch there, `riskloop/<mitigation>`.
        problem: why there is none, one sentence without a full stop; empty if there is one.
        refreshed: the patches that were written anew, as they apply with an offset or a merge only.
        dropped: the patches that were taken away, as upstream has them.
        lost: the files whose local changes do not merge and are not in it, fit to be shown.
        changelog: it has its changelog entry, or none is asked for.
    """

    candidate: str
    commit: str = ""
    base: str = ""
    branch: str = ""
    problem: str = ""
    refreshed: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    changelog: bool = True
