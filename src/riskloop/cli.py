"""The command line: stdout is data, stderr is talk.

Exit codes: 0 fine, 1 could not, 2 wrong usage or register, 3 something is open (with `--exit-status`).
"""

import logging
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

from cyclopts import App, CycloptsError, Parameter

from riskloop import doctor, looking, starting, tables
from riskloop.errors import RegisterError, RiskloopError
from riskloop.measurements import Look
from riskloop.mitigations import kinds
from riskloop.register import Ranked, Register, check_report, show
from riskloop.risks import Mitigation
from riskloop.services import Services, now, open_services, read_register, site
from riskloop.settings import Settings, read_settings
from riskloop.status import Row, Status, read_status
from riskloop.store import history, open_store, outbox
from riskloop.thresholds import Assessment, Reading, Verdict, assess_look

FINE, COULD_NOT, WRONG, OPEN = 0, 1, 2, 3

app = App(
    name="riskloop",
    help="Run each mitigation of your risk register, measure whether it works, and tell its owner if not.",
    version=lambda: version("riskloop"),
    result_action="return_value",
)
register_app = app.command(App(name="register", help="Check the register, or show it."))
store_app = app.command(App(name="store", help="Upgrade the store, or back it up."))
app.register_install_completion_command()


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Place:
    """Where the register and our own files are.

    Args:
        register: the register's file; else RISKLOOP_REGISTER, else riskloop.yaml here, else the demo's.
        state: our own directory; else RISKLOOP_STATE, else .riskloop beside the register.
        debug: show the traceback of an error.
    """

    register: Path | None = None
    state: Path | None = None
    debug: bool = False

    def settings(self) -> Settings:
        """Read the settings; without any register, those of the demo if there is one."""
        settings = read_settings(register=self.register, state=self.state)
        if self.register or settings.register.exists():
            return settings
        from deployments.demo import demo_settings  # noqa: PLC0415 - stands over us in the layers

        demo = demo_settings(Path.cwd())
        if demo is None:
            return settings
        tables.say(f"no riskloop.yaml here: this is the demo in {demo.register.parent}")
        return demo


_HERE = Place()
Json = Annotated[bool, Parameter(name="--json", negative="")]
ExitStatus = Annotated[bool, Parameter(name="--exit-status", negative="")]


def main() -> None:
    """Run one command and exit with its code; every error is a line or two a person can act on."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    try:
        code = app(exit_on_error=False)
    except CycloptsError:
        code = WRONG  # The library has said what is wrong, and how it should look.
    except RegisterError as error:
        code = _failed(error, WRONG)
    except RiskloopError as error:
        code = _failed(error, COULD_NOT)
    except KeyboardInterrupt:
        code = 130
    except BrokenPipeError:
        # Whoever read our output has gone, as `head` does; nothing more can be said there.
        sys.stdout = None  # so that the interpreter does not flush it
        code = FINE
    sys.exit(code if isinstance(code, int) else FINE)


def _failed(error: RiskloopError, code: int) -> int:
    if "--debug" in sys.argv:
        raise error
    tables.say(f"riskloop: {error}")
    return code


@contextmanager
def _open(place: Place) -> Iterator[tuple[Services, Register]]:
    settings = place.settings()
    register = read_register(settings)
    with open_services(settings) as services:
        yield services, register


@app.command
def init(directory: Path = Path()) -> int:
    """Write a commented first register for the project in a directory, with what is found there.

    Args:
        directory: the project's directory.
    """
    file = starting.write_first_register(directory.absolute(), kinds())
    tables.say(f"wrote {file}; complete it, then: riskloop register check --register {file}")
    return FINE


@app.command
def up(*, once: Annotated[bool, Parameter(negative="")] = False, place: Place = _HERE) -> int:
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
    with open_services(settings):
        pass  # The store is made, or refused, before anything is started.
    return serve(settings, project=register.project, once=once, status=lambda: _status_text(settings))


def _status_text(settings: Settings) -> str:
    with open_services(settings) as services:
        register, _ = services.register()
        return status_text(read_status(services, register))


@app.command
def run(*names: str, dry_run: Annotated[bool, Parameter(negative="")] = False, place: Place = _HERE) -> int:
    """Run mitigations now, through the running service, or through one started for it.

    Args:
        names: kinds or ids of mitigations; all if none is named.
        dry_run: look and judge; store nothing, change nothing, tell nobody.
    """
    settings = place.settings()
    register = read_register(settings)
    wanted = _chosen(register, names)
    parameters = {
        kind: {"mitigations": sorted(ids), "dry_run": dry_run} for kind, ids in sorted(wanted.items())
    }
    return _run_flows(settings, register, parameters)


def _chosen(register: Register, names: tuple[str, ...]) -> dict[str, list[str]]:
    ids = [name for name in names if name not in kinds()]
    named = {mitigation.id for mitigation in register.mitigations(only=ids)} if ids else set()
    chosen: dict[str, list[str]] = {}
    for mitigation in register.mitigations():
        if not names or mitigation.kind.name in names or mitigation.id in named:
            chosen.setdefault(mitigation.kind.name, []).append(mitigation.id)
    return chosen


def _run_flows(settings: Settings, register: Register, parameters: Mapping[str, Mapping[str, object]]) -> int:
    from deployments.embedded import run_deployment, service, verdict  # noqa: PLC0415 - over us in the layers

    flows = {kind.replace("_", "-"): given for kind, given in parameters.items()}
    with service(settings, project=register.project, only=tuple(flows), say=tables.say) as running:
        ended = [run_deployment(running, flow, given) for flow, given in flows.items()]
    for one in ended:
        tables.say(f"{one.name}: {one.state}{f': {one.message}' if one.message else ''}")
    code: int = verdict(ended)
    return FINE if code == OPEN else code


@app.command
def adopt(mitigation: str, *, who: str, why: str, place: Place = _HERE) -> int:
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
    return _run_flows(settings, register, {"adopt_fixtures": given})


@app.command(name="doctor")
def examine(
    *,
    send_test: Annotated[bool, Parameter(negative="")] = False,
    json: Json = False,
    place: Place = _HERE,
) -> int:
    """Examine every part, one line each, and say what to do where one is unwell.

    Args:
        send_test: also send a test message to each Slack channel, and open and close a test issue.
        json: print JSON.
    """
    from deployments.directory import running_service  # noqa: PLC0415 - stands over us in the layers

    settings = place.settings()
    running = running_service(settings.state)
    found = doctor.examine(settings, api_url=running.api_url if running else "", send_test=send_test)
    if json:
        tables.print_json(found)
    else:
        rows = [("ok" if one.ok else "no", one.name, one.says) for one in found]
        tables.print_table(("", "part", "how it is"), rows, empty="")
    return FINE if all(one.ok for one in found) else COULD_NOT


@app.command
def measure(*ids: str, json: Json = False, place: Place = _HERE) -> int:
    """Look at mitigations now, print what is found, and store nothing.

    Args:
        ids: the mitigations; all if none is named.
        json: print JSON.
    """
    settings = place.settings()
    register = read_register(settings)
    chosen = register.mitigations(only=ids or None)
    judged = []
    for mitigation in chosen:
        look = looking.look(mitigation, site(register, settings))
        judged.append((mitigation, look, assess_look(look, mitigation.kind.metrics, mitigation.thresholds)))
    if json:
        tables.print_json([_measured(*one) for one in judged])
    else:
        for one in judged:
            _print_measured(*one)
    return COULD_NOT if any(look.observation is None for _, look, _ in judged) else FINE


def _measured(mitigation: Mitigation, look: Look, assessment: Assessment) -> dict[str, object]:
    evidence = look.observation.evidence if look.observation else None
    return {
        "mitigation": mitigation.id,
        "at": look.at,
        "verdict": assessment.verdict,
        "reason": assessment.reason,
        "readings": assessment.readings,
        "evidence": evidence,
    }


def _print_measured(mitigation: Mitigation, look: Look, assessment: Assessment) -> None:
    rows = [
        (reading.metric, f"{reading.value:g}", reading.unit, _bounds(reading), reading.verdict)
        for reading in assessment.readings
    ]
    tables.print_text(f"{mitigation.id}: {assessment.verdict}")
    if look.observation is None:
        tables.print_text(look.reason)
        return
    tables.print_table(("metric", "value", "unit", "threshold", "verdict"), rows, empty="it measured nothing")
    evidence = look.observation.evidence
    tables.print_text(evidence.summary)
    for section in evidence.sections:
        tables.print_text(f"\n{section.title}\n{section.body}")


def _bounds(reading: Reading) -> str:
    bounds = (("warning", reading.warning), ("critical", reading.critical))
    return ", ".join(f"{name} {bound:g}" for name, bound in bounds if bound is not None)


@app.command
def status(*, json: Json = False, exit_status: ExitStatus = False, place: Place = _HERE) -> int:
    """Show how every mitigation stands, where its incident is told, and what is on its way.

    Args:
        json: print JSON.
        exit_status: exit with 3 if anything is open.
    """
    with _open(place) as (services, register):
        found = read_status(services, register)
    if json:
        tables.print_json(found)
    else:
        tables.print_text(status_text(found))
    return OPEN if exit_status and found.open else FINE


def status_text(found: Status) -> str:
    """Write the table of `riskloop status`, and below it whatever needs a person."""
    moment = now()
    rows = [
        (
            row.mitigation,
            row.score,
            row.owner,
            row.verdict,
            _what(row),
            tables.ago(row.last_look_at, moment),
            tables.ago(row.since, moment) if row.since else "",
        )
        for row in found.rows
    ]
    columns = ("mitigation", "score", "owner", "verdict", "what", "looked", "open since")
    lines = [tables.table(columns, rows, empty="no mitigation is enabled in the register")]
    for row in found.rows:
        lines += [f"{row.mitigation} is told in {place}" for place in row.told]
    if found.service:
        lines.append(f"riskloop itself: {found.service}")
    if found.waiting:
        lines.append(f"{found.waiting} deliveries on their way: riskloop deliveries")
    if found.dead:
        lines.append(f"{found.dead} deliveries need a person: riskloop deliveries --dead")
    if found.previews:
        lines.append(f"no token: what would be sent is written, as it would be sent, under {found.previews}")
    return "\n".join(lines)


def _what(row: Row) -> str:
    breached = ", ".join(f"{reading.metric} {reading.value:g}" for reading in row.readings)
    return breached or ("" if row.verdict is Verdict.OK else row.reason)


@app.command
def incidents(
    *,
    everything: Annotated[bool, Parameter(name="--all", negative="")] = False,
    json: Json = False,
    place: Place = _HERE,
) -> int:
    """List the open incidents, newest first.

    Args:
        everything: the resolved ones too, up to 500.
        json: print JSON.
    """
    with _open(place) as (services, _), services.store.reading() as connection:
        found = history.list_incidents(connection, resolved=everything, limit=500)
    if json:
        tables.print_json(found)
        return FINE
    rows = [
        (
            incident.id,
            incident.subject,
            incident.concern,
            incident.severity,
            tables.ago(incident.opened_at, now()),
            tables.ago(incident.resolved_at, now()) if incident.resolved_at else "",
            incident.reason,
        )
        for incident in found
    ]
    columns = ("incident", "subject", "concern", "severity", "opened", "resolved", "why")
    tables.print_table(columns, rows, empty="nothing is open")
    return FINE


@app.command
def deliveries(
    *,
    dead: Annotated[bool, Parameter(negative="")] = False,
    everything: Annotated[bool, Parameter(name="--all", negative="")] = False,
    json: Json = False,
    place: Place = _HERE,
) -> int:
    """List what is on its way to a channel, or cannot be delivered, newest first.

    Args:
        dead: only those that need a person.
        everything: those that arrived too, up to 500.
        json: print JSON.
    """
    states = {"dead"} if dead else {"pending", "sending", "dead"}
    if everything:
        states = {"pending", "sending", "dead", "done"}
    with _open(place) as (services, _), services.store.reading() as connection:
        found = outbox.list_deliveries(connection, states=states, limit=500)
    if json:
        tables.print_json(found)
        return FINE
    rows = [
        (
            one.id,
            one.subject,
            one.change,
            f"{one.channel} {one.target}",
            one.state,
            one.attempts,
            one.last_error,
        )
        for one in found
    ]
    columns = ("delivery", "subject", "what", "where", "state", "attempts", "why")
    tables.print_table(columns, rows, empty="everything was delivered")
    return FINE


@register_app.command
def check(*, json: Json = False, place: Place = _HERE) -> int:
    """Say everything that is wrong with the register, or what is in it.

    Args:
        json: print JSON.
    """
    register = read_register(place.settings())
    if json:
        tables.print_json({"register": str(register.path), "found": check_report(register)})
    else:
        tables.print_text(check_report(register))
    return FINE


@register_app.command(name="show")
def show_register(*, json: Json = False, place: Place = _HERE) -> int:
    """Show the risks by score: likelihood times impact, from 1 to 12.

    Args:
        json: print JSON.
    """
    rows = show(read_register(place.settings()))
    if json:
        tables.print_json(rows)
        return FINE
    columns = [field.name for field in fields(Ranked)]
    table = [[_words(getattr(row, column)) for column in columns] for row in rows]
    tables.print_table(columns, table, empty="the register has no risks")
    return FINE


@store_app.command
def upgrade(*, place: Place = _HERE) -> int:
    """Bring the store's tables to this program's version."""
    settings = place.settings()
    store = open_store(settings.store_url.get_secret_value())
    store.upgrade()
    tables.say(f"the store {store.address} is current")
    return FINE


@store_app.command
def backup(to: Path, *, place: Place = _HERE) -> int:
    """Copy a SQLite store to a new file while it is in use, and check the copy.

    Args:
        to: the file to write; it must not exist.
    """
    store = open_store(place.settings().store_url.get_secret_value())
    store.require_current()
    store.backup(to.absolute())
    tables.say(f"wrote {to}")
    return FINE


def _words(value: object) -> str:
    return ", ".join(str(one) for one in value) if isinstance(value, tuple) else str(value)
