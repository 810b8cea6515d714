"""The values people write in a register: durations such as `7d`, sizes such as `5GiB`, paths in the project.

Each is a pydantic type for the settings of a kind: it reads what the register says, explains what it cannot
read, writes itself back in the same notation, and describes itself in the published JSON Schema.
"""

import os
import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path, PurePosixPath
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer, StrictFloat, ValidationInfo, WithJsonSchema

DURATION_PATTERN = r"^[0-9]{1,9}[wdhms]$"
SIZE_PATTERN = r"^[0-9]{1,19}(B|[kK]B|[MGT]B|[KMGT]iB)$"
RELATIVE_PATH_PATTERN = r"^(?![~])(?!(.*/)?\.\.(/|$))[^\u0000-\u001f\u007f]+$"

LONGEST = timedelta(days=3650)
_SECONDS = {"w": 604_800, "d": 86_400, "h": 3_600, "m": 60, "s": 1}

LARGEST_SIZE = 2**63 - 1
_BYTES = {
    "TiB": 1024**4,
    "TB": 1000**4,
    "GiB": 1024**3,
    "GB": 1000**3,
    "MiB": 1024**2,
    "MB": 1000**2,
    "KiB": 1024,
    "kB": 1000,
    "KB": 1000,
    "B": 1,
}


def read_duration(value: object) -> timedelta:
    """Read `90s`, `30m`, `12h`, `7d` or `2w`; from one second to ten years.

    Raises:
        ValueError: with the reason and how to write it.
    """
    if isinstance(value, timedelta):
        duration = value
    elif isinstance(value, str) and re.fullmatch(DURATION_PATTERN, value):
        duration = timedelta(seconds=int(value[:-1]) * _SECONDS[value[-1]])
    elif isinstance(value, int) and not isinstance(value, bool):
        raise ValueError(f"{value} has no unit; write {value}d, {value}h, {value}m or {value}s")
    else:
        raise ValueError(f"{shown(value)} is not a duration; write 7d, 12h or 30m")
    if not timedelta(seconds=1) <= duration <= LONGEST:
        raise ValueError(f"{write_duration(duration)} is out of bounds; write one from 1s to 3650d")
    return duration


def write_duration(duration: timedelta) -> str:
    """Write a duration as the register does, in the largest unit that divides it: `7d`, never `1w`."""
    seconds = int(duration.total_seconds())
    unit = next((unit for unit in "dhm" if seconds and seconds % _SECONDS[unit] == 0), "s")
    return f"{seconds // _SECONDS[unit]}{unit}"


def read_size(value: object) -> int:
    """Read `5GiB`, `64MiB`, `10MB` or a plain number of bytes; at most 8 EiB less one byte.

    Raises:
        ValueError: with the reason and how to write it.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        size = value
    elif isinstance(value, str) and re.fullmatch(SIZE_PATTERN, value):
        unit = next(unit for unit in _BYTES if value.endswith(unit))
        size = int(value.removesuffix(unit)) * _BYTES[unit]
    else:
        raise ValueError(f"{shown(value)} is not a size; write 5GiB, 64MiB, 10MB or a number of bytes")
    if not 0 <= size <= LARGEST_SIZE:
        raise ValueError(f"{shown(value)} is out of bounds; write a size from 0 to 8388607TiB")
    return size


def read_bound(value: object) -> object:
    """Read a size such as `40GiB` as its bytes; whatever else stands there is left as it is."""
    if isinstance(value, str) and re.fullmatch(SIZE_PATTERN, value):
        return float(read_size(value))
    return value


def write_size(size: int) -> str | int:
    """Write a size as the register does, in the largest binary unit that divides it; else in bytes."""
    unit = next((unit for unit in ("TiB", "GiB", "MiB", "KiB") if size and size % _BYTES[unit] == 0), None)
    return f"{size // _BYTES[unit]}{unit}" if unit else size


def read_project_path(value: object, info: ValidationInfo) -> Path:
    """Read a path inside the project, or an absolute one below a directory the operator has allowed.

    The validation context may hold `project` (the register's directory: symbolic links that lead out of it
    are refused then) and `allowed_roots` (directories; without them every absolute path is refused).

    Raises:
        ValueError: with the reason and how to write it.
    """
    if not isinstance(value, str | Path) or not str(value):
        raise ValueError(f"{shown(value)} is not a path; write one inside the project, such as data/golden")
    text = str(value)
    if any(ord(letter) < 32 or ord(letter) == 127 for letter in text):  # noqa: PLR2004 - ASCII's controls
        raise ValueError(f"{shown(text)} holds a control character; write the path without it")
    if text.startswith("~"):
        raise ValueError(f"'{text}' begins with ~, which is not expanded; write a path inside the project")
    if ".." in PurePosixPath(text).parts:
        raise ValueError(f"'{text}' goes up with '..'; write a path inside the project")
    context: Mapping[str, Any] = info.context or {}
    path = Path(text)
    if path.is_absolute():
        _require_allowed(path, tuple(context.get("allowed_roots", ())))
    elif (project := context.get("project")) is not None:
        _require_inside(path, project)
    return path


def _require_allowed(path: Path, roots: tuple[Path, ...]) -> None:
    real = Path(os.path.realpath(path))
    if not any(real.is_relative_to(os.path.realpath(root)) for root in roots):
        raise ValueError(
            f"'{path}' is absolute; write a path inside the project, "
            "or have the operator list a directory above it in RISKLOOP_ALLOWED_ROOTS",
        )


def _require_inside(path: Path, project: Path) -> None:
    if not Path(os.path.realpath(project / path)).is_relative_to(os.path.realpath(project)):
        raise ValueError(
            f"'{path}' leaves the project through a symbolic link; write the real place, inside the project",
        )


def shown(value: object) -> str:
    """Show a value as the register wrote it, cut short: strings in quotes, YAML's own words otherwise."""
    match value:
        case None:
            return "nothing"
        case bool():
            return str(value).lower()
        case list() | tuple():
            return "a list"
        case Mapping():
            return "a mapping"
        case str():
            text = value.encode("unicode_escape").decode() if not value.isprintable() else value
            return f"'{text if len(text) <= 60 else text[:57] + '…'}'"  # noqa: PLR2004 - fits a line
        case _:
            return str(value)[:60]


Duration = Annotated[
    timedelta,
    BeforeValidator(read_duration),
    PlainSerializer(write_duration, return_type=str),
    WithJsonSchema({"type": "string", "pattern": DURATION_PATTERN, "examples": ["7d", "12h", "30m"]}),
]
"""A length of time: a whole number and one of `w`, `d`, `h`, `m`, `s`."""

ByteSize = Annotated[
    int,
    BeforeValidator(read_size),
    PlainSerializer(write_size),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 0, "maximum": LARGEST_SIZE},
                {"type": "string", "pattern": SIZE_PATTERN},
            ],
            "examples": ["5GiB", "64MiB", "10MB"],
        },
    ),
]
"""A number of bytes: a whole number and a unit such as `GiB` or `MB`, or a plain number."""

Bound = Annotated[
    StrictFloat,
    BeforeValidator(read_bound),
    WithJsonSchema({"anyOf": [{"type": "number"}, {"type": "string", "pattern": SIZE_PATTERN}]}),
]
"""A number to hold a metric against; of a metric in bytes it may be written as a size."""

ProjectPath = Annotated[
    Path,
    BeforeValidator(read_project_path),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "pattern": RELATIVE_PATH_PATTERN, "examples": ["data/golden"]}),
]
"""A path: relative to the register's directory and inside it, or absolute where the operator allows that."""
