"""Checks a database, vacuums it where that is worth it, and says what that gave back.

A database that rows are deleted from keeps the room they took, and one that nobody checks is found damaged on
the day it is needed. Every look measures both, and holds the database against what it should be made of: one
that is not the expected one is not touched. A damaged one is never vacuumed. Before each vacuum of a SQLite
file there is a checked backup, and after it a check of the whole; the file is vacuumed in its place and never
replaced. PostgreSQL is vacuumed and analyzed table by table, never with FULL.
"""

from typing import Any

from riskloop.measurements import HIGHER, Metric
from riskloop.mitigations.database_vacuum.looking import RECALLS, measure
from riskloop.mitigations.database_vacuum.settings import Settings
from riskloop.plans import Plan
from riskloop.receipts import Receipt
from riskloop.risks import Site

METRICS = (
    Metric("database_bytes", "bytes", worse=HIGHER, says="size of the database"),
    Metric("free_bytes", "bytes", worse=HIGHER, says="room in a SQLite file that nothing uses"),
    Metric("free_ratio", "of the file", worse=HIGHER, says="part of a SQLite file that nothing uses"),
    Metric("wal_bytes", "bytes", worse=HIGHER, says="size of a SQLite file's write-ahead log"),
    Metric("reclaimed_bytes", "bytes", worse=HIGHER, says="room that the run gave back to the disk"),
    Metric("integrity_errors", "errors", worse=HIGHER, says="faults that SQLite's check found", warns=1),
    Metric(
        "schema_differences",
        "differences",
        worse=HIGHER,
        says="tables, indexes, views and triggers that are not as expected",
        warns=1,
    ),
    Metric("days_since_success", "days", worse=HIGHER, says="time since the last run without a failure"),
    Metric("largest_table_bytes", "bytes", worse=HIGHER, says="size of the largest table"),
    Metric("growth_bytes_per_day", "bytes", worse=HIGHER, says="growth a day, without what was given back"),
    Metric("dead_ratio", "of the rows", worse=HIGHER, says="part of PostgreSQL's rows that are dead"),
    Metric("xid_age", "transactions", worse=HIGHER, says="age of PostgreSQL's oldest transaction number"),
)

REMEDY = (
    "If the database is damaged, stop what uses it, copy its files, and recover that, or restore a backup.",
    "If it is not what is expected and was changed on purpose, let the new schema be learnt.",
    "If it only grows, archive or delete what is old: a vacuum gives back what is free, and no more.",
)

FORMS = ()

HEEDS = ()


def mitigate(
    settings: Settings,
    site: Site,
    plan: Plan | None,
    store: Any,
    *,
    warrant: str,
    approved: bool,
    dry_run: bool,
) -> Receipt:
    """Carry out a stored plan and nothing else, as `riskloop.risks.Mitigate` says."""
    from riskloop.mitigations.database_vacuum.mitigating import mitigate as act  # noqa: PLC0415 - only to act

    return act(settings, site, plan, store, warrant=warrant, approved=approved, dry_run=dry_run)


__all__ = ["FORMS", "HEEDS", "METRICS", "RECALLS", "REMEDY", "Settings", "measure", "mitigate"]
