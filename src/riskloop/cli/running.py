"""The commands that start something: the service, a run, a decision."""

import os
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from riskloop import errors, tables
from riskloop.cli.place import FINE, HERE, OPEN, Flag, Place
from riskloop.errors import RiskloopError
from riskloop.mitigations import kinds
from riskloop.project import read_register
from riskloop.register import Register
from riskloop.services import open_services
from riskloop.settings import Settings
from riskloop.status import Status, describe, never_assessed, read_status

# As `prefect.flow_engine` has it written.
_WRAPPED = re.compile(r"Flow run encountered an exception: (?P<sort>\w+): (?P<says>.+)", re.DOTALL)


def up(*, once: Flag = False, place: Place = HERE) -> int:
    """Start the service and stay; without a register, build an example project first and run on that.

    Every deployment is served with its schedule. What was never run runs once; nothing destructive does.
    Ctrl-C or SIGTERM ends it.

    Args:
        once: run every scheduled deployment once, then end: 0 fine, 1 could not, 3 something is open.
    """
    from deployments.demo import build_demo, demo_settings  # noqa: PLC0415 - stands over us in the layers
    from deployments.embedded import up as serve  # noqa: PLC0415 - as above

    settings = place.settings()
    if not (place.register or settings.register.exists()):
        if "RISKLOOP_REGISTER" in os.environ:
            read_register(settings)  # It is named and not there: this says so.
        build_demo(Path.cwd())
        settings = demo_settings(Path.cwd()) or settings
    register = read_register(settings)
    with open_services(settings) as services:  # The store is made, or refused, before anything is started.
        unassessed = never_assessed(services, register)
    board = _Board(settings)
    code: int = serve(settings, project=register.project, once=once, unassessed=unassessed, status=board.text)
    # Good looks may leave something open: an incident that waits for one more, a letter nobody took.
    return OPEN if once and code == FINE and board.read().open else code


class _Board:
    """The status as a text that stays the same while nothing but the clock has changed."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._shown: tuple[Status, str] | None = None

    def read(self) -> Status:
        with open_services(self._settings) as services:
            register, _ = services.register()
            return read_status(services, register)

    def text(self) -> str:
        found = self.read()
        timeless = replace(found, rows=tuple(replace(row, last_look_at=None) for row in found.rows))
        if self._shown is None or self._shown[0] != timeless:
            self._shown = (timeless, describe(found))
        return self._shown[1]


def run(*names: str, dry_run: Flag = False, place: Place = HERE) -> int:
    """Run mitigations now, through the running service, or through one started for it.

    Args:
        names: kinds or ids of mitigations; all if none is named.
        dry_run: look and judge; store nothing, change nothing, tell nobody.
    """
    settings = place.settings()
    register = read_register(settings)
    chosen = _chosen(register, names)
    if not chosen:
        raise RiskloopError(
            "there is nothing to run", remedy="name a kind or a mitigation that the register has and enables"
        )
    parameters = {kind: {"mitigations": ids, "dry_run": dry_run} for kind, ids in sorted(chosen.items())}
    return run_flows(settings, register, parameters)


def _chosen(register: Register, names: tuple[str, ...]) -> dict[str, list[str] | None]:
    """Sort what was named by kind: its ids, or None where the whole kind is wanted."""
    ids = [name for name in names if name not in kinds()]
    chosen: dict[str, list[str] | None] = {}
    for mitigation in register.mitigations(only=ids) if ids else ():
        chosen[mitigation.kind.name] = [*(chosen.get(mitigation.kind.name) or []), mitigation.id]
    for mitigation in register.mitigations():
        if not names or mitigation.kind.name in names:
            chosen[mitigation.kind.name] = None
    return chosen


def run_flows(settings: Settings, register: Register, parameters: Mapping[str, Mapping[str, object]]) -> int:
    """Run flows, through the running service or one started for it; give the exit code."""
    from deployments.embedded import run_deployment, service, verdict  # noqa: PLC0415 - over us in the layers

    flows = {kind.replace("_", "-"): given for kind, given in parameters.items()}
    with service(settings, project=register.project, only=tuple(flows), say=tables.say) as running:
        ended = [run_deployment(running, flow, given) for flow, given in flows.items()]
    for one in ended:
        message = plainly(one.message)
        tables.say(f"{one.name}: {one.state}{f': {message}' if message else ''}")
    code: int = verdict(ended)
    return FINE if code == OPEN else code


def plainly(message: str) -> str:
    """Take what Prefect puts in front of a refusal of ours; what is no sentence of ours stays whole."""
    found = _WRAPPED.fullmatch(message)
    sort = getattr(errors, found["sort"], None) if found else None
    ours = isinstance(sort, type) and issubclass(sort, RiskloopError)
    return found["says"] if found and ours else message


def adopt(mitigation: str, /, *, who: str, why: str, place: Place = HERE) -> int:
    """Make the regenerated fixtures of a mitigation the golden ones, if they are what was shown last.

    Args:
        mitigation: the id of a fixture_drift mitigation.
        who: your name; recorded as claimed, not proven.
        why: why the new fixtures are right.
    """
    settings = place.settings()
    register = read_register(settings)
    register.mitigations("fixture_drift", only=[mitigation])
    given = {"mitigation": mitigation, "who": who, "reason": why}
    return run_flows(settings, register, {"adopt_fixtures": given})
