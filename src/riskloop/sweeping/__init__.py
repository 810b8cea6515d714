"""Once an hour: what people and lost answers did to our issues and messages is noticed, and put in order."""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from riskloop.assessing import Occasion
from riskloop.channels import Turn
from riskloop.errors import GaveUp, Undelivered
from riskloop.identity import Identity
from riskloop.notifications import Route, routes
from riskloop.register import Register
from riskloop.services import Services
from riskloop.speaking import open_github, open_slack, turn_for
from riskloop.store import Store, chores, circuits, history, places
from riskloop.sweeping.place import Place, Swept
from riskloop.sweeping.subjects import list_subjects

__all__ = ["EVERY", "PATIENCE", "Sweeper", "sweep_if_due"]

EVERY = timedelta(minutes=55)
"""How often the places are swept: every hour, by a follow-up that does not begin to the second."""

PATIENCE = timedelta(minutes=3)
"""After so long a sweep begins nothing more."""

_LATELY = timedelta(days=2)
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweeper:
    """Puts every place in order that incidents are told of in.

    Args:
        channels: those that can be spoken to now, by name.
        turn: makes what is called before each write in a place.
        patience: after so long nothing more is begun; the next sweep goes on.
        stopwatch: says how many seconds have passed since any moment.
    """

    store: Store
    channels: Mapping[str, Swept]
    identity: Identity
    turn: Callable[[Route], Turn]
    patience: timedelta = PATIENCE
    stopwatch: Callable[[], float] = time.monotonic

    def sweep(self, register: Register, occasion: Occasion) -> tuple[str, ...]:
        """Sweep every place, and say what was done, a sentence each; one that fails hides no other.

        Raises:
            StoreError: the store cannot be read or written.
        """
        with self.store.reading() as connection:
            found = places.in_use(connection, since=occasion.now - _LATELY)
            refused = {circuit.realm for circuit in circuits.list_circuits(connection)}
            standings = history.standings(connection)
        owners = (*register.owners.values(), register.service_owner)
        found |= {route for owner in owners for route in routes((owner,), occasion.reach)}
        subjects = list_subjects(register, standings, now=occasion.now)
        said: list[str] = []
        ends_at = self.stopwatch() + self.patience.total_seconds()
        for route in sorted(found):
            if self.stopwatch() >= ends_at:
                _log.warning("%s %s is left for the next sweep", route.channel, route.target)
                continue
            if route.channel not in self.channels or route.realm in refused:
                continue
            place = Place(
                store=self.store,
                channel=self.channels[route.channel],
                identity=self.identity,
                route=route,
                turn=self.turn(route),
                subjects=subjects,
                occasion=occasion,
                in_time=lambda: self.stopwatch() < ends_at,
                said=said,
            )
            try:
                place.sweep()
            except Undelivered as error:
                if isinstance(error, GaveUp) and error.authentication:
                    refused.add(route.realm)
                _log.warning("%s %s could not be swept: %s", route.channel, route.target, error)
                said.append(f"{route.channel} {route.target} could not be swept: {error}")
        return tuple(said)


def sweep_if_due(services: Services, register: Register, occasion: Occasion) -> tuple[str, ...]:
    """Sweep once an hour, whichever worker comes first; say what was done, a sentence each.

    Raises:
        StoreError: the store cannot be read or written.
    """
    with services.store.writing() as connection:
        if not chores.take(connection, "sweep", every=EVERY, now=occasion.now):
            return ()
    opened: dict[str, Swept | None] = {"github": open_github(services), "slack": open_slack(services)}
    sweeper = Sweeper(
        store=services.store,
        channels={name: channel for name, channel in opened.items() if channel},
        identity=services.identity,
        turn=lambda route: turn_for(services, route.channel, route.target),
    )
    return sweeper.sweep(register, occasion)
