"""Whatever a row holds comes back from its archive just so, and only rows that are surely old go there."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

from riskloop.errors import Unmeasurable
from riskloop.mitigations.row_archive import planning
from riskloop.mitigations.row_archive.exporting import file_name
from tests.mitigations.stacks import Stack, values

SECOND = int(datetime(2025, 6, 1, tzinfo=UTC).timestamp())
YEAR_9999 = 253402300799


def put(stack: Stack, declared: str, *moments: Any) -> None:
    """Make a table with these moments, numbered from 1."""
    stack.run(f"CREATE TABLE events (id bigint NOT NULL PRIMARY KEY, at {declared})")
    rows = list(enumerate(moments, 1))
    if stack.address:
        with psycopg.connect(stack.address) as connection, connection.cursor() as cursor:
            cursor.executemany("INSERT INTO events VALUES (%s, %s)", rows)
        return
    with closing(sqlite3.connect(stack.file)) as file, file:
        file.executemany("INSERT INTO events VALUES (?, ?)", rows)


def gone(stack: Stack) -> set[int]:
    """Archive; give the numbers that are in the archive and no longer in the table."""
    before = {row[0] for row in stack.rows("SELECT id FROM events")}
    receipt = stack.archive()
    assert not receipt.failed, receipt.says
    left = {row[0] for row in stack.rows("SELECT id FROM events")}
    archived = {row[0] for row in stack.archived()}
    assert archived | left == before
    assert not archived & left
    return archived


TEXTS = (
    *("2025-12-01 02:49:59", "2025-12-01 02:50:00", "2025-12-01T04:49:59+02:00", "2025-12-01T01:50:01-01:00"),
    *(
        "2025-12-01",
        "2025-12-02",
        "2025-12-01T02:49:59.999Z",
        "9999-12-31 00:00:00",
        None,
        "",
        "yesterday",
        "now",
    ),
    *("12:00", "2026", "2451545.0", "1748736000"),
)


@pytest.mark.parametrize("where", ["file_stack", pytest.param("server_stack", marks=pytest.mark.server)])
def test_text_is_read_as_iso_8601_and_what_is_none_stays(request: pytest.FixtureRequest, where: str) -> None:
    stack: Stack = request.getfixturevalue(where)
    put(stack, "TEXT", *TEXTS)
    summary = stack.look().evidence.summary
    assert "1 row stay, as at is NULL" in summary
    assert "7 rows stay, as at holds no moment we can read" in summary
    assert "1 row stay: they are from the future" in summary
    assert gone(stack) == {1, 3, 5, 7}


@pytest.mark.parametrize("where", ["file_stack", pytest.param("server_stack", marks=pytest.mark.server)])
@pytest.mark.parametrize("factor", [1, 1000])
def test_numbers_are_seconds_or_milliseconds_whichever_most_of_them_are(
    request: pytest.FixtureRequest, where: str, factor: int
) -> None:
    stack: Stack = request.getfixturevalue(where)
    old = [(SECOND - number * 3600) * factor for number in range(20)]
    put(stack, "bigint", *old, int(stack.now.timestamp()) * factor, YEAR_9999 * factor, None)
    seen = stack.look()
    assert values(seen)["rows_over_age"] == 20
    assert "1 row stay: they are from the future" in seen.evidence.summary
    assert gone(stack) == set(range(1, 21))


@pytest.mark.parametrize("where", ["file_stack", pytest.param("server_stack", marks=pytest.mark.server)])
def test_numbers_of_both_sorts_are_read_only_as_the_register_says(
    request: pytest.FixtureRequest, where: str
) -> None:
    stack: Stack = request.getfixturevalue(where)
    put(stack, "bigint", *[SECOND, SECOND * 1000] * 3)
    with pytest.raises(Unmeasurable, match=r"neither seconds nor milliseconds .* `form: seconds`"):
        stack.look()
    stack.table(form="seconds")
    assert gone(stack) == {1, 3, 5}


def test_one_number_of_the_year_9999_in_seconds_is_not_read_as_1978(file_stack: Stack) -> None:
    put(file_stack, "INTEGER", SECOND, *[int(file_stack.now.timestamp())] * 30, YEAR_9999)
    assert gone(file_stack) == {1}


@pytest.mark.server
@pytest.mark.parametrize("declared", ["timestamptz", "timestamp", "date"])
def test_moments_of_postgresql_that_are_infinite_or_far_away_stay(server_stack: Stack, declared: str) -> None:
    put(
        server_stack,
        declared,
        *("2025-11-30", "2025-12-02", "infinity", "-infinity", "9999-12-31", None, "0044-03-15 BC"),
    )
    assert "2 rows stay, as at holds no moment we can read" in server_stack.look().evidence.summary
    assert gone(server_stack) == {1, 7}
    assert ("0044-03-15" in str(server_stack.archived()[1][1])) is True


@pytest.mark.server
def test_a_column_that_says_no_moment_is_refused(server_stack: Stack) -> None:
    put(server_stack, "boolean", None)
    with pytest.raises(Unmeasurable, match=r"events\.at is of the type boolean, which says no moment"):
        server_stack.look()


ODD = (
    *(None, 0, -1, 2**63 - 1, -(2**63), 0.1, -0.0, float("inf"), float("-inf"), 1e-320),
    *("", "x", "NULL", 'a,b\r\n"c"', "\0", "é🎉", b"", b"\0\xff", "2026"),
)


def test_every_value_of_a_sqlite_column_of_any_sort_comes_back_just_so(file_stack: Stack) -> None:
    file_stack.run(
        "CREATE TABLE events (id INTEGER PRIMARY KEY, at TEXT, a, b TEXT, c INTEGER, d REAL, e BLOB, "
        "f NUMERIC)"
    )
    with closing(sqlite3.connect(file_stack.file)) as connection, connection:
        for first in ODD:
            row = ("2025-01-01", *[first] * 6)
            connection.execute("INSERT INTO events (at, a, b, c, d, e, f) VALUES (?, ?, ?, ?, ?, ?, ?)", row)
        connection.execute("INSERT INTO events (at, b) VALUES ('2025-01-01', CAST(x'ff41' AS TEXT))")
    query = "SELECT id, at, quote(a), quote(b), quote(c), quote(d), hex(e), quote(f), hex(b) FROM events"
    connection_rows = _quoted(file_stack, query)
    receipt = file_stack.archive()
    assert not receipt.failed, receipt.says
    assert _quoted(file_stack, query) == []
    file_stack.bring_back()
    assert _quoted(file_stack, query) == connection_rows


def _quoted(stack: Stack, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(stack.file)) as connection:
        connection.text_factory = bytes
        return connection.execute(query).fetchall()


ODD_TYPES = {
    "a": ("text", ("", "x", 'a,b\r\n"c"', "é🎉", "\\N", "NULL", None)),
    "b": ("float8", ("NaN", "Infinity", "-Infinity", "-0", "0.1", "1e-320", None)),
    "c": ("numeric", ("NaN", "1.10", "123456789012345678901234567890.5", None)),
    "d": ("bytea", ("\\x", "\\x00ff", None)),
    "e": ("jsonb", ('{"a": [1, null]}', "null", None)),
    "f": ("text[]", ("{}", '{a,"b,c",NULL}', None)),
    "g": ("interval", ("1 mon 2 days 03:04:05.6", "-1 days", None)),
    "h": ("uuid", ("11111111-2222-3333-4444-555555555555", None)),
    "i": ("boolean", ("t", "f", None)),
    "j": ("timestamptz", ("infinity", "2026-01-01 12:00:00.123456+05", "0044-03-15 BC", None)),
    "k": ("int8range", ("[1,5)", "empty", None)),
    "l": ("real", ("0.1", "NaN", None)),
}


@pytest.mark.server
def test_every_value_of_any_type_of_postgresql_comes_back_just_so(server_stack: Stack) -> None:
    columns = ", ".join(f"{name} {kind}" for name, (kind, _) in ODD_TYPES.items())
    server_stack.run(
        f"CREATE TABLE events (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, at date, {columns})"
    )
    with psycopg.connect(server_stack.address) as connection:
        for name, (kind, given) in ODD_TYPES.items():
            for value in given:
                insert = f"INSERT INTO events (at, {name}) VALUES ('2025-01-01', %s::text::{kind})"
                connection.execute(insert.encode(), (value,))
    query = "SELECT id, events::text FROM events ORDER BY id"
    before = server_stack.rows(query)
    receipt = server_stack.archive()
    assert not receipt.failed, receipt.says
    assert server_stack.rows(query) == []
    server_stack.bring_back()
    assert server_stack.rows(query) == before
    assert server_stack.bring_back().there == {"events": len(before)}


@pytest.mark.parametrize("key", ["TEXT", "uuid"])
@pytest.mark.parametrize("where", ["file_stack", pytest.param("server_stack", marks=pytest.mark.server)])
def test_keys_may_be_text(request: pytest.FixtureRequest, where: str, key: str) -> None:
    stack: Stack = request.getfixturevalue(where)
    name = '"odd %name"' if key == "TEXT" else "events"
    stack.run(f"CREATE TABLE {name} (id {key} NOT NULL PRIMARY KEY, at TEXT)")
    every = "0123456789abcdef"
    listed = ", ".join(
        f"('{one * 8}-{one * 4}-{one * 4}-{one * 4}-{one * 12}', '202{5 + number % 2}-02-01')"
        for number, one in enumerate(every)
    )
    stack.run(f"INSERT INTO {name} VALUES {listed}")
    stack.settings["tables"] = [{"table": name.strip('"'), "timestamp": "at"}]
    receipt = stack.archive(batch=3)
    assert not receipt.failed, receipt.says
    assert [
        row[0][:1]
        for row in stack.rows(
            f"SELECT id::text FROM {name}" if where == "server_stack" else f"SELECT id FROM {name}"
        )
    ] == list(every[1::2])
    assert len(stack.archived(name.strip('"'))) == 8


def test_a_key_of_several_sorts_is_refused(file_stack: Stack) -> None:
    file_stack.run(
        "CREATE TABLE events (id NOT NULL PRIMARY KEY, at TEXT);"
        "INSERT INTO events VALUES (1, '2025-01-01'), ('one', '2025-01-01')"
    )
    receipt = file_stack.archive()
    assert "events.id holds values of more than one sort" in receipt.says
    assert len(file_stack.rows()) == 2
    assert file_stack.folders() == []
    assert file_stack.journal() == []


def test_large_rows_are_read_a_few_at_a_time(stack: Stack) -> None:
    big = "randomblob(300000)" if not stack.address else "decode(repeat('ab', 300000), 'hex')"
    stack.run(f"UPDATE events SET payload = {big} WHERE id BETWEEN 900 AND 1000")
    before = stack.rows()
    receipt = stack.archive()
    assert not receipt.failed, receipt.says
    assert stack.archived() + stack.rows() == before


def test_a_plan_says_no_more_than_it_may(file_stack: Stack) -> None:
    put(file_stack, "TEXT", "2025-01-01")
    plan = file_stack.plan()
    (portion,) = planning.read(plan.file, plan.digest).portions
    assert (portion.rows, portion.first, portion.last) == (1, 1, 1)
    assert file_name("../up %/") == "_up___"
