"""The commands by which a person decides what need not be told: accept an incident, silence a mitigation."""

from collections.abc import Callable
from typing import Annotated

from cyclopts import ArgumentCollection, Group, Parameter

from riskloop import accepting, tables
from riskloop.accepting import Decided, end_early, read_until
from riskloop.assessing import Occasion
from riskloop.cli.place import FINE, HERE, Place
from riskloop.mutes import Muting
from riskloop.notifications import Links
from riskloop.project import now, read_register
from riskloop.register import Register
from riskloop.services import Services, open_services


def _one_of_them(arguments: ArgumentCollection) -> None:
    if sum(argument.has_tokens for argument in arguments) != 1:
        raise ValueError("give either --until, with a day, or --end")


_When = Group("When", default_parameter=Parameter(negative=""), validator=_one_of_them)
Until = Annotated[str | None, Parameter(group=_When)]
End = Annotated[bool, Parameter(group=_When)]


def accept(
    name: str, /, *, until: Until = None, end: End = False, who: str, why: str, place: Place = HERE
) -> int:
    """Accept an open incident as it stands: it is told of again when it worsens, or when the time is over.

    Args:
        name: the incident, or a mitigation that has one open.
        until: the last day (2027-01-31, in UTC), or how many days from now (30d); at most 180 days.
        end: end what was accepted before its time instead.
        who: your name; recorded as claimed, not proven.
        why: why it may stand.
    """

    def decide(services: Services, register: Register, at: Occasion) -> Decided:
        if end or until is None:
            return end_early(services, name, Muting.ACCEPTED, who=who, why=why, at=at)
        day = read_until(until, now=at.now)
        return accepting.accept(services, register, name, until=day, who=who, why=why, at=at)

    return _carry_out(place, decide)


def silence(
    mitigation: str, /, *, until: Until = None, end: End = False, who: str, why: str, place: Place = HERE
) -> int:
    """Tell nothing of a mitigation, whatever happens to it, until the time is over; then, how it stands.

    Args:
        mitigation: its id, whether or not it has an open incident.
        until: the last day (2027-01-31, in UTC), or how many days from now (30d); at most 180 days.
        end: end the silence before its time instead.
        who: your name; recorded as claimed, not proven.
        why: why nobody need hear.
    """

    def decide(services: Services, register: Register, at: Occasion) -> Decided:
        if end or until is None:
            return end_early(services, mitigation, Muting.SILENCED, who=who, why=why, at=at)
        day = read_until(until, now=at.now)
        return accepting.silence(services, register, mitigation, until=day, who=who, why=why, at=at)

    return _carry_out(place, decide)


def _carry_out(place: Place, decide: Callable[[Services, Register, Occasion], Decided]) -> int:
    settings = place.settings()
    register = read_register(settings)
    with open_services(settings) as services:
        decided = decide(services, register, _occasion(services, register))
    tables.say(decided.says)
    if decided.told:
        tables.say("it is told where the incident is, within ten minutes while the service runs")
    return FINE


def _occasion(services: Services, register: Register) -> Occasion:
    """Describe this command as the occasion of a decision: there is no flow run, and no address of a form."""
    return Occasion(
        project=register.project,
        run="",
        register_digest=register.digest,
        reach=services.reach(events=False),
        links=Links(),
        evidence=services.settings.state / "evidence",
        now=now(),
    )
