"""Times our way and a peer's in turn, and prints the ratio with its spread as one row of a table."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

HEADER = (
    "| work | ours (s) | peer (s) | ratio: least / median / most | goal | |\n"
    "| --- | ---: | ---: | ---: | ---: | --- |"
)
WHY = "Why "
"""How a line begins that explains the row above it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """Wall seconds of each run of both, in the order they were taken.

    Args:
        name: the work, as the table names it.
        goal: the ratio not to exceed; None where there is none to reach.
        why: a sentence that says why the goal is missed, for as long as it is.
    """

    name: str
    ours: tuple[float, ...]
    peer: tuple[float, ...]
    goal: float | None
    why: str = ""

    @property
    def ratios(self) -> tuple[float, ...]:
        return tuple(ours / peer for ours, peer in zip(self.ours, self.peer, strict=True))

    @property
    def verdict(self) -> str:
        if self.goal is None:
            return ""
        missed_by = statistics.median(self.ratios) - self.goal
        return "reached" if missed_by <= 0 else f"missed by {missed_by:.2f}"


def compare(
    name: str,
    ours: Callable[[], object],
    peer: Callable[[], object],
    *,
    goal: float | None,
    runs: int = 5,
    why: str = "",
) -> Result:
    """Run ours, peer, ours, peer, … after one run of each that is not counted, so that caches are warm.

    Args:
        name: the work, as the table names it.
        ours: our way of doing it; what it needs must be there already.
        peer: the other way, doing the same work.
        goal: the ratio of our wall time to the peer's that is not to be exceeded; None where there
            is none to reach.
        runs: how often each is timed.
        why: a sentence that says why the goal is missed, for as long as it is.
    """
    seconds: tuple[list[float], list[float]] = ([], [])
    for counted in (False, *[True] * runs):
        for work, taken in zip((ours, peer), seconds, strict=True):
            started = time.perf_counter()
            work()
            if counted:
                taken.append(time.perf_counter() - started)
    return Result(name=name, ours=tuple(seconds[0]), peer=tuple(seconds[1]), goal=goal, why=why)


def print_row(result: Result) -> None:
    """Print the result as a row under HEADER; and below a row that misses its goal, why it does."""
    ratios = result.ratios
    spread = f"{min(ratios):.2f} / **{statistics.median(ratios):.2f}** / {max(ratios):.2f}"
    goal = "" if result.goal is None else f"≤ {result.goal:.2f}"
    print(
        f"| {result.name} | {statistics.median(result.ours):.3f} | {statistics.median(result.peer):.3f} "
        f"| {spread} | {goal} | {result.verdict} |",
        flush=True,
    )
    if result.why and result.verdict.startswith("missed"):
        print(f"{WHY}{result.name}: {result.why}", flush=True)
