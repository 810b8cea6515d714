"""A person acknowledges what upstream did, up to a commit."""

from prefect import flow
from prefect.client.schemas.objects import State

from tasks.acknowledge import acknowledge
from tasks.assess import assess
from tasks.conclude import conclude
from tasks.measure import measure
from tasks.mitigate import mitigate
from tasks.notify import notify
from tasks.register import register
from tasks.report import report


@flow(name="acknowledge-upstream", flow_run_name="acknowledge {mitigation}", timeout_seconds=6 * 3600)
def acknowledge_upstream(mitigation: str, commit: str, who: str, reason: str) -> State[None]:
    """Count from a later upstream commit, without a bump: what came before it is of no concern.

    Args:
        mitigation: the id of an upstream_drift mitigation.
        commit: the last upstream commit that was reviewed; abbreviated, or a tag.
        who: your name; recorded as claimed, not proven.
        reason: why it need not be brought here; recorded, and told where the incident was.
    """
    team = register()
    chosen = team.mitigations("upstream_drift", only=[mitigation])
    acknowledged = acknowledge(team, chosen[0], commit=commit, who=who, reason=reason)
    looks = mitigate(team, chosen, measure(team, chosen))
    assessed = assess(team, chosen, looks, because=acknowledged.says)
    notify()
    report(assessed)
    return conclude(assessed, done=acknowledged.says)
