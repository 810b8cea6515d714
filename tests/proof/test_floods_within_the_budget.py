"""A thousand incidents at once stay within the budget, all arrive, and hold up no first critical."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from riskloop.assessing import assess, settle_floods
from riskloop.identity import read_identity
from riskloop.risks import Owner, SlackChannel
from riskloop.settings import read_settings
from riskloop.speaking import budgets
from riskloop.store import Store, letters, open_store
from tests.delivering import Service
from tests.emulator.fixtures import hold_to_the_description
from tests.emulator.rig import Rig
from tests.store.shelf import seen, toy
from tests.toys import QA

pytestmark = pytest.mark.server

MINUTE, HOUR = 60.0, 3_600.0
PROMISED = timedelta(minutes=2)


@contextmanager
def a_service(place: Path) -> Iterator[Service]:
    """Start an emulator of the test's own: it takes 5,000 requests an hour."""
    store = open_store(f"sqlite:///{place / 'riskloop.sqlite'}")
    store.upgrade()
    with Rig() as rig:
        targets = (rig.new_repository(), rig.new_channel())
        service = Service(rig, store, read_identity(place / "state"), place, targets)
        for proxy in (rig.github, rig.slack):
            proxy.clock = lambda: service.clock().timestamp()
        yield service
        hold_to_the_description(rig)
    store.close()


def breach(service: Service, name: str, numbers: range, *, owner: Owner, leaks: float) -> None:
    risk = replace(service.mitigation.risk, id=name, title=f"Leaks of {owner.name}", owners=(owner,))
    toys = [replace(toy(number), id=f"{name}.{number}", risk=risk) for number in numbers]
    assess(service.store, [(one, seen(one, {"leaks": leaks})) for one in toys], service.occasion())


def other_owner(service: Service) -> Owner:
    return replace(
        QA, repository=service.rig.new_repository(), channel=SlackChannel(channel=service.rig.new_channel())
    )


def owner_of(service: Service) -> Owner:
    return service.mitigation.risk.owners[0]


def follow_up(service: Service) -> None:
    """Do one round as `follow_up` does it, and wait for the next."""
    begun = service.clock()
    budget = budgets(read_settings({}))
    settle_floods(service.store, service.occasion())
    service.postman(budgets=budget).deliver()
    service.clock.now = max(service.clock(), begun + timedelta(minutes=10))


def waiting(store: Store) -> int:
    with store.reading() as connection:
        counts = letters.count_deliveries(connection)
    assert counts["dead"] == counts["sending"] == 0
    return counts["pending"]


def when_opened(service: Service, repository: str, title: str) -> float:
    """Say when the first issue whose title has these words was asked for."""
    opened = service.rig.github.writes("POST", f"/repos/{repository}/issues")
    return min(request.at for request in opened if title in request.sent["title"])


@pytest.mark.parametrize("many", [60, pytest.param(1_000, marks=pytest.mark.soak)])
def test_many_at_once_are_all_told_of_within_the_budget(tmp_path: Path, many: int) -> None:
    with a_service(tmp_path) as service:
        breach(service, "many", range(many), owner=owner_of(service), leaks=2)
        rounds = 0
        while waiting(service.store):
            follow_up(service)
            rounds += 1
            assert rounds < many, "it gets less every round"
        follow_up(service)
        github, slack = service.rig.github, service.rig.slack
        assert github.busiest(MINUTE) <= 80
        assert github.busiest(HOUR) <= 400
        assert github.busiest(1.0) == slack.busiest(1.0) == 1
        assert len(github.writes("POST", r".*/issues")) == many + 1, "each, and one that tells of all"
        assert len(slack.writes("POST", r".*chat\.postMessage")) == many + 2, "and a reply that ends that"
        assert [issue["state"] for issue in service.rig.issues(service.repository)].count("closed") == 1


@pytest.mark.parametrize("many", [100, pytest.param(1_000, marks=pytest.mark.soak)])
def test_another_owner_s_first_critical_is_told_of_within_two_minutes_amid_a_flood(
    tmp_path: Path, many: int
) -> None:
    with a_service(tmp_path) as service:
        other = other_owner(service)
        breach(service, "many", range(many), owner=owner_of(service), leaks=20)
        happens = service.clock() + timedelta(seconds=30)
        service.meanwhile(30, lambda: breach(service, "other", range(1), owner=other, leaks=20))
        follow_up(service)
        at = when_opened(service, str(other.repository), "Leaks of QA")
        assert 0 <= at - happens.timestamp() <= PROMISED.total_seconds()


@pytest.mark.soak
def test_another_owner_s_first_critical_is_told_of_at_once_when_the_hour_is_used_up(tmp_path: Path) -> None:
    with a_service(tmp_path) as service:
        other = other_owner(service)
        breach(service, "many", range(1_000), owner=owner_of(service), leaks=20)
        before = -1
        while waiting(service.store) != before:
            before = waiting(service.store)
            follow_up(service)
        happened = service.clock()
        breach(service, "other", range(1), owner=other, leaks=20)
        follow_up(service)
        at = when_opened(service, str(other.repository), "Leaks of QA")
        assert at - happened.timestamp() <= PROMISED.total_seconds()
        assert service.rig.github.busiest(HOUR) <= 400
