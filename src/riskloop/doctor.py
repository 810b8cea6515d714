"""Says, one line per part, whether the service can do its work, and what to do where it cannot."""

import shutil
import subprocess
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from urllib.parse import urlsplit

import httpx

from riskloop.errors import RegisterError, RiskloopError
from riskloop.notifications import Posting, name_realm
from riskloop.project import now, read_register
from riskloop.register import Register
from riskloop.risks import Owner
from riskloop.services import Services, open_services
from riskloop.settings import Settings
from riskloop.speaking import open_github, open_slack, open_webhook, turn_for
from riskloop.store import circuits, letters
from riskloop.story import SHOWN, circuit_says, letter_says, waiting_says

_LEAST_FREE = 1 << 30
_SORTS = {"events", "flow_runs"}
_VACUUM = "its vacuum is on if it was started with PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED=events,flow_runs"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One part: its name, whether it is well, and in words how it is or what to do."""

    name: str
    ok: bool
    says: str


def examine(settings: Settings, *, api_url: str, send_test: bool = False) -> tuple[Check, ...]:
    """Examine every part; one that is unwell does not hide another.

    Args:
        api_url: of the running service; empty if none runs. Then a shared server is asked for its settings
            all the same.
        send_test: send one test message to each Slack channel and open one test issue in each repository,
            which is closed again.
    """
    found: list[Check] = []
    register = None
    try:
        register = read_register(settings)
        count = len(register.mitigations())
        found.append(
            Check(name="register", ok=True, says=f"{settings.register}, mitigations to run: {count}")
        )
    except RegisterError as error:
        found.append(Check(name="register", ok=False, says=str(error)))
    found += [_said("git", _git), _said("disk", lambda: _disk(settings)), _prefect(api_url)]
    if server := api_url or settings.prefect_api_url:
        found.append(_said("Prefect's database", lambda: _vacuum(server)))
    try:
        with open_services(settings) as services:
            found.append(_said("store", lambda: _store(services)))
            if found[-1].ok:
                found += [_said("deliveries", lambda: _deliveries(services)), *_circuits(services)]
            if register is not None:
                found += _channels(services, register, send_test=send_test)
    except RiskloopError as error:
        found.append(Check(name="store", ok=False, says=str(error)))
    return tuple(found)


def _said(name: str, examine_one: Callable[[], str]) -> Check:
    try:
        return Check(name=name, ok=True, says=examine_one())
    except RiskloopError as error:
        return Check(name=name, ok=False, says=str(error))


def _git() -> str:
    git = shutil.which("git")
    if git is None:
        raise RiskloopError("git is not on the PATH", remedy="install git 2.30 or newer")
    answer = subprocess.run([git, "--version"], capture_output=True, text=True, check=False, timeout=10)
    return answer.stdout.strip()


def _disk(settings: Settings) -> str:
    place = next(path for path in (settings.state, *settings.state.parents) if path.exists())
    free = shutil.disk_usage(place).free
    words = f"{free / 2**30:.1f} GiB free for {settings.state}"
    if free < _LEAST_FREE:
        raise RiskloopError(words, remedy="free space there, or name another directory with RISKLOOP_STATE")
    return words


def _prefect(api_url: str) -> Check:
    if not api_url:
        return Check(
            name="Prefect", ok=False, says="no service runs on this state directory; run: riskloop up"
        )
    try:
        answer = httpx.get(f"{api_url}/health", timeout=5, trust_env=False)
        well = answer.is_success
    except httpx.HTTPError as error:
        return Check(name="Prefect", ok=False, says=f"{api_url} does not answer ({type(error).__name__})")
    return Check(name="Prefect", ok=well, says=f"{api_url} answers {answer.status_code}")


def _vacuum(server: str) -> str:
    """Ask a Prefect server whether it removes what is old from its own database.

    What the setting may be, `PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED`, and what it means, stands in the
    settings reference of docs.prefect.io: the sorts of rows, true for all of them, false for events alone,
    or null for none.
    """
    local = urlsplit(server).hostname in {"127.0.0.1", "localhost", "::1"}
    untold = RiskloopError(
        f"{server} does not tell whether it removes old runs and events",
        remedy=f"ask whoever runs it; {_VACUUM}",
    )
    try:
        answer = httpx.get(f"{server}/admin/settings", timeout=5, trust_env=not local)
        enabled = answer.raise_for_status().json()["server"]["services"]["db_vacuum"]["enabled"]
    except (httpx.HTTPError, ValueError, LookupError, TypeError) as error:
        raise untold from error
    match enabled:
        case bool():
            removed = _SORTS if enabled else {"events"}
        case None:
            removed = set()
        case list():
            removed = {str(sort) for sort in enabled}
        case _:
            raise untold
    if kept := sorted(_SORTS - removed):
        raise RiskloopError(
            f"{server} never removes old {_words(kept)}, so that it only grows", remedy=_VACUUM
        )
    return f"{server} removes old {_words(sorted(_SORTS))} by itself"


def _words(sorts: Iterable[str]) -> str:
    return " and ".join("runs" if sort == "flow_runs" else sort for sort in sorts)


def _store(services: Services) -> str:
    services.store.require_current()
    return services.store.address


def _deliveries(services: Services) -> str:
    with services.store.reading() as connection:
        counts = letters.count_deliveries(connection)
        newest = letters.list_deliveries(connection, states={"dead"}, limit=SHOWN)
        oldest = letters.oldest_waiting(connection)
    waiting = f"on their way: {waiting_says(counts['pending'] + counts['sending'], oldest, now=now())}"
    if newest:
        said = "; ".join(letter_says(one) for one in newest)
        raise RiskloopError(
            f"{waiting}; that need a person: {counts['dead']}; {said}",
            remedy="see: riskloop deliveries --dead",
        )
    return waiting


def _circuits(services: Services) -> Iterable[Check]:
    with services.store.reading() as connection:
        found = circuits.list_circuits(connection)
    return [
        Check(name=f"token for {name_realm(one.realm)}", ok=False, says=circuit_says(one)) for one in found
    ]


def _channels(services: Services, register: Register, *, send_test: bool) -> Iterable[Check]:
    owners = _told(register)
    repositories = sorted({owner.repository for owner in owners if owner.repository})
    channels = {owner.channel for owner in owners if owner.channel}
    webhook = open_webhook(services)
    lesser = {one for one in channels if webhook and one.workspace not in services.settings.slack_tokens}
    places = sorted(one.place for one in channels - lesser)
    if github := open_github(services):
        found = github.check(repositories)
        if send_test:
            found += [
                _sent(
                    "GitHub",
                    repository,
                    partial(github.send_test, turn=turn_for(services, "github", repository)),
                )
                for repository in repositories
            ]
    else:
        previewed = ", ".join(repositories) or "no repository"
        found = [
            ("GitHub", False, f"no token: issues for {previewed} are previewed; set RISKLOOP_GITHUB_TOKEN")
        ]
    if slack := open_slack(services):
        found += slack.check(places)
        if send_test:
            found += [
                _sent("Slack", place, partial(slack.send_test, turn=turn_for(services, "slack", place)))
                for place in places
            ]
    elif not webhook:
        previewed = ", ".join(places) or "no channel"
        found.append(
            ("Slack", False, f"no token: messages for {previewed} are previewed; set RISKLOOP_SLACK_TOKEN")
        )
    if webhook and lesser:
        told = ", ".join(sorted(one.place for one in lesser))
        says = f"by incoming webhook for {told}: messages can double, and are never updated"
        found.append(("Slack", True, says))
        if send_test:
            turn = turn_for(services, "slack_webhook", "webhook")
            found.append(_sent("Slack", "webhook", partial(webhook.send_test, turn=turn)))
    return [Check(name=name, ok=ok, says=says) for name, ok, says in found]


def _sent(service: str, place: str, send: Callable[[str], Posting]) -> tuple[str, bool, str]:
    name = f"{service} {place}"
    try:
        return name, True, f"took the test: {send(place).url or place}"
    except RiskloopError as error:
        return name, False, str(error)


def _told(register: Register) -> set[Owner]:
    accountable = {mitigation.risk.owners[0] for mitigation in register.mitigations()}
    return accountable | {register.service_owner}
