"""Who decided something and why: both are needed, on one line each, and are recorded as claimed."""

from riskloop.errors import Refused

LONGEST_NAME = 100
"""Characters of a name: it stands in one line of an issue."""

LONGEST_REASON = 1_000
"""Characters of a reason: it stands in every message about what was decided."""


def attributed(who: str, why: str) -> tuple[str, str]:
    """Bring a name and a reason into one line each.

    Raises:
        Refused: one is missing, or too long.
    """
    who, why = " ".join(who.split()), " ".join(why.split())
    if not who or not why:
        raise Refused("a decision needs a name and a reason", rule="decision", remedy="give both")
    if len(who) > LONGEST_NAME or len(why) > LONGEST_REASON:
        raise Refused(
            f"the name has {len(who)} characters and the reason {len(why)}",
            rule="decision",
            remedy=f"write at most {LONGEST_NAME} and {LONGEST_REASON:,}",
        )
    return who, why
