"""The commands for what is told to whom: deliveries, and why somebody was told, or nobody was."""

import shlex
from collections.abc import Sequence
from typing import Annotated

from cyclopts import App, ArgumentCollection, Group, Parameter, validators

from riskloop import tables
from riskloop.cli.place import COULD_NOT, FINE, HERE, Flag, Json, Place
from riskloop.cli.showing import MOST, All, Limit, opened
from riskloop.errors import RiskloopError
from riskloop.project import now
from riskloop.redelivery import Outcome, Shown, drop, retry, show
from riskloop.register.mistakes import hint
from riskloop.store import circuits, letters, timeline
from riskloop.store.marks import Page, read_mark
from riskloop.story import deliveries_stand, tell
from riskloop.wording.escaping import visible

_NEWEST = 200


def _named_or_all(arguments: ArgumentCollection) -> None:
    if sum(argument.has_tokens for argument in arguments) != 1:
        raise ValueError("name deliveries, or give --all")


_HowMany = Group("How many", validator=validators.mutually_exclusive)
_Which = Group("Which", default_parameter=Parameter(negative=""), validator=_named_or_all)

app = App(name="deliveries", help="List what is on its way to a channel; show it, send it again, drop it.")


@app.default
@app.command(name="list")
def list_deliveries(
    *,
    dead: Flag = False,
    everything: All = False,
    json: Json = False,
    place: Place = HERE,
) -> int:
    """List what is on its way to a channel, or cannot be delivered, newest first.

    Args:
        dead: only those that need a person.
        everything: those too that arrived or were dropped, up to 500.
        json: print JSON.
    """
    states = {"dead"} if dead else {"pending", "sending", "dead"}
    if everything and not dead:
        states |= {"done"}
    with opened(place) as (services, _), services.store.reading() as connection:
        found = letters.list_deliveries(connection, states=states, limit=MOST, dropped=everything)
        broken = circuits.list_circuits(connection)
    if json:
        tables.print_json(found)
        return FINE
    stands = deliveries_stand(reversed(found), broken, now=now())
    rows = [
        (
            one.id,
            one.subject,
            one.change,
            f"{one.channel} {one.target}",
            "dropped" if one.dropped else one.state,
            one.attempts,
            visible(stands[one.id] if one.unfinished else one.dropped or one.last_error),
        )
        for one in found
    ]
    columns = ("delivery", "subject", "what", "where", "state", "attempts", "why")
    tables.print_table(columns, rows, empty="everything was delivered")
    return FINE


@app.command(name="show")
def show_delivery(name: str, /, *, json: Json = False, place: Place = HERE) -> int:
    """Show everything about one delivery: how it stands, why, and the words that are sent.

    Args:
        name: its id, as the list has it.
        json: print JSON.
    """
    with opened(place) as (services, _):
        found = show(services, name, now=now())
    if json:
        tables.print_json(found)
    else:
        tables.print_text(_shown(found))
    return FINE


@app.command(name="retry")
def retry_deliveries(
    *names: Annotated[str, Parameter(group=_Which)],
    everything: Annotated[bool, Parameter(name="--all", group=_Which)] = False,
    json: Json = False,
    place: Place = HERE,
) -> int:
    """Send dead letters again; what may have arrived is looked for first.

    Args:
        names: their ids.
        everything: every one that nobody dropped.
        json: print JSON.
    """
    del everything  # No name is all of them.
    with opened(place) as (services, _):
        return _print(retry(services.store, names, now=now()), json=json, empty="there is no dead letter")


@app.command(name="drop")
def drop_deliveries(
    *names: Annotated[str, Parameter(required=True)],
    who: str,
    why: str,
    json: Json = False,
    place: Place = HERE,
) -> int:
    """Drop deliveries: they are not sent, and need nobody any more.

    Args:
        names: the ids of dead letters, or of deliveries that wait.
        who: your name; recorded as claimed, not proven.
        why: why nobody need be told.
        json: print JSON.
    """
    with opened(place) as (services, _):
        return _print(drop(services.store, names, who=who, why=why, now=now()), json=json, empty="")


def why(
    name: str,
    /,
    *,
    everything: Annotated[bool, Parameter(name="--all", negative="", group=_HowMany)] = False,
    limit: Annotated[Limit | None, Parameter(group=_HowMany)] = None,
    before: str = "",
    json: Json = False,
    place: Place = HERE,
) -> int:
    """Tell what was seen, decided and told of something, and each time why somebody was told, or nobody.

    Args:
        name: a mitigation's id, an incident's, or `service` for riskloop itself.
        everything: all of it, not only the newest 200 entries.
        limit: only the newest so many entries, 10,000 at most.
        before: a moment, or an entry's `mark` as JSON has it; only what came before it.
        json: print JSON.
    """
    most = limit or (None if everything else _NEWEST)
    page = Page(limit=most, before=read_mark(before) if before else None)
    with opened(place) as (services, register), services.store.reading() as connection:
        configured = {mitigation.id: mitigation for mitigation in register.configured}
        found = timeline.find_subject(connection, name)
        if found is None and name not in {*configured, "service"}:
            known = [*configured, "service", *timeline.known_names(connection, limit=MOST)]
            raise RiskloopError(
                f"there is no mitigation or incident '{name}'",
                remedy=hint(name, known, otherwise="there are"),
            )
        subject, incident = found or (name, "")
        mitigation = configured.get(subject)
        metrics = mitigation.thresholds if mitigation else ()
        past = timeline.read_past(connection, subject, incident=incident, metrics=metrics, page=page)
    told = tell(past, mitigation, now=now())
    entries = told if most is None else told[-most:]
    if json:
        tables.print_json(entries)
    else:
        rows = [(f"{one.at:%Y-%m-%d %H:%M:%S}", one.what, one.id, one.says, one.why) for one in entries]
        columns = ("when (UTC)", "what", "id", "happened", "who was told, and why")
        empty = f"nothing has happened to {name} {f'before {before}' if before else 'yet'}"
        tables.print_table(columns, rows, empty=empty)
    if len(told) > len(entries):
        fewer = ["--limit", str(limit)] if limit else []
        again = shlex.join(["riskloop", "why", name, *fewer, "--before", entries[0].mark])
        tables.say(f"these are the newest {len(entries)}; those before them: {again}")
        tables.say(f"all of them: {shlex.join(['riskloop', 'why', name, '--all'])}")
    return FINE


def _shown(found: Shown) -> str:
    one, moment = found.delivery, now()
    told = f"{one.change}: {found.why}" if found.why else one.change
    rows = [
        ("delivery", one.id),
        ("subject", one.subject),
        ("incident", one.incident),
        ("what", told),
        ("where", f"{one.channel} {one.target}, for {one.owner}"),
        ("told in", found.url),
        ("state", "dropped" if one.dropped else one.state),
        ("how it stands", found.stands),
        ("made", tables.ago(one.created_at, moment)),
        ("attempts", one.attempts),
        ("first attempt", tables.ago(one.first_attempt_at, moment) if one.first_attempt_at else ""),
        ("last attempt", tables.ago(one.attempted_at, moment) if one.attempted_at else ""),
        ("why it failed", one.last_error),
        ("perhaps arrived", tables.ago(one.uncertain_since, moment) if one.uncertain_since else ""),
        ("next attempt", f"{one.not_before:%Y-%m-%d %H:%M:%S} UTC" if one.not_before else ""),
        ("held until", f"{one.lease_until:%Y-%m-%d %H:%M:%S} UTC" if one.lease_until else ""),
        ("to send it again", found.to_retry),
    ]
    lines = [f"{name:<16}  {visible(str(value))}" for name, value in rows if value != ""]
    words = found.wording.rstrip() or "nothing: the incident was never told there"
    return "\n".join([*lines, "", "What is sent:", "", words])


def _print(outcomes: Sequence[Outcome], *, json: bool, empty: str) -> int:
    if json:
        tables.print_json(outcomes)
    else:
        rows = [("ok" if one.done else "no", one.id, one.says) for one in outcomes]
        tables.print_table(("", "delivery", "what became of it"), rows, empty=empty)
    return FINE if all(one.done for one in outcomes) else COULD_NOT
