"""Reminds the owners of incidents that have been open, and silent, for too long."""

from sqlalchemy import Connection

from riskloop.assessing.facts import Occasion
from riskloop.assessing.following import retell
from riskloop.incidents import Concern, Incident, reminder
from riskloop.store import Store, approvals, history, mutes, observations, outbox

_ALL = 100_000


def remind(store: Store, occasion: Occasion) -> tuple[Incident, ...]:
    """Tell again of every open incident whose owner has heard nothing of it for a day or a week.

    What is accepted or silenced is left alone, and so is what tells of many at once; of a decision that is
    owed is reminded by its own deadline. Nothing is written if nobody is to be reminded.
    """
    with store.reading() as connection:
        if not any(_due(one, occasion) for one in _open(connection)):
            return ()
    reminded = []
    with store.writing() as connection:
        observations.lock_every_mitigation(connection)
        due = [one for one in _open(connection) if _due(one, occasion)]
        held = mutes.holding(connection, {one.subject for one in due}, now=occasion.now)
        places = outbox.addressed(connection, [one.id for one in due])
        for incident in due:
            muted = held.get(incident.subject, ())
            transition = reminder(incident, now=occasion.now)
            if transition is None or any(
                mute.hushes(incident.concern, transition.change, incident.severity) for mute in muted
            ):
                continue
            retell(connection, incident, transition, occasion, sorted(places[incident.id]), mutes=muted)
            reminded.append(incident)
    return tuple(reminded)


def _open(connection: Connection) -> tuple[Incident, ...]:
    owed = {approval.mitigation for approval in approvals.list_open(connection)}
    return tuple(
        incident
        for incident in history.list_incidents(connection, resolved=False, limit=_ALL)
        if incident.concern is not Concern.APPROVAL or incident.subject not in owed
    )


def _due(incident: Incident, occasion: Occasion) -> bool:
    return incident.concern is not Concern.FLOOD and reminder(incident, now=occasion.now) is not None
