"""Removes staged files past their time, and keeps their directory inside a budget of bytes.

Files that are only staged for a while pile up. Every look counts them and writes a plan of what should go;
what is then removed is in that plan and is still what was looked at: no step leads through a symbolic link,
onto another file system or to a file that is open, changed or linked elsewhere. Nothing at all is removed
without a marker in the directory, over the limit without a person's approval, or when the clock was set.
What is removed goes to a quarantine inside the directory first, and can be brought back.
"""

from typing import Any

from riskloop.measurements import HIGHER, LOWER, Metric
from riskloop.mitigations.ttl_cleanup.looking import RECALLS, measure
from riskloop.mitigations.ttl_cleanup.settings import Settings
from riskloop.plans import Plan
from riskloop.receipts import Receipt
from riskloop.risks import Site

METRICS = (
    Metric("staged_bytes", "bytes", worse=HIGHER, says="size of the files that are staged"),
    Metric("staged_files", "files", worse=HIGHER, says="files that are staged"),
    Metric("budget_used", "of the budget", worse=HIGHER, says="share of the budget that is used", warns=0.8),
    Metric("expired_bytes", "bytes", worse=HIGHER, says="size of the files past their time that are there"),
    Metric("expired_files", "files", worse=HIGHER, says="files past their time that are there"),
    Metric("oldest_age_hours", "hours", worse=HIGHER, says="time since the oldest file was changed"),
    Metric(
        "deleted_bytes", "bytes", worse=HIGHER, says="size of the files the run took out of the directory"
    ),
    Metric("deleted_files", "files", worse=HIGHER, says="files the run took out of the directory"),
    Metric("quarantined_bytes", "bytes", worse=HIGHER, says="size of what can still be brought back"),
    Metric(
        "skipped_files",
        "files",
        worse=HIGHER,
        says="files past their time that stay: open, changed since the plan, linked elsewhere, special",
    ),
    Metric(
        "hours_until_full",
        "hours",
        worse=LOWER,
        says="time until the budget or the disk is full, by the growth of the last two weeks",
    ),
)

REMEDY = (
    "If what is past its time may go, see that the cleanup is on, and that nothing stands against it.",
    "If more is staged than the budget allows, shorten `ttl`, let it `evict`, or find who stages so much.",
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
    # A look does not wait for the libraries of the store.
    from riskloop.mitigations.ttl_cleanup.mitigating import mitigate as act  # noqa: PLC0415 - see above

    return act(settings, site, plan, store, warrant=warrant, approved=approved, dry_run=dry_run)


__all__ = ["FORMS", "HEEDS", "METRICS", "RECALLS", "REMEDY", "Settings", "measure", "mitigate"]
