"""The command about databases that are looked after: what one is made of now is how it should be."""

from dataclasses import replace
from pathlib import Path

from riskloop import tables
from riskloop.cli.place import FINE, HERE, Place
from riskloop.databases import locate
from riskloop.mitigations.database_vacuum.looking import look_at
from riskloop.mitigations.database_vacuum.schema import learnt_file, write_schema
from riskloop.project import read_register, site
from riskloop.state_directory import prepare


def learn(mitigation: str, /, *, to: Path | None = None, place: Place = HERE) -> int:
    """Learn anew what a database is made of: from now on it should be as it is.

    Args:
        mitigation: the id of a database_vacuum mitigation.
        to: a file to write it to instead, for the register to name as `schema`.
    """
    settings = place.settings()
    register = read_register(settings)
    (chosen,) = register.mitigations("database_vacuum", only=[mitigation])
    prepare(settings.state)
    where = replace(site(register, settings), mitigation=chosen.id)
    database = locate(chosen.settings.database, where)
    schema = look_at(database, chosen.settings, check=False).schema or {}
    file = to.absolute() if to else learnt_file(settings.state, chosen.id)
    write_schema(file, schema)
    tables.say(f"{database.shown} should be made of what it is made of now, {len(schema)} things: {file}")
    return FINE
