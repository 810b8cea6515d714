"""A person accepts an incident until a day."""

from datetime import date

from prefect import flow
from prefect.client.schemas.objects import State

from tasks.mute import accept
from tasks.notify import notify
from tasks.register import register


@flow(name="accept-incident", flow_run_name="accept {incident}", timeout_seconds=600)
def accept_incident(incident: str, until: date, who: str, why: str) -> State[None]:
    """Accept an open incident as it stands: it is told of again when it worsens, or when the day is over.

    Args:
        incident: its id, or that of the mitigation it is of.
        until: the last day, in UTC; at most 180 days ahead.
        who: your name; recorded as claimed, not proven.
        why: why it may stand; recorded, and told where the incident is.
    """
    decision = accept(register(), incident, until=until, who=who, why=why)
    notify()
    return decision.conclude()
