"""What an open issue or message may be about, where the store does not know its incident."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from riskloop.assessing import SERVICE
from riskloop.assessing.flooding import flood_subject
from riskloop.channels.markers import about
from riskloop.incidents import Concern
from riskloop.register import Register
from riskloop.store.history import Standing
from riskloop.thresholds import Verdict

CLOCKS_DIFFER = timedelta(minutes=10)
"""How far the clocks of a channel and of this machine may be apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A subject and a concern that the register gives rise to, without an open incident.

    Args:
        well_at: when we last found that there is no such concern; None if we have not looked, or it is not
            for a look to say.
    """

    name: str
    concern: Concern
    well_at: datetime | None

    @property
    def is_over(self) -> str:
        """Why what tells of it is closed, where it was found well since."""
        if self.concern is Concern.APPROVAL:
            return f"no decision is owed about {self.name}"
        return f"{self.name} was found well since it was posted"

    def was_well_after(self, moment: datetime) -> bool:
        """Say whether it was found well after something was posted, whatever clock that goes by."""
        return self.well_at is not None and self.well_at > moment + CLOCKS_DIFFER


def list_subjects(
    register: Register, standings: Mapping[str, Standing], *, now: datetime
) -> dict[str, Subject]:
    """List everything that the register may give rise to, as markers shorten it."""
    found = [Subject(name=SERVICE, concern=Concern.BLIND, well_at=now)]
    looks = []
    for mitigation in register.mitigations():
        stands = standings.get(mitigation.id)
        looks.append(stands.last_look_at if stands else None)
        verdict = stands.verdict if stands else Verdict.UNKNOWN
        seen_at = looks[-1] if verdict is not Verdict.UNKNOWN else None
        found += [
            Subject(
                name=mitigation.id,
                concern=Concern.BREACH,
                well_at=seen_at if verdict is Verdict.OK else None,
            ),
            Subject(name=mitigation.id, concern=Concern.BLIND, well_at=seen_at),
            # Each look asks anew for what must be approved; what it asked for is open, and not among these.
            Subject(name=mitigation.id, concern=Concern.APPROVAL, well_at=seen_at),
        ]
    found += [
        Subject(name=f"risk:{risk.id}", concern=Concern.OVERDUE, well_at=None) for risk in register.risks
    ]
    # What told of many at once is over when each of them has been looked at, and told of by itself.
    seen_all = [look for look in looks if look is not None]
    settled_at = min(seen_all) if seen_all and len(seen_all) == len(looks) else None
    found += [
        Subject(name=flood_subject(owner), concern=Concern.FLOOD, well_at=settled_at)
        for owner in register.owners
    ]
    return {about(one.name, one.concern): one for one in found}
