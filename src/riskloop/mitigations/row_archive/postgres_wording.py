"""Writes the SQL by which old rows of a PostgreSQL database are found."""

from datetime import datetime
from typing import Any

from riskloop.mitigations.row_archive.shapes import Form, Reference, Shape

_ISO = (
    r"^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
    r"([T ]([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\.[0-9]+)?)?)? ?(Z|[+-][0-9]{2}(:?[0-9]{2})?)?$"
)


def quoted(name: str) -> str:
    """Write a name as SQL does, in a statement with parameters."""
    return '"' + name.replace('"', '""').replace("%", "%%") + '"'


def table_of(name: str) -> str:
    """Write a table's name, which may have its schema before it."""
    return ".".join(quoted(part) for part in name.split(".", 1))


def moments(cutoff: datetime) -> dict[str, Any]:
    """Give the parameters of `old`."""
    return {"cutoff": cutoff, "seconds": cutoff.timestamp()}


def moment(shape: Shape) -> str:
    """Write the moment that a row says; NULL where it says none, or is infinite."""
    at = quoted(shape.timestamp)
    if shape.form is Form.MOMENT:
        return f"CASE WHEN isfinite({at}) THEN {at}::timestamptz END"
    if shape.form is Form.TEXT:
        return f"CASE WHEN {at} ~ '{_ISO}' THEN {at}::timestamptz END"
    number = f"{at}::float8" if shape.form is Form.SECONDS else f"{at}::float8 / 1000"
    # What is further away than a year can be written is no moment.
    return f"CASE WHEN {number} BETWEEN -62135596800 AND 253402300799 THEN to_timestamp({number}) END"


def old(shape: Shape) -> str:
    """Write the condition that a row is past its age; an index on the column helps where it is a moment."""
    at = quoted(shape.timestamp)
    if shape.form is Form.MOMENT:
        return f"{at} < %(cutoff)s AND isfinite({at})"
    if shape.form is Form.TEXT:
        return f"{moment(shape)} < %(cutoff)s"
    factor = "" if shape.form is Form.SECONDS else " * 1000"
    return f"{at} < %(seconds)s{factor} AND {moment(shape)} IS NOT NULL"


def held(shape: Shape) -> str:
    """Write the condition that a row of another table leads to a row of the table called `t`."""
    return " OR ".join(_leads(one) for one in shape.kept_by) or "false"


def _leads(reference: Reference) -> str:
    column = quoted(reference.column)
    found = f"SELECT 1 FROM {table_of(reference.table)} AS o WHERE o.{column} = t.{quoted(reference.target)}"  # noqa: S608 - quoted
    return f"EXISTS ({found})"


def count_sql(shape: Shape) -> str:
    """Write the statement that counts what is past its age."""
    key = quoted(shape.key)
    goes = "coalesce(was, false) AND NOT held"
    ends = f"min(k) FILTER (WHERE {goes}), max(k) FILTER (WHERE {goes})"
    found = (
        f"SELECT {key} AS k, {quoted(shape.timestamp)} IS NULL AS empty, {moment(shape)} AS m, "  # noqa: S608 - quoted
        f"({old(shape)}) AS was, ({held(shape)}) AS held FROM {table_of(shape.table)} AS t"
    )
    return (
        f"SELECT {ends if shape.ordered else 'NULL, NULL'}, extract(epoch FROM min(m))::float8, count(*), "  # noqa: S608 - quoted
        f"count(*) FILTER (WHERE {goes}), count(*) FILTER (WHERE was AND held), "
        f"count(*) FILTER (WHERE empty), count(*) FILTER (WHERE NOT empty AND m IS NULL), "
        f"count(*) FILTER (WHERE m > %(ahead)s) "
        f"FROM ({found}) AS found"
    )
