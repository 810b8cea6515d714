"""How a database stands: its size, what of it is free, what it is made of, and whether it is sound."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from riskloop.mitigations.database_vacuum.schema import Schema


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What a look at a database found.

    Args:
        figures: by metric; only what could be measured.
        schema: what it is made of; None if it is too damaged to tell.
        damage: what is wrong with it, a line each; empty if it is sound.
        tables: bytes of the largest tables, the largest first.
        notes: what else a person should know, a sentence each.
    """

    figures: Mapping[str, float]
    schema: Schema | None
    damage: tuple[str, ...] = ()
    tables: tuple[tuple[str, int], ...] = ()
    notes: tuple[str, ...] = field(default=())
