"""Which deployments there are: `prefect.yaml`, the one list for both ways of running, read and checked."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from riskloop.errors import Refused

DESTRUCTIVE = "destructive"
"""The tag of a deployment that deletes or replaces things: it is never run just because we started."""

_KEYS = {
    "name",
    "entrypoint",
    "description",
    "tags",
    "schedules",
    "parameters",
    "concurrency_limit",
    "work_pool",
}
_SCHEDULE_KEYS = {"cron", "timezone"}
_LIMIT_KEYS = {"limit", "collision_strategy"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """When to run: five cron fields and a time zone."""

    cron: str
    timezone: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """One deployment as `prefect.yaml` writes it.

    Args:
        name: the name in the file; also the name of its flow, `fixture-drift`.
        entrypoint: where the flow is, by module: `flows.fixture_drift.fixture_drift`.
        limit: how many of its runs may run at once; None for any number.
        collision: what happens to one more: `ENQUEUE` or `CANCEL_NEW`.
    """

    name: str
    entrypoint: str
    description: str = ""
    tags: tuple[str, ...] = ()
    schedules: tuple[Schedule, ...] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)
    limit: int | None = None
    collision: str = "ENQUEUE"


def packaged_list() -> Path:
    """Find `prefect.yaml`: inside the installed package, or at the top of the checkout it is run from."""
    package = Path(str(resources.files("deployments")))
    inside = package / "prefect.yaml"
    return inside if inside.exists() else package.parent / "prefect.yaml"


def read_offers(path: Path) -> tuple[Offer, ...]:
    """Read every deployment of a `prefect.yaml`.

    Raises:
        Refused: it cannot be read, or holds what the launcher does not carry out.
    """
    try:
        document = YAML(typ="safe").load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, YAMLError) as error:
        raise _refused(path, f"cannot be read ({type(error).__name__})") from error
    rows = document.get("deployments") if isinstance(document, dict) else None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise _refused(path, "has no list of deployments")
    return tuple(_offer(path, row) for row in rows)


def slug(project: str) -> str:
    """Turn a project's name into the name of its deployments: `Codex SDK` is `codex-sdk`."""
    return re.sub(r"[^a-z0-9]+", "-", project.lower()).strip("-")[:60] or "project"


def _offer(path: Path, row: Mapping[str, Any]) -> Offer:
    name, entrypoint = row.get("name"), row.get("entrypoint")
    if not isinstance(name, str) or not isinstance(entrypoint, str):
        raise _refused(path, "has a deployment without a name or an entrypoint")
    if ":" in entrypoint:
        raise _refused(path, f"gives {name} the file {entrypoint!r}; a module path is needed")
    limit = row.get("concurrency_limit") or {}
    if isinstance(limit, int):
        limit = {"limit": limit}
    schedules = row.get("schedules") or []
    unknown = {*(set(row) - _KEYS), *(set(limit) - _LIMIT_KEYS)}
    for schedule in schedules:
        unknown |= set(schedule) - _SCHEDULE_KEYS
        if "cron" not in schedule:
            raise _refused(path, f"has a schedule of {name} without cron")
    if unknown:
        raise _refused(path, f"has {min(unknown)!r} in {name}, which the launcher does not carry out")
    return Offer(
        name=name,
        entrypoint=entrypoint,
        description=row.get("description") or "",
        tags=tuple(row.get("tags") or ()),
        schedules=tuple(Schedule(cron=s["cron"], timezone=s.get("timezone") or "UTC") for s in schedules),
        parameters=dict(row.get("parameters") or {}),
        limit=limit.get("limit"),
        collision=limit.get("collision_strategy") or "ENQUEUE",
    )


def _refused(path: Path, what: str) -> Refused:
    return Refused(f"{path} {what}", rule="deployments", remedy="restore the file that came with riskloop")
