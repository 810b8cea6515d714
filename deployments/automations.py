"""What the Prefect server does about our runs by itself; made once, and never over a person's edit."""

import hashlib
import json
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from deployments.api import Api
from deployments.directory import writing
from deployments.environment import prefect_home

# Given by the server, or new with every read: no person's edit shows in them.
_VOLATILE = {"id", "created", "updated", "owner_resource", "labels"}


def ensure_automations(api: Api, *, state: Path, project: str, tag: str) -> None:
    """Create what is missing, and bring up to date what nobody has changed since we made it.

    What we made is remembered beside Prefect's database, so that it is forgotten with it: one that a person
    deleted stays deleted, one that a person edited stays edited.

    Args:
        project: the slug of the register's project, in every name.
        tag: the installation's, in every trigger.
    """
    memory = prefect_home(state) / "riskloop-automations.json"
    made = _read(memory)
    there = {automation["name"]: automation for automation in api.automations()}
    for automation in wanted(project=project, tag=tag):
        name = automation["name"]
        wish, before, current = _digest(automation), made.get(f"{api.url} {name}"), there.get(name)
        if current is None and before is None:
            current = api.create_automation(automation)
        elif current is not None and before is not None and wish != before["wish"]:
            if _digest(current) != before["kept"]:
                continue
            current = api.replace_automation(current["id"], automation)
        else:
            continue
        made[f"{api.url} {name}"] = {"wish": wish, "kept": _digest(current)}
        with writing(state):
            _write(memory, made)


def wanted(*, project: str, tag: str) -> tuple[dict[str, Any], ...]:
    """Read `automations.yaml` for one project and installation."""
    text = resources.files("deployments").joinpath("automations.yaml").read_text(encoding="utf-8")
    rows: list[dict[str, Any]] = YAML(typ="safe").load(
        text.replace("{project}", project).replace("{tag}", tag)
    )
    return tuple(rows)


def _digest(automation: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(_lasting(automation), sort_keys=True).encode()).hexdigest()


def _lasting(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _lasting(inner) for key, inner in value.items() if key not in _VOLATILE}
    if isinstance(value, list):
        inner = [_lasting(item) for item in value]
        # The server keeps sets of event names and returns them in any order.
        return sorted(inner) if all(isinstance(item, str) for item in inner) else inner
    return value


def _read(memory: Path) -> dict[str, dict[str, str]]:
    try:
        content: dict[str, dict[str, str]] = json.loads(memory.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content


def _write(memory: Path, made: Mapping[str, Mapping[str, str]]) -> None:
    aside = memory.with_suffix(".new")
    aside.write_text(json.dumps(made, indent=1), encoding="utf-8")
    aside.replace(memory)
