"""Before anything runs again: what a dead parent left behind is ended, and what was missed is run once."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from deployments.api import UNFINISHED, Api, Deployment, Run


@dataclass(frozen=True, slots=True, kw_only=True)
class Repair:
    """How many orphaned runs were ended, and how many missed ones were given up for a later one."""

    orphans: int
    missed: int


def end_orphans(api: Api, deployments: Sequence[str], *, reason: str) -> int:
    """Mark every unfinished run of these deployments Crashed, or Cancelled where that was asked for.

    Call it only while nobody runs them: we hold the lock, and the runner has not started or has ended.

    Args:
        deployments: ids of our own deployments; the runs of no other are touched.
        reason: the message of the new state.

    Returns:
        How many there were.
    """
    orphans = api.runs(deployments, types=UNFINISHED)
    for run in orphans:
        if run.type == "CANCELLING":
            api.set_state(run.id, type="CANCELLED", name="Cancelled", message=reason)
        else:
            api.set_state(run.id, type="CRASHED", name="Crashed", message=reason)
    return len(orphans)


def collapse_missed(api: Api, deployments: Sequence[str], *, now: datetime, keep_newest: bool) -> int:
    """Cancel the scheduled runs that were missed, all but the newest of each deployment.

    A run a person asked for is kept, however late.

    Args:
        deployments: ids of our own deployments; the runs of no other are touched.
        keep_newest: False where each is about to be run anyway.

    Returns:
        How many were cancelled.
    """
    missed: dict[str, list[Run]] = defaultdict(list)
    for run in api.runs(deployments, types=["SCHEDULED"], expected_before=now.isoformat()):
        if run.auto_scheduled:
            missed[run.deployment].append(run)
    cancelled = 0
    for runs in missed.values():
        runs.sort(key=lambda run: datetime.fromisoformat(run.expected_start))
        for run in runs[:-1] if keep_newest else runs:
            api.set_state(
                run.id,
                type="CANCELLED",
                name="Cancelled",
                message="missed while riskloop was down; one later run stands for all of them",
            )
            cancelled += 1
    return cancelled


def repair(
    api: Api, deployments: Sequence[Deployment], *, served: Sequence[str], now: datetime, keep_newest: bool
) -> Repair:
    """Repair our own deployments before the runner starts.

    Args:
        deployments: all our own: their orphans are ended, and slots that nobody gave back are freed.
        served: the ids of those about to be served: their missed runs are collapsed.
        keep_newest: as in `collapse_missed`.
    """
    orphans = end_orphans(
        api, [deployment.id for deployment in deployments], reason="riskloop ended while this ran"
    )
    for deployment in deployments:
        # The server keeps in memory who holds a slot: killed with it, nobody ever gives it back.
        if deployment.held:
            api.free_slots(deployment.held)
    return Repair(orphans=orphans, missed=collapse_missed(api, served, now=now, keep_newest=keep_newest))
