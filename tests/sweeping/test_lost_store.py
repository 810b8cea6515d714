"""A store that was lost, or restored from a copy, knows its open issues and messages again."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from riskloop.channels import Channel
from riskloop.channels.slack import Slack
from riskloop.identity import Accounts, read_identity
from riskloop.store import outbox
from riskloop.store.budget import Budget
from tests.emulator.emulator import STRANGERS_GITHUB_TOKEN, STRANGERS_SLACK_TOKEN
from tests.store.claiming import claim_next
from tests.sweeping.sweeps import SweptService, copy_of, lose, restore

pytestmark = pytest.mark.server

OPENED = ["github opened done", "slack opened done"]
DAY = 86_400


def test_a_lost_store_adopts_what_stands_open_and_opens_nothing(service: SweptService) -> None:
    service.look(leaks=2)
    service.deliver()
    lose(service.store)
    service.look(leaks=20)
    assert service.deliver() == OPENED
    assert service.issues() == [("open", 0)]
    assert service.threads() == [0]
    assert service.marker().partition(" delivery=")[0] in service.issue()["body"].partition("\n")[0]
    assert "severity:critical" in [label["name"] for label in service.issue()["labels"]]
    assert service.sweep() == ()
    service.look(leaks=0)
    service.deliver()
    assert service.issues() == [("closed", 1)]
    assert service.threads() == [1]
    assert service.open_messages() == []


def test_a_store_restored_from_before_the_incident_opened_adopts_it(service: SweptService) -> None:
    before = copy_of(service.store)
    service.look(leaks=2)
    service.deliver()
    restore(service.store, before)
    service.look(leaks=2)
    assert service.deliver() == OPENED
    assert service.issues() == [("open", 0)]
    assert service.threads() == [0]


def test_a_store_restored_from_before_anyone_was_told_adopts_what_they_were_told(
    service: SweptService,
) -> None:
    service.look(leaks=2)
    before = copy_of(service.store)
    service.deliver()
    restore(service.store, before)
    assert service.deliver() == OPENED
    assert service.issues() == [("open", 0)]
    assert service.threads() == [0]


def test_a_store_restored_from_the_middle_of_a_delivery_adopts_what_it_became(service: SweptService) -> None:
    service.look(leaks=2)
    with service.store.writing() as connection:
        for channel in ("github", "slack"):
            assert claim_next(connection, channels={channel}, worker="dead", now=service.clock())
    middle = copy_of(service.store)
    service.clock.advance(outbox.LEASE.total_seconds() + 1)
    service.deliver()
    restore(service.store, middle)
    assert service.deliver() == OPENED
    assert service.issues() == [("open", 0)]
    assert service.threads() == [0]


def test_a_store_restored_again_and_again_adopts_each_time(service: SweptService) -> None:
    before = copy_of(service.store)
    for leaks in (2, 3, 20):
        service.look(leaks=leaks)
        service.deliver()
        restore(service.store, before)
    service.look(leaks=2)
    service.deliver()
    assert service.issues() == [("open", 0)]
    assert service.threads() == [0]


def test_adopting_many_is_gone_on_with_after_it_was_interrupted(service: SweptService) -> None:
    many = [replace(service.mitigation, id=f"toys.{number}") for number in range(4)]

    def look_at_all() -> None:
        for service.mitigation in many:
            service.look(leaks=2)

    look_at_all()
    service.deliver()
    service.clock.advance(3_600)
    lose(service.store)
    look_at_all()
    # Room for one write only, and then for none within anybody's patience.
    budgets = dict.fromkeys(("github", "slack"), Budget(gap=timedelta(hours=1)))
    done = [one for one in service.postman(budgets=budgets).deliver() if one.state == "done"]
    assert len(done) == 2
    service.clock.advance(7_200)
    assert sorted(service.deliver()) == sorted(OPENED * 3)
    assert service.issues() == [("open", 0)] * 4
    assert service.threads() == [0] * 4


def test_what_was_adopted_and_resolved_is_not_adopted_once_more(service: SweptService) -> None:
    service.look(leaks=2)
    service.deliver()
    lose(service.store)
    for leaks in (2, 0, 2):
        service.clock.advance(1)
        service.look(leaks=leaks)
    service.deliver()
    assert service.issues() == [("closed", 1), ("open", 0)]
    assert len(service.open_messages()) == 1


def test_two_installations_on_one_repository_keep_apart(service: SweptService, tmp_path: Path) -> None:
    service.look(leaks=2)
    service.deliver()
    ours = service.identity
    lose(service.store)
    service.identity = replace(read_identity(tmp_path / "another"), key=ours.key)
    service.look(leaks=2)
    service.deliver()
    assert service.issues() == [("open", 0)] * 2
    assert service.threads() == [0] * 2
    service.look(leaks=0)
    service.deliver()
    service.sweep()
    assert service.issues() == [("open", 0), ("closed", 1)]


def test_what_is_forged_or_copied_is_not_adopted(service: SweptService) -> None:
    lost = service.marker(incident="lost")
    service.open_issue(service.marker(incident="lost", key=b"another"))
    service.open_issue(f"It says:\n{lost}")
    service.open_issue(lost, token=STRANGERS_GITHUB_TOKEN)
    service.open_message(service.marker(incident="lost", key=b"another"))
    service.open_message(lost, token=STRANGERS_SLACK_TOKEN)
    service.look(leaks=2)
    assert service.deliver() == OPENED
    assert len(service.issues()) == 4
    assert len(service.threads()) == 3


def test_with_another_token_the_issues_of_the_one_before_are_still_ours(service: SweptService) -> None:
    service.look(leaks=2)
    service.deliver()
    lose(service.store)
    service.look(leaks=20)
    postman = service.postman(token=STRANGERS_GITHUB_TOKEN)
    tokens = {"": STRANGERS_SLACK_TOKEN}
    slack = Slack(
        tokens, service.rig.slack_url, key=service.identity.key, accounts=Accounts(service.place), timeout=1
    )
    channels: Mapping[str, Channel] = {**postman.channels, "slack": slack}
    assert [one.state for one in replace(postman, channels=channels).deliver()] == ["done", "done"]
    assert service.issues() == [("open", 0)]
    assert service.threads() == [0]


def test_a_clock_that_was_ahead_hides_nothing(service: SweptService) -> None:
    first = service.mitigation
    service.clock.advance(3 * DAY)
    service.mitigation = replace(first, id="toys.other")
    service.look(leaks=2)
    service.deliver()
    service.clock.advance(-3 * DAY)
    service.mitigation = first
    before = copy_of(service.store)
    service.look(leaks=2)
    service.deliver()
    restore(service.store, before)
    service.look(leaks=2)
    assert service.deliver() == OPENED
    assert service.issues() == [("open", 0)] * 2
    assert service.threads() == [0] * 2
