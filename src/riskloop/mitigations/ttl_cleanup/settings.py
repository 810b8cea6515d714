"""What a register says about a directory in which files are only staged for a while."""

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

from riskloop.register.values import (
    DURATION_PATTERN,
    ByteSize,
    Duration,
    ProjectPath,
    read_duration,
    write_duration,
)

LONGEST_DECISION = timedelta(days=30)
"""The longest time a person may be given to decide: no approval waits for ever."""

_NONE = "none"


def _read_quarantine(value: object) -> timedelta | None:
    if value is None or value == _NONE:
        return None
    try:
        return read_duration(value)
    except ValueError as error:
        raise ValueError(f"{error}, or none") from error


Quarantine = Annotated[
    timedelta | None,
    BeforeValidator(_read_quarantine),
    PlainSerializer(lambda kept: write_duration(kept) if kept else _NONE, return_type=str),
    WithJsonSchema(
        {"type": "string", "pattern": f"^(none|{DURATION_PATTERN.strip('^$')})$", "examples": ["7d", "none"]}
    ),
]
"""A length of time, or `none`."""


class Limit(BaseModel):
    """How much one run may remove without anybody being asked."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    fraction: float = Field(
        0.2, gt=0, le=1, description="Of the files there are: from 0 to 1. More than that is over the limit."
    )
    files: int = Field(10_000, ge=1, description="Files. More than that is over the limit.")


class Settings(BaseModel):
    """A directory of staged files, how long they stay, and how they go."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    directory: ProjectPath = Field(
        description="The directory, marked with `riskloop cleanup init`. Nothing outside it is touched."
    )
    ttl: Duration = Field(
        description="How long a file stays after its last change: the later of its mtime and its ctime."
    )
    include: list[str] = Field(
        default=["**"],
        min_length=1,
        description="What is staged: patterns with `*`, `?`, `**`; without `/`, names. With `unit: directory`"
        " they are held against the names of the directories.",
    )
    exclude: list[str] = Field(
        default=[], description="What of it is not: it is neither counted nor removed, nor looked into."
    )
    unit: Literal["file", "directory"] = Field(
        "file",
        description="What expires: each file by itself, or each directory right below `directory`, whole,"
        " when all in it has.",
    )
    min_age: Duration = Field(
        timedelta(hours=1),
        validate_default=True,
        description="Nothing younger is removed, whatever else is set.",
    )
    budget: ByteSize | None = Field(
        None,
        gt=0,
        description="How many bytes may be staged. A warning comes at 80 % if no threshold is set.",
    )
    evict: Literal[False, "oldest_first"] = Field(
        default=False,
        description="Over the budget, remove the oldest though their time is not over, down to 90 % of it.",
    )
    quarantine: Quarantine = Field(
        timedelta(days=7),
        validate_default=True,
        description="How long what is removed can be restored, before it is deleted; `none` deletes at once.",
    )
    limit: Limit = Field(
        Limit(), description="How much one run may remove without anybody being asked: `fraction`, `files`."
    )
    approval: Literal["none", "over_limit", "always"] = Field(
        "over_limit",
        description="When a person must approve first. With `none`, what is over the limit is refused.",
    )
    decide_within: Duration = Field(
        timedelta(hours=24),
        validate_default=True,
        description="How long that person has; after it nothing is removed. At most 30d.",
    )
    keep_latest: int = Field(
        0, ge=0, le=100_000, description="So many of the newest files or directories stay, however old."
    )
    delete: bool = Field(
        default=True, description="With false it only measures: nothing is planned, and nothing is removed."
    )

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if self.evict and self.budget is None:
            raise ValueError("evict needs to know how much may stay; add budget")
        if self.decide_within > LONGEST_DECISION:
            raise ValueError(f"decide_within is {write_duration(self.decide_within)}; write at most 30d")
        return self

    @property
    def age(self) -> timedelta:
        """The age from which something expires."""
        return max(self.ttl, self.min_age)
