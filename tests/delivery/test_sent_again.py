"""A dead letter that a person sends again comes once, whether or not it had arrived after all."""

import pytest

from riskloop.redelivery import retry
from tests.delivering import SETTLE, Service

pytestmark = pytest.mark.server

ISSUES = r"/repos/[^/]+/[^/]+/issues"


@pytest.mark.parametrize("arrived", ["arrived", "not arrived"])
def test_what_may_have_arrived_is_looked_for_before_it_is_sent_again(service: Service, arrived: str) -> None:
    service.rig.github.fail("502", method="POST", path=ISSUES, after_commit=arrived == "arrived")
    service.look(leaks=2)
    service.deliver()
    service.clock.advance(SETTLE)
    service.rig.github.fail("422", method="GET", path=ISSUES)
    assert service.deliver() == ["github opened dead"]
    (outcome,) = retry(service.store, [], now=service.clock())
    assert outcome.done
    assert service.deliver() == ["github opened done"]
    assert service.issues() == [("open", 0)]


def test_what_piled_up_dead_is_told_in_order(service: Service) -> None:
    service.rig.github.fail("404", method="POST", path=ISSUES, times=2)
    for leaks in (2, 20):
        service.look(leaks=leaks)
        service.deliver()
    retry(service.store, [], now=service.clock())
    assert service.deliver() == ["github opened done", "github worsened done"]
    assert service.issues() == [("open", 1)]
