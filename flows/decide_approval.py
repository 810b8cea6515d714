"""A person approves or rejects what waits for it."""

from typing import Literal

from prefect import flow
from prefect.client.schemas.objects import State

from tasks.approve import decide
from tasks.assess import assess
from tasks.measure import measure
from tasks.notify import notify
from tasks.register import register
from tasks.report import report


@flow(name="decide-approval", flow_run_name="{decision} {approval}", timeout_seconds=6 * 3600)
def decide_approval(approval: str, decision: Literal["approve", "reject"], who: str, why: str) -> State[None]:
    """Approve a plan that waits for it, which carries it out now; or reject it, which changes nothing.

    Args:
        approval: its id, or that of the mitigation that waits for it.
        decision: whether the stored plan is carried out, just as it was shown.
        who: your name; recorded as claimed, not proven.
        why: why that is right; recorded, and told where it was asked.
    """
    team = register()
    decided = decide(team, approval, decision, who=who, why=why)
    looks = measure(team, decided.chosen, after=decided.looks)
    assessed = assess(team, decided.chosen, looks, because=decided.says)
    notify()
    report(assessed)
    return decided.conclude()
