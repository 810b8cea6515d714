"""Reads rows out of PostgreSQL by COPY straight into columns, without making Python objects of them."""

import io
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.csv as pa_csv
from psycopg import Connection

from riskloop.errors import Unmeasurable
from riskloop.mitigations.row_archive.packing import OTHER
from riskloop.mitigations.row_archive.shapes import Column

_LARGEST = 64 * 1024 * 1024
"""Bytes that one COPY may bring at most."""

_TYPES = {
    **dict.fromkeys(("smallint", "integer", "bigint"), pa.int64()),
    **dict.fromkeys(("real", "double precision"), pa.float64()),
    "boolean": pa.bool_(),
    "bytea": pa.binary(),
}


class TooMuch(Exception):
    """So many rows are more than there is room for at once."""


def schema_of(columns: Sequence[Column]) -> Any:
    """Give the Arrow schema of rows; what has no type of its own is text, as PostgreSQL writes it."""
    if any(column.name == OTHER for column in columns):
        raise Unmeasurable(f"a column is called {OTHER}, as one of ours is", remedy="rename it")
    fields = [pa.field(column.name, _TYPES.get(column.declared, pa.string())) for column in columns]
    return pa.schema([*fields, pa.field(OTHER, pa.string())])


def copy_out(
    connection: Connection[Any], query: str, given: dict[str, Any], schema: Any, *, bounded: bool
) -> Any:
    """Read the rows of a query as a batch.

    Args:
        query: what it selects is in the order of the schema, without our own column.
        bounded: stop where it is more than a few megabytes.

    Raises:
        TooMuch: it is.
    """
    content, size = io.BytesIO(), 0
    statement = f"COPY ({query}) TO STDOUT (FORMAT csv)"
    with connection.cursor() as cursor, cursor.copy(statement, given) as copy:
        for part in copy:
            size += content.write(part)
            if bounded and size > _LARGEST:
                raise TooMuch
    return _read(content, size, schema)


def _read(content: io.BytesIO, size: int, schema: Any) -> Any:
    if not size:
        return pa.RecordBatch.from_pylist([], schema=schema)
    content.seek(0)
    plain = [field for field in schema if field.name != OTHER]
    kinds = {field.name: pa.string() if field.type == pa.binary() else field.type for field in plain}
    table = pa_csv.read_csv(
        content,
        read_options=pa_csv.ReadOptions(
            column_names=[field.name for field in plain], use_threads=False, block_size=size + 1
        ),
        parse_options=pa_csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False),
        # What is NULL is not quoted, and the empty text is.
        convert_options=pa_csv.ConvertOptions(
            column_types=kinds,
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
            null_values=[""],
            true_values=["t"],
            false_values=["f"],
        ),
    )
    columns = [table.column(field.name).combine_chunks() for field in plain]
    columns = [
        _binary(column) if field.type == pa.binary() else column
        for column, field in zip(columns, plain, strict=True)
    ]
    columns.append(pa.nulls(table.num_rows, pa.string()))
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _binary(column: Any) -> Any:
    found = (None if text is None else bytes.fromhex(text[2:]) for text in column.to_pylist())
    return pa.array(list(found), pa.binary())
