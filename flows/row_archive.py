"""Rows past their age, which are archived before they are deleted."""

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.task_runners import ThreadPoolTaskRunner

from tasks.assess import assess
from tasks.conclude import conclude
from tasks.measure import measure
from tasks.mitigate import mitigate
from tasks.notify import notify
from tasks.occasion import name_run
from tasks.register import register
from tasks.report import report


@flow(
    name="row-archive",
    flow_run_name=name_run,
    timeout_seconds=6 * 3600,
    task_runner=ThreadPoolTaskRunner(max_workers=2),  # type: ignore[arg-type]  # its own future type
)
def row_archive(mitigations: list[str] | None = None, dry_run: bool = False) -> State[None]:  # noqa: FBT001, FBT002 - the parameters are the form's fields
    """Archive rows past their age, verify the archive, delete them, and tell the owners.

    Args:
        mitigations: ids to run; all of this kind if left empty.
        dry_run: look, plan and say what would be archived; change and store nothing, tell nobody.
    """
    team = register(dry_run=dry_run)
    chosen = team.mitigations("row_archive", only=mitigations)
    looks = mitigate(team, chosen, measure(team, chosen), dry_run=dry_run)
    assessed = assess(team, chosen, measure(team, chosen, after=looks), dry_run=dry_run)
    notify(dry_run=dry_run)
    report(assessed, dry_run=dry_run)
    return conclude(assessed)
