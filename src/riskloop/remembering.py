"""Gives each look what is known of its mitigation: what people decided, what earlier looks measured."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from riskloop.project import now
from riskloop.risks import Decision, Mitigation, PastLook, Site
from riskloop.services import open_services
from riskloop.settings import Settings
from riskloop.store import chores, history, observations

RECALLED = timedelta(days=400)
"""How far back earlier looks are recalled: a monthly look is to know the same month of last year."""

MOST = 200
"""So many earlier looks at most are recalled, the newest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What is known of a mitigation.

    Args:
        decisions: what was decided about it and its kind heeds, the newest first.
        past: what earlier looks measured of what its kind recalls, the oldest first.
        succeeded_at: when it was last mitigated without a failure; None if never.
        waited_since: when that was first tried; None if never.
    """

    decisions: tuple[Decision, ...] = ()
    past: tuple[PastLook, ...] = ()
    succeeded_at: datetime | None = None
    waited_since: datetime | None = None

    def at(self, place: Site) -> Site:
        """Give a place with what is known of the mitigation there."""
        return replace(
            place,
            decisions=self.decisions,
            past=self.past,
            succeeded_at=self.succeeded_at,
            waited_since=self.waited_since,
        )


def remembered(settings: Settings, mitigations: Sequence[Mitigation]) -> Mapping[str, Memory]:
    """Read what is known of these mitigations, by id.

    The store is opened only if some kind among theirs heeds or recalls anything.

    Raises:
        StoreError: the store cannot be read.
    """
    names = {name for mitigation in mitigations for name in mitigation.kind.heeds}
    recalling = {mitigation.id: mitigation.kind.recalls for mitigation in mitigations}
    if not names and not any(recalling.values()):
        return {mitigation.id: Memory() for mitigation in mitigations}
    heeding = {mitigation.id: mitigation.kind.heeds for mitigation in mitigations if mitigation.kind.heeds}
    with open_services(settings) as services, services.store.reading() as connection:
        decided = history.list_decisions(connection, heeding, names)
        past = {
            mitigation: observations.list_measured(
                connection, mitigation, metrics, since=now() - RECALLED, most=MOST
            )
            for mitigation, metrics in recalling.items()
            if metrics
        }
        acting = [mitigation.id for mitigation in mitigations if mitigation.kind.mitigate is not None]
        tried = {name: chores.tried(connection, name) for name in acting}
    return {
        mitigation.id: Memory(
            decisions=tuple(
                one for one in decided.get(mitigation.id, ()) if one.decision in mitigation.kind.heeds
            ),
            past=past.get(mitigation.id, ()),
            succeeded_at=tried[mitigation.id].succeeded_at if mitigation.id in tried else None,
            waited_since=tried[mitigation.id].waited_since if mitigation.id in tried else None,
        )
        for mitigation in mitigations
    }
