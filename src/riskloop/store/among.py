"""Rows that are asked for by their names, so many at a time as a database takes in one question."""

from collections.abc import Iterable, Iterator
from typing import Any

from sqlalchemy import Column, Connection, RowMapping, Select

_AT_ONCE = 1_000


def among(
    connection: Connection, query: Select[Any], column: Column[Any], names: Iterable[Any]
) -> Iterator[RowMapping]:
    """Read the rows whose column is one of these names."""
    ordered = sorted(names)
    for start in range(0, len(ordered), _AT_ONCE):
        some = query.where(column.in_(ordered[start : start + _AT_ONCE]))
        yield from connection.execute(some).mappings()
