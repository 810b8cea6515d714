"""Looks are stored many at a time, and each stands or falls by itself."""

import time
from pathlib import Path

import pytest
from sqlalchemy import text

from riskloop import assessing
from riskloop.assessing import SERVICE, assess, assess_service, retire
from riskloop.incidents import Change, Concern, Incident
from riskloop.measurements import Evidence
from riskloop.store import Store, history
from riskloop.store.observations import lock_every_mitigation, lock_mitigations
from riskloop.thresholds import Verdict
from tests.store.children import die_at, start, together
from tests.store.claiming import claim_next
from tests.store.shelf import NOW, Looks, count, looks, occasion, seen, stored, toy
from tests.toys import LEAD

FINE, BREACHED = (2, 0, 0), (2, 1, 2)


def refuse(store: Store, table: str, broken: str) -> None:
    """Have the database refuse every row of a table for which this holds."""
    with store.writing() as connection:
        if store.on_sqlite:
            rule = broken.replace("%", "NEW.")
            connection.exec_driver_sql(
                f"CREATE TRIGGER broken BEFORE INSERT ON {table} WHEN {rule} "
                "BEGIN SELECT RAISE(ABORT, 'no such rows here'); END"
            )
        else:
            rule = broken.replace("%", "")
            connection.exec_driver_sql(f"ALTER TABLE {table} ADD CONSTRAINT broken CHECK (NOT ({rule}))")


def wait_until_one_waits(store: Store) -> None:
    """Wait until a process waits for another's lock; SQLite's waiting cannot be seen, and needs no order."""
    query = text(
        "SELECT count(*) FROM pg_stat_activity "
        "WHERE wait_event_type = 'Lock' AND datname = current_database()"
    )
    deadline = time.monotonic() + 20
    while not store.on_sqlite:
        with store.reading() as connection:
            if connection.execute(query).scalar_one():
                return
        assert time.monotonic() < deadline, "nobody waits"


def test_looks_come_back_in_the_order_they_were_given(store: Store, tmp_path: Path) -> None:
    given = looks([0, 2, 0, 20])[::-1]
    assessed = assess(store, given, occasion("run", tmp_path))
    assert [one.mitigation for one in assessed] == [mitigation for mitigation, _ in given]
    assert [len(one.transitions) for one in assessed] == [1, 0, 1, 0]


def test_nothing_to_assess_is_fine(store: Store, tmp_path: Path) -> None:
    assert assess(store, [], occasion("run", tmp_path)) == ()


def test_a_second_run_over_many_chunks_stores_nothing_twice(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(assessing, "CHUNK", 3)
    given = looks([0, 2, 0, 20, 0, 2, 2])
    assess(store, given[:4], occasion("run", tmp_path))
    again = assess(store, given, occasion("run", tmp_path))
    assert [len(one.transitions) for one in again] == [0, 0, 0, 0, 0, 1, 1]
    assert list(stored(store, "run").values()) == [FINE, BREACHED, FINE, BREACHED, FINE, BREACHED, BREACHED]


def test_a_row_the_database_refuses_fails_its_own_look_only(store: Store, tmp_path: Path) -> None:
    refuse(store, "measurements", "%value = 13")
    assessed = assess(store, looks([2, 13, 2]), occasion("run", tmp_path))
    assert [one.assessment.verdict for one in assessed] == ["warning", "unknown", "warning"]
    assert stored(store, "run") == {"toys.000": BREACHED, "toys.001": (0, 0, 0), "toys.002": BREACHED}
    assert assessed[1].look.failure is not None, "the run ends with it"
    assert assessed[1].assessment.reason.startswith("could not be stored: the store ")
    with store.reading() as connection:
        assert history.standings(connection)["toys.001"].streaks.unknown == 1


def test_a_mitigation_whose_failure_cannot_be_stored_either_takes_nobody_with_it(
    store: Store, tmp_path: Path
) -> None:
    refuse(store, "observations", "%mitigation = 'toys.001'")
    assessed = assess(store, looks([2, 2, 2]), occasion("run", tmp_path))
    assert [one.assessment.verdict for one in assessed] == ["warning", "unknown", "warning"]
    assert stored(store, "run") == {"toys.000": BREACHED, "toys.002": BREACHED}
    assert assessed[1].look.failure is not None


def test_numbers_that_are_none_are_a_failed_look(store: Store, tmp_path: Path) -> None:
    given = looks([0, float("nan"), float("-inf"), 2])
    assessed = assess(store, given, occasion("run", tmp_path))
    assert [one.assessment.verdict for one in assessed] == ["ok", "unknown", "unknown", "warning"]
    assert assessed[1].assessment.reason == "leaks is nan, which is not a number to judge by"
    with store.reading() as connection:
        assert history.standings(connection)["toys.002"].verdict is Verdict.UNKNOWN


def test_text_that_no_database_takes_is_stored_readably(store: Store, tmp_path: Path) -> None:
    words = Evidence(summary="a\0b", document="\udce9" * 9, fingerprint="\0")
    given: Looks = [(toy(0), seen(toy(0), {"leaks": 2}, words))]
    assess(store, given, occasion("run", tmp_path))
    with store.writing() as connection:
        claim = claim_next(connection, channels={"github"}, worker="w", now=NOW)
    assert claim is not None
    assert claim.facts.summary == "a\N{REPLACEMENT CHARACTER}b"
    assert (tmp_path / claim.facts.document).is_file()


def test_a_breach_whose_evidence_cannot_be_kept_is_told_with_a_word_about_it(
    store: Store, tmp_path: Path
) -> None:
    (tmp_path / "evidence").write_text("not a directory")
    whole = Evidence(summary="It leaks.", document="all of it")
    given = [(toy(0), seen(toy(0), {"leaks": 2}, whole)), *looks([0, 2])[1:]]
    assess(store, given, occasion("run", tmp_path))
    assert stored(store, "run") == {"toys.000": (1, 1, 2), "toys.001": BREACHED}
    with store.writing() as connection:
        claim = claim_next(connection, channels={"github"}, worker="w", now=NOW)
    assert claim is not None
    assert claim.facts.document == ""
    assert claim.facts.summary.startswith("It leaks. (The whole evidence is missing: ")


def test_the_same_numbers_from_another_finding_update_the_incident(store: Store, tmp_path: Path) -> None:
    changes = []
    for run, found in enumerate(["a", "a", "b"]):
        look = seen(toy(0), {"leaks": 2}, Evidence(summary="", fingerprint=found))
        (assessed,) = assess(store, [(toy(0), look)], occasion(f"run-{run}", tmp_path))
        changes.append([transition.change for _, transition in assessed.transitions])
    assert changes == [[Change.OPENED], [], [Change.UPDATED]]
    with store.reading() as connection:
        (incident,) = history.open_incidents(connection, "toys.000").values()
    assert incident.fingerprint == "b"


def test_a_process_killed_at_any_statement_leaves_each_mitigation_whole_or_absent(
    store: Store, store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(assessing, "CHUNK", 2)
    halves = set()
    for statement in range(1, 200):
        run = f"run-{statement}"
        given = looks([0, 1 + statement / 100, 0, 1 + statement / 100])

        def work(own: Store, at: int = statement, run: str = run, given: Looks = given) -> None:
            die_at(own, at)
            assess(own, given, occasion(run, tmp_path))

        ((code, _),) = together(store_url, work)
        after = stored(store, run)
        first = {"toys.000": FINE, "toys.001": BREACHED}
        assert after in ({}, first, first | {"toys.002": FINE, "toys.003": BREACHED})
        halves.add(len(after))
        assess(store, given, occasion(run, tmp_path))
        assert stored(store, run) == first | {"toys.002": FINE, "toys.003": BREACHED}
        if code == 0:
            break
    assert halves == {0, 2, 4}, "some were killed in the first chunk, some in the second"
    assert count(store, "incidents") == 2
    assert count(store, "transitions WHERE change = 'opened'") == 2


def test_processes_that_assess_the_same_mitigations_at_once_take_turns(
    store: Store, store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(assessing, "CHUNK", 7)
    rounds, toys = 4, 30

    def work(own: Store, *, name: str, step: int) -> None:
        for turn in range(rounds):
            assess(own, looks([2.0] * toys, after=3)[::step], occasion(f"{name}-{turn}", tmp_path))

    ends = together(
        store_url,
        lambda own: work(own, name="a", step=1),
        lambda own: work(own, name="b", step=-1),
        lambda own: work(own, name="b", step=1),
    )
    assert ends == [(0, "None")] * 3
    with store.reading() as connection:
        standings = history.standings(connection).values()
    assert {standing.streaks.breached for standing in standings} == {2 * rounds}
    assert count(store, "observations") == 2 * rounds * toys
    told = toys + 1  # and one that tells of them all
    assert count(store, "transitions") == count(store, "incidents") == told
    assert count(store, "deliveries") == 2 * told


def test_a_mitigation_in_one_process_s_hands_keeps_the_other_waiting(
    store: Store, store_url: str, tmp_path: Path
) -> None:
    assess(store, looks([2], after=3), occasion("a", tmp_path))
    child = start(store_url, lambda own: assess(own, looks([2], after=3), occasion("b", tmp_path)))
    with store.writing() as connection:
        lock_mitigations(connection, [toy(0)], now=NOW)
        child.let_go()
        wait_until_one_waits(store)
        connection.execute(text("UPDATE mitigations SET breached = 2"))
    code, _ = child.wait()
    assert code == 0
    assert stored(store, "b") == {"toys.000": BREACHED}, "it saw what the other had done"


def test_processes_take_mitigations_in_one_order_so_that_they_never_wait_in_a_ring(
    store: Store, store_url: str, tmp_path: Path
) -> None:
    assess(store, looks([0, 0]), occasion("a", tmp_path))
    with store.writing() as connection:
        # PostgreSQL writes a changed row behind the others, and reads so small a table as it is written.
        connection.execute(text("UPDATE mitigations SET reason = 'moved' WHERE id = 'toys.000'"))
        connection.execute(text("ANALYZE mitigations"))
    child = start(store_url, lambda own: assess(own, looks([0, 0])[::-1], occasion("b", tmp_path)))
    with store.writing() as connection:
        lock_mitigations(connection, [toy(0)], now=NOW)
        child.let_go()
        wait_until_one_waits(store)
        lock_mitigations(connection, [toy(1)], now=NOW)
    code, _ = child.wait()
    assert code == 0


def test_whoever_speaks_for_the_service_waits_for_the_other_and_sees_what_it_said(
    store: Store, store_url: str, tmp_path: Path
) -> None:
    def say(own: Store) -> int:
        at = occasion("run", tmp_path)
        return len(assess_service(own, owner=LEAD, problem="unwell", remedy="mend it", occasion=at))

    child = start(store_url, say)
    with store.writing() as connection:
        lock_every_mitigation(connection)
        child.let_go()
        wait_until_one_waits(store)
        said = Incident(
            id="first",
            subject=SERVICE,
            concern=Concern.BLIND,
            severity=Verdict.WARNING,
            opened_at=NOW,
            reason="unwell",
        )
        history.add_incident(connection, said, owner=LEAD.name)
    assert child.wait() == (0, "0")


def test_processes_that_speak_for_the_service_at_once_open_one_incident(
    store: Store, store_url: str, tmp_path: Path
) -> None:
    def work(own: Store) -> None:
        for problem in ("", "unwell", "unwell", "") * 3:
            assess_service(
                own, owner=LEAD, problem=problem, remedy="mend it", occasion=occasion("run", tmp_path)
            )
            retire(own, (), occasion("run", tmp_path))

    assess(store, looks([2.0] * 9), occasion("run", tmp_path))
    assert together(store_url, work, work) == [(0, "None")] * 2
    assert count(store, "incidents WHERE resolved_at IS NULL") == 0
    opened = count(store, "transitions WHERE change = 'opened'")
    assert count(store, "transitions WHERE change = 'resolved'") == opened == count(store, "incidents")
