"""What nobody has heard yet."""

from prefect import flow

from tasks.notify import notify
from tasks.register import register


@flow(name="follow-up", timeout_seconds=600)
def follow_up() -> None:
    """Deliver what is still pending: after a crash, a rate limit, or while a channel was out of order."""
    register()
    notify()
