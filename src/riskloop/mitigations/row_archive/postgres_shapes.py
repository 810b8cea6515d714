"""Reads what a table of a PostgreSQL database is, and refuses those whose rows cannot be archived."""

from difflib import get_close_matches
from typing import Any

from psycopg import Connection

from riskloop.errors import Refused, Unmeasurable
from riskloop.mitigations.row_archive.magnitudes import form_of
from riskloop.mitigations.row_archive.postgres_wording import quoted, table_of
from riskloop.mitigations.row_archive.refusing import require_references_told, without_key
from riskloop.mitigations.row_archive.settings import TableRule
from riskloop.mitigations.row_archive.shapes import Child, Column, Form, Reference, Shape

WHOLE = frozenset({"smallint", "integer", "bigint"})
_TEXT = ("text", "character varying", "character")
_MOMENTS = ("timestamp", "date")


def describe(connection: Connection[Any], rule: TableRule) -> Shape:
    """Say what a table is.

    Raises:
        Refused: it is none whose rows can be archived.
        Unmeasurable: the table or one of its columns is not there, or its moments are in no form we know.
    """
    oid, kind = find_table(connection, rule.table)
    columns = columns_of(connection, oid)
    timestamp = _require_column(columns, rule.table, rule.timestamp)
    monthly = rule.partitions == "monthly"
    key = _key(connection, oid, rule, columns, timestamp=timestamp.name, monthly=monthly)
    told = {(child.table, child.references) for child in rule.belonging}
    kept_by = tuple(one for one in references(connection, oid) if (one.table, one.column) not in told)
    require_references_told(rule, kept_by)
    if monthly and (kind != "p" or kept_by or rule.belonging):
        raise Refused(
            f"{rule.table} is {'led to by other tables' if kind == 'p' else 'not partitioned'}",
            rule="partitions",
            remedy="partition it by RANGE of its timestamp, without foreign keys to it; or drop `partitions`",
        )
    children = tuple(_child(connection, one.table, one.references) for one in rule.belonging)
    oids = [oid, *(find_table(connection, child.table)[0] for child in children)]
    return Shape(
        table=rule.table,
        columns=columns,
        key=key.name,
        numeric=key.declared in WHOLE,
        ordered=key.declared in WHOLE or key.declared.startswith(_TEXT),
        key_type=key.declared,
        timestamp=timestamp.name,
        form=_form(connection, rule, key.name, timestamp),
        children=children,
        kept_by=kept_by,
        triggers=_triggers(connection, oids),
        partitioned=monthly,
    )


def find_table(connection: Connection[Any], name: str) -> tuple[int, str]:
    """Find a table by its name; give its oid and its kind, `r` or `p` where it is partitioned.

    Raises:
        Refused: it is a view, or another sort of thing.
        Unmeasurable: there is none.
    """
    schema, _, table = name.rpartition(".")
    row = connection.execute(
        "SELECT c.oid, c.relkind, (SELECT count(*) FROM pg_inherits i WHERE i.inhparent = c.oid) "
        "FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relname = %(table)s "
        "AND c.relkind = ANY(%(kinds)s) AND CASE WHEN %(schema)s = '' THEN pg_table_is_visible(c.oid) "
        "ELSE n.nspname = %(schema)s END",
        {"table": table, "schema": schema, "kinds": list("rpvmf")},
    ).fetchone()
    if row is None:
        known = [
            one for (one,) in connection.execute("SELECT relname FROM pg_class WHERE relkind IN ('r', 'p')")
        ]
        near = get_close_matches(table, known, 1)
        hint = f"; did you mean {near[0]}" if near else ""
        raise Unmeasurable(f"there is no table {name}", remedy=f"correct the register{hint}")
    oid, kind, heirs = row
    if kind in "vm":
        raise Refused(f"{name} is a view", rule="view", remedy="name the table that its rows are in")
    if kind == "f" or (kind == "r" and heirs):
        raise Refused(f"{name} is no ordinary table", rule="view", remedy="name the table its rows are in")
    return oid, kind


def columns_of(connection: Connection[Any], oid: int) -> tuple[Column, ...]:
    """Give the columns of a table in their order."""
    rows = connection.execute(
        "SELECT attname, format_type(atttypid, atttypmod), attgenerated <> '' FROM pg_attribute "
        "WHERE attrelid = %s AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
        (oid,),
    )
    return tuple(Column(name=name, declared=kind, generated=made) for name, kind, made in rows)


def _require_column(columns: tuple[Column, ...], table: str, name: str) -> Column:
    for column in columns:
        if column.name == name:
            return column
    near = get_close_matches(name, [column.name for column in columns], 1)
    hint = f"; did you mean {near[0]}" if near else ""
    raise Unmeasurable(f"{table} has no column {name}", remedy=f"correct the register{hint}")


def primary_key(connection: Connection[Any], oid: int) -> tuple[str, ...]:
    """Give the columns of a table's primary key; none if it has none."""
    rows = connection.execute(
        "SELECT a.attname FROM pg_index i, unnest(i.indkey) WITH ORDINALITY AS k(number, place), "
        "pg_attribute a WHERE i.indrelid = %s AND i.indisprimary AND a.attrelid = i.indrelid "
        "AND a.attnum = k.number ORDER BY k.place",
        (oid,),
    )
    return tuple(name for (name,) in rows)


def _key(
    connection: Connection[Any],
    oid: int,
    rule: TableRule,
    columns: tuple[Column, ...],
    *,
    timestamp: str,
    monthly: bool,
) -> Column:
    primary = primary_key(connection, oid)
    if monthly:
        # The key of a partitioned table has its timestamp in it; within a partition the rest has to do.
        primary = tuple(name for name in primary if name != timestamp)
    if not rule.key and len(primary) != 1:
        raise without_key(rule.table, primary)
    key = _require_column(columns, rule.table, rule.key or primary[0])
    if primary == (key.name,):
        return key
    unique = connection.execute(
        "SELECT 1 FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0] "
        "WHERE i.indrelid = %s AND i.indisunique AND i.indisvalid AND i.indimmediate AND i.indnkeyatts = 1 "
        "AND i.indpred IS NULL AND i.indexprs IS NULL AND a.attname = %s AND a.attnotnull",
        (oid, key.name),
    ).fetchone()
    if unique is None:
        raise Refused(
            f"{rule.table}.{key.name} may be NULL, or the same in two rows",
            rule="no-key",
            remedy="name a column as `key` that is NOT NULL and UNIQUE",
        )
    return key


def references(connection: Connection[Any], oid: int) -> tuple[Reference, ...]:
    """Give the foreign keys of other tables, or its own, that lead to a table.

    Raises:
        Refused: one of them has several columns.
    """
    rows = connection.execute(
        "SELECT CASE WHEN pg_table_is_visible(c.oid) THEN c.relname ELSE n.nspname || '.' || c.relname END, "
        "f.conkey, a.attname, t.attname, f.confdeltype NOT IN ('a', 'r'), EXISTS (SELECT 1 FROM pg_index i "
        "WHERE i.indrelid = f.conrelid AND i.indkey[0] = f.conkey[1] AND i.indpred IS NULL) "
        "FROM pg_constraint f JOIN pg_class c ON c.oid = f.conrelid JOIN pg_namespace n "
        "ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = f.conrelid AND a.attnum = f.conkey[1] "
        "JOIN pg_attribute t ON t.attrelid = f.confrelid AND t.attnum = f.confkey[1] "
        "WHERE f.contype = 'f' AND f.confrelid = %s AND f.conparentid = 0 ORDER BY 1, 3",
        (oid,),
    ).fetchall()
    for table, parts, *_ in rows:
        if len(parts) > 1:
            raise Refused(
                f"a foreign key of {table} with several columns leads to it",
                rule="referenced",
                remedy="archive what it belongs to by other means; such keys are not followed",
            )
    return tuple(
        Reference(table=table, column=column, target=target, indexed=indexed, deletes=deletes)
        for table, _, column, target, deletes, indexed in rows
    )


def _child(connection: Connection[Any], name: str, column: str) -> Child:
    oid, _ = find_table(connection, name)
    columns = columns_of(connection, oid)
    _require_column(columns, name, column)
    leading = references(connection, oid)
    if leading:
        raise Refused(
            f"{name} would go with its rows, but a foreign key of {leading[0].table} leads to it",
            rule="referenced",
            remedy="archive it as a table of its own, where it has a timestamp",
        )
    indexed = connection.execute(
        "SELECT 1 FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0] "
        "WHERE i.indrelid = %s AND a.attname = %s AND i.indpred IS NULL",
        (oid, column),
    ).fetchone()
    if indexed is None:
        raise Refused(
            f"{name}.{column} has no index, so that its rows could only be found by reading all of them",
            rule="no-index",
            remedy=f"make one: CREATE INDEX … ON {name} ({column})",
        )
    order = tuple(one for one in primary_key(connection, oid) if one != column)
    if not order and primary_key(connection, oid) != (column,):
        raise without_key(name, ())
    return Child(table=name, references=column, columns=columns, order=order)


def _triggers(connection: Connection[Any], oids: list[int]) -> tuple[str, ...]:
    rows = connection.execute(
        "SELECT tgname FROM pg_trigger WHERE tgrelid = ANY(%(oids)s) AND NOT tgisinternal "
        "AND tgenabled <> 'D' AND tgtype & 8 <> 0 UNION SELECT rulename FROM pg_rewrite "
        "WHERE ev_class = ANY(%(oids)s) AND ev_type = '4' ORDER BY 1",
        {"oids": oids},
    )
    return tuple(name for (name,) in rows)


def _form(connection: Connection[Any], rule: TableRule, key: str, timestamp: Column) -> Form:
    declared = timestamp.declared
    if declared.startswith(_MOMENTS):
        return Form.MOMENT
    if rule.form != "auto":
        return Form(rule.form)
    if declared.startswith(_TEXT):
        return Form.TEXT
    if not declared.startswith((*WHOLE, "numeric", "double", "real")):
        raise Unmeasurable(
            f"{rule.table}.{timestamp.name} is of the type {declared}, which says no moment",
            remedy="name a column with a date or a moment, ISO 8601 text or a number",
        )
    at, values = quoted(timestamp.name), []
    for way in ("ASC", "DESC"):
        rows = connection.execute(
            f"SELECT {at}::float8 FROM {table_of(rule.table)} WHERE {at} IS NOT NULL "  # noqa: S608 - quoted
            f"ORDER BY {quoted(key)} {way} LIMIT 1000",
            {},
        )
        values += [value for (value,) in rows]
    return form_of(values, place=f"{rule.table}.{timestamp.name}")
