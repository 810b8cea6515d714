"""The commands on the register: write a first one, check it, show it."""

from collections import Counter
from pathlib import Path
from shlex import quote

from riskloop import starting, tables
from riskloop.cli.place import FINE, HERE, WRONG, Json, Place
from riskloop.errors import RegisterError
from riskloop.mitigations import kinds
from riskloop.project import read_register
from riskloop.register import check_report, notes
from riskloop.register import show as rank


def init(directory: Path = Path()) -> int:
    """Write a commented first register for the project in a directory, with what is found there.

    Args:
        directory: the project's directory.
    """
    file = starting.write_first_register(directory.absolute(), kinds())
    tables.say(f"wrote {file}; complete it, then: riskloop register check --register {quote(str(file))}")
    return FINE


def check(*, json: Json = False, place: Place = HERE) -> int:
    """Say everything that is wrong with the register, or what is in it.

    Args:
        json: print JSON.
    """
    try:
        register = read_register(place.settings())
    except RegisterError as error:
        if not json:
            raise
        tables.print_json({"register": error.file, "mistakes": error.mistakes})
        return WRONG
    if json:
        count = Counter(mitigation.kind.name for mitigation in register.mitigations())
        found: dict[str, object] = {"register": str(register.path), "mistakes": ()}
        found |= {
            "project": register.project,
            "risks": len(register.risks),
            "mitigations": count,
            "owners": list(register.owners),
        }
        tables.print_json(found | {"service": register.service_owner.name, "notes": notes(register)})
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
    table = [
        (
            row.score,
            f"{row.likelihood} × {row.impact}",  # noqa: RUF001 - a multiplication
            row.id,
            row.title,
            ", ".join(row.owners),
            row.status,
            ", ".join(row.mitigations),
        )
        for row in rows
    ]
    columns = ("score", "likelihood × impact", "risk", "title", "owners", "status", "mitigations")  # noqa: RUF001 - as above
    tables.print_table(columns, table, empty="the register has no risks")
    return FINE
