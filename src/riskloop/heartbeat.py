"""Tells a service outside after each round that riskloop is alive and well, or what needs a person.

A service that is dead, or cannot reach the outside, tells nobody: the one outside alarms when it hears
nothing. The convention is that of healthchecks.io ("Pinging API"), which many others follow.
"""

from collections.abc import Sequence
from importlib.metadata import version

import httpx

from riskloop.notifications import name_realm
from riskloop.redaction import redacted
from riskloop.services import Services
from riskloop.settings import Settings
from riskloop.store import circuits, letters

_SECONDS = 10.0
_LONGEST = 10_000
"""Characters of a message: healthchecks.io keeps 100 kB of it, one hosted by oneself 10 kB by default."""


def what_is_wrong(services: Services) -> tuple[str, ...]:
    """List what needs a person although the round went well: tokens that are refused, and dead letters."""
    with services.store.reading() as connection:
        refused = circuits.list_circuits(connection)
        dead = letters.count_deliveries(connection)["dead"]
    found = [f"{name_realm(circuit.realm)}: {circuit.reason}" for circuit in refused]
    if dead:
        found.append(f"deliveries that need a person: {dead}; see: riskloop deliveries --dead")
    return tuple(found)


def beat(settings: Settings, problems: Sequence[str]) -> str:
    """Send one ping: that all is well, or, to the address ending in `/fail`, what is wrong.

    Nothing is sent where no address is set. It never raises for what the other side or the way to it does.

    Args:
        problems: what is wrong, a sentence each; all is well if there are none.

    Returns:
        Why the ping did not arrive; empty if it did. The address is in no word of it: whoever has it can
        ping in our name.
    """
    if settings.heartbeat_url is None:
        return ""
    url = httpx.URL(settings.heartbeat_url.get_secret_value())
    if problems:
        # A query, such as `?create=1`, stays at the end.
        url = url.copy_with(path=f"{url.path.rstrip('/')}/fail")
    body = redacted("\n".join(problems))[:_LONGEST]
    headers = {"user-agent": f"riskloop/{version('riskloop')}", "content-type": "text/plain; charset=utf-8"}
    try:
        answer = httpx.post(url, content=body.encode(), headers=headers, timeout=_SECONDS)
    except httpx.HTTPError as error:
        return f"the heartbeat did not arrive ({type(error).__name__})"
    if not answer.is_success:
        return f"the heartbeat was answered with {answer.status_code}; is RISKLOOP_HEARTBEAT_URL right?"
    return ""
