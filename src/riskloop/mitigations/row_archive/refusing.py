"""Refuses tables whose rows cannot be archived, each by name and with what to do."""

from collections.abc import Sequence

from riskloop.errors import Refused, Unmeasurable
from riskloop.mitigations.row_archive.settings import TableRule
from riskloop.mitigations.row_archive.shapes import Reference


def without_key(table: str, primary: Sequence[str]) -> Refused:
    """Say that a table has no key of one column."""
    why = f"the primary key of {table} has several columns" if primary else f"{table} has no primary key"
    return Refused(
        f"{why}, so that its rows cannot be told apart by one",
        rule="no-key",
        remedy="name a column as `key` that is NOT NULL and UNIQUE, or give the table one",
    )


def columns_changed(table: str) -> Unmeasurable:
    """Say that a table has other columns than when it was archived a moment ago."""
    return Unmeasurable(
        f"the columns of {table} were changed while it was archived",
        remedy="its rows stay in the table; the next run archives them as they are now",
    )


def require_references_told(rule: TableRule, kept_by: Sequence[Reference]) -> None:
    """Make sure that the register says what becomes of rows that foreign keys lead to.

    Raises:
        Refused: it does not.
    """
    if not kept_by or rule.referenced == "keep":
        return
    places = ", ".join(f"{one.table}.{one.column}" for one in kept_by)
    cascading = [one.table for one in kept_by if one.deletes]
    also = f" (and the database would delete or change rows of {', '.join(cascading)})" if cascading else ""
    raise Refused(
        f"foreign keys lead to {rule.table}: {places}{also}",
        rule="referenced",
        remedy="write `referenced: keep`, so that rows they lead to stay; or name those tables under `with`, "
        "so that their rows go too",
    )
