"""However long the past is, a page of it is found by an index: nothing is read or sorted whole."""

import json
from collections.abc import Callable, Iterator
from typing import Any

from sqlalchemy import Connection, event, text

from riskloop.store import Store, history, observations, timeline
from riskloop.store.marks import Mark, Page, What
from tests.store.crowd import BEGUN, INCIDENTS, LOOKS, MANY, RARE, STEP, fill

Read = Callable[[Connection], object]

SIZE = 20
STREAK = 1_001
"""The looks before a page whose verdicts are read for the streak it begins in, and one more."""

LONG = {"observations", "measurements", "incidents", "transitions", "deliveries", "postings", "decisions"}
"""The tables that grow for as long as the service runs."""

MIDDLE = BEGUN + STEP * (LOOKS // 2)


def page(subject: str, mark: Mark | None, *, incident: str = "") -> Read:
    def read(connection: Connection) -> object:
        wanted = Page(limit=SIZE, before=mark)
        metrics = ["leaks", "spills"]
        return timeline.read_past(connection, subject, incident=incident, metrics=metrics, page=wanted)

    return read


def listed(before: str, *, resolved: bool) -> Read:
    def read(connection: Connection) -> object:
        return history.list_incidents(connection, resolved=resolved, limit=SIZE + 1, before=before)

    return read


def recalled(connection: Connection) -> object:
    metrics = ["leaks", "spills"]
    return observations.list_measured(connection, MANY, metrics, since=BEGUN, most=SIZE)


READS: dict[str, Read] = {
    **{f"the newest page on {subject}": page(subject, None) for subject in (MANY, RARE)},
    **{
        f"a page on {subject} before a {what}": page(
            subject, Mark(at=MIDDLE, what=what, number=LOOKS // 2, text="i")
        )
        for what in What
        for subject in (MANY, RARE)
    },
    "a page on one incident": page(MANY, None, incident=f"{INCIDENTS // 2 + 1:012x}"),
    "the open incidents": listed("", resolved=False),
    "the newest incidents": listed("", resolved=True),
    "more open incidents": listed(f"{INCIDENTS:012x}", resolved=False),
    "a page of incidents": listed(f"{INCIDENTS // 2:012x}", resolved=True),
    "the looks before": recalled,
    "the last fingerprint": lambda connection: history.last_fingerprint(connection, MANY),
    "what a name means": lambda connection: timeline.find_subject(connection, MANY),
}


def questions(connection: Connection, read: Read) -> list[tuple[str, Any]]:
    """Give the statements, with their values, by which something is read from the long tables."""
    asked: list[tuple[str, Any]] = []

    def note(*called: Any) -> None:
        asked.append((called[2], called[3]))

    event.listen(connection, "before_cursor_execute", note)
    found = read(connection)
    event.remove(connection, "before_cursor_execute", note)
    assert found
    return [(sql, values) for sql, values in asked if any(table in sql for table in LONG)]


def test_a_page_and_the_looks_before_are_searched_for_in_an_index(store: Store) -> None:
    fill(store)
    if store.on_sqlite:
        assert faults(store) == [], "as it is before anybody gathered statistics"
    with store.writing() as connection:
        connection.execute(text("ANALYZE"))
    assert faults(store) == []
    with store.writing() as connection:
        connection.execute(text("DROP INDEX ix_transitions_subject_at_number"))
    assert faults(store) != [], "or these plans are not what they are taken for"


def faults(store: Store) -> list[tuple[str, str, str]]:
    """Say of each read which step of which statement reads or sorts more than a page."""
    judge = sqlite_faults if store.on_sqlite else postgresql_faults
    # A connection that explained a statement before would give the plan that it has kept.
    store.engine.dispose()
    with store.reading() as connection:
        return [
            (name, step, sql)
            for name, read in READS.items()
            for sql, values in questions(connection, read)
            for step in judge(connection, name, sql, values)
        ]


def sqlite_faults(connection: Connection, name: str, sql: str, values: Any) -> Iterator[str]:
    for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", values):
        # The newest incidents are the beginning of an index, and end with the page; an incident's own
        # transitions and deliveries are found by it and sorted.
        whole = row.detail.startswith("SCAN") and "CONSTANT ROW" not in row.detail
        if whole and not ("incidents" in name and "USING INDEX ix_incidents_o" in row.detail):
            yield row.detail
        # The right part of an order only parts those of one moment.
        sorts = "TEMP B-TREE" in row.detail and "RIGHT PART" not in row.detail
        if sorts and name != "a page on one incident":
            yield row.detail


def postgresql_faults(connection: Connection, _name: str, sql: str, values: Any) -> Iterator[str]:
    """Let it run, and count: steps and words as in postgresql.org/docs/current/using-explain.html."""
    found = connection.exec_driver_sql(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}", values).scalar_one()
    for node in nodes(found[0]["Plan"]):
        if node["Actual Loops"] == 0:
            continue
        removed = sum(count for key, count in node.items() if key.startswith("Rows Removed"))
        rows = (node["Actual Rows"] + removed) * node["Actual Loops"]
        if rows > STREAK + SIZE or (node["Node Type"] == "Seq Scan" and node["Relation Name"] in LONG):
            yield json.dumps({key: value for key, value in node.items() if key != "Plans"})


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", ()):
        yield from nodes(part)
