"""Writes archived rows into a table of a PostgreSQL database, where they are not there."""

from typing import Any

from psycopg import Connection

from riskloop.errors import Refused
from riskloop.mitigations.row_archive.counting import Back
from riskloop.mitigations.row_archive.postgres_shapes import columns_of, find_table
from riskloop.mitigations.row_archive.postgres_wording import quoted, table_of
from riskloop.mitigations.row_archive.shapes import Column

_BACK = "riskloop_back"


def put_back(
    connection: Connection[Any], table: str, columns: tuple[Column, ...], key: tuple[str, ...], rows: Any
) -> Back:
    """Write rows that are not there, in the open transaction; nothing that is there is changed.

    Raises:
        Refused: the table has not all the columns.
    """
    from riskloop.mitigations.row_archive.packing import unpack  # noqa: PLC0415 - Parquet is not for a look

    there = {column.name: column for column in columns_of(connection, find_table(connection, table)[0])}
    names = [column.name for column in columns]
    missing = sorted(set(names) - set(there))
    if missing:
        raise Refused(
            f"the table {table} has no column {missing[0]}, which the archive has",
            rule="columns",
            remedy="bring the rows back into a new table: --into NAME",
        )
    written = [name for name in names if not there[name].generated]
    listed = ", ".join(map(quoted, written))
    to = table_of(table)
    run = connection.execute
    run(f"CREATE TEMP TABLE {_BACK} ON COMMIT DROP AS SELECT {listed} FROM {to} WITH NO DATA")  # noqa: S608 - quoted
    places = [names.index(name) for name in written]
    with connection.cursor() as cursor, cursor.copy(f"COPY {_BACK} ({listed}) FROM STDIN") as copy:
        for row in unpack(rows):
            copy.write_row([row[place] for place in places])
    same = " AND ".join(f"t.{quoted(name)} IS NOT DISTINCT FROM b.{quoted(name)}" for name in key)
    ours, theirs = (", ".join(f"{one}.{quoted(name)}" for name in written) for one in "bt")
    keyed = ", ".join(f"b.{quoted(name)}" for name in key)
    found = run(
        f"SELECT ROW({ours})::text = ROW({theirs})::text, {keyed} FROM {_BACK} b JOIN {to} t ON {same}"  # noqa: S608 - quoted
    ).fetchall()
    done = run(
        f"INSERT INTO {to} ({listed}) OVERRIDING SYSTEM VALUE SELECT {ours} FROM {_BACK} b "  # noqa: S608 - quoted
        f"WHERE NOT EXISTS (SELECT 1 FROM {to} t WHERE {same}) ON CONFLICT DO NOTHING"
    )
    in_the_way = tuple(row[1] if len(row) == 2 else tuple(row[1:]) for row in found if not row[0])  # noqa: PLR2004 - a key of one column
    return Back(rows=done.rowcount, there=len(found) - len(in_the_way), in_the_way=in_the_way)
