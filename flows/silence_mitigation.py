"""A person silences a mitigation until a day."""

from datetime import date

from prefect import flow
from prefect.client.schemas.objects import State

from tasks.mute import silence
from tasks.notify import notify
from tasks.register import register


@flow(name="silence-mitigation", flow_run_name="silence {mitigation}", timeout_seconds=600)
def silence_mitigation(mitigation: str, until: date, who: str, why: str) -> State[None]:
    """Tell nothing of a mitigation, whatever happens to it, until a day is over; then, how it stands.

    Args:
        mitigation: its id.
        until: the last day, in UTC; at most 180 days ahead.
        who: your name; recorded as claimed, not proven.
        why: why nobody need hear; recorded, and told where an incident of it is open.
    """
    decision = silence(register(), mitigation, until=until, who=who, why=why)
    notify()
    return decision.conclude()
