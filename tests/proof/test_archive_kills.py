"""Archiving is killed anywhere, and its disk is full at any size, while others write: no row is ever lost."""

import json
import os
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any

import psycopg
import pytest

from riskloop.mitigations.row_archive import manifest, verifying
from tests.mitigations.conftest import fresh_database
from tests.mitigations.stacks import EVENTS, POSTGRES_EVENTS, VARIABLE, Stack, begin
from tests.proof.seeding import SEED

TOP = Path(__file__).parents[2]
ROWS = 20_000
MORE = 4_000
"""Old rows that are there anew for each kill."""
PER_SECOND = 200
OLDEST = "2024-05-05 00:00:00"


def digest(row: tuple[Any, ...]) -> str:
    return sha256(repr(row).encode()).hexdigest()


@dataclass(kw_only=True)
class Ledger:
    """What must be there: of each row, the digest of what was last acknowledged.

    Args:
        worst: the longest that a write of ours took, in seconds.
    """

    stack: Stack
    rows: dict[int, str] = field(default_factory=dict)
    writes: int = 0
    worst: float = 0.0
    trouble: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def begin(self) -> None:
        self.rows = {row[0]: digest(row) for row in self.stack.rows()}

    def add_old(self, first: int) -> None:
        """Put old rows into the table."""
        with self.lock:
            rows = [
                (first + number, OLDEST, f"old {number}", b"\0" * (number % 90), number / 3)
                for number in range(MORE)
            ]
            with connected(self.stack) as connection:
                for row in rows:
                    write(self.stack, connection, INSERT, row)
                connection.commit()
            self.rows |= {row[0]: digest(shown(self.stack, row)) for row in rows}

    def write_on(self, stop: threading.Event) -> None:
        """Write so often a second: new rows, and now and then another word into an old one."""
        chance = Random(f"{SEED} writes")
        with connected(self.stack) as connection:
            due = time.monotonic()
            while not stop.is_set():
                with self.lock:
                    try:
                        self._write(connection, chance)
                    except (sqlite3.Error, psycopg.Error) as error:
                        self.trouble.append(str(error))
                        return
                due += 1 / PER_SECOND
                stop.wait(max(0.0, due - time.monotonic()))

    def _write(self, connection: Any, chance: Random) -> None:
        began = time.monotonic()
        self.writes += 1
        if self.writes % 10:
            row = (10_000_000 + self.writes, "2026-02-28 12:00:00", "new", None, 1.0)
            write(self.stack, connection, INSERT, row)
            connection.commit()
            self.rows[row[0]] = digest(shown(self.stack, row))
        else:
            key = chance.randrange(1, ROWS)
            done = write(
                self.stack, connection, "UPDATE events SET kind = ? WHERE id = ?", (f"new {key}", key)
            )
            connection.commit()
            if done.rowcount:
                select = "SELECT * FROM events WHERE id = ?"
                found = write(self.stack, connection, select, (key,)).fetchone()
                connection.commit()
                if found:
                    self.rows[key] = digest(shown(self.stack, found))
        self.worst = max(self.worst, time.monotonic() - began)

    def account(self) -> None:
        """Make sure that every row is in the table or in a verified archive, just as it was last written."""
        with self.lock:
            there = {digest(row) for row in self.stack.rows()}
            for folder in self.stack.folders():
                assert verifying.trouble_with(folder, manifest.read(folder)[0]) == []
            kept = {digest(row) for row in self.stack.archived()}
            lost = [key for key, one in self.rows.items() if one not in there and one not in kept]
            assert lost == []
            assert self.trouble == []
            if not self.stack.address:
                assert self.stack.rows("PRAGMA integrity_check") == [("ok",)]


INSERT = "INSERT INTO events VALUES (?, ?, ?, ?, ?)"


def write(stack: Stack, connection: Any, sql: str, row: tuple[Any, ...]) -> Any:
    return connection.execute(sql.replace("?", "%s") if stack.address else sql, row)


def shown(stack: Stack, row: tuple[Any, ...]) -> tuple[Any, ...]:
    """Give a row as an archive has it."""
    at = row[1] if isinstance(row[1], str) else f"{row[1]:%Y-%m-%d %H:%M:%S}"
    return (row[0], f"{at}+00" if stack.address else at, *row[2:])


@contextmanager
def connected(stack: Stack) -> Iterator[Any]:
    if stack.address:
        with psycopg.connect(stack.address) as server:
            server.execute("SET TimeZone = 'UTC'")
            server.commit()
            yield server
        return
    with closing(sqlite3.connect(stack.file, timeout=5, check_same_thread=False)) as file:
        yield file


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.server)])
def ledger(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Ledger]:
    stack = begin(tmp_path)
    stack.settings |= {"batch": 300}
    if request.param == "sqlite":
        stack.run(f"PRAGMA journal_mode = WAL; {EVENTS.format(rows=ROWS)}")
    else:
        stack.address = fresh_database(request)
        monkeypatch.setenv(VARIABLE, stack.address)
        stack.run(POSTGRES_EVENTS.format(rows=ROWS))
    made = Ledger(stack=stack)
    made.begin()
    yield made
    stack.store.close()


@contextmanager
def archiving(stack: Stack, warrant: str, *, largest: int = 0) -> Iterator["subprocess.Popen[str]"]:
    """Begin a run in a process of its own; the block starts when it begins to work."""
    told = {
        "project": str(stack.project),
        "settings": stack.settings,
        "address": stack.address,
        "warrant": warrant,
        "largest": largest,
    }
    command = [sys.executable, "-m", "tests.proof.archivals", json.dumps(told)]
    with subprocess.Popen(command, cwd=TOP, stdout=subprocess.PIPE, text=True, env=os.environ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        yield process
        process.kill()


@contextmanager
def written_meanwhile(ledger: Ledger) -> Iterator[None]:
    stop = threading.Event()
    writer = threading.Thread(target=ledger.write_on, args=(stop,))
    writer.start()
    try:
        yield
    finally:
        stop.set()
        writer.join()


def finish(ledger: Ledger) -> None:
    """Run to the end, and make sure that nothing is left over."""
    for number in range(3):
        with archiving(ledger.stack, f"last {number}") as process:
            words = process.communicate()[0]
            assert process.returncode == 0, words
    ledger.account()
    assert ledger.stack.look().evidence.summary.startswith("None of the ")
    assert all(archive.ended_at is not None for archive in ledger.stack.journal())
    assert list(ledger.stack.archives.rglob("*.partial")) == []
    folders = {path for path in ledger.stack.archives.glob("*/*") if path.is_dir()}
    assert folders == set(ledger.stack.folders())


@pytest.mark.parametrize("kills", [5, pytest.param(50, marks=pytest.mark.soak)])
def test_killed_at_random_every_row_is_in_the_table_or_in_a_verified_archive(
    ledger: Ledger, kills: int
) -> None:
    stack = ledger.stack
    chance = Random(f"{SEED} archive")
    met: set[bool] = set()
    with connected(stack) as idle:
        idle.execute("SELECT count(*) FROM events").fetchone()
        idle.commit()
        with written_meanwhile(ledger):
            ledger.add_old(100_000)
            with archiving(stack, "undisturbed") as process:
                began = time.monotonic()
                assert "are in archive" in process.communicate()[0]
                took = time.monotonic() - began
            for number in range(kills):
                ledger.add_old(200_000 + number * MORE)
                with archiving(stack, f"killed {number}") as process, suppress(subprocess.TimeoutExpired):
                    process.wait(timeout=chance.uniform(0, took))
                met |= {one.verified_at is not None for one in stack.journal() if one.ended_at is None}
                ledger.account()
        write(stack, idle, INSERT, (9_999_999, "2026-02-28 00:00:00", "idle", None, 1.0))
        idle.commit()
    finish(ledger)
    assert ledger.writes > 50
    assert kills < 50 or met == {False, True}, "killed while writing an archive, and while deleting"
    assert (9_999_999,) in stack.rows("SELECT id FROM events WHERE id = 9999999")


@pytest.mark.parametrize("sizes", [2, pytest.param(20, marks=pytest.mark.soak)])
def test_on_a_full_disk_the_error_is_clear_and_nothing_is_lost(ledger: Ledger, sizes: int) -> None:
    stack = ledger.stack
    chance = Random(f"{SEED} full")
    failed = 0
    for number in range(sizes):
        ledger.add_old(200_000 + number * MORE)
        largest = int(2 ** chance.uniform(10, 19))
        with archiving(stack, f"full {number}", largest=largest) as process:
            words = process.communicate()[0].strip()
            assert process.returncode == 0, f"{largest}: {words}"
        if "are in archive" not in words:
            failed += 1
            assert any(sign in words for sign in CLEAR), words
        ledger.account()
    assert failed
    finish(ledger)


CLEAR = ("File too large", "disk is full", "disk I/O error", "cannot be written", "could not be", "no room")
