"""Says in words what is in the tables, what would be archived, and what was."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from riskloop.mitigations.row_archive.planning import Portion
from riskloop.register.values import write_duration
from riskloop.risks import Site
from riskloop.wording import figures

if TYPE_CHECKING:
    from riskloop.mitigations.row_archive.looking import Seen


def looked_says(seen: "Sequence[Seen]", *, site: Site, database: str) -> str:
    """Say what was found, in a few sentences."""
    rows = sum(one.count.rows for one in seen)
    there = sum(one.count.total for one in seen)
    says = [
        f"{figures.quantity(rows, 'rows')} of {figures.number(there)} in {database} are past their age"
        if rows
        else f"None of the {figures.quantity(there, 'rows')} in {database} is past its age"
    ]
    left = site.past[-1].values.get("rows_over_age", 0) if site.past and site.receipt is None else 0
    if left and rows:
        says.append(f"{figures.quantity(left, 'rows')} were there after the run before")
    says += [f"{one.rule.table} could not be looked at: {one.trouble}" for one in seen if one.trouble]
    says += [f"{one.rule.table}: {words}" for one in seen if (words := _kept_says(one))]
    return " ".join(f"{sentence}." for sentence in says)


def listed(seen: "Sequence[Seen]") -> str:
    """List the tables, a line each: what is past its age, and what is to be known of it."""
    return "\n".join(_line(one) for one in seen)


def would_says(portions: Sequence[Portion]) -> str:
    """Say what a plan would do, one sentence without a full stop."""
    parts = [f"{figures.quantity(one.rows, 'rows')} of {one.table}" for one in portions if one.rows]
    says = [f"{' and '.join(parts)} would be archived, verified and then deleted"] if parts else []
    for one in portions:
        if one.due:
            says.append(f"{figures.quantity(len(one.due), 'partitions')} of {one.table} would be dropped")
        if one.months:
            says.append(f"{figures.quantity(one.months, 'partitions')} of {one.table} would be made")
    return ", ".join(says) or "nothing would be archived"


def share_says(portion: Portion, fraction: float) -> str:
    """Say that a table would lose more of its rows than the limit allows."""
    share = figures.number(100 * portion.rows / portion.total)
    most = figures.number(100 * fraction)
    return (
        f"{portion.rows} of {portion.total} rows of {portion.table} are {share} %, "
        f"more than the limit of {most} %"
    )


def archived_says(table: str, *, rows: int, size: int, name: str) -> str:
    """Say what became of a table, one sentence without a full stop."""
    return f"{figures.quantity(rows, 'rows')} of {table} are in archive {name} of {figures.size(size)} now"


def _line(one: "Seen") -> str:
    table = one.rule.table
    if one.trouble:
        return f"{table}: {one.trouble}"
    words = (
        f"{table}: {figures.number(one.count.rows)} of {figures.quantity(one.count.total, 'rows')} are older "
        f"than {write_duration(one.rule.older_than)} (before {figures.moment(one.cutoff)})"
    )
    more = [part for part in (_kept_says(one), _known_says(one)) if part]
    return "; ".join((words, *more))


def _kept_says(one: "Seen") -> str:
    count = one.count
    parts = [
        f"{figures.quantity(number, 'rows')} {why}"
        for number, why in (
            (count.kept, "past their age stay, as rows of other tables lead to them"),
            (count.empty, f"stay, as {one.rule.timestamp} is NULL"),
            (count.unreadable, f"stay, as {one.rule.timestamp} holds no moment we can read"),
            (count.future, "stay: they are from the future"),
            (count.astray, "past their age stay in the default partition, as they are in no month"),
        )
        if number
    ]
    return ", ".join(parts)


def _known_says(one: "Seen") -> str:
    shape = one.shape
    if shape is None:
        return ""
    parts = []
    if shape.triggers:
        parts.append(f"triggers fire when its rows go: {', '.join(shape.triggers)}")
    generated = [column.name for column in shape.columns if column.generated]
    if generated:
        parts.append(f"generated columns are archived as values: {', '.join(generated)}")
    if shape.children:
        parts.append(f"with them go their rows of {', '.join(child.table for child in shape.children)}")
    return "; ".join(parts)
