"""Archives rows past their age, verifies the archive, and only then deletes them.

A cleanup that runs green while the rows pile up helps nobody. Every look counts the rows past their age and
writes a plan with one cutoff for each table. What goes is first written to a Parquet file, read back and
compared, and listed in a manifest; only then is it deleted, in short transactions that touch nothing newer
and nothing that was changed since. Killed anywhere, each row is in its table or in a verified archive, and
the next run goes on. Archives can be verified at any time, and brought back.
"""

from typing import Any

from riskloop.measurements import HIGHER, LOWER, Metric
from riskloop.mitigations.row_archive.looking import RECALLS, measure
from riskloop.mitigations.row_archive.settings import Settings
from riskloop.plans import Plan
from riskloop.receipts import Receipt
from riskloop.risks import Site

METRICS = (
    Metric("rows_over_age", "rows", worse=HIGHER, says="rows past their age that are in the tables"),
    Metric("rows_archived", "rows", worse=HIGHER, says="rows the run archived, verified and deleted"),
    Metric("archive_bytes", "bytes", worse=HIGHER, says="size of all archives of the mitigation"),
    Metric("oldest_row_days", "days", worse=HIGHER, says="age of the oldest row in the tables"),
    Metric("days_since_success", "days", worse=HIGHER, says="time since a run did all it had to"),
    Metric("partitions_ahead", "partitions", worse=LOWER, says="months after this one with a partition"),
    Metric("failed_tables", "tables", worse=HIGHER, says="tables that could not be looked at", warns=1),
)

REMEDY = (
    "If rows past their age stay, see what the last run said: a table refused, an approval not given.",
    "If the archives grow too large, move whole folders elsewhere; each is complete by itself.",
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
    # A look does not wait for the libraries of the store, nor for those of Parquet.
    from riskloop.mitigations.row_archive.mitigating import mitigate as act  # noqa: PLC0415 - see above

    return act(settings, site, plan, store, warrant=warrant, approved=approved, dry_run=dry_run)


__all__ = ["FORMS", "HEEDS", "METRICS", "RECALLS", "REMEDY", "Settings", "measure", "mitigate"]
