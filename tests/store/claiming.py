"""Takes the next delivery as a worker does: first the queue, then the one at its head."""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import Connection

from riskloop.store import outbox
from riskloop.store.outbox import Claim


def claim_next(
    connection: Connection, *, channels: Collection[str], worker: str, now: datetime
) -> Claim | None:
    waiting = outbox.queue(connection, channels=channels, closed=(), now=now, limit=20)
    return outbox.claim(connection, waiting[0], worker=worker, now=now) if waiting else None
