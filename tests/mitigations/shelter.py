"""A SQLite file that a team uses, and the mitigation that looks after it."""

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from riskloop.measurements import Observation
from riskloop.mitigations.database_vacuum import Settings, measure, mitigate
from riskloop.plans import Plan
from riskloop.receipts import Receipt
from riskloop.risks import Site

SCHEMA = """
PRAGMA application_id = 1234;
CREATE TABLE sessions (id INTEGER PRIMARY KEY, name TEXT NOT NULL DEFAULT 'x', body BLOB);
CREATE INDEX by_name ON sessions (name);
CREATE VIEW names AS SELECT name FROM sessions;
"""
MITIGATION = "grown.database_vacuum"


@dataclass(kw_only=True)
class Shelter:
    """A project with `var/app.sqlite`, half of it free.

    Args:
        settings: what the register says beside the database.
    """

    project: Path
    state: Path
    settings: dict[str, Any] = field(default_factory=lambda: {"minimum_free": 4096})
    now: datetime = datetime(2026, 3, 1, 4, 30, tzinfo=UTC)

    @property
    def file(self) -> Path:
        return self.project / "var/app.sqlite"

    @property
    def site(self) -> Site:
        return Site(project=self.project, state=self.state, now=self.now, mitigation=MITIGATION)

    @contextmanager
    def opened(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self.file, isolation_level=None, timeout=10)) as connection:
            yield connection

    def make(self, *, rows: int = 400, wal: bool = True, auto_vacuum: int = 0) -> None:
        """Make the database, and delete every other row of it."""
        self.file.parent.mkdir(parents=True)
        self.state.mkdir()
        with self.opened() as connection:
            connection.execute(f"PRAGMA auto_vacuum = {auto_vacuum}")
            connection.execute(f"PRAGMA journal_mode = {'WAL' if wal else 'DELETE'}")
            connection.executescript(SCHEMA)
            connection.execute("BEGIN")
            many = ((number, f"name {number}", b"x" * 3000) for number in range(rows))
            connection.executemany("INSERT INTO sessions VALUES (?, ?, ?)", many)
            connection.execute("COMMIT")
            connection.execute("DELETE FROM sessions WHERE id % 2")

    def read(self, **more: Any) -> Settings:
        return Settings.model_validate({"database": "var/app.sqlite", **self.settings, **more})

    def look(self, **more: Any) -> Observation:
        return measure(self.read(**more), self.site)

    def plan(self, **more: Any) -> Plan:
        plan = self.look(**more).plan
        assert plan is not None
        return plan

    def act(self, plan: Plan | None = None, *, dry_run: bool = False, **more: Any) -> Receipt:
        """Carry out a plan: by default the one of a look that was taken just before."""
        return mitigate(
            self.read(**more),
            self.site,
            plan or self.plan(**more),
            None,
            warrant="run",
            approved=False,
            dry_run=dry_run,
        )

    def look_after(self, receipt: Receipt, **more: Any) -> Mapping[str, float]:
        return values(measure(self.read(**more), replace(self.site, receipt=receipt)))

    def rows(self) -> list[tuple[int, str]]:
        with self.opened() as connection:
            return connection.execute("SELECT id, name FROM sessions ORDER BY id").fetchall()

    def backups(self) -> list[Path]:
        return sorted(self.state.glob("backups/*/*.sqlite"))


def values(seen: Observation) -> Mapping[str, float]:
    """Give what was measured, by metric."""
    return {measurement.metric: measurement.value for measurement in seen.measurements}
