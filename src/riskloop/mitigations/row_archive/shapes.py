"""What a table is: its columns, its key, how its rows say their age, and what hangs on them."""

from dataclasses import dataclass, field
from enum import StrEnum


class Form(StrEnum):
    """How a column says when."""

    MOMENT = "moment"
    TEXT = "text"
    SECONDS = "seconds"
    MILLISECONDS = "milliseconds"


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column.

    Args:
        declared: its type as the database declares it; may be empty on SQLite.
        generated: the database computes it: it is archived as a value, and not written when rows come back.
    """

    name: str
    declared: str
    generated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """A foreign key of another table that leads to this one.

    Args:
        table, column: where it is.
        target: the column it leads to.
        indexed: its rows can be found by it without reading them all.
        deletes: the database itself deletes or changes those rows when ours go.
    """

    table: str
    column: str
    target: str
    indexed: bool
    deletes: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """A table whose rows go with the row they belong to.

    Args:
        references: its column with the key of that row.
        order: the columns by which its rows have one order, besides `references`.
    """

    table: str
    references: str
    columns: tuple[Column, ...]
    order: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """A table that can be archived.

    Args:
        table: as the register names it.
        columns: all of them, in their order.
        key: the column that is unique and never NULL.
        numeric: the key is a whole number.
        ordered: its least and greatest values can be asked for.
        key_type: its type as PostgreSQL writes it; empty on SQLite.
        timestamp: the column that says how old a row is, and how it says that.
        children: what goes with its rows.
        kept_by: the foreign keys of other tables whose rows keep ours.
        triggers: the names of those that fire when a row goes.
        partitioned: its rows go by whole partitions.
    """

    table: str
    columns: tuple[Column, ...]
    key: str
    numeric: bool
    ordered: bool = True
    key_type: str = ""
    timestamp: str
    form: Form
    children: tuple[Child, ...] = ()
    kept_by: tuple[Reference, ...] = ()
    triggers: tuple[str, ...] = field(default=())
    partitioned: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)
