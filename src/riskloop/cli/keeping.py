"""The commands that keep the service in order: what is wrong where, and the store."""

from pathlib import Path

from riskloop import doctor as parts
from riskloop import tables
from riskloop.cli.place import COULD_NOT, FINE, HERE, Flag, Json, Place
from riskloop.state_directory import prepare
from riskloop.store import open_store


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


def upgrade(*, place: Place = HERE) -> int:
    """Bring the store's tables to this program's version."""
    settings = place.settings()
    prepare(settings.state)
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
