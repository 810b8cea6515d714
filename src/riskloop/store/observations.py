"""What was seen, many looks at a time: observations, their measurements, and how mitigations stand after."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, bindparam, func, insert, select, text, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from riskloop.incidents import Streaks
from riskloop.risks import Mitigation, PastLook
from riskloop.store.among import among
from riskloop.store.tables import measurements, mitigations, observations
from riskloop.thresholds import Reading, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """One look as it is stored.

    Args:
        streaks: the looks in a row, this one included.
        evidence: the SHA-256 of the kept document; None if there is none.
    """

    mitigation: Mitigation
    run: str
    phase: str
    at: datetime
    verdict: Verdict
    reason: str
    register_digest: str
    readings: Sequence[Reading]
    streaks: Streaks
    summary: str = ""
    fingerprint: str = ""
    evidence: str | None = None


def lock_mitigations(
    connection: Connection, wanted: Collection[Mitigation], *, now: datetime
) -> dict[str, Streaks]:
    """Take the rows of these mitigations for this transaction, made if they were not there; by id, streaks.

    Rows are made and locked in one order, whoever asks, so that PostgreSQL's processes never wait in a ring.
    """
    ids = sorted(mitigation.id for mitigation in wanted)
    known = set(connection.execute(select(mitigations.c.id).where(mitigations.c.id.in_(ids))).scalars())
    new = sorted((one for one in wanted if one.id not in known), key=lambda mitigation: mitigation.id)
    if new:
        insert_new = sqlite_insert if connection.dialect.name == "sqlite" else postgresql_insert
        connection.execute(
            insert_new(mitigations).on_conflict_do_nothing(),
            [
                {
                    "id": mitigation.id,
                    "kind": mitigation.kind.name,
                    "risk": mitigation.risk.id,
                    "breached": 0,
                    "fine": 0,
                    "unknown": 0,
                    "verdict": Verdict.UNKNOWN,
                    "reason": "never looked at",
                    "last_look_at": now,
                }
                for mitigation in new
            ],
        )
    rows = connection.execute(
        select(mitigations.c.id, mitigations.c.breached, mitigations.c.fine, mitigations.c.unknown)
        .where(mitigations.c.id.in_(ids))
        .order_by(mitigations.c.id)
        .with_for_update(),
    )
    return {row.id: Streaks(breached=row.breached, fine=row.fine, unknown=row.unknown) for row in rows}


def lock_every_mitigation(connection: Connection) -> None:
    """Keep everybody else from assessing until this transaction ends; it must be the first statement of it.

    SQLite's writing transactions are alone already.
    """
    if connection.dialect.name != "sqlite":
        connection.execute(text("LOCK TABLE mitigations IN EXCLUSIVE MODE"))


def already_observed(
    connection: Connection, wanted: Collection[Mitigation], *, run: str, phase: str
) -> frozenset[str]:
    """List those whose look was stored before, by id: a run that is repeated stores each once."""
    query = select(observations.c.mitigation).where(
        observations.c.mitigation.in_([mitigation.id for mitigation in wanted]),
        observations.c.run == run,
        observations.c.phase == phase,
    )
    return frozenset(connection.execute(query).scalars())


def list_measured(
    connection: Connection, mitigation: str, metrics: Collection[str], *, since: datetime, most: int
) -> tuple[PastLook, ...]:
    """Read what looks at a mitigation measured of some metrics, the oldest look first.

    Args:
        since: only looks since then.
        most: only so many looks, the newest.
    """
    row = observations.c
    looks = connection.execute(
        select(row.number, row.at)
        .where(row.mitigation == mitigation, row.at >= since)
        .order_by(row.at.desc(), row.number.desc())
        .limit(most)
    ).all()
    values: dict[int, dict[str, float]] = {}
    query = select(measurements).where(measurements.c.metric.in_(metrics))
    for one in among(connection, query, measurements.c.observation, [look.number for look in looks]):
        values.setdefault(one["observation"], {})[one["metric"]] = one["value"]
    return tuple(
        PastLook(at=look.at, values=values[look.number]) for look in reversed(looks) if look.number in values
    )


def add_observations(connection: Connection, seen: Sequence[Observed]) -> dict[str, int]:
    """Store looks with their measurements, and where they leave their mitigations; by id, their numbers."""
    if not seen:
        return {}
    rows = connection.execute(
        insert(observations).returning(observations.c.mitigation, observations.c.number),
        [
            {
                "mitigation": one.mitigation.id,
                "run": one.run,
                "phase": one.phase,
                "at": one.at,
                "verdict": one.verdict,
                "reason": one.reason,
                "register_digest": one.register_digest,
                "summary": one.summary,
                "fingerprint": one.fingerprint,
                "evidence": one.evidence,
            }
            for one in seen
        ],
    )
    numbers: dict[str, int] = {row.mitigation: row.number for row in rows}
    _add_measurements(connection, seen, numbers)
    _update_mitigations(connection, seen)
    return numbers


def _add_measurements(connection: Connection, seen: Sequence[Observed], numbers: dict[str, int]) -> None:
    """Hand the rows to the driver: there may be thousands a look, and Core would rebuild each."""
    rows: Iterator[tuple[int, str, float, str]] = (
        (numbers[one.mitigation.id], reading.metric, reading.value, reading.unit)
        for one in seen
        for reading in one.readings
    )
    if connection.dialect.name == "sqlite":
        many = list(rows)
        if many:
            connection.exec_driver_sql(
                "INSERT INTO measurements (observation, metric, value, unit) VALUES (?, ?, ?, ?)", many
            )
        return
    driver = connection.connection.cursor()
    with driver.copy("COPY measurements (observation, metric, value, unit) FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)


def _update_mitigations(connection: Connection, seen: Sequence[Observed]) -> None:
    connection.execute(
        update(mitigations)
        .where(mitigations.c.id == bindparam("of"))
        .values(last_known_at=func.coalesce(bindparam("known_at"), mitigations.c.last_known_at)),
        [
            {
                "of": one.mitigation.id,
                "kind": one.mitigation.kind.name,
                "risk": one.mitigation.risk.id,
                "breached": one.streaks.breached,
                "fine": one.streaks.fine,
                "unknown": one.streaks.unknown,
                "verdict": one.verdict,
                "reason": one.reason,
                "last_look_at": one.at,
                "known_at": None if one.verdict is Verdict.UNKNOWN else one.at,
            }
            for one in seen
        ],
    )
