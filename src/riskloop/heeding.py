"""Gives each look what people decided about its mitigation, so that it is not asked for again."""

from collections.abc import Mapping, Sequence

from riskloop.risks import Decision, Mitigation
from riskloop.services import open_services
from riskloop.settings import Settings
from riskloop.store import history


def heeded(settings: Settings, mitigations: Sequence[Mitigation]) -> Mapping[str, tuple[Decision, ...]]:
    """Read what was decided about these mitigations and their kinds heed, by id, the newest first.

    The store is opened only if some kind among theirs heeds anything.

    Raises:
        StoreError: the store cannot be read.
    """
    names = {name for mitigation in mitigations for name in mitigation.kind.heeds}
    nothing: dict[str, tuple[Decision, ...]] = {mitigation.id: () for mitigation in mitigations}
    if not names:
        return nothing
    heeding = {mitigation.id: mitigation.kind.heeds for mitigation in mitigations if mitigation.kind.heeds}
    with open_services(settings) as services, services.store.reading() as connection:
        found = history.list_decisions(connection, heeding, names)
    return nothing | {
        mitigation: tuple(one for one in found[mitigation] if one.decision in heeds)
        for mitigation, heeds in heeding.items()
    }
