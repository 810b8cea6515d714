"""Makes, detaches and drops the monthly partitions of a PostgreSQL table."""

import re
from datetime import UTC, datetime
from typing import Any

from psycopg import Connection, errors

from riskloop.errors import Refused
from riskloop.mitigations.row_archive.months import Partition
from riskloop.mitigations.row_archive.postgres_shapes import find_table
from riskloop.mitigations.row_archive.postgres_wording import quoted, table_of
from riskloop.mitigations.row_archive.shapes import Form, Shape

_BOUND = re.compile(r"FOR VALUES FROM \((.+)\) TO \((.+)\)")
_NAME = 50
"""Characters of a table's name that are left for the month behind it."""


def list_partitions(connection: Connection[Any], shape: Shape) -> tuple[Partition, ...]:
    """Read the partitions of a table from PostgreSQL's own catalogue.

    Raises:
        Refused: it is not partitioned by RANGE of its timestamp alone, or a partition has partitions itself.
    """
    oid, _ = find_table(connection, shape.table)
    by = connection.execute(
        "SELECT p.partstrat, p.partnatts, a.attname FROM pg_partitioned_table p LEFT JOIN pg_attribute a "
        "ON a.attrelid = p.partrelid AND a.attnum = p.partattrs[0] WHERE p.partrelid = %s",
        (oid,),
    ).fetchone()
    if by != ("r", 1, shape.timestamp) or shape.form is not Form.MOMENT:
        raise Refused(
            f"{shape.table} is not partitioned by RANGE of {shape.timestamp} alone",
            rule="partitions",
            remedy="partition it so, by a date or a moment; or drop `partitions`, so that rows go one by one",
        )
    rows = connection.execute(
        "SELECT n.nspname || '.' || c.relname, c.oid, c.relkind, pg_get_expr(c.relpartbound, c.oid), "
        "i.inhdetachpending FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid "
        "JOIN pg_namespace n ON n.oid = c.relnamespace WHERE i.inhparent = %s ORDER BY 1",
        (oid,),
    ).fetchall()
    for name, _, kind, *_ in rows:
        if kind != "r":
            raise Refused(
                f"the partition {name} is no ordinary table",
                rule="partitions",
                remedy="let each partition be a table without partitions of its own; or drop `partitions`",
            )
    return tuple(
        _partition(name, number, bound or "", pending=pending) for name, number, _, bound, pending in rows
    )


def _partition(name: str, oid: int, bound: str, *, pending: bool) -> Partition:
    ends = _BOUND.fullmatch(bound)
    low, high = (_moment(end) for end in ends.groups()) if ends else (None, None)
    return Partition(
        name=name, oid=oid, bound=bound, low=low, high=high, default=bound == "DEFAULT", pending=pending
    )


def _moment(end: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(end.strip("'"))
    except ValueError:
        return None  # MINVALUE, MAXVALUE, infinity, or before Christ
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def make(connection: Connection[Any], shape: Shape, low: datetime, high: datetime) -> str:
    """Make a partition, in the open transaction; give its name.

    Made by itself and then attached, it keeps nobody from reading or writing the table meanwhile.
    """
    schema, _, table = shape.table.rpartition(".")
    name = ".".join(part for part in (schema, f"{table[:_NAME]}_{low:%Y_%m}") if part)
    parent, child = table_of(shape.table), table_of(name)
    like = "INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING GENERATED INCLUDING STORAGE"
    connection.execute(f"CREATE TABLE {child} (LIKE {parent} {like})")
    bound = f"FOR VALUES FROM ('{low:%Y-%m-%d}') TO ('{high:%Y-%m-%d}')"
    connection.execute(f"ALTER TABLE {parent} ATTACH PARTITION {child} {bound}")
    return name


def detach(connection: Connection[Any], shape: Shape, partition: Partition) -> None:
    """Detach a partition; who reads or writes the table goes on, except where it has a default partition."""
    parent, child = table_of(shape.table), table_of(partition.name)
    if partition.pending:
        connection.execute(f"ALTER TABLE {parent} DETACH PARTITION {child} FINALIZE")
        return
    try:
        connection.execute(f"ALTER TABLE {parent} DETACH PARTITION {child} CONCURRENTLY")
    except (errors.ObjectNotInPrerequisiteState, errors.SyntaxError):
        # There is a default partition, or this is PostgreSQL 13.
        connection.execute(f"ALTER TABLE {parent} DETACH PARTITION {child}")


def attach(connection: Connection[Any], table: str, name: str, bound: str) -> None:
    """Attach again what was detached."""
    connection.execute(f"ALTER TABLE {table_of(table)} ATTACH PARTITION {table_of(name)} {bound}")


def oid_of(connection: Connection[Any], name: str) -> int | None:
    """Give the oid of a table with its schema before its name; None if there is none."""
    schema, _, table = name.partition(".")
    row = connection.execute(
        "SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE n.nspname = %s AND c.relname = %s",
        (schema, table),
    ).fetchone()
    return row[0] if row else None


def count_rows(connection: Connection[Any], name: str) -> int:
    """Count the rows of a table."""
    row = connection.execute(f"SELECT count(*) FROM {table_of(name)}").fetchone()  # noqa: S608 - quoted
    return int(row[0]) if row else 0


def lock_alone(connection: Connection[Any], name: str) -> None:
    """Keep everybody else from a table until the open transaction ends."""
    connection.execute(f"LOCK TABLE {table_of(name)} IN ACCESS EXCLUSIVE MODE")


def drop(connection: Connection[Any], name: str) -> None:
    """Drop a table; what depends on it keeps it."""
    connection.execute(f"DROP TABLE {table_of(name)} RESTRICT")


def default_rows(connection: Connection[Any], partition: Partition, shape: Shape, cutoff: datetime) -> int:
    """Count the rows of a default partition that are past their age: they are nobody's month, and stay."""
    at = quoted(shape.timestamp)
    row = connection.execute(
        f"SELECT count(*) FROM {table_of(partition.name)} WHERE {at} < %(cutoff)s AND isfinite({at})",  # noqa: S608 - quoted
        {"cutoff": cutoff},
    ).fetchone()
    return int(row[0]) if row else 0
