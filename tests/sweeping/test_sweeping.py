"""Once an hour each open incident has one open issue and one message again, whatever people did."""

import itertools
import signal
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from riskloop.assessing.muting import begin_mute, follow_mutes
from riskloop.delivery import GRACE
from riskloop.incidents import Concern
from riskloop.mutes import Mute, Muting
from riskloop.risks import SlackChannel
from riskloop.store import Store, chores, history
from riskloop.sweeping import EVERY
from riskloop.thresholds import Verdict
from tests.emulator.emulator import STRANGERS_GITHUB_TOKEN, STRANGERS_SLACK_TOKEN
from tests.emulator.rig import Rig
from tests.store import children
from tests.store.claiming import claim_next
from tests.sweeping.sweeps import SweptService

pytestmark = pytest.mark.server

A_DAY = GRACE.total_seconds() + 1


def accept(service: SweptService, *, days: int) -> None:
    mute = Mute(
        id=history.new_id(),
        muting=Muting.ACCEPTED,
        subject=service.mitigation.id,
        concern=Concern.BREACH,
        severity=Verdict.WARNING,
        who="Octo Lead",
        why="we know",
        since=service.clock(),
        until=service.clock() + timedelta(days=days),
    )
    begin_mute(service.store, mute, service.occasion())


def test_where_all_is_well_nothing_is_written_however_often_it_is_swept(service: SweptService) -> None:
    service.look(leaks=2)
    service.deliver()
    writes = service.writes
    assert service.sweep() == ()
    assert service.sweep() == ()
    assert service.deliver() == []
    assert service.writes == writes


def test_an_issue_closed_by_a_person_is_asked_about_once_and_comes_back_a_day_later(
    service: SweptService,
) -> None:
    service.look(leaks=2)
    service.deliver()
    service.rig.close_issue(service.repository, service.issue()["number"])
    (said,) = service.sweep()
    assert "closed by a person" in said
    assert service.sweep() == ()
    assert service.deliver() == ["github dismissed done"]
    assert service.issues() == [("closed", 1)]
    assert service.threads() == [0], "only where it was closed"
    assert "riskloop accept" in service.last_comment()
    service.clock.advance(3_600)
    assert service.sweep() == ()
    service.clock.advance(A_DAY)
    (said,) = service.sweep()
    assert "comes back" in said
    assert service.deliver() == ["github reopened done"]
    assert service.issues() == [("open", 2)]
    assert service.states() == {"github": "open", "slack": "open"}
    assert service.sweep() == ()
    assert service.deliver() == []


def test_what_is_closed_and_accepted_stays_closed_without_a_word(service: SweptService) -> None:
    service.look(leaks=2)
    service.deliver()
    accept(service, days=3)
    service.deliver()
    before = service.issues()[0][1]
    service.rig.close_issue(service.repository, service.issue()["number"])
    assert "is left so" in service.sweep()[0]
    service.clock.advance(A_DAY)
    assert service.sweep() == ()
    assert service.deliver() == []
    assert service.issues() == [("closed", before)]
    service.clock.advance(2 * A_DAY)
    follow_mutes(service.store, service.occasion())
    service.deliver()
    assert service.issues()[0][0] == "open", "when the acceptance is over it speaks again"


def test_what_was_closed_by_a_clock_that_was_ahead_comes_back_when_it_is_set_right(
    service: SweptService,
) -> None:
    service.look(leaks=2)
    service.deliver()
    service.clock.advance(300 * A_DAY)
    service.rig.close_issue(service.repository, service.issue()["number"])
    service.sweep()
    service.deliver()
    service.clock.advance(-300 * A_DAY)
    (said,) = service.sweep()
    assert "comes back" in said
    assert service.deliver() == ["github reopened done"]
    assert service.sweep() == ()


def test_an_issue_that_a_person_opens_again_is_open_without_a_word(service: SweptService) -> None:
    service.look(leaks=2)
    service.deliver()
    number = service.issue()["number"]
    service.rig.close_issue(service.repository, number)
    service.sweep()
    service.deliver()
    service.rig.ask_github("PATCH", f"/repos/{service.repository}/issues/{number}", {"state": "open"})
    writes = service.writes
    assert "opened again by a person" in service.sweep()[0]
    service.clock.advance(A_DAY)
    assert service.sweep() == ()
    assert service.deliver() == []
    assert service.writes == writes


def test_what_was_deleted_is_opened_anew_a_day_later(service: SweptService) -> None:
    service.look(leaks=2)
    service.deliver()
    old = service.issue()
    (message,) = service.open_messages()
    service.rig.delete_issue(service.repository, old["number"])
    service.rig.delete_message(service.channel, message)
    assert len(service.sweep()) == 2
    assert service.states() == {"github": "gone", "slack": "gone"}
    assert service.deliver() == []
    service.clock.advance(A_DAY)
    assert len(service.sweep()) == 2
    assert service.deliver() == ["github reopened done", "slack reopened done"]
    assert service.issues() == [("open", 0)]
    assert old["html_url"] in service.issue()["body"]
    assert len(service.open_messages()) == 1
    assert service.sweep() == ()


def test_an_issue_that_was_transferred_is_not_taken_for_one_of_the_place_it_is_in(
    service: SweptService, rig: Rig
) -> None:
    service.look(leaks=2)
    service.deliver()
    elsewhere = rig.new_repository()
    rig.transfer_issue(service.repository, service.issue()["number"], elsewhere)
    assert "taken away" in service.sweep()[0]
    owner = replace(service.mitigation.risk.owners[0], repository=elsewhere)
    there = replace(service.mitigation, id="other", risk=replace(service.mitigation.risk, owners=(owner,)))
    here, service.mitigation = service.mitigation, there
    service.sweep(mitigations=[there, here])
    (moved,) = rig.issues(elsewhere)
    assert moved["state"] == "open"


def test_one_too_many_is_closed_as_a_duplicate_with_a_link(service: SweptService) -> None:
    service.look(leaks=2)
    service.deliver()
    service.open_issue(service.marker())
    service.open_message(service.marker())
    first = service.open_messages()[0]
    assert len(service.sweep()) == 2
    original, extra = service.rig.issues(service.repository)
    assert (original["state"], extra["state"], extra["state_reason"]) == ("open", "closed", "duplicate")
    assert original["html_url"] in extra["body"]
    assert service.open_messages() == [first]
    writes = service.writes
    assert service.sweep() == ()
    assert service.writes == writes


def test_one_too_many_stands_in_for_one_that_a_person_closed(service: SweptService) -> None:
    service.look(leaks=2)
    service.deliver()
    service.rig.close_issue(service.repository, service.issue()["number"], reason="not_planned")
    service.open_issue(service.marker())
    assert "its own from now on" in service.sweep()[0]
    service.look(leaks=20)
    service.deliver()
    assert service.issues() == [("closed", 0), ("open", 1)]


def test_what_is_left_of_a_resolved_incident_is_closed(service: SweptService) -> None:
    service.look(leaks=2)
    service.deliver()
    service.open_issue(service.marker())
    service.open_message(service.marker())
    service.look(leaks=0)
    assert service.sweep() == (), "its end is on its way"
    service.deliver()
    assert len(service.sweep()) == 2
    assert service.issue(2)["state_reason"] == "completed"
    assert "is resolved" in service.issue(2)["body"]
    assert service.open_messages() == []


def test_a_resolved_issue_that_a_person_opens_again_is_left_to_them(service: SweptService) -> None:
    service.look(leaks=2)
    service.deliver()
    service.look(leaks=0)
    service.deliver()
    number = service.issue()["number"]
    service.rig.ask_github("PATCH", f"/repos/{service.repository}/issues/{number}", {"state": "open"})
    assert service.sweep() == ()
    assert service.issue()["state"] == "open"


def test_what_may_be_a_delivery_in_flight_is_left_alone(service: SweptService) -> None:
    service.look(leaks=2)
    service.deliver()
    service.look(leaks=20)
    with service.store.writing() as connection:
        for channel in ("github", "slack"):
            assert claim_next(connection, channels={channel}, worker="other", now=service.clock())
    service.open_issue(service.marker())
    service.open_message(service.marker())
    service.rig.close_issue(service.repository, service.issue()["number"])
    assert service.sweep() == ()
    assert [state for state, _ in service.issues()] == ["closed", "open"]


def test_an_issue_is_no_ones_whose_dead_letter_has_arrived_until_it_is_swept(service: SweptService) -> None:
    service.look(leaks=2)
    service.rig.github.fail("422", method="POST", path=r"/repos/[^/]+/[^/]+/issues")
    assert service.deliver() == ["github opened dead", "slack opened done"]
    assert service.sweep() == (), "a dead letter needs a person"
    service.open_issue(service.marker())
    assert "its own from now on" in service.sweep()[0]
    service.look(leaks=0)
    service.deliver()
    assert service.issues() == [("closed", 1)]


def strange_markers(service: SweptService) -> Iterator[str]:
    """Give markers signed with another key, of another installation, in the second line, and cut off."""
    yield service.marker(key=b"another")
    yield service.marker(installation="another000")
    yield f"It says:\n{service.marker()}"
    yield service.marker()[:-1]


def test_what_is_not_ours_is_left_alone(service: SweptService) -> None:
    service.look(leaks=2)
    service.deliver()
    for text in strange_markers(service):
        service.open_issue(text)
    service.open_issue(service.marker(), token=STRANGERS_GITHUB_TOKEN)
    service.open_message(service.marker(key=b"another"))
    service.open_message(service.marker(installation="another000"))
    service.open_message(service.marker(), token=STRANGERS_SLACK_TOKEN)
    assert service.sweep() == ()
    assert [state for state, _ in service.issues()] == ["open"] * 6


def test_a_lost_store_closes_nothing_before_it_has_looked_and_then_what_is_well(
    service: SweptService,
) -> None:
    service.open_issue(service.marker(incident="lost"))
    assert service.sweep() == ()
    service.look(leaks=0)
    assert service.sweep() == (), "by whose clock it was later is not sure yet"
    service.clock.advance(3_600)
    service.look(leaks=0)
    assert "found well" in service.sweep()[0]
    assert service.issues() == [("closed", 0)]
    assert service.issue()["state_reason"] == "completed"


def test_what_an_incident_adopts_while_it_is_about_to_be_closed_stays_open(service: SweptService) -> None:
    service.open_issue(service.marker(incident="lost"))
    service.clock.advance(3_600)
    service.look(leaks=0)
    assert service.sweep(turn=lambda: service.look(leaks=2)) == ()
    service.deliver()
    assert service.issues() == [("open", 0)]


def test_what_left_the_register_while_the_store_was_lost_is_closed(service: SweptService) -> None:
    service.open_issue(service.marker(incident="lost"))
    assert "no longer in the register" in service.sweep(mitigations=[])[0]
    assert service.issues() == [("closed", 0)]


def test_a_lost_store_finds_what_its_new_incident_had_become(service: SweptService) -> None:
    service.rig.github.fail("422", method="POST", path=r"/repos/[^/]+/[^/]+/issues")
    service.look(leaks=2)
    assert service.deliver() == ["github opened dead", "slack opened done"]
    service.open_issue(service.marker(incident="lost"))
    service.open_issue(service.marker(incident="lost"))
    service.open_message(service.marker(incident="lost"))
    assert len(service.sweep()) == 3, "one adopted, one too many of each"
    assert [state for state, _ in service.issues()] == ["open", "closed"]
    assert len(service.open_messages()) == 1
    service.look(leaks=20)
    service.deliver()
    assert service.issues() == [("open", 1), ("closed", 0)]
    assert service.marker().partition(" delivery=")[0] in service.issue()["body"]
    assert service.sweep() == ()


def test_a_place_that_fails_hides_no_other(service: SweptService) -> None:
    service.look(leaks=2)
    service.deliver()
    service.open_message(service.marker())
    service.rig.github.fail("502", method="GET", path=r".*", times=100)
    failed, done = service.sweep()
    assert "could not be swept" in failed
    assert "closed" in done
    assert len(service.open_messages()) == 1


def test_what_there_is_no_time_for_is_left_to_the_next_sweep(service: SweptService) -> None:
    service.look(leaks=2)
    service.deliver()
    for _ in range(3):
        service.open_issue(service.marker())
    service.open_message(service.marker())
    assert len(service.sweep(patience=1, turn=lambda: service.wait(1))) == 1
    assert [state for state, _ in service.issues()] == ["open", "closed", "open", "open"]
    assert service.sweep(patience=0) == ()
    assert len(service.sweep()) == 3
    assert len(service.open_messages()) == 1


def test_of_two_workers_one_sweeps_and_an_hour_later_again(store: Store, store_url: str) -> None:
    def work(mine: Store) -> bool:
        with mine.writing() as connection:
            return chores.take(connection, "sweep", every=EVERY, now=now)

    now = datetime(2026, 3, 1, tzinfo=UTC)
    store.close()
    ended = children.together(store_url, *[work] * 6)
    assert sorted(words for _, words in ended) == ["False"] * 5 + ["True"]
    now += timedelta(minutes=30)
    assert not work(store)
    now += timedelta(minutes=30)
    assert work(store)
    now -= timedelta(days=3)
    assert work(store), "a clock that was wrong does not hold it up"


@pytest.mark.parametrize("step", [9, pytest.param(1, marks=pytest.mark.soak)])
def test_a_sweep_killed_anywhere_is_finished_by_the_next(
    service: SweptService, store_url: str, step: int
) -> None:
    for statement in itertools.count(1, step):
        # Long enough for the places of the last time to be none of this one's.
        service.clock.advance(3 * A_DAY)
        move_on(service, f"toys.{statement}")
        service.look(leaks=2)
        service.deliver()
        service.open_issue(service.marker())
        service.open_message(service.marker())
        service.rig.close_issue(service.repository, service.issue()["number"])
        service.store.close()

        def work(mine: Store, at: int = statement) -> tuple[str, ...]:
            children.die_at(mine, at)
            return service.sweep(store=mine)

        child = children.start(store_url, work)
        child.let_go()
        code, words = child.wait()
        assert code in {0, -signal.SIGKILL}, words
        service.sweep()
        assert service.sweep() == ()
        service.deliver()
        assert sorted(state for state, _ in service.issues()) == ["closed", "open"]
        assert len(service.open_messages()) == 1
        assert service.states() == {"github": "open", "slack": "open"}
        service.look(leaks=0)
        service.deliver()
        if code == 0:
            assert statement > 20
            return


def move_on(service: SweptService, mitigation: str) -> None:
    """Go on with another mitigation, in a repository and a channel of its own."""
    service.repository, service.channel = service.rig.new_repository(), service.rig.new_channel()
    owner = replace(
        service.mitigation.risk.owners[0],
        repository=service.repository,
        channel=SlackChannel(channel=service.channel),
    )
    risk = replace(service.mitigation.risk, owners=(owner,))
    service.mitigation = replace(service.mitigation, id=mitigation, risk=risk)


def test_a_token_that_is_refused_ends_the_sweep_of_its_places_only(service: SweptService) -> None:
    service.look(leaks=2)
    service.deliver()
    first = service.mitigation
    move_on(service, "toys.elsewhere")
    service.clock.advance(1)
    service.look(leaks=2)
    service.deliver()
    service.open_message(service.marker())
    service.rig.revoke_github()
    said = service.sweep(mitigations=[first, service.mitigation])
    assert [sentence.partition(" ")[0] for sentence in said] == ["github", "slack"]
    assert "does not accept the token" in said[0]
    assert len(service.open_messages()) == 1


def test_a_message_that_was_posted_before_its_issue_links_to_it_after_the_sweep(
    service: SweptService,
) -> None:
    service.rig.github.fail("502", path=r"/repos/[^/]+/[^/]+/issues", times=1)
    service.look(leaks=2)
    assert service.deliver() == ["github opened pending", "slack opened done"]
    service.clock.advance(90)
    assert service.deliver() == ["github opened done"]
    (message,) = service.rig.messages(service.channel)
    assert "/issues/" not in str(message["blocks"])
    reason = service.incident().reason
    assert service.sweep() == (f"{service.mitigation.id}: its message links to its issue now",)
    assert service.deliver() == ["slack updated done"]
    (message,) = service.rig.messages(service.channel)
    assert service.issue()["html_url"] in str(message["blocks"])
    assert reason in str(message["blocks"])
    assert service.threads() == [0], "nobody is called for it"
    assert service.sweep() == ()
    assert service.deliver() == []


@pytest.mark.parametrize("swept", [True, False])
def test_an_accepted_issue_that_a_person_closed_is_not_opened_by_new_numbers_a_day_later(
    service: SweptService, *, swept: bool
) -> None:
    service.look(leaks=2)
    service.deliver()
    accept(service, days=30)
    service.deliver()
    service.rig.close_issue(service.repository, service.issue()["number"])
    service.sweep()
    service.clock.advance(A_DAY + 60)
    if swept:
        service.sweep()
    service.look(leaks=3)
    service.deliver()
    assert service.issue()["state"] == "closed"
    service.clock.advance(23 * A_DAY)
    assert follow_mutes(service.store, service.occasion()), "its end is announced"
    service.deliver()
    assert service.issue()["state"] == "closed"
    service.look(leaks=20)
    service.deliver()
    assert service.issue()["state"] == "open", "what is worse than was accepted is told of"


def test_a_silenced_issue_that_a_person_closed_stays_so_however_bad_it_gets(service: SweptService) -> None:
    service.look(leaks=2)
    service.deliver()
    silence = Mute(
        id=history.new_id(),
        muting=Muting.SILENCED,
        subject=service.mitigation.id,
        concern=None,
        severity=Verdict.UNKNOWN,
        who="Octo Lead",
        why="we are moving house",
        since=service.clock(),
        until=service.clock() + timedelta(days=30),
    )
    begin_mute(service.store, silence, service.occasion())
    service.deliver()
    service.rig.close_issue(service.repository, service.issue()["number"])
    service.look(leaks=20)
    service.deliver()
    assert service.issue()["state"] == "closed"
    service.clock.advance(30 * A_DAY)
    follow_mutes(service.store, service.occasion())
    service.deliver()
    assert service.issue()["state"] == "open", "at the end it speaks again"
