"""A person makes the regenerated fixtures the golden ones."""

from prefect import flow
from prefect.client.schemas.objects import State

from tasks.adopt import adopt
from tasks.assess import assess
from tasks.conclude import conclude
from tasks.measure import measure
from tasks.notify import notify
from tasks.register import register
from tasks.report import report


@flow(name="adopt-fixtures", flow_run_name="adopt {mitigation}", timeout_seconds=3 * 3600)
def adopt_fixtures(mitigation: str, who: str, reason: str) -> State[None]:
    """Make the regenerated fixtures the golden ones, if they are still what the open incident showed.

    Args:
        mitigation: the id of a fixture_drift mitigation.
        who: your name; recorded as claimed, not proven.
        reason: why the new fixtures are right; recorded, and told where the incident was.
    """
    team = register()
    chosen = team.mitigations("fixture_drift", only=[mitigation])
    adopted = adopt(team, chosen[0], who=who, reason=reason)
    looks = measure(team, chosen)
    assessed = assess(team, chosen, looks, because=adopted.says, record=adopted.document)
    notify()
    report(assessed)
    return conclude(assessed, done=adopted.says)
