"""The commands that show what is stored: how mitigations stand, and what is open."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

from cyclopts import Parameter

from riskloop import tables
from riskloop.cli.place import FINE, HERE, OPEN, Flag, Json, Place
from riskloop.project import now, read_register
from riskloop.register import Register
from riskloop.services import Services, open_services
from riskloop.status import describe, read_status
from riskloop.store import history

All = Annotated[bool, Parameter(name="--all", negative="")]


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
    json: Json = False,
    place: Place = HERE,
) -> int:
    """List the open incidents, newest first.

    Args:
        everything: the resolved ones too, up to 500.
        json: print JSON.
    """
    with opened(place) as (services, _), services.store.reading() as connection:
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
