"""A token that is refused stops its own realm, burns no delivery, and is noticed when it works again."""

import re
from datetime import timedelta

import pytest
from sqlalchemy import event

from riskloop.delivery import MAXIMUM_ATTEMPTS
from riskloop.store import circuits, letters
from tests.delivering import Service

pytestmark = pytest.mark.server


def opened(service: Service) -> dict[str, str]:
    with service.store.reading() as connection:
        return {circuit.realm: circuit.reason for circuit in circuits.list_circuits(connection)}


def test_a_refused_token_opens_its_circuit_and_hides_no_other_channel(service: Service) -> None:
    service.look(leaks=2)
    assert service.deliver(token="wrong") == ["github opened pending", "slack opened done"]
    assert "does not accept the token" in opened(service)["github"]
    assert "riskloop doctor" in opened(service)["github"]


def test_behind_an_open_circuit_nothing_is_sent_and_no_attempt_is_lost(service: Service) -> None:
    service.look(leaks=2)
    service.deliver(token="wrong")
    writes = len(service.rig.github.recorded)
    for _ in range(MAXIMUM_ATTEMPTS + 2):
        service.clock.advance(600)
        assert service.deliver(token="wrong") == []
    tried = service.rig.github.recorded[writes:]
    assert {request.method for request in tried} == {"GET"}
    assert len(tried) == MAXIMUM_ATTEMPTS + 2, "one try of the token each time"
    with service.store.reading() as connection:
        (waiting,) = letters.list_deliveries(connection, states={"pending"}, limit=9)
    assert waiting.attempts == 0


def test_a_token_that_works_again_closes_its_circuit_and_what_waited_goes_out(service: Service) -> None:
    service.look(leaks=2)
    service.deliver(token="wrong")
    service.look(leaks=20)
    service.deliver(token="wrong")
    service.clock.advance(60)
    assert service.deliver() == ["github opened done", "github worsened done"]
    assert opened(service) == {}
    assert service.issues() == [("open", 1)]


def test_the_time_behind_an_open_circuit_is_not_held_against_a_delivery(service: Service) -> None:
    service.look(leaks=2)
    service.deliver(token="wrong")
    service.clock.advance(timedelta(days=3).total_seconds())
    service.rig.github.fail("502", path=r"/repos/[^/]+/[^/]+/issues")
    assert service.deliver() == ["github opened pending"], "its day begins after these three"
    service.clock.advance(90)
    assert service.deliver() == ["github opened done"]


def test_a_network_that_is_down_does_not_change_what_is_said_of_the_token(service: Service) -> None:
    service.look(leaks=2)
    service.deliver(token="wrong")
    before = opened(service)
    service.clock.advance(60)
    service.rig.github.fail("502", method="GET", times=9)
    assert service.deliver() == []
    assert opened(service) == before


def test_a_try_noted_by_a_clock_that_was_ahead_does_not_keep_a_circuit_open(service: Service) -> None:
    service.look(leaks=2)
    service.deliver(token="wrong")
    service.clock.advance(-timedelta(days=2).total_seconds())
    assert service.deliver() == ["github opened done"]


def test_what_may_still_arrive_takes_its_time_though_its_circuit_closes(service: Service) -> None:
    service.look(leaks=2)
    service.rig.github.fail("502", path=r"/repos/[^/]+/[^/]+/issues")
    assert service.deliver() == ["github opened pending", "slack opened done"]
    with service.store.writing() as connection:
        circuits.open_circuit(connection, "github", reason="refused", now=service.clock())
    service.clock.advance(60)
    assert service.deliver() == []
    assert opened(service) == {}
    service.clock.advance(30)
    assert service.deliver() == ["github opened done"]


def test_a_circuit_is_taken_before_what_waits_behind_it_whether_it_opens_or_closes(service: Service) -> None:
    transactions: list[list[str]] = [[]]

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if found := re.match("(?:INSERT INTO|DELETE FROM|UPDATE) (circuits|deliveries)", statement):
            transactions[-1].append(found[1])

    event.listen(service.store.engine, "before_cursor_execute", note)
    event.listen(service.store.engine, "commit", lambda _: transactions.append([]))
    service.rig.github.fail("502", path=r"/repos/[^/]+/[^/]+/issues")
    service.look(leaks=2)
    service.deliver()
    service.clock.advance(90)
    service.deliver(token="wrong")
    service.clock.advance(60)
    service.deliver()
    # In another order PostgreSQL's workers would wait in a ring: one opens it while the other closes it.
    assert [one for one in transactions if "circuits" in one] == [["circuits", "deliveries"]] * 2
