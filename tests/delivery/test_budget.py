"""Writes stay within the budget, whoever makes them, and one owner's flood leaves room for the others."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from riskloop.store import Store
from riskloop.store.budget import Budget, take
from tests.store.children import together

NOW = datetime(2026, 3, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)
GITHUB = Budget(gap=SECOND, caps=((80, MINUTE), (400, HOUR)))
UNSPACED = Budget(gap=timedelta(0), caps=((80, MINUTE), (400, HOUR)))


def wait(
    store: Store,
    owner: str = "QA",
    *,
    now: datetime = NOW,
    budget: Budget = GITHUB,
    place: str = "github",
) -> timedelta:
    with store.writing() as connection:
        return take(connection, place, owner, budget, now=now, patience=MINUTE)


def test_the_first_write_waits_for_nothing_and_the_next_for_a_second(store: Store) -> None:
    assert [wait(store) for _ in range(3)] == [timedelta(0), SECOND, 2 * SECOND]
    assert wait(store, now=NOW + 10 * SECOND) == timedelta(0)


def test_places_do_not_wait_for_each_other(store: Store) -> None:
    assert wait(store) == wait(store, place="slack:C1") == wait(store, place="slack:C2") == timedelta(0)


def test_a_slot_beyond_patience_is_not_taken(store: Store) -> None:
    waits = [wait(store) for _ in range(70)]
    assert waits[:61] == [number * SECOND for number in range(61)]
    assert set(waits[61:]) == {61 * SECOND}


def test_one_owner_alone_leaves_a_fifth_of_every_window_to_others(store: Store) -> None:
    hourly = Budget(gap=timedelta(0), caps=((400, HOUR),))
    for _ in range(320):
        assert wait(store, budget=hourly) == timedelta(0)
    assert wait(store, budget=hourly) == HOUR
    for _ in range(20):
        assert wait(store, "Lead", budget=hourly) == timedelta(0)
    assert wait(store, "Lead", budget=hourly) == HOUR, "who has had twenty has no claim to more"


@pytest.mark.parametrize("window", [MINUTE, HOUR])
def test_no_window_holds_more_than_its_cap(store: Store, window: timedelta) -> None:
    most = {length: count for count, length in UNSPACED.caps}[window]
    now = NOW
    slots = []
    for number in range(900):
        waited = wait(store, f"owner {number % 9}", now=now, budget=UNSPACED)
        if waited > MINUTE:
            now += waited
            continue
        slots.append(now + waited)
    assert len(slots) > most
    for first, after in zip(slots, slots[most:], strict=False):
        assert after - first >= window


def test_workers_at_once_never_take_the_same_slot(store: Store, store_url: str) -> None:
    def taking(owner: str) -> Callable[[Store], str]:
        return lambda mine: " ".join(str(wait(mine, owner).total_seconds()) for _ in range(10))

    answers = together(store_url, taking("QA"), taking("Lead"), taking("SRE"))
    assert {code for code, _ in answers} == {0}
    seconds = sorted(float(word) for _, words in answers for word in words.split())
    assert seconds == [float(number) for number in range(30)]


def test_a_slot_taken_by_a_clock_that_was_wrong_is_forgotten(store: Store) -> None:
    wait(store, now=NOW + timedelta(days=900))
    assert wait(store) == timedelta(0)
