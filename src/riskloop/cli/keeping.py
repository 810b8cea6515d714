"""The commands that keep the service in order: the register, the store, and what is wrong where."""

from dataclasses import fields
from pathlib import Path

from riskloop import doctor as parts
from riskloop import starting, tables
from riskloop.cli.place import COULD_NOT, FINE, HERE, Flag, Json, Place
from riskloop.mitigations import kinds
from riskloop.register import Ranked, check_report
from riskloop.register import show as rank
from riskloop.services import read_register
from riskloop.store import open_store


def init(directory: Path = Path()) -> int:
    """Write a commented first register for the project in a directory, with what is found there.

    Args:
        directory: the project's directory.
    """
    file = starting.write_first_register(directory.absolute(), kinds())
    tables.say(f"wrote {file}; complete it, then: riskloop register check --register {file}")
    return FINE


def doctor(
    *,
    send_test: Flag = False,
    json: Json = False,
    place: Place = HERE,
) -> int:
    """Examine every part, one line each, and say what to do where one is unwell.

    Args:
        send_test: also send a test message to each Slack channel, and open and close a test issue.
        json: print JSON.
    """
    from deployments.directory import running_service  # noqa: PLC0415 - stands over us in the layers

    settings = place.settings()
    running = running_service(settings.state)
    found = parts.examine(settings, api_url=running.api_url if running else "", send_test=send_test)
    if json:
        tables.print_json(found)
    else:
        rows = [("ok" if one.ok else "no", one.name, one.says) for one in found]
        tables.print_table(("", "part", "how it is"), rows, empty="")
    return FINE if all(one.ok for one in found) else COULD_NOT


def check(*, json: Json = False, place: Place = HERE) -> int:
    """Say everything that is wrong with the register, or what is in it.

    Args:
        json: print JSON.
    """
    register = read_register(place.settings())
    if json:
        tables.print_json({"register": str(register.path), "found": check_report(register)})
    else:
        tables.print_text(check_report(register))
    return FINE


def show(*, json: Json = False, place: Place = HERE) -> int:
    """Show the risks by score: likelihood times impact, from 1 to 12.

    Args:
        json: print JSON.
    """
    rows = rank(read_register(place.settings()))
    if json:
        tables.print_json(rows)
        return FINE
    columns = [field.name for field in fields(Ranked)]
    table = [[_words(getattr(row, column)) for column in columns] for row in rows]
    tables.print_table(columns, table, empty="the register has no risks")
    return FINE


def upgrade(*, place: Place = HERE) -> int:
    """Bring the store's tables to this program's version."""
    settings = place.settings()
    store = open_store(settings.store_url.get_secret_value())
    store.upgrade()
    tables.say(f"the store {store.address} is current")
    return FINE


def backup(to: Path, *, place: Place = HERE) -> int:
    """Copy a SQLite store to a new file while it is in use, and check the copy.

    Args:
        to: the file to write; it must not exist.
    """
    store = open_store(place.settings().store_url.get_secret_value())
    store.require_current()
    store.backup(to.absolute())
    tables.say(f"wrote {to}")
    return FINE


def _words(value: object) -> str:
    return ", ".join(str(one) for one in value) if isinstance(value, tuple) else str(value)
