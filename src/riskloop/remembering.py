"""Gives each look what is known of its mitigation: what people decided, what earlier looks measured."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from riskloop.project import now
from riskloop.risks import Decision, Mitigation, PastLook
from riskloop.services import open_services
from riskloop.settings import Settings
from riskloop.store import history, observations

RECALLED = timedelta(days=14)
"""How far back earlier looks are recalled: two weeks show what a weekend does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What is known of a mitigation.

    Args:
        decisions: what was decided about it and its kind heeds, the newest first.
        past: what earlier looks measured of what its kind recalls, the oldest first.
    """

    decisions: tuple[Decision, ...] = ()
    past: tuple[PastLook, ...] = ()


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
            mitigation: observations.list_measured(connection, mitigation, metrics, since=now() - RECALLED)
            for mitigation, metrics in recalling.items()
            if metrics
        }
    return {
        mitigation.id: Memory(
            decisions=tuple(
                one for one in decided.get(mitigation.id, ()) if one.decision in mitigation.kind.heeds
            ),
            past=past.get(mitigation.id, ()),
        )
        for mitigation in mitigations
    }
