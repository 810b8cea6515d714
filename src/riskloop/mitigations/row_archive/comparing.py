"""Says whether rows are the same, bit by bit, and makes a digest of what is in them."""

import hashlib
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc


class Content:
    """A running digest of batches: of each column which values are NULL, how long each is, and the values."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()
        self.rows = 0
        self.nulls: dict[str, int] = {}

    def add(self, batch: Any) -> None:
        """Add a batch; how rows are cut into batches is a part of the digest."""
        self.rows += batch.num_rows
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            self.nulls[name] = self.nulls.get(name, 0) + column.null_count
            if column.null_count:
                self._digest.update(_bytes_of(pc.cast(pc.is_valid(column), pa.uint8())))
            self._digest.update(column.null_count.to_bytes(8, "little"))
            self._add_values(pc.drop_null(column) if column.null_count else column)

    def hexdigest(self) -> str:
        return self._digest.hexdigest()

    def _add_values(self, column: Any) -> None:
        if pa.types.is_string(column.type) or pa.types.is_binary(column.type):
            self._digest.update(_bytes_of(pc.binary_length(column)))
            _, ends, values = column.buffers()
            if values is not None and len(column):
                places = pa.Array.from_buffers(pa.int32(), len(column) + 1, [None, ends], 0, column.offset)
                first, last = places[0].as_py(), places[len(column)].as_py()
                self._digest.update(memoryview(values)[first:last])
            return
        if pa.types.is_boolean(column.type):
            column = pc.cast(column, pa.uint8())
        self._digest.update(_bytes_of(column))


def same(one: Any, other: Any) -> bool:
    """Say whether two batches hold the same rows in the same order, floats bit by bit."""
    if one.num_rows != other.num_rows or one.schema.names != other.schema.names:
        return False
    return all(_bits(a).equals(_bits(b)) for a, b in zip(one.columns, other.columns, strict=True))


def _bits(column: Any) -> Any:
    return column.view(pa.int64()) if pa.types.is_floating(column.type) else column


def _bytes_of(column: Any) -> Any:
    width = column.type.bit_width // 8
    values = column.buffers()[1]
    if values is None or not len(column):
        return b""
    return memoryview(values)[column.offset * width : (column.offset + len(column)) * width]
