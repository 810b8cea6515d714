"""Carries out a person's word that what upstream did, up to some commit, need not be brought here."""

from dataclasses import dataclass

from pydantic import TypeAdapter

from riskloop.attribution import attributed
from riskloop.mitigations import upstream_drift
from riskloop.mitigations.upstream_drift.standing import ACKNOWLEDGE
from riskloop.project import now, site
from riskloop.redaction import without_secrets
from riskloop.register import Register
from riskloop.risks import Mitigation
from riskloop.services import Services
from riskloop.store import history, observations

_details = TypeAdapter(dict[str, str])


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledged:
    """What acknowledging came to.

    Args:
        says: in one sentence, without a full stop.
        commit: up to which upstream is acknowledged: 40 hexadecimal digits.
    """

    says: str
    commit: str


def acknowledge_upstream(
    services: Services, register: Register, mitigation: Mitigation, commit: str, *, who: str, why: str
) -> Acknowledged:
    """Record that upstream is reviewed up to a commit, from which is counted from then on.

    The same commit acknowledged twice in a row is recorded once, with the first name and reason.

    Args:
        commit: of the followed branch and after the pin; may be abbreviated, or a tag.

    Raises:
        Refused: no name or reason is given, or the commit is none of those; nothing was changed.
        Unmeasurable: upstream cannot be looked at.
        StoreError: the store cannot be written.
    """
    who, why = attributed(who, why)
    place = site(register, services.settings)
    full, upstream = upstream_drift.acknowledge(mitigation.settings, place, commit.strip())
    acknowledged = {"commit": full, "upstream": upstream}
    with services.store.writing() as connection:
        observations.lock_every_mitigation(connection)
        found = history.list_decisions(connection, [mitigation.id], [ACKNOWLEDGE])[mitigation.id]
        if found and found[0].details == acknowledged:
            who, why = found[0].who, found[0].why
        else:
            moment = now()
            number = history.add_decision(
                connection, ACKNOWLEDGE, mitigation=mitigation.id, who=who, why=why, at=moment
            )
            history.complete_decision(
                connection, number, details=_details.dump_json(acknowledged).decode(), at=moment
            )
    says = f"upstream acknowledged up to {full[:12]} by {who}: {why}"
    return Acknowledged(says=without_secrets(says), commit=full)
