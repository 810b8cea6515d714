"""What a register says about tables whose rows are archived when they are old."""

import re
from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    WithJsonSchema,
    model_validator,
)

from riskloop.databases import DatabasePlace
from riskloop.register.values import Duration, ProjectPath, shown, write_duration

LONGEST_DECISION = timedelta(days=30)
"""The longest time a person may be given to decide: no approval waits for ever."""

_PAUSE = r"(none|[0-9]{1,5}(ms|s))"


def _read_pause(value: object) -> timedelta:
    if isinstance(value, timedelta):
        return value
    if not isinstance(value, str) or not re.fullmatch(_PAUSE, value):
        raise ValueError(f"{shown(value)} is not a pause; write none, 50ms or 2s")
    if value == "none":
        return timedelta(0)
    if value.endswith("ms"):
        return timedelta(milliseconds=int(value.removesuffix("ms")))
    return timedelta(seconds=int(value.removesuffix("s")))


def _write_pause(value: timedelta) -> str:
    return f"{int(value / timedelta(milliseconds=1))}ms" if value else "none"


Pause = Annotated[
    timedelta,
    BeforeValidator(_read_pause),
    PlainSerializer(_write_pause, return_type=str),
    WithJsonSchema({"type": "string", "pattern": f"^{_PAUSE}$", "examples": ["none", "50ms", "2s"]}),
]
"""A length of time down to a millisecond, or `none`."""

_Name = Annotated[str, Field(min_length=1, max_length=200)]


class Belonging(BaseModel):
    """A table whose rows are part of another's, and go with them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    table: _Name = Field(description="The table, as `tables` would name it.")
    references: _Name = Field(description="Its column that holds the key of the row it belongs to.")


class Limit(BaseModel):
    """How much one run may take out of the tables without anybody being asked."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    fraction: float = Field(
        0.5, gt=0, le=1, description="Of a table's rows: from 0 to 1. More than that is over the limit."
    )
    rows: int = Field(10_000_000, ge=1, description="Rows, of all tables. More than that is over the limit.")


class TableRule(BaseModel):
    """A table, and from which age its rows are archived."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    table: _Name = Field(description="Its name; on PostgreSQL also `schema.name`.")
    timestamp: _Name = Field(
        description="The column that says how old a row is: a date or a moment, ISO 8601 text, or a number."
    )
    form: Literal["auto", "text", "seconds", "milliseconds"] = Field(
        "auto", description="How text or numbers in `timestamp` are read, numbers since 1970; `auto` looks."
    )
    older_than: Duration = Field(
        timedelta(days=90), validate_default=True, description="The age from which a row goes."
    )
    key: str = Field(
        "",
        max_length=200,
        description="A column that is unique and never NULL: whole numbers, text or a UUID. The primary key,"
        " if that is one column, where nothing is given.",
    )
    belonging: list[Belonging] = Field(
        default=[],
        alias="with",
        description="Tables without an age of their own, whose rows go with the row they belong to.",
    )
    referenced: Literal["refuse", "keep"] = Field(
        "refuse",
        description="What if foreign keys of other tables lead here: nothing at all goes, or the rows that"
        " they lead to stay (`keep`).",
    )
    partitions: Literal["none", "monthly"] = Field(
        "none",
        description="With `monthly`, on PostgreSQL: the table is partitioned by RANGE of `timestamp`. Months"
        " are made ahead, and a partition that is past the age as a whole is archived and dropped.",
    )


class Settings(BaseModel):
    """Tables of one database, where their old rows are archived, and how they go."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    database: DatabasePlace = Field(
        description="The path of a SQLite file, or the name of an environment variable of the service that"
        " holds the address of a SQLite or PostgreSQL database; `RISKLOOP_STORE_URL` is our own store."
    )
    tables: list[TableRule] = Field(min_length=1, max_length=100, description="The tables, each once.")
    to: ProjectPath = Field(description="The directory for the archives; nobody else may write there.")
    batch: int = Field(
        10_000, ge=1, le=100_000, description="Rows that one transaction deletes at most; often fewer."
    )
    pause: Pause = Field(
        timedelta(0),
        validate_default=True,
        description="The least time between two such transactions. While others write it is never none.",
    )
    months_ahead: int = Field(
        3, ge=1, le=24, description="So many months after this one have a partition, with `partitions`."
    )
    limit: Limit = Field(
        Limit(), description="How much one run may take out without anybody being asked: `fraction`, `rows`."
    )
    approval: Literal["none", "over_limit", "always"] = Field(
        "over_limit",
        description="When a person must approve first. With `none`, what is over the limit is refused.",
    )
    decide_within: Duration = Field(
        timedelta(hours=24),
        validate_default=True,
        description="How long that person has; after it nothing is archived. At most 30d.",
    )

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if self.decide_within > LONGEST_DECISION:
            raise ValueError(f"decide_within is {write_duration(self.decide_within)}; write at most 30d")
        names = [rule.table for rule in self.tables]
        names += [child.table for rule in self.tables for child in rule.belonging]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"{shown(twice[0])} is named twice; name each table once")
        return self
