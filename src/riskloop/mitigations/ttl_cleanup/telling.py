"""Says in words what is staged, what would go, what went, and what stayed."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from riskloop.mitigations.ttl_cleanup.choosing import BUDGET, TTL
from riskloop.mitigations.ttl_cleanup.scanning import Scan
from riskloop.mitigations.ttl_cleanup.settings import Settings
from riskloop.mitigations.ttl_cleanup.summing import SHOWN, Written
from riskloop.register.values import write_duration
from riskloop.wording import figures
from riskloop.wording.escaping import visible

_HOUR = 3_600_000_000_000


def staged_says(scan: Scan, settings: Settings, *, now: int) -> str:
    """Say what is in the directory, in a sentence or two."""
    count = figures.quantity(scan.files, "files")
    says = f"{count} of {figures.size(scan.size)} are staged in {shown(str(settings.directory))}"
    if scan.oldest is not None:
        says += f", the oldest unchanged for {figures.number(max(0, now - scan.oldest) / _HOUR)} hours"
    sentences = [says]
    if settings.budget:
        sentences.append(
            f"The budget is {figures.size(settings.budget)}, {_share(scan.size, settings.budget)} used"
        )
    if scan.linked:
        sentences.append(f"{figures.quantity(scan.linked, 'files')} past their time stay: linked elsewhere")
    if scan.special:
        sentences.append(f"{figures.quantity(scan.special, 'links or special files')} stay: no regular files")
    if scan.future:
        sentences.append(
            f"{figures.quantity(scan.future, 'files')} were changed in the future, by some clock"
        )
    return "".join(f"{sentence}. " for sentence in sentences).rstrip()


def would_says(plan: Written, settings: Settings) -> str:
    """Say what a plan would do, one sentence without a full stop."""
    if not plan.entries:
        return "nothing would be removed"
    how = (
        f"moved to the quarantine for {write_duration(settings.quarantine)}"
        if settings.quarantine
        else "deleted"
    )
    parts = []
    for rule, words in (
        (TTL, f"unchanged for {write_duration(settings.age)}"),
        (BUDGET, "the oldest over the budget"),
    ):
        if rule in plan.by_rule:
            files, size = plan.by_rule[rule]
            parts.append(f"{figures.quantity(files, 'files')} of {figures.size(size)}, {words},")
    return f"{' and '.join(parts)} would be {how}"


def plan_summary(plan: Written, *, staged: int) -> str:
    """Write what a person needs to see to decide about a plan: how much, from where, the largest, the oldest.

    Args:
        staged: how many files there are.
    """
    share = f"{_share(plan.files, staged)} of the {figures.number(staged)} there are"
    lines = [f"{figures.quantity(plan.files, 'files')} of {figures.size(plan.size)}: {share}.", "", "From:"]
    lines += [
        f"  {shown(folder) or 'itself'}: {figures.quantity(files, 'files')}, {figures.size(size)}"
        for size, files, folder in plan.by_folder.ranked
    ]
    if plan.by_folder.count > SHOWN:
        lines.append(f"  and {plan.by_folder.count - SHOWN} more folders")
    lines += ["", "The largest:", *(f"  {figures.size(size)}  {shown(path)}" for size, path in plan.largest)]
    lines += ["", "The oldest:", *(f"  {_day(change)}  {shown(path)}" for change, path in plan.oldest)]
    return "\n".join(lines)


def plan_listed(plan: Written) -> str:
    """List a plan's entries, one a line: its last change, its bytes, its rule, its path."""
    lines = [f"{_day(change)} {size} {rule} {shown(path)}" for rule, change, size, path in plan.listed]
    if plan.entries > len(lines):
        lines.append(f"and {plan.entries - len(lines)} more, in {plan.file.parent.name}/{plan.file.name}")
    return "\n".join(lines)


def removed_says(files: int, size: int, *, run: str, kept: str) -> str:
    """Say what was removed, one sentence without a full stop.

    Args:
        run: the removal's id.
        kept: until when it can be restored, in words; empty if it was deleted at once.
    """
    what = f"{figures.quantity(files, 'files')} of {figures.size(size)}"
    if not kept:
        return f"deleted {what} (removal {run})"
    return f"moved {what} to the quarantine, which is emptied on {kept} (removal {run})"


def skipped_says(skipped: Mapping[str, int]) -> str:
    """Say what stayed and why, one sentence without a full stop; empty if nothing did."""
    if not skipped:
        return ""
    parts = ", ".join(f"{count} {reason}" for reason, count in sorted(skipped.items()))
    return f"{figures.number(sum(skipped.values()))} skipped: {parts}"


def shown(path: str | Path) -> str:
    """Show a path in one line, whatever is in it."""
    return visible(str(path)).replace("\n", "⟨U+000A⟩")


def _share(part: float, whole: float) -> str:
    return f"{figures.number(100 * part / whole)} %" if whole else "all"


def _day(change: int) -> str:
    try:
        return f"{datetime.fromtimestamp(change / 1e9, UTC):%Y-%m-%d %H:%M}"
    except (OverflowError, ValueError):
        return "????-??-?? ??:??"
