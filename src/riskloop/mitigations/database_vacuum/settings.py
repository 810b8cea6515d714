"""What a register says about a database that is checked and vacuumed."""

from datetime import datetime, time, timedelta
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from riskloop.databases import DatabasePlace
from riskloop.register.values import ByteSize, Duration, ProjectPath
from riskloop.register.words import Form

Window = Annotated[
    str,
    Form(
        r"^([01][0-9]|2[0-3]):[0-5][0-9]-([01][0-9]|2[0-3]):[0-5][0-9]$",
        "a time of the day; write one such as 02:00-05:00, in UTC",
        examples=("02:00-05:00",),
    ),
]
"""A time of every day, in UTC; it may go over midnight."""

MODES = ("auto", "full", "incremental", "analyze", "off")
Mode = Literal["auto", "full", "incremental", "analyze", "off"]


class Settings(BaseModel):
    """A database, what it should look like, and when it is worth vacuuming."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    database: DatabasePlace = Field(
        description="The path of a SQLite file in the project, or the name of an environment variable that"
        " holds the SQLAlchemy address of a SQLite or PostgreSQL database; never the address itself."
    )
    expected: Literal["learn"] | ProjectPath = Field(
        "learn",
        alias="schema",
        description="What the database should look like: a SQL file that makes an empty one (SQLite), a file"
        " that `riskloop database learn --to` wrote, or `learn` for how it looks the first time.",
    )
    vacuum: Mode = Field(
        "auto",
        description="`full` rewrites a SQLite file, `incremental` gives back its free pages in short steps,"
        " `auto` chooses by what the file allows, `analyze` only renews the planner's statistics. PostgreSQL"
        " is vacuumed table by table, never with FULL.",
    )
    minimum_free_ratio: float = Field(
        0.2, ge=0, le=1, description="Of a SQLite file: less free than this part of it is left alone."
    )
    minimum_free: ByteSize = Field(
        64 * 1024**2, description="Of a SQLite file: less free than this is left alone."
    )
    window: Window | None = Field(
        None, description="When it may begin, every day, in UTC; outside of it nothing is vacuumed."
    )
    lock_timeout: Duration = Field(
        timedelta(seconds=2), validate_default=True, description="How long to wait for others at each lock."
    )
    statement_timeout: Duration = Field(
        timedelta(hours=1), validate_default=True, description="How long one table of PostgreSQL may take."
    )
    backups: int = Field(
        2, ge=1, le=100, description="How many copies of a SQLite file from before its vacuum are kept."
    )

    def may_begin(self, at: datetime) -> bool:
        """Say whether it may begin at this moment."""
        if self.window is None:
            return True
        first, last = (time.fromisoformat(part) for part in self.window.split("-"))
        now = at.timetz().replace(tzinfo=None)
        return first <= now < last if first < last else now >= first or now < last
