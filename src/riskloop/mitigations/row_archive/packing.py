"""Turns rows into columns of Parquet and back, so that each value comes back just as it was."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa

from riskloop.errors import Unmeasurable
from riskloop.mitigations.row_archive.shapes import Column

OTHER = "riskloop_other"
"""The last column: what a column of one type cannot hold, as SQLite allows; JSON, by the column's name."""

Rows = Sequence[tuple[Any, ...]]

_TYPES: dict[type, Any] = {int: pa.int64(), float: pa.float64(), str: pa.string(), bytes: pa.binary()}
_PYTHON = {arrow: python for python, arrow in _TYPES.items()}
_NAMES = {int: "whole", float: "float", str: "text", bytes: "bytes"}


def learn(columns: Sequence[Column], rows: Rows) -> Any:
    """Choose the Arrow type of each column: that of most of its values; without any, as it is declared.

    Raises:
        Unmeasurable: a column has the name that is ours.
    """
    if any(column.name == OTHER for column in columns):
        raise Unmeasurable(f"a column is called {OTHER}, as one of ours is", remedy="rename it")
    fields = []
    for index, column in enumerate(columns):
        counted = Counter(type(row[index]) for row in rows)
        counted.pop(type(None), None)
        found = counted.most_common(1)
        kind = _TYPES.get(found[0][0]) if found else _declared(column.declared)
        fields.append(pa.field(column.name, kind))
    return pa.schema([*fields, pa.field(OTHER, pa.string())])


def pack(schema: Any, rows: Rows) -> Any:
    """Make a batch of rows."""
    if not rows:
        return pa.RecordBatch.from_pylist([], schema=schema)
    arrays: list[Any] = []
    other: dict[int, dict[str, Any]] = {}
    for field, values in zip(schema, zip(*rows, strict=True), strict=False):
        kinds = set(map(type, values))
        kinds.discard(type(None))
        try:
            if kinds <= {_PYTHON[field.type]}:
                arrays.append(pa.array(values, field.type))
                continue
        except UnicodeEncodeError:
            pass  # Text that is no UTF-8.
        plain = []
        for number, value in enumerate(values):
            fits = value is None or (type(value) is _PYTHON[field.type] and not _is_broken(value))
            plain.append(value if fits else None)
            if not fits:
                other.setdefault(number, {})[field.name] = _spelled(value)
        arrays.append(pa.array(plain, field.type))
    beside = [json.dumps(other[number]) if number in other else None for number in range(len(rows))]
    return pa.RecordBatch.from_arrays([*arrays, pa.array(beside, pa.string())], schema=schema)


def unpack(batch: Any) -> list[tuple[Any, ...]]:
    """Give the rows of a batch, without our own column."""
    columns = [column.to_pylist() for column in batch.columns]
    beside = columns.pop()
    rows = list(zip(*columns, strict=True))
    names = batch.schema.names
    for number, told in enumerate(beside):
        if told is not None:
            values = list(rows[number])
            for name, (kind, spelled) in json.loads(told).items():
                values[names.index(name)] = _read(kind, spelled)
            rows[number] = tuple(values)
    return rows


def pieces(batch: Any, size: int) -> Iterator[Any]:
    """Give a batch in slices of so many rows."""
    for start in range(0, batch.num_rows, size):
        yield batch.slice(start, size)


def _declared(declared: str) -> Any:
    upper = declared.upper()
    signs = (
        (("INT",), pa.int64()),
        (("CHAR", "CLOB", "TEXT"), pa.string()),
        (("BLOB",), pa.binary()),
        (("REAL", "FLOA", "DOUB"), pa.float64()),
    )
    return next((kind for parts, kind in signs if any(part in upper for part in parts)), pa.string())


def _is_broken(value: Any) -> bool:
    return isinstance(value, str) and any("\udc80" <= letter <= "\udcff" for letter in value)


def _spelled(value: Any) -> tuple[str, Any]:
    if isinstance(value, bytes):
        return "bytes", value.hex()
    if _is_broken(value):
        return "broken", value.encode("utf-8", "surrogateescape").hex()
    if isinstance(value, float):
        return "float", value.hex()
    return _NAMES[type(value)], value


def _read(kind: str, spelled: Any) -> Any:
    match kind:
        case "bytes":
            return bytes.fromhex(spelled)
        case "broken":
            return bytes.fromhex(spelled).decode("utf-8", "surrogateescape")
        case "float":
            return float.fromhex(spelled)
        case _:
            return spelled
