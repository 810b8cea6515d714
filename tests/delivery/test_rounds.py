"""One round of deliveries: what must wait holds up nothing else, and what came to be heard elsewhere is."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import event, select

from riskloop.assessing import assess, begin_mute, end_mute
from riskloop.delivery.pacing import Pacer
from riskloop.incidents import Concern
from riskloop.mutes import Mute, Muting
from riskloop.notifications import Reach
from riskloop.risks import SlackChannel
from riskloop.store import Store, budget, letters
from riskloop.store.budget import Budget
from riskloop.store.tables import deliveries
from riskloop.thresholds import Verdict
from tests.delivering import Service
from tests.proxy.faults import github_says
from tests.store.claiming import claim_next
from tests.store.shelf import seen

pytestmark = pytest.mark.server

ISSUES = r"/repos/[^/]+/[^/]+/issues"


def test_a_service_that_asks_to_wait_is_asked_once_a_round_and_holds_up_no_other(service: Service) -> None:
    service.rig.github.fail(
        github_says(429, "Too many requests", Retry_After="30"), path=ISSUES, times=10_000
    )
    first = service.mitigation
    for number in range(6):
        service.mitigation = replace(first, id=f"toys.{number}")
        service.look(leaks=2)
    begun = service.clock()
    assert sorted(service.deliver()) == ["github opened pending", *["slack opened done"] * 6]
    assert service.clock() - begun <= timedelta(minutes=1)
    service.rig.github.forget()
    service.clock.advance(60)
    assert service.deliver() == ["github opened done"] * 6


def test_waiting_for_the_budget_alone_does_not_begin_the_day_of_a_delivery(service: Service) -> None:
    service.look(leaks=2)
    one_an_hour = {"github": Budget(gap=timedelta(0), caps=((1, timedelta(hours=1)),), share=1)}
    service.deliver()
    service.look(leaks=20)
    with service.store.writing() as connection:
        budget.take(
            connection,
            "github",
            "",
            one_an_hour["github"],
            now=service.clock(),
            patience=timedelta(0),
        )
    assert [one.state for one in service.postman(budgets=one_an_hour).deliver()] == ["pending", "done"]
    with service.store.reading() as connection:
        (waiting,) = letters.list_deliveries(connection, states={"pending"}, limit=9)
    assert (waiting.attempts, waiting.first_attempt_at) == (0, None)
    service.clock.advance(timedelta(days=2).total_seconds())
    assert service.deliver() == ["github worsened done"]


def test_what_was_sent_at_the_end_of_a_long_wait_settles_from_there(service: Service) -> None:
    service.rig.github.fail(github_says(429, "Too many requests", Retry_After="50"), path=ISSUES)
    service.rig.github.fail("502", path=ISSUES)
    service.look(leaks=2)
    begun = service.clock()
    assert service.deliver() == ["github opened pending", "slack opened done"]
    with service.store.reading() as connection:
        (waiting,) = letters.list_deliveries(connection, states={"pending"}, limit=9)
    assert waiting.uncertain_since
    assert waiting.uncertain_since - begun >= timedelta(seconds=50)


def test_an_owner_who_gets_a_channel_while_an_incident_is_open_hears_of_it_there(service: Service) -> None:
    (owner,) = service.mitigation.risk.owners
    heard = service.mitigation
    service.mitigation = replace(heard, risk=replace(heard.risk, owners=(replace(owner, channel=None),)))
    service.look(leaks=2)
    assert service.deliver() == ["github opened done"]
    service.mitigation = heard
    service.look(leaks=2)
    assert service.deliver() == ["slack updated done"]
    service.look(leaks=2)
    assert service.deliver() == []
    assert service.issues() == [("open", 0)]
    assert service.threads() == [0]


@pytest.mark.parametrize("ends", [Muting.ACCEPTED, Muting.SILENCED])
def test_what_opened_unheard_opens_only_when_neither_acceptance_nor_silence_holds(
    service: Service, ends: Muting
) -> None:
    both = [
        Mute(
            id=muting,
            muting=muting,
            subject=service.mitigation.id,
            concern=Concern.BREACH if muting is Muting.ACCEPTED else None,
            severity=Verdict.WARNING,
            who="Ada",
            why="known",
            since=service.clock(),
            until=service.clock() + timedelta(days=30),
        )
        for muting in (ends, *({*Muting} - {ends}))
    ]
    for mute in both:
        begin_mute(service.store, mute, service.occasion())
    service.look(leaks=2)
    for mute, issues in zip(both, ([], [("open", 0)]), strict=True):
        end_mute(service.store, mute, "by Bob: enough", service.occasion())
        service.deliver()
        assert service.issues() == issues


def test_two_owners_heard_by_one_webhook_share_its_channel_s_budget(service: Service, store: Store) -> None:
    (owner,) = service.mitigation.risk.owners
    by_webhook = replace(service.occasion(), reach=Reach(webhook=True))
    for number in range(2):
        heard = replace(owner, name=f"Owner {number}", channel=SlackChannel(channel=f"C{number}"))
        risk = replace(service.mitigation.risk, owners=(heard,))
        one = replace(service.mitigation, id=f"toys.{number}", risk=risk)
        assess(store, [(one, seen(one, {"leaks": 2}))], by_webhook)
    second = Budget(gap=timedelta(seconds=1))
    pacer = Pacer(store=store, budgets={"slack_webhook": second}, clock=service.clock, sleep=service.wait)
    for _ in range(2):
        with store.writing() as connection:
            claim = claim_next(connection, channels={"slack_webhook"}, worker="w", now=service.clock())
        assert claim is not None
        pacer.turn(claim)()
    assert service.waits == [1]


@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
def test_what_another_has_in_hand_is_waited_for_without_haste(service: Service) -> None:
    service.look(leaks=2)
    held = service.store.engine.connect()
    held.execute(select(deliveries.c.id).with_for_update())
    service.meanwhile(5, held.close)
    assert service.deliver() == ["github opened done", "slack opened done"]
    assert service.waits == [1] * 5


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
def test_the_queue_is_read_without_what_was_delivered_long_ago(service: Service) -> None:
    asked: list[tuple[str, tuple[object, ...]]] = []

    def note(
        _connection: object, _cursor: object, statement: str, values: tuple[object, ...], *_: object
    ) -> None:
        if "row_number" in statement:
            asked.append((statement, values))

    event.listen(service.store.engine, "before_cursor_execute", note)
    service.deliver()
    (statement, values) = asked[0]
    with service.store.reading() as connection:
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values).all()
    assert "SCAN deliveries USING INDEX ix_deliveries_unfinished" in {row[3] for row in plan}
