"""Writes the SQL by which old rows of a SQLite file are found."""

from datetime import datetime, timedelta
from typing import Any

from riskloop.mitigations.row_archive.shapes import Form, Reference, Shape

COUNTED = 20_000
"""Rows that one statement counts."""

_DATED = "[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]*"
_EPOCH = 2_440_587.5
"""The Julian day of 1970."""
_OFFSETS = timedelta(days=2)
"""Text with an offset names a moment by another day, but by none this far away."""


def quoted(name: str) -> str:
    """Write a name as SQL does."""
    return '"' + name.replace('"', '""') + '"'


def moments(shape: Shape, cutoff: datetime) -> dict[str, Any]:
    """Give the parameters of `old`."""
    bound = f"{cutoff + _OFFSETS:%Y-%m-%d}" if shape.form is Form.TEXT else None
    return {"cutoff": cutoff.timestamp(), "bound": bound}


def moment(shape: Shape) -> str:
    """Write the seconds since 1970 that a row says; NULL where it says none."""
    at = quoted(shape.timestamp)
    if shape.form is Form.TEXT:
        # A bare time or number would be read as a day of some other year.
        dated = f"typeof({at}) = 'text' AND {at} GLOB '{_DATED}'"
        # SQLite counts milliseconds; what is below them is the error of the difference.
        return f"CASE WHEN {dated} THEN round((julianday({at}) - {_EPOCH}) * 86400.0, 3) END"
    number = at if shape.form is Form.SECONDS else f"{at} / 1000.0"
    return f"CASE WHEN typeof({at}) IN ('integer', 'real') THEN {number} END"


def old(shape: Shape) -> str:
    """Write the condition that a row is past its age; an index on the column helps to find text."""
    plain = f"{moment(shape)} < :cutoff"
    return f"{quoted(shape.timestamp)} < :bound AND {plain}" if shape.form is Form.TEXT else plain


def held(shape: Shape) -> str:
    """Write the condition that a row of another table leads to a row."""
    return " OR ".join(_leads(shape, one) for one in shape.kept_by) or "0"


def _leads(shape: Shape, reference: Reference) -> str:
    target = f"{quoted(shape.table)}.{quoted(reference.target)}"
    table, column = quoted(reference.table), quoted(reference.column)
    if reference.indexed:
        return f"EXISTS (SELECT 1 FROM {table} AS other WHERE other.{column} = {target})"  # noqa: S608 - quoted
    # Without an index they are read once for each statement, not once for each row.
    return f"{target} IN (SELECT {column} FROM {table} WHERE {column} IS NOT NULL)"  # noqa: S608 - quoted


def count_sql(shape: Shape, *, first: bool) -> str:
    """Write the statement that counts the next rows: of the first ones, or of those after a key."""
    key = quoted(shape.key)
    after = "" if first else f"WHERE {key} > :after "
    found = (
        f"SELECT {key} AS k, {quoted(shape.timestamp)} AS t, {moment(shape)} AS m, ({held(shape)}) AS held "  # noqa: S608 - quoted
        f"FROM {quoted(shape.table)} {after}ORDER BY {key} LIMIT {COUNTED}"
    )
    goes = "coalesce(m < :cutoff, 0) AND NOT held"
    return (
        f"SELECT max(k), min(CASE WHEN {goes} THEN k END), max(CASE WHEN {goes} THEN k END), min(m), "  # noqa: S608 - quoted
        f"count(*), sum({goes}), sum(coalesce(m < :cutoff, 0) AND held), sum(t IS NULL), "
        f"sum(t IS NOT NULL AND m IS NULL), sum(coalesce(m > :ahead, 0)) FROM ({found})"
    )
