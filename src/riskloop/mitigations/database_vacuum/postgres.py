"""Looks at a PostgreSQL database, and vacuums it table by table, never with FULL."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

from sqlalchemy import Connection, text

from riskloop.databases.postgresql import Postgres
from riskloop.errors import Refused, Unmeasurable
from riskloop.mitigations.database_vacuum.schema import Schema
from riskloop.mitigations.database_vacuum.standing import Standing

_LOCK = 7_275_006
"""The first number of the advisory locks under which a database is vacuumed: any fixed one of our own."""

_LARGEST = 10
_OURS = "n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\\_%'"

_COLUMNS = text(f"""
SELECT n.nspname || '.' || c.relname AS owner, a.attname AS name,
       format_type(a.atttypid, a.atttypmod) AS type,
       a.attnotnull AS required, pg_get_expr(d.adbin, d.adrelid) AS given, a.attgenerated <> '' AS generated
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND {_OURS}
ORDER BY 1, a.attnum
""")  # noqa: S608 - only our own words
_INDEXES = text(f"""
SELECT n.nspname || '.' || c.relname AS name, pg_get_indexdef(c.oid) AS says
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('i', 'I') AND NOT c.relispartition AND {_OURS} ORDER BY 1
""")  # noqa: S608 - the same
_CONSTRAINTS = text(f"""
SELECT n.nspname || '.' || c.relname AS owner, k.conname AS name, pg_get_constraintdef(k.oid) AS says
FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE k.contype IN ('c', 'f') AND NOT c.relispartition AND {_OURS} ORDER BY 1, 2
""")  # noqa: S608 - the same
_VIEWS = text(f"""
SELECT n.nspname || '.' || c.relname AS name, pg_get_viewdef(c.oid) AS says
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('v', 'm') AND {_OURS} ORDER BY 1
""")  # noqa: S608 - the same
_TRIGGERS = text(f"""
SELECT n.nspname || '.' || c.relname || '.' || t.tgname AS name, pg_get_triggerdef(t.oid) AS says
FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE NOT t.tgisinternal AND {_OURS} ORDER BY 1
""")  # noqa: S608 - the same
_TABLES = text(f"""
SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS name, pg_total_relation_size(c.oid) AS size
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'm') AND c.relpersistence <> 't' AND {_OURS} ORDER BY 2 DESC, 1
""")  # noqa: S608 - the same


def look_at_postgres(database: Postgres, *, wait: timedelta, longest: timedelta) -> Standing:
    """Look at a PostgreSQL database.

    Args:
        wait: how long to wait for a lock.
        longest: how long one question may take.

    Raises:
        Unmeasurable: it cannot be reached, or its catalogue may not be read.
    """
    with database.opened(wait=wait, longest=longest) as connection:
        size, age = connection.execute(
            text(
                "SELECT pg_database_size(oid), age(datfrozenxid) FROM pg_database "
                "WHERE datname = current_database()"
            )
        ).one()
        live, dead = connection.execute(
            text("SELECT coalesce(sum(n_live_tup), 0), coalesce(sum(n_dead_tup), 0) FROM pg_stat_user_tables")
        ).one()
        tables = tuple((row.name, int(row.size)) for row in connection.execute(_TABLES))
        schema = describe_postgres(connection)
    figures = {
        "database_bytes": float(size),
        "xid_age": float(age),
        "dead_ratio": float(dead) / float(live + dead) if live + dead else 0.0,
    }
    if tables:
        figures["largest_table_bytes"] = float(tables[0][1])
    return Standing(figures=figures, schema=schema, tables=tables[:_LARGEST])


def describe_postgres(connection: Connection) -> Schema:
    """Describe a database: tables with their columns, indexes, constraints, views and triggers.

    Partitions are left out: they come and go with time.
    """
    found: dict[str, tuple[str, ...]] = {}
    for row in connection.execute(_COLUMNS):
        parts = [f"column {row.name} {row.type}"]
        parts += ["not null"] if row.required else []
        parts += [f"default {row.given}"] if row.given and not row.generated else []
        parts += [f"generated {row.given}"] if row.generated else []
        found[f"table {row.owner}"] = (*found.get(f"table {row.owner}", ()), ", ".join(parts))
    for row in connection.execute(_CONSTRAINTS):
        found[f"constraint {row.owner}.{row.name}"] = (row.says,)
    for kind, query in (("index", _INDEXES), ("view", _VIEWS), ("trigger", _TRIGGERS)):
        for row in connection.execute(query):
            found[f"{kind} {row.name}"] = (" ".join(row.says.split()),)
    return found


@dataclass(slots=True, kw_only=True)
class Swept:
    """What vacuuming came to.

    Args:
        tables: how many tables were vacuumed.
        failed: those that were not, each with what PostgreSQL said.
        before, after: bytes of the database.
    """

    before: int
    after: int = 0
    tables: int = 0
    failed: list[str] = field(default_factory=list)


def vacuum_postgres(
    database: Postgres,
    *,
    analyze_only: bool,
    wait: timedelta,
    longest: timedelta,
    may_go_on: Callable[[], bool],
) -> Swept:
    """Vacuum and analyze every table by itself, outside of a transaction; one that fails hides no other.

    Args:
        analyze_only: renew the planner's statistics only.
        may_go_on: asked before each table, whether there is still time to begin with it.

    Raises:
        Refused: another run is at work on the same database.
        Unmeasurable: it cannot be reached.
    """
    command = "ANALYZE" if analyze_only else "VACUUM (ANALYZE)"
    with database.opened(wait=wait, longest=longest, autocommit=True) as connection:
        alone = connection.execute(
            text(
                "SELECT pg_try_advisory_lock(:lock, (SELECT oid::int FROM pg_database "
                "WHERE datname = current_database()))"
            ),
            {"lock": _LOCK},
        ).scalar_one()
        if not alone:
            raise Refused(
                f"another run vacuums {database.shown} just now", rule="in-use", remedy="wait for its end"
            )
        done = Swept(before=_size(connection))
        for table in [row.name for row in connection.execute(_TABLES)]:
            if not may_go_on():
                done.failed.append(f"{table} and what comes after it: its time was over")
                break
            try:
                with database.said():
                    # The catalogue has quoted the name.
                    connection.exec_driver_sql(f"{command} {table}")
            except Unmeasurable as error:
                done.failed.append(f"{table}: {error.what.partition(': ')[2]}")
            else:
                done.tables += 1
        done.after = _size(connection)
    return done


def _size(connection: Connection) -> int:
    size: int = connection.execute(text("SELECT pg_database_size(current_database())")).scalar_one()
    return size
