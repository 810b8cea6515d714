"""The commands that show what is stored: how mitigations stand, and what is open."""

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

from cyclopts import Parameter, validators

from riskloop import tables
from riskloop.cli.place import FINE, HERE, OPEN, Flag, Json, Place
from riskloop.errors import RiskloopError
from riskloop.project import now, read_register
from riskloop.register import Register
from riskloop.services import Services, open_services
from riskloop.status import describe, read_status
from riskloop.store import history

All = Annotated[bool, Parameter(name="--all", negative="")]
Limit = Annotated[int, Parameter(validator=validators.Number(gte=1, lte=10_000))]

MOST = 500
"""So many rows a list shows, unless it is asked for more or fewer."""


@contextmanager
def opened(place: Place) -> Iterator[tuple[Services, Register]]:
    """Read the register, and open the services for a command."""
    settings = place.settings()
    register = read_register(settings)
    with open_services(settings) as services:
        yield services, register


def status(*, json: Json = False, exit_status: Flag = False, place: Place = HERE) -> int:
    """Show how every mitigation stands, where its incident is told, and what is on its way.

    Args:
        json: print JSON.
        exit_status: exit with 3 if anything is open.
    """
    with opened(place) as (services, register):
        found = read_status(services, register)
    if json:
        tables.print_json(found)
    else:
        tables.print_text(describe(found))
    return OPEN if exit_status and found.open else FINE


def incidents(
    *,
    everything: All = False,
    limit: Limit = MOST,
    before: str = "",
    json: Json = False,
    place: Place = HERE,
) -> int:
    """List the open incidents, newest first.

    Args:
        everything: the resolved ones too.
        limit: at most so many, 10,000 at most.
        before: the id of the last one of another page; those that come after it.
        json: print JSON.
    """
    with opened(place) as (services, _), services.store.reading() as connection:
        if before and not history.known_incidents(connection, [before]):
            raise RiskloopError(
                f"there is no incident '{before}'", remedy="give the id of the last one of the page before"
            )
        found = history.list_incidents(connection, resolved=everything, limit=limit + 1, before=before)
    shown = found[:limit]
    if json:
        tables.print_json(shown)
    else:
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
            for incident in shown
        ]
        columns = ("incident", "subject", "concern", "severity", "opened", "resolved", "why")
        empty = f"no incident is older than {before}" if before else "nothing is open"
        tables.print_table(columns, rows, empty=empty)
    if len(found) > limit:
        words = ["--all"] * everything + ["--limit", str(limit)] * (limit != MOST)
        again = shlex.join(["riskloop", "incidents", *words, "--before", shown[-1].id])
        tables.say(f"there are more, and older: {again}")
    return FINE
