"""The command by which a person decides that what upstream did need not be brought here."""

from typing import Annotated

from cyclopts import Parameter

from riskloop.cli.place import HERE, Place
from riskloop.cli.running import run_flows
from riskloop.project import read_register


def acknowledge(
    mitigation: str,
    /,
    *,
    to: str,
    who: str,
    reason: Annotated[str, Parameter(name=("--reason", "--why"))],
    place: Place = HERE,
) -> int:
    """Count from a later upstream commit, without a bump: what came before it is of no concern.

    Args:
        mitigation: the id of an upstream_drift mitigation.
        to: the last upstream commit that was reviewed; abbreviated, or a tag.
        who: your name; recorded as claimed, not proven.
        reason: why it need not be brought here.
    """
    settings = place.settings()
    register = read_register(settings)
    register.mitigations("upstream_drift", only=[mitigation])
    given = {"mitigation": mitigation, "commit": to, "who": who, "reason": reason}
    return run_flows(settings, register, {"acknowledge_upstream": given})
