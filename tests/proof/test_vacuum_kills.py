"""A vacuum is killed anywhere, and its disk full at any size: the database is sound, and no row is lost."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from random import Random

import pytest

from tests.mitigations.shelter import Shelter
from tests.proof.seeding import SEED

TOP = Path(__file__).parents[2]
ROWS = 6_000


@pytest.fixture
def shelter(tmp_path: Path) -> Shelter:
    made = Shelter(project=tmp_path / "project", state=tmp_path / "state")
    made.make(rows=ROWS)
    return made


def child(*words: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.proof.vacuums", *map(str, words)]
    return subprocess.Popen(command, cwd=TOP, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


@contextmanager
def vacuuming(shelter: Shelter, *, limit: int = 0) -> Iterator[subprocess.Popen[str]]:
    """Begin a vacuum in a process of its own; the block starts when it has looked."""
    with child("vacuum", shelter.project, shelter.state, limit) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        yield process
        process.kill()


def accounted(shelter: Shelter) -> str:
    """Give a digest of every row that was there from the beginning."""
    with shelter.opened() as connection:
        rows = connection.execute(
            "SELECT id, name, body FROM sessions WHERE id < 1000000 ORDER BY id"
        ).fetchall()
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    return sha256(repr(rows).encode()).hexdigest()


def make_room(shelter: Shelter) -> None:
    """Have something to vacuum again."""
    with shelter.opened() as connection:
        connection.execute("BEGIN")
        many = ((number, "x", b"x" * 3000) for number in range(500_000, 500_000 + ROWS // 2))
        connection.executemany("INSERT INTO sessions VALUES (?, ?, ?)", many)
        connection.execute("COMMIT")
        connection.execute("DELETE FROM sessions WHERE id BETWEEN 500000 AND 999999")


def survive(shelter: Shelter, *, kills: int, tmp_path: Path) -> None:
    chance = Random(f"{SEED} vacuum")
    rows = accounted(shelter)
    acknowledged = tmp_path / "acknowledged"
    with vacuuming(shelter) as undisturbed:
        began = time.monotonic()
        assert "gave back" in undisturbed.communicate()[0]
    took = time.monotonic() - began
    with shelter.opened() as idle:
        idle.execute("SELECT count(*) FROM sessions").fetchone()
        with child("write", shelter.file, acknowledged) as writer:
            for _ in range(kills):
                make_room(shelter)
                with vacuuming(shelter) as process, suppress(subprocess.TimeoutExpired):
                    process.wait(timeout=chance.uniform(0, took))
                assert accounted(shelter) == rows
            writer.communicate()
        assert writer.returncode == 0
        idle.execute("INSERT INTO sessions VALUES (2000000, 'idle', NULL)")
    with shelter.opened() as connection:
        there = {row[0] for row in connection.execute("SELECT id FROM sessions WHERE id >= 1000000")}
    written = {int(line) for line in acknowledged.read_text().split()}
    assert written
    assert written | {2_000_000} <= there
    for backup in shelter.backups():
        assert backup.stat().st_size > 0
    assert not shelter.act().failed
    assert accounted(shelter) == rows


def test_killed_at_random_it_leaves_a_sound_database_and_every_acknowledged_row(
    shelter: Shelter, tmp_path: Path
) -> None:
    survive(shelter, kills=5, tmp_path=tmp_path)


@pytest.mark.soak
def test_killed_fifty_times_it_leaves_a_sound_database_and_every_acknowledged_row(
    shelter: Shelter, tmp_path: Path
) -> None:
    survive(shelter, kills=50, tmp_path=tmp_path)


def fill_the_disk(shelter: Shelter, parts: range) -> None:
    """Let no file grow beyond some part of the database's size, in twentieths."""
    rows, size = accounted(shelter), shelter.file.stat().st_size
    refused = 0
    for part in parts:
        make_room(shelter)
        with vacuuming(shelter, limit=max(4096, size * part // 20)) as process:
            said = process.communicate()[0]
        assert said, part
        if said.startswith("refused: "):
            refused += 1
            assert any(word in said for word in ("disk", "room", "cannot be written", "full")), said
        assert accounted(shelter) == rows
    assert refused


def test_a_disk_that_is_full_in_the_middle_is_a_clear_error_and_nothing_is_lost(shelter: Shelter) -> None:
    fill_the_disk(shelter, range(0, 20, 10))


@pytest.mark.soak
def test_a_disk_that_is_full_at_twenty_sizes_is_a_clear_error_and_nothing_is_lost(shelter: Shelter) -> None:
    fill_the_disk(shelter, range(20))
