"""What nobody has heard yet, and what is due by the clock alone."""

from prefect import flow

from tasks.approve import finish_approved
from tasks.heartbeat import heartbeat, round_failed
from tasks.notify import notify
from tasks.register import register
from tasks.remind import remind
from tasks.sweep import sweep


@flow(name="follow-up", timeout_seconds=900, on_failure=[round_failed])
def follow_up() -> None:
    """Deliver what is pending, remind of what stands, end what is over, and say that we are alive."""
    team = register()
    remind(team)
    sweep(team)
    notify()
    if finish_approved(team):
        notify()
    heartbeat()
