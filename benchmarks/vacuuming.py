"""How fast we check, back up and vacuum a SQLite database, against its own shell doing the same steps."""

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from timing import HEADER, Result, print_row

from riskloop.mitigations.database_vacuum import Settings, measure, mitigate
from riskloop.risks import Site

MEBIBYTE = 1024 * 1024


def make(file: Path, *, size: int) -> None:
    """Write a database of so many bytes with an index, and delete every other thousand rows of it."""
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE events (id INTEGER PRIMARY KEY, name TEXT, body BLOB)")
        connection.execute("BEGIN")
        rows = (
            (number, f"event {number % 1000}", number.to_bytes(8, "big") * 100)
            for number in range(size // 850)
        )
        connection.executemany("INSERT INTO events VALUES (?, ?, ?)", rows)
        connection.execute("CREATE INDEX by_name ON events (name)")
        connection.execute("DELETE FROM events WHERE id / 1000 % 2")
        connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def ours(place: Path) -> tuple[float, float]:
    """Look, then back up, vacuum and check as the flow does; give the seconds of the look, and the rest."""
    site = Site(project=place, state=place / "state", now=datetime.now(UTC), mitigation="bench")
    (place / "state").mkdir(exist_ok=True)
    settings = Settings.model_validate({"database": "app.sqlite", "backups": 1})
    began = time.perf_counter()
    plan = measure(settings, site).plan
    looked = time.perf_counter()
    receipt = mitigate(settings, site, plan, None, warrant="run", approved=False, dry_run=False)
    ended = time.perf_counter()
    assert not receipt.failed, receipt.says
    assert receipt.figures["reclaimed_bytes"] > 0, receipt.says
    return looked - began, ended - looked


def shell(place: Path) -> float:
    """Let SQLite's shell do it: backup, check, vacuum, check; give the seconds."""
    steps = (
        f".backup {place / 'backup.sqlite'}",
        "PRAGMA integrity_check;",
        "VACUUM;",
        "PRAGMA wal_checkpoint(TRUNCATE);",
        "PRAGMA integrity_check;",
    )
    began = time.perf_counter()
    subprocess.run(
        ["sqlite3", str(place / "app.sqlite")],
        input="\n".join(steps),
        text=True,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return time.perf_counter() - began


@contextmanager
def copied(original: Path, place: Path) -> Iterator[Path]:
    """Give a copy of the database to work on, and take it away again."""
    place.mkdir()
    shutil.copyfile(original, place / "app.sqlite")
    os.sync()
    yield place
    shutil.rmtree(place)


def main() -> None:
    """Print the rows; each run works on a copy of the same database, made before the clock runs."""
    size = int(sys.argv[1]) if len(sys.argv) > 1 else 850
    print(HEADER)
    looks, acts, peers = [], [], []
    with tempfile.TemporaryDirectory() as made:
        original = Path(made, "original.sqlite")
        make(original, size=size * MEBIBYTE)
        for turn in range(4):
            with copied(original, Path(made, f"ours-{turn}")) as place:
                look, act = ours(place)
            with copied(original, Path(made, f"peer-{turn}")) as place:
                peer = shell(place)
            if turn:
                looks.append(look)
                acts.append(act)
                peers.append(peer)
    work = f"back up, check, vacuum and check {size} MiB of SQLite, half free, against `sqlite3`"
    print_row(Result(name=work, ours=tuple(acts), peer=tuple(peers), goal=1.05))
    whole = tuple(look + act for look, act in zip(looks, acts, strict=True))
    print_row(Result(name="the same with the look before it", ours=whole, peer=tuple(peers), goal=None))


if __name__ == "__main__":
    main()
