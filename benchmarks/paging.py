"""How long a page of `riskloop why` and of `riskloop incidents` takes in a long past, against a short one.

The long past is ten million measurements: 200,000 looks of 50 metrics, all but each hundredth of one
mitigation, and 20,000 incidents with their transitions, deliveries and postings. The short one is a hundredth
of that. A page is read in this process, as the command reads it, from the newest entries and from the middle.
"""

import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from sqlite3 import Connection, connect

from timing import HEADER, Result, print_row

from riskloop.store import Store, history, observations, open_store, timeline
from riskloop.store.marks import Page, read_mark
from riskloop.story import tell

LOOKS, METRICS, INCIDENTS = 200_000, 50, 20_000
LESS = 100
MANY = "bench.many"
NOW = datetime(2026, 12, 1, tzinfo=UTC)
STEP = timedelta(minutes=2)
PAIRS, ROUNDS = 9, 20
WATCHED = ("metric 07", "metric 23", "metric 41")
"""Metrics with a threshold; `why` shows their values."""

# The n-th of so many moments, as the store writes them; the last is now.
AT = "strftime('%Y-%m-%d %H:%M:%f000', :now, '-' || (:step * (:looks - {n})) || ' seconds')"
WHOSE = "CASE WHEN n % 100 THEN :many ELSE 'bench.' || (n % 700) END"
INCIDENT = "printf('%012x', n * 7919 % 1000003)"
OPENED, RESOLVED = (AT.format(n=f"(n * :apart - {back})") for back in (5, 1))

CHANGES = """
    INSERT INTO transitions (number, id, incident, change, severity, reason, at, observation, facts, subject)
    SELECT 2 * n - {first}, 't' || (2 * n - {first}), {incident}, '{change}', 'warning', 'things', {at},
           n * :apart - {look}, '{{}}', {whose}
    FROM numbers WHERE n <= :incidents
"""
ROWS = (
    """
    INSERT INTO mitigations
    SELECT id, 'toy', 'bench', 0, 0, 0, 'ok', '', :now, NULL
    FROM (SELECT :many AS id UNION SELECT 'bench.' || (n % 700) FROM numbers WHERE n <= 700)
    """,
    f"""
    INSERT INTO observations (number, mitigation, run, phase, at, verdict, reason, register_digest, summary,
                              fingerprint)
    SELECT n, {WHOSE}, 'run-' || n, 'look', {AT.format(n="n")},
           CASE n % 10 WHEN 5 THEN 'warning' WHEN 7 THEN 'unknown' ELSE 'ok' END, '', 'd', 'seen', 'f' || n
    FROM numbers WHERE n <= :looks
    """,
    """
    INSERT INTO measurements
    SELECT l.n, printf('metric %02d', m.n), l.n * m.n % 1000, 'things'
    FROM numbers l, numbers m WHERE l.n <= :looks AND m.n <= :metrics ORDER BY 1, 2
    """,
    f"""
    INSERT INTO incidents (id, subject, concern, severity, reason, breaches, fingerprint, owner, opened_at,
                           resolved_at)
    SELECT {INCIDENT}, {WHOSE}, 'breach', 'warning', 'things', '[]', '', 'QA', {OPENED}, {RESOLVED}
    FROM numbers WHERE n <= :incidents
    """,
    CHANGES.format(first=1, incident=INCIDENT, change="opened", at=OPENED, look=5, whose=WHOSE),
    CHANGES.format(first=0, incident=INCIDENT, change="resolved", at=RESOLVED, look=1, whose=WHOSE),
    """
    INSERT INTO deliveries (number, id, transition, incident, channel, target, state, attempts, fence,
                            last_error, created_at, ended_at, owner, subject)
    SELECT number, 'd' || number, number, incident, 'github', 'acme/sdk', 'done', 1, 1, '', at, at, 'QA',
           subject
    FROM transitions
    """,
    """
    INSERT INTO postings (incident, channel, target, reference, url, opening_delivery, at, state, state_at,
                          subject)
    SELECT incident, 'github', 'acme/sdk', number, '', 'd' || number, at,
           CASE number % 5 WHEN 0 THEN 'closed' ELSE 'open' END, CASE number % 5 WHEN 0 THEN at END, subject
    FROM transitions WHERE change = 'opened'
    """,
)


def make(file: Path, *, looks: int, incidents: int) -> Store:
    """Make a store with a past of so many looks and incidents."""
    store = open_store(f"sqlite:///{file}")
    store.upgrade()
    values = {
        "now": NOW.strftime("%Y-%m-%d %H:%M:%S.%f"),
        "step": STEP.total_seconds(),
        "looks": looks,
        "metrics": METRICS,
        "incidents": incidents,
        "apart": looks // incidents,
        "many": MANY,
    }
    with closing(connect(file, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("BEGIN")
        connection.execute("CREATE TEMP TABLE numbers (n INTEGER PRIMARY KEY)")
        connection.executemany("INSERT INTO numbers VALUES (?)", ((n,) for n in range(1, looks + 1)))
        for statement in ROWS:
            connection.execute(statement, values)
        connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        check(connection, looks=looks, incidents=incidents)
    return store


def check(connection: Connection, *, looks: int, incidents: int) -> None:
    """Break off if the past is not as long as it is said to be."""
    wanted = {
        "observations": looks,
        "measurements": looks * METRICS,
        "incidents": incidents,
        "transitions": 2 * incidents,
        "deliveries": 2 * incidents,
    }
    found = {table: connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in wanted}
    assert found == wanted, found
    assert connection.execute("PRAGMA foreign_key_check").fetchone() is None


def why(store: Store, before: str) -> int:
    """Read and tell a page of a story; give the number of its entries."""
    page = Page(limit=200, before=read_mark(before) if before else None)
    with store.reading() as connection:
        subject, incident = timeline.find_subject(connection, MANY) or ("", "")
        past = timeline.read_past(connection, subject, incident=incident, metrics=WATCHED, page=page)
    return len(tell(past, None, now=NOW)[-200:])


def incidents(store: Store, before: str, *, resolved: bool) -> int:
    """Read a page of incidents; give the number of them."""
    with store.reading() as connection:
        return len(history.list_incidents(connection, resolved=resolved, limit=100, before=before))


def recalled(store: Store) -> int:
    """Recall the looks before, as a look does that knows of them; give their number."""
    with store.reading() as connection:
        history.last_fingerprint(connection, MANY)
        since = NOW - timedelta(days=400)
        return len(observations.list_measured(connection, MANY, WATCHED, since=since, most=200))


def compare(
    name: str, read: Callable[[Store, int], int], stores: tuple[Store, Store], *, many: int
) -> Result:
    """Time a page in both stores in turn; a time is the median of so many.

    Args:
        read: reads a page; its second argument says which store it is, the long one or the short one.
        many: so many rows the page has in both, or something is wrong with it.
    """
    taken: tuple[list[float], list[float]] = ([], [])
    for counted in (False, *[True] * PAIRS):
        for which, store in enumerate(stores):
            seconds = []
            for _ in range(ROUNDS):
                began = time.perf_counter()
                found = read(store, which)
                seconds.append(time.perf_counter() - began)
                assert found == many, found
            if counted:
                taken[which].append(statistics.median(seconds))
    return Result(name=name, ours=tuple(taken[0]), peer=tuple(taken[1]), goal=1.5)


def middle(store: Store) -> str:
    """Name the last incident of the newer half of them."""
    with store.reading() as connection:
        found = history.list_incidents(connection, resolved=True, limit=INCIDENTS)
    return found[len(found) // 2 - 1].id


def main() -> None:
    """Print a row for each page."""
    print(HEADER)
    with tempfile.TemporaryDirectory() as made:
        sizes = (1, LESS)
        long, short = (
            make(Path(made, f"{less}.sqlite"), looks=LOOKS // less, incidents=INCIDENTS // less)
            for less in sizes
        )
        stores = (long, short)
        moments = [(NOW - STEP * (LOOKS // less // 2)).isoformat() for less in sizes]
        ids = [middle(store) for store in stores]
        against = "in 10,000,000 measurements and 20,000 incidents, against a hundredth of them"
        for name, read, many in (
            ("the newest page of `why`", lambda store, _: why(store, ""), 200),
            ("a page of `why` from the middle", lambda store, which: why(store, moments[which]), 200),
            (
                "the newest page of `incidents --all`",
                lambda store, _: incidents(store, "", resolved=True),
                100,
            ),
            (
                "a page of `incidents --all` from the middle",
                lambda store, which: incidents(store, ids[which], resolved=True),
                100,
            ),
            (
                "the open incidents, of which there are none",
                lambda store, _: incidents(store, "", resolved=False),
                0,
            ),
            ("the last 200 looks, recalled", lambda store, _: recalled(store), 200),
        ):
            print_row(compare(f"{name}, {against}", read, stores, many=many))
        for store in stores:
            store.close()


if __name__ == "__main__":
    main()
