"""Holds rows against what was archived, one by one, where something was changed since."""

from typing import Any

from riskloop.mitigations.row_archive.counting import Key, Piece
from riskloop.mitigations.row_archive.packing import unpack
from riskloop.mitigations.row_archive.shapes import Shape


def unchanged(shape: Shape, now: Piece, archived: Piece) -> tuple[list[Key], int]:
    """Give the keys of the rows that are what was archived, with all that belongs to them.

    Returns:
        The keys, and how many archived rows are still there but changed.
    """
    there, kept = _by_key(shape, now), _by_key(shape, archived)
    keys = [key for key, row in kept.items() if there.get(key) == row]
    changed = sum(key in there for key in kept) - len(keys)
    return keys, changed


def _by_key(shape: Shape, piece: Piece) -> dict[Key, list[str]]:
    place = shape.names.index(shape.key)
    # As text, in which a float that is no number is the same as itself.
    found = {row[place]: [repr(row)] for row in unpack(piece.rows)}
    for child, batch in zip(shape.children, piece.children, strict=True):
        at = [column.name for column in child.columns].index(child.references)
        for row in unpack(batch):
            if row[at] in found:
                found[row[at]].append(_told(child.table, row))
    return found


def _told(table: str, row: tuple[Any, ...]) -> str:
    return f"{table} {row!r}"
