"""A database with rows of all ages, on SQLite or on PostgreSQL, a store, and what archives them."""

import json
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg

from riskloop.databases import locate
from riskloop.measurements import Observation
from riskloop.mitigations.row_archive import Settings, measure, mitigate
from riskloop.mitigations.row_archive.packing import unpack
from riskloop.mitigations.row_archive.restoring import Restored, restore
from riskloop.mitigations.row_archive.verifying import read_group
from riskloop.plans import Plan
from riskloop.receipts import Receipt
from riskloop.risks import Site
from riskloop.store import Store, archives, open_store
from riskloop.store.archives import Archive

MITIGATION = "rows.row_archive"
VARIABLE = "APP_DATABASE_URL"
"""Where the address of a PostgreSQL database is."""
_AS_TEXT = "%Y-%m-%d %H:%M:%S"
NOW = datetime(2026, 3, 1, 2, 50, tzinfo=UTC)

EVENTS = """
CREATE TABLE events (id INTEGER PRIMARY KEY, at TEXT, kind TEXT NOT NULL, payload BLOB, size REAL);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows})
INSERT INTO events SELECT i, strftime('%Y-%m-%d %H:%M:%S', '2026-03-01', '-' || ({rows} - i) || ' hours'),
    'kind ' || (i % 7), CASE WHEN i % 3 THEN zeroblob(i % 50) END, i / 7.0 FROM n;
"""
"""A row an hour, the newest at the beginning of March."""

POSTGRES_EVENTS = """
CREATE TABLE events (id bigint PRIMARY KEY, at timestamptz, kind text NOT NULL, payload bytea, size float8);
INSERT INTO events SELECT i, timestamptz '2026-03-01 00:00+00' - ({rows} - i) * interval '1 hour',
    'kind ' || (i % 7), CASE WHEN i % 3 > 0 THEN decode(repeat('00', i % 50), 'hex') END, i / 7.0
    FROM generate_series(1, {rows}) AS i
"""


@dataclass(kw_only=True)
class Stack:
    """A database `app.sqlite` in a project, archived by a mitigation.

    Args:
        settings: what the register says beside the database and the directory.
        address: of a PostgreSQL database, where it is none of SQLite.
        runs: how many runs there were, each with a warrant of its own.
    """

    project: Path
    state: Path
    store: Store
    settings: dict[str, Any] = field(
        default_factory=lambda: {"tables": [{"table": "events", "timestamp": "at"}], "limit": {"fraction": 1}}
    )
    address: str = ""
    now: datetime = NOW
    runs: int = 0

    @property
    def file(self) -> Path:
        return self.project / "app.sqlite"

    @property
    def archives(self) -> Path:
        return self.project / "archive"

    @property
    def site(self) -> Site:
        return Site(project=self.project, state=self.state, now=self.now, mitigation=MITIGATION)

    def read(self, **more: Any) -> Settings:
        database = VARIABLE if self.address else "app.sqlite"
        return Settings.model_validate({"database": database, "to": "archive", **self.settings, **more})

    def table(self, **more: Any) -> None:
        """Archive this one table."""
        self.settings = {**self.settings, "tables": [{"table": "events", "timestamp": "at", **more}]}

    def run(self, script: str) -> None:
        """Run statements."""
        if self.address:
            with psycopg.connect(self.address, autocommit=True) as connection:
                connection.execute(script.encode())
            return
        with closing(sqlite3.connect(self.file)) as connection:
            connection.executescript(script)

    def rows(self, query: str = "SELECT * FROM events ORDER BY id") -> list[tuple[Any, ...]]:
        """Read rows; from PostgreSQL with moments as they are archived."""
        if self.address:
            with psycopg.connect(self.address, autocommit=True) as connection:
                connection.execute("SET TimeZone = 'UTC'")
                found = connection.execute(query.encode()).fetchall()
            return [
                tuple(f"{v:{_AS_TEXT}}+00" if isinstance(v, datetime) else v for v in row) for row in found
            ]
        with closing(sqlite3.connect(self.file)) as connection:
            return connection.execute(query).fetchall()

    def look(self, **more: Any) -> Observation:
        return measure(self.read(**more), self.site)

    def plan(self, **more: Any) -> Plan:
        plan = self.look(**more).plan
        assert plan is not None
        return plan

    def act(
        self,
        plan: Plan | None,
        *,
        warrant: str = "",
        approved: bool = False,
        dry_run: bool = False,
        **more: Any,
    ) -> Receipt:
        """Carry out a plan, as a run of its own unless a warrant is named."""
        self.runs += 1
        return mitigate(
            self.read(**more),
            self.site,
            plan,
            self.store,
            warrant=warrant or f"run-{self.runs}",
            approved=approved,
            dry_run=dry_run,
        )

    def archive(self, **more: Any) -> Receipt:
        """Look, and carry out what was planned."""
        return self.act(self.plan(**more), **more)

    def look_after(self, receipt: Receipt, **more: Any) -> Mapping[str, float]:
        """Look whether it helped; give the measurements."""
        return values(measure(self.read(**more), replace(self.site, receipt=receipt)))

    def bring_back(self, *, into: str = "") -> Restored:
        """Bring the rows of the newest archive back."""
        database = locate(self.read().database, self.site)
        return restore(self.store, database, self.journal()[0].id, into=into)

    def journal(self) -> list[Archive]:
        """Read what the store knows of archives, the newest first."""
        with self.store.reading() as connection:
            return list(archives.list_archives(connection, limit=99))

    def folders(self) -> list[Path]:
        """List the archives, each with a manifest."""
        return sorted(path.parent for path in self.archives.rglob("manifest.json"))

    def archived(self, table: str = "events") -> list[tuple[Any, ...]]:
        """Give the rows of a table that are in archives."""
        found = []
        for folder in self.folders():
            told = json.loads((folder / "manifest.json").read_text("utf-8"))
            for file in told["files"]:
                if file["table"] == table:
                    found += rows_of(folder / file["name"])
        return found


def begin(folder: Path) -> Stack:
    """Give an empty project with a store."""
    store = open_store(f"sqlite:///{folder / 'store.sqlite'}")
    store.upgrade()
    made = Stack(project=folder / "project", state=folder / "state", store=store)
    made.project.mkdir()
    made.state.mkdir()
    return made


def rows_of(file: Path) -> list[tuple[Any, ...]]:
    """Read the rows of a Parquet file."""
    import pyarrow.parquet as pq  # noqa: PLC0415 - only tests that archive wait for it

    with pq.ParquetFile(file) as parquet:
        return [row for group in range(parquet.num_row_groups) for row in unpack(read_group(parquet, group))]


def values(seen: Observation) -> Mapping[str, float]:
    """Give what was measured, by metric."""
    return {measurement.metric: measurement.value for measurement in seen.measurements}
