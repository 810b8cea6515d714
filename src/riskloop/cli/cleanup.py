"""The commands about directories that are cleaned up: mark one, see what was removed, bring it back."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from riskloop import tables
from riskloop.cli.place import COULD_NOT, FINE, HERE, Json, Place
from riskloop.mitigations.ttl_cleanup.grounds import refuse_unfit, standing_on
from riskloop.mitigations.ttl_cleanup.marking import mark
from riskloop.mitigations.ttl_cleanup.restoring import restore as put_back
from riskloop.mitigations.ttl_cleanup.telling import shown
from riskloop.services import open_services
from riskloop.store import removals
from riskloop.store.removals import Removal
from riskloop.wording import figures

_SHOWN = 20
_LISTED = 1_000


def init(directory: Path, /, *, place: Place = HERE) -> int:
    """Mark a directory as one in which everything past its time may be removed; also says the clock is right.

    Args:
        directory: the directory that the register names; nothing in it is changed.
    """
    settings = place.settings()
    given = directory.absolute()
    with standing_on(given.parent, Path(given.name)) as ground:
        refuse_unfit(ground, project=settings.register.parent, state=settings.state)
        fresh = mark(ground, state=settings.state)
    tables.say(
        f"{given} is marked{'' if fresh else ' as before'}: what the register says of it may be removed"
    )
    return FINE


def listing(*, json: Json = False, place: Place = HERE) -> int:
    """List what was removed, the newest first, and until when it can be brought back.

    Args:
        json: print JSON.
    """
    with open_services(place.settings()) as services, services.store.reading() as connection:
        found = removals.list_removals(connection, limit=_LISTED)
    if json:
        tables.print_json(found)
        return FINE
    rows = [
        (one.id, figures.moment(one.begun_at), one.mitigation, one.files, figures.size(one.size), _until(one))
        for one in found
    ]
    columns = ("removal", "begun", "mitigation", "files", "size", "can be brought back")
    tables.print_table(columns, rows, empty="nothing was ever removed")
    return FINE


def restore(
    run: str, /, *paths: Annotated[str, Parameter(allow_leading_hyphen=True)], place: Place = HERE
) -> int:
    """Put back what a removal took out, where it was, with its mode and times; nothing is overwritten.

    Args:
        run: the removal's id, as `riskloop cleanup list` and its messages name it.
        paths: what to put back, as paths from the directory, folders whole; all of it if none is named.
    """
    settings = place.settings()
    with open_services(settings) as services:
        restored = put_back(services.store, settings.state, run, paths)
    tables.say(f"put back {figures.quantity(restored.files, 'files')} of {figures.size(restored.size)}")
    for path in restored.in_the_way[:_SHOWN]:
        tables.say(f"{shown(path)} stays in quarantine: something stands in its place now")
    for words in restored.failed[:_SHOWN]:
        tables.say(f"could not be put back: {shown(words)}")
    for path in restored.unknown:
        tables.say(f"{shown(path)} is not in this removal")
    hidden = sum(max(0, len(found) - _SHOWN) for found in (restored.in_the_way, restored.failed))
    if hidden:
        tables.say(f"and {hidden} more")
    return COULD_NOT if restored.in_the_way or restored.failed or restored.unknown else FINE


def _until(removal: Removal) -> str:
    if not removal.quarantine or removal.purge_at == removal.begun_at:
        return "no: it was deleted at once"
    if removal.purged_at is not None:
        return f"no longer: nothing is left in quarantine since {figures.moment(removal.purged_at)}"
    return f"until {figures.moment(removal.purge_at)}" if removal.purge_at else ""
