"""How a register names a database: the path of a SQLite file, or a setting that holds its address."""

import re
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer, ValidationInfo, WithJsonSchema

from riskloop.register.values import read_project_path, shown

SETTING = r"[A-Z][A-Z0-9_]{2,}"
"""The name of a setting: an environment variable in capitals, which no path looks like."""


def read_database(value: object, info: ValidationInfo) -> Path | str:
    """Read `var/app.sqlite`, a path inside the project, or `APP_DATABASE_URL`, the name of a setting.

    Raises:
        ValueError: with the reason and how to write it; an address is never repeated in it.
    """
    if isinstance(value, str) and re.fullmatch(SETTING, value):
        return value
    if isinstance(value, str) and "://" in value:
        raise ValueError(
            "an address of a database may hold a password; put it into an environment variable of the "
            "service, and write the name of that, such as APP_DATABASE_URL"
        )
    if isinstance(value, str) and value.isupper():
        raise ValueError(f"{shown(value)} is too short for the name of a setting; write APP_DATABASE_URL")
    return read_project_path(value, info)


DatabasePlace = Annotated[
    Path | str,
    BeforeValidator(read_database),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "minLength": 1, "examples": ["var/app.sqlite", "APP_DATABASE_URL"]}),
]
"""A database: the path of a SQLite file, or the name of a setting that holds a SQLAlchemy address."""
