"""Child processes of the proof that a vacuum may be killed anywhere: one vacuums, one writes meanwhile."""

import resource
import select
import sqlite3
import sys
import time
from contextlib import closing
from pathlib import Path

from riskloop.errors import RiskloopError
from tests.mitigations.shelter import Shelter

WRITES_A_SECOND = 200


def vacuum(project: Path, state: Path, limit: int) -> None:
    """Look and vacuum once, and say what came of it.

    Args:
        limit: bytes that no file may grow beyond, as on a full disk; 0 for none.
    """
    shelter = Shelter(project=project, state=state)
    plan = shelter.plan()
    if limit:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    sys.stdout.write("begun\n")
    sys.stdout.flush()
    try:
        sys.stdout.write(shelter.act(plan).says)
    except RiskloopError as error:
        sys.stdout.write(f"refused: {error}")


def write(file: Path, acknowledged: Path) -> None:
    """Add rows at a steady pace until standard input is closed; note what was acknowledged."""
    connecting = closing(sqlite3.connect(file, isolation_level=None, timeout=10))
    with connecting as connection, acknowledged.open("w", encoding="ascii") as log:
        began, number = time.monotonic(), 1_000_000
        while not _is_over(began + (number - 1_000_000) / WRITES_A_SECOND):
            connection.execute("INSERT INTO sessions VALUES (?, 'written', NULL)", (number,))
            log.write(f"{number}\n")
            log.flush()
            number += 1


def _is_over(moment: float) -> bool:
    """Wait for a moment, or for the end of standard input, whichever is first."""
    wait = max(0.0, moment - time.monotonic())
    return bool(select.select([sys.stdin], [], [], wait)[0])


if __name__ == "__main__":
    if sys.argv[1] == "vacuum":
        vacuum(Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]))
    else:
        write(Path(sys.argv[2]), Path(sys.argv[3]))
