"""The commands about archived rows: see the archives, read them again, bring rows back."""

from riskloop import tables
from riskloop.cli.place import COULD_NOT, FINE, HERE, Json, Place
from riskloop.databases import locate
from riskloop.errors import Refused, RiskloopError
from riskloop.mitigations.row_archive.restoring import find
from riskloop.mitigations.row_archive.restoring import restore as bring_back
from riskloop.mitigations.row_archive.restoring import verify as read_again
from riskloop.project import site
from riskloop.services import Services, open_services
from riskloop.store import archives
from riskloop.store.archives import Archive
from riskloop.wording import figures

_SHOWN = 20
_LISTED = 10_000


def listing(*, json: Json = False, place: Place = HERE) -> int:
    """List the archives, the newest first, and what came of each.

    Args:
        json: print JSON.
    """
    with open_services(place.settings()) as services, services.store.reading() as connection:
        found = archives.list_archives(connection, limit=_LISTED)
    if json:
        tables.print_json(found)
        return FINE
    rows = [
        (one.id, figures.moment(one.begun_at), one.table, one.rows, figures.size(one.size), _came_to(one))
        for one in found
    ]
    columns = ("archive", "begun", "table", "rows", "size", "state")
    tables.print_table(columns, rows, empty="nothing was ever archived")
    return FINE


def verify(*archive: str, place: Place = HERE) -> int:
    """Read every file of archives again, and compare it with what was written.

    Args:
        archive: their ids, as `riskloop archive list` names them, or their folders; all if none is named.
    """
    damaged = 0
    with open_services(place.settings()) as services:
        names = archive or _verified(services)
        for name in names:
            try:
                found, trouble = read_again(services.store, name)
            except RiskloopError as error:
                trouble = [str(error)]
            if trouble:
                damaged += 1
                for words in trouble[:_SHOWN]:
                    tables.say(f"{name}: {words}")
            else:
                tables.say(f"{name}: {figures.quantity(found.rows, 'rows')} of {found.table} are whole")
    if not names:
        tables.say("nothing was ever archived")
    return COULD_NOT if damaged else FINE


def restore(archive: str, /, *, into: str = "", place: Place = HERE) -> int:
    """Bring archived rows back; what is there stays as it is, and repeating it writes nothing twice.

    Args:
        archive: its id, as `riskloop archive list` and its messages name it, or its folder.
        into: a table to write into, made if it is not there; else the table the rows came from, from which
            the next run would archive them again.
    """
    settings = place.settings()
    with open_services(settings) as services:
        _, found = find(services.store, archive)
        register, _ = services.register()
        known = {one.id: one.settings for one in register.mitigations("row_archive")}
        if found.mitigation not in known:
            raise Refused(
                f"the mitigation {found.mitigation} that made this archive is not in the register",
                rule="no-mitigation",
                remedy="put it back there, so that its database is known",
            )
        database = locate(known[found.mitigation].database, site(register, settings))
        restored = bring_back(services.store, database, archive, into=into)
    for table, rows in restored.rows.items():
        there = restored.there[table]
        more = f"; {figures.quantity(there, 'rows')} were there already" if there else ""
        tables.say(f"brought {figures.quantity(rows, 'rows')} back into {table}{more}")
    for table, keys in restored.in_the_way.items():
        shown = ", ".join(str(key) for key in keys[:_SHOWN])
        more = f" and {len(keys) - _SHOWN} more" if len(keys) > _SHOWN else ""
        tables.say(f"{table} has other rows under these keys, which stay as they are: {shown}{more}")
    return COULD_NOT if restored.in_the_way else FINE


def _verified(services: Services) -> tuple[str, ...]:
    with services.store.reading() as connection:
        found = archives.list_archives(connection, limit=_LISTED)
    return tuple(one.id for one in found if one.verified_at is not None)


def _came_to(archive: Archive) -> str:
    if archive.ended_at is not None:
        return f"{figures.quantity(archive.deleted, 'rows')} deleted"
    return "verified, its rows are being deleted" if archive.verified_at else "being written"
