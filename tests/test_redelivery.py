"""A dead letter is sent again, or dropped, by a person who sees what it says; and old news is never sent."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from riskloop.errors import Refused, RiskloopError
from riskloop.identity import read_identity
from riskloop.redelivery import Shown, drop, retry, show
from riskloop.services import Services
from riskloop.settings import read_settings
from riskloop.store import Store, chores, circuits, letters, outbox
from riskloop.store.outbox import Claim
from tests.desk import Desk


@pytest.fixture
def desk(store: Store, tmp_path: Path) -> Desk:
    return Desk(store, tmp_path)


def shown(desk: Desk, name: str) -> Shown:
    settings = read_settings({}, register=desk.directory / "riskloop.yaml")
    identity = read_identity(desk.directory / "state")
    services = Services(settings=settings, store=desk.store, identity=identity)
    return show(services, name, now=desk.clock())


def test_a_dead_letter_goes_out_again_with_all_its_attempts_before_it(desk: Desk) -> None:
    desk.look(leaks=2)
    dead = desk.bury(uncertain=True)
    desk.clock.advance(timedelta(days=3).total_seconds())
    (outcome,) = retry(desk.store, [dead], now=desk.clock())
    assert outcome.done
    assert "'opened' to github acme/sdk goes out with the next round" in outcome.says
    assert "looked whether it has arrived" in outcome.says
    (waiting,) = desk.deliveries()
    assert (waiting.state, waiting.attempts, waiting.first_attempt_at) == ("pending", 0, None)
    assert waiting.uncertain_since is not None, "it is looked for before it is sent"
    claim = desk.claim()
    assert (claim.attempts, claim.expires_at) == (1, desk.clock() + timedelta(hours=24))


def test_behind_an_open_circuit_it_goes_out_when_the_token_works_again(desk: Desk) -> None:
    desk.look(leaks=2)
    desk.bury()
    with desk.store.writing() as connection:
        circuits.open_circuit(connection, "github", reason="no such token", now=desk.clock())
    (outcome,) = retry(desk.store, [], now=desk.clock())
    assert "goes out when the token for GitHub works again" in outcome.says


def test_later_dead_letters_go_with_it_so_that_the_last_word_is_the_newest(desk: Desk) -> None:
    for leaks in (2, 20, 3):
        desk.look(leaks=leaks)
        desk.bury()
    first, *_ = desk.deliveries()
    (outcome,) = retry(desk.store, [first.id], now=desk.clock())
    assert "and 2 later ones of the same incident there after it" in outcome.says
    assert desk.states() == ["opened pending", "worsened pending", "eased pending"]
    assert desk.claim().id == first.id


def test_what_was_dropped_stays_dropped_unless_it_is_named(desk: Desk) -> None:
    for leaks in (2, 20):
        desk.look(leaks=leaks)
        desk.bury()
    first, second = desk.deliveries()
    drop(desk.store, [second.id], who="QA", why="told by phone", now=desk.clock())
    assert [one.id for one in retry(desk.store, [], now=desk.clock())] == [first.id]
    assert desk.states() == ["opened pending", "worsened dropped"]
    (outcome,) = retry(desk.store, [second.id], now=desk.clock())
    assert outcome.done
    assert desk.states() == ["opened pending", "worsened pending"]


def test_where_something_newer_stands_old_news_is_refused_with_the_reason(desk: Desk) -> None:
    desk.look(leaks=2)
    dead = desk.bury()
    desk.look(leaks=20)
    desk.arrive()
    (outcome,) = retry(desk.store, [dead], now=desk.clock())
    assert not outcome.done
    assert "something newer is done with there ('worsened' on 01 March 2026" in outcome.says
    assert f"riskloop deliveries drop {dead} --who" in outcome.says
    assert desk.states() == ["opened dead", "worsened done"]


def test_what_waits_comes_after_it_and_what_is_being_sent_now_comes_first(desk: Desk) -> None:
    desk.look(leaks=2)
    dead = desk.bury()
    desk.look(leaks=20)
    retry(desk.store, [dead], now=desk.clock())
    assert desk.bury() == dead
    desk.clock.advance(3)
    later = desk.claim()
    (outcome,) = retry(desk.store, [dead], now=desk.clock())
    assert later.facts.change == "worsened"
    assert not outcome.done
    assert "being sent there right now; try again" in outcome.says


def test_a_worker_that_claims_the_later_one_at_that_moment_gets_nothing(desk: Desk) -> None:
    desk.look(leaks=2)
    desk.bury()
    desk.look(leaks=20)
    first, later = desk.deliveries()

    def take() -> Claim | None:
        with desk.store.writing() as connection:
            return outbox.claim(connection, later.id, worker="other", now=desk.clock())

    with ThreadPoolExecutor(1) as pool:
        with desk.store.writing() as connection:
            letters.in_order(connection, first, lock=True)
            letters.revive(connection, [first], [later], now=desk.clock())
            taking = pool.submit(take)
        assert taking.result() is None
    assert desk.states() == ["opened pending", "worsened pending"]
    assert desk.claim().id == first.id


def test_an_incident_that_is_over_is_not_opened_where_nothing_would_close_it(desk: Desk) -> None:
    desk.look(leaks=2)
    dead = desk.bury()
    desk.look(leaks=0)
    over = desk.deliveries()[-1]
    drop(desk.store, [over.id], who="QA", why="nobody heard of it", now=desk.clock())
    (outcome,) = retry(desk.store, [dead], now=desk.clock())
    assert "its incident is over, and nothing after it would say so there" in outcome.says
    assert desk.states() == ["opened dead", "resolved dropped"]


def test_only_dead_letters_are_sent_again_and_an_unknown_id_is_answered_with_the_nearest(desk: Desk) -> None:
    desk.look(leaks=2)
    done = desk.arrive()
    desk.look(leaks=20)
    waiting = desk.deliveries()[-1].id
    first, second = retry(desk.store, [done, waiting], now=desk.clock())
    assert first.says == "it is no dead letter: it has arrived"
    assert second.says == "it is no dead letter: it is on its way already"
    near = waiting[:-1] + ("0" if waiting[-1] != "0" else "1")
    with pytest.raises(RiskloopError, match=f"did you mean '{waiting}'"):
        retry(desk.store, [near], now=desk.clock())


def test_dropped_is_dead_and_needs_nobody_with_who_and_why(desk: Desk) -> None:
    desk.look(leaks=2)
    dead = desk.bury()
    desk.look(leaks=20)
    waiting = desk.deliveries()[-1].id
    outcomes = drop(desk.store, [dead, waiting], who="Ann\nLee", why="the team  has left", now=desk.clock())
    assert all(one.done for one in outcomes)
    assert {one.dropped for one in desk.deliveries()} == {"Ann Lee: the team has left"}
    with desk.store.reading() as connection:
        counts = letters.count_deliveries(connection)
        listed = letters.list_deliveries(connection, states={"dead"}, limit=9)
    assert (counts["dead"], counts["dropped"], listed) == (0, 2, ())
    (again,) = drop(desk.store, [dead], who="Bob", why="so", now=desk.clock())
    assert (again.done, again.says) == (False, "it was dropped already by Ann Lee: the team has left")


def test_what_is_being_sent_or_has_arrived_is_not_dropped(desk: Desk) -> None:
    desk.look(leaks=2)
    done = desk.arrive()
    desk.look(leaks=20)
    sending = desk.claim().id
    first, second = drop(desk.store, [done, sending], who="QA", why="no", now=desk.clock())
    assert "it has arrived" in first.says
    assert "it is being sent right now" in second.says
    assert desk.states() == ["opened done", "worsened sending"]


@pytest.mark.parametrize(("who", "why"), [("", "why"), ("QA", " \n "), ("Q" * 101, "why")])
def test_a_drop_needs_a_name_and_a_reason(desk: Desk, who: str, why: str) -> None:
    desk.look(leaks=2)
    with pytest.raises(Refused):
        drop(desk.store, [desk.bury()], who=who, why=why, now=desk.clock())
    assert desk.states() == ["opened dead"]


def test_a_delivery_shows_why_it_is_dead_what_it_says_and_how_to_send_it(desk: Desk) -> None:
    desk.look(leaks=2)
    found = shown(desk, desk.bury())
    assert found.stands == "dead letter after 1 attempt: acme/sdk is archived; name another"
    assert found.to_retry == f"riskloop deliveries retry {found.delivery.id}"
    assert found.why == "leaks passed the threshold"
    assert 'to: "github:acme/sdk"' in found.wording
    assert "| leaks | 2 leaks |" in found.wording
    assert "signature=" not in found.wording, "pasted somewhere it would be taken for ours"
    assert found.url == ""


def test_a_change_shows_the_issue_it_edits_and_the_comment_it_adds(desk: Desk) -> None:
    desk.look(leaks=2)
    desk.arrive()
    desk.look(leaks=20)
    found = shown(desk, desk.deliveries()[-1].id)
    issue, _, comment = found.wording.partition("**Worsened**")
    assert "| leaks | 20 leaks |" in issue
    assert "from warning to critical" in comment
    assert found.url == "https://github.com/acme/sdk/issues/7"
    assert (found.stands, found.to_retry) == ("waiting: sent with the next round", "")


def test_a_look_at_a_delivery_asks_nobody_and_writes_nothing(desk: Desk) -> None:
    desk.look(leaks=2)
    shown(desk, desk.deliveries()[0].id)
    with desk.store.reading() as connection:
        assert chores.last_done(connection, "look around github acme/sdk") is None
    desk.look(leaks=0)
    assert shown(desk, desk.deliveries()[-1].id).wording == "", "it was never told there"


def test_what_a_delivery_waits_for_is_said(desk: Desk) -> None:
    for leaks in (2, 20):
        desk.look(leaks=leaks)
    first, second = desk.deliveries()
    assert shown(desk, second.id).stands.startswith(f"waiting behind 'opened' ({first.id})")
    with desk.store.writing() as connection:
        circuits.open_circuit(connection, "github", reason="no such token", now=desk.clock())
    assert "the token for GitHub is refused since 01 March 2026" in shown(desk, first.id).stands
    with desk.store.writing() as connection:
        circuits.close_circuit(connection, "github", now=desk.clock())
    desk.claim()
    said = "being sent; if its worker has ended, the next round after 01 March 2026 "
    assert shown(desk, first.id).stands.startswith(said)
    desk.clock.advance(3600)
    assert "its worker ended while it was sent" in shown(desk, first.id).stands
