"""One look becomes history, an incident and its deliveries, or none of them."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from riskloop.assessing import Assessed, Occasion, assess, assess_service, retire
from riskloop.incidents import Change, Concern
from riskloop.looking import look
from riskloop.notifications import Links, Reach, Route
from riskloop.risks import Mitigation, Site
from riskloop.store import Store, history, letters, outbox
from riskloop.store.tables import measurements
from riskloop.thresholds import Verdict
from tests.store.claiming import claim_next
from tests.toys import LEAD, MITIGATION, QA, Clock, ToySettings

LIVE = Reach(github=True, slack=frozenset([""]))


class Bench:
    """Looks at the toy again and again, a day apart."""

    def __init__(self, store: Store, clock: Clock, directory: Path) -> None:
        self.store = store
        self.clock = clock
        self.directory = directory
        self.mitigation = MITIGATION
        self.reach = LIVE
        self.run = 0

    def occasion(self) -> Occasion:
        return Occasion(
            project="Toys",
            run=f"run-{self.run}",
            register_digest="d",
            reach=self.reach,
            links=Links(run="http://ui/run", forms={"adopt_toys": "http://ui/form"}),
            evidence=self.directory / "evidence",
            now=self.clock(),
        )

    def look(
        self, values: Mapping[str, float] | None, *, again: bool = False, document: str = ""
    ) -> Assessed:
        if not again:
            self.run += 1
            self.clock.advance(86_400)
        settings = ToySettings(values=None if values is None else dict(values), document=document)
        mitigation = replace(self.mitigation, settings=settings)
        seen = look(mitigation, self.site())
        (assessed,) = assess(self.store, [(mitigation, seen)], self.occasion())
        return assessed

    def site(self) -> Site:
        return Site(project=self.directory, state=self.directory, now=self.clock())

    def changes(self, mitigation: Mitigation = MITIGATION) -> list[str]:
        with self.store.reading() as connection:
            open_now = history.open_incidents(connection, mitigation.id)
        return [f"{concern} {incident.severity}" for concern, incident in open_now.items()]

    def deliveries(self) -> list[tuple[str, str, str]]:
        with self.store.reading() as connection:
            found = letters.list_deliveries(connection, states={"pending"}, limit=100)
        return [(one.change, one.channel, one.target) for one in reversed(found)]


@pytest.fixture
def bench(store: Store, clock: Clock, tmp_path: Path) -> Bench:
    return Bench(store, clock, tmp_path)


def told(assessed: Assessed) -> list[Change]:
    return [transition.change for _, transition in assessed.transitions]


def test_a_breach_opens_one_incident_with_a_delivery_for_each_channel(bench: Bench) -> None:
    assert told(bench.look({"leaks": 2})) == [Change.OPENED]
    assert bench.changes() == ["breach warning"]
    assert bench.deliveries() == [
        ("opened", "github", "acme/sdk"),
        ("opened", "slack", "C0123456789"),
    ]


def test_nothing_new_writes_measurements_and_no_delivery(bench: Bench) -> None:
    bench.look({"leaks": 2})
    before = bench.deliveries()
    assert told(bench.look({"leaks": 2})) == []
    assert bench.deliveries() == before
    with bench.store.reading() as connection:
        stored = connection.execute(select(measurements.c.metric, measurements.c.value)).all()
    assert [tuple(row) for row in stored] == [("leaks", 2), ("leaks", 2)]


def test_a_whole_life_worsens_updates_eases_and_resolves(bench: Bench) -> None:
    lives = [
        {"leaks": 2},
        {"leaks": 3},
        {"leaks": 30},
        {"leaks": 30, "spills": 1},
        {"leaks": 3},
        {"leaks": 0},
    ]
    changes = [told(bench.look(values)) for values in lives]
    assert changes == [
        [Change.OPENED],
        [Change.UPDATED],
        [Change.WORSENED],
        [Change.WORSENED],
        [Change.EASED],
        [Change.RESOLVED],
    ]
    assert bench.changes() == []


def test_a_metric_that_gets_worse_downwards_is_judged_downwards(bench: Bench) -> None:
    assert bench.look({"margin": 8}).assessment.verdict is Verdict.OK
    assert bench.look({"margin": 7}).assessment.verdict is Verdict.WARNING
    assert bench.look({"margin": 0.5}).assessment.verdict is Verdict.CRITICAL


def test_the_same_run_twice_is_stored_once(bench: Bench) -> None:
    bench.mitigation = replace(MITIGATION, after=2)
    bench.look({"leaks": 2})
    assert told(bench.look({"leaks": 2}, again=True)) == []
    assert bench.changes() == []
    assert told(bench.look({"leaks": 2})) == [Change.OPENED]


def test_two_failed_looks_open_a_blind_incident_and_close_nothing(bench: Bench) -> None:
    bench.look({"leaks": 2})
    assert told(bench.look(None)) == []
    assert told(bench.look(None)) == [Change.OPENED]
    assert sorted(bench.changes()) == ["blind warning", "breach warning"]
    assert told(bench.look({"leaks": 2})) == [Change.RESOLVED]
    assert bench.changes() == ["breach warning"]


def test_an_unexpected_failure_is_a_failed_look_that_keeps_its_exception(bench: Bench) -> None:
    bug = ZeroDivisionError("by zero")
    mitigation = replace(MITIGATION, settings=ToySettings(failure=bug))
    seen = look(mitigation, bench.site())
    assert seen.failure is bug
    assert seen.reason == "unexpected ZeroDivisionError: by zero"


def test_a_channel_added_while_an_incident_is_open_is_told_of_it(bench: Bench) -> None:
    bench.reach = Reach()
    bench.look({"leaks": 2})
    assert bench.deliveries() == [
        ("opened", "console", "github:acme/sdk"),
        ("opened", "console", "slack:C0123456789"),
    ]
    bench.reach = LIVE
    assert told(bench.look({"leaks": 2})) == []
    assert bench.deliveries()[2:] == [("updated", "github", "acme/sdk"), ("updated", "slack", "C0123456789")]
    bench.look({"leaks": 2})
    assert len(bench.deliveries()) == 4


def test_another_owner_takes_an_open_incident_over(bench: Bench) -> None:
    bench.look({"leaks": 2})
    bench.mitigation = replace(MITIGATION, risk=replace(MITIGATION.risk, owners=(QA, LEAD)))
    assert told(bench.look({"leaks": 2})) == [Change.RESOLVED, Change.OPENED]
    assert bench.deliveries()[2:] == [
        ("resolved", "github", "acme/sdk"),
        ("resolved", "slack", "C0123456789"),
        ("opened", "github", "acme/qa-issues"),
        ("opened", "slack", "C0123456789"),
    ]


def test_an_incident_changes_hands_only_at_a_look_that_shows_it(bench: Bench) -> None:
    bench.mitigation = replace(MITIGATION, resolve_after=2)
    bench.look({"leaks": 2})
    bench.mitigation = replace(
        MITIGATION, after=3, resolve_after=2, risk=replace(MITIGATION.risk, owners=(QA,))
    )
    assert told(bench.look(None)) == [], "a failed look closes nothing"
    assert told(bench.look({"leaks": 0})) == [], "one good look is not enough"
    assert len(bench.deliveries()) == 2
    assert told(bench.look({"leaks": 2})) == [Change.RESOLVED, Change.OPENED], "it stands since long ago"
    assert bench.changes() == ["breach warning"]


def test_a_blind_incident_changes_hands_while_nobody_can_look(bench: Bench) -> None:
    bench.look(None)
    assert told(bench.look(None)) == [Change.OPENED]
    bench.mitigation = replace(MITIGATION, risk=replace(MITIGATION.risk, owners=(QA,)))
    assert told(bench.look(None)) == [Change.RESOLVED, Change.OPENED]
    bench.mitigation = MITIGATION
    assert told(bench.look({"leaks": 0})) == [Change.RESOLVED]
    assert bench.changes() == []


def test_a_mitigation_that_left_the_register_resolves_with_the_reason(bench: Bench) -> None:
    bench.look({"leaks": 2})
    assert retire(bench.store, {MITIGATION.id}, bench.occasion()) == ()
    ((incident, transition),) = retire(bench.store, set(), bench.occasion())
    assert incident.resolved_at is not None
    assert transition.reason == "toys.toy is no longer in the register, or is switched off there"
    assert bench.changes() == []
    assert bench.deliveries()[2:] == [
        ("resolved", "github", "acme/sdk"),
        ("resolved", "slack", "C0123456789"),
    ]


def test_the_service_speaks_at_once_and_once_and_ends_by_itself(bench: Bench) -> None:
    def say(problem: str) -> list[Change]:
        found = assess_service(
            bench.store, owner=LEAD, problem=problem, remedy="mend it", occasion=bench.occasion()
        )
        return [transition.change for _, transition in found]

    assert say("") == []
    assert say("line 3 is wrong") == [Change.OPENED]
    assert say("line 3 is wrong") == []
    assert say("line 4 is wrong") == [Change.UPDATED]
    assert retire(bench.store, set(), bench.occasion()) == ()
    assert say("") == [Change.RESOLVED]


def test_the_facts_of_a_transition_are_kept_whole(bench: Bench) -> None:
    bench.look({"leaks": 2}, document="all of it")
    with bench.store.writing() as connection:
        claim = claim_next(connection, channels={"github"}, worker="w", now=bench.clock())
    assert claim is not None
    facts = claim.facts
    assert (facts.subject, facts.concern, facts.change) == ("toys.toy", Concern.BREACH, Change.OPENED)
    assert facts.owners == (LEAD,)
    assert facts.actions[0].url == "http://ui/form?parameters=%7B%22mitigation%22%3A%22toys.toy%22%7D"
    assert facts.actions[0].command == "riskloop adopt toys.toy"
    assert (bench.directory / facts.document).is_file()
    assert facts.readings[0].value == 2


def test_a_claim_belongs_to_one_worker_and_the_next_waits_its_turn(bench: Bench) -> None:
    bench.look({"leaks": 2})
    bench.look({"leaks": 20})
    with bench.store.writing() as connection:
        first = claim_next(connection, channels={"github"}, worker="a", now=bench.clock())
        second = claim_next(connection, channels={"github"}, worker="b", now=bench.clock())
    assert first is not None
    assert first.facts.change is Change.OPENED
    assert second is None, "the worsening waits until the opening has arrived"


def test_a_worker_whose_lease_ran_out_writes_nothing(bench: Bench) -> None:
    bench.look({"leaks": 2})
    with bench.store.writing() as connection:
        slow = claim_next(connection, channels={"github"}, worker="slow", now=bench.clock())
        late = bench.clock() + outbox.LEASE + timedelta(seconds=1)
        quick = claim_next(connection, channels={"github"}, worker="quick", now=late)
    assert slow is not None
    assert quick is not None
    assert quick.uncertain_since == bench.clock()
    with bench.store.writing() as connection:
        assert not outbox.finish(connection, slow, None, opening=slow.id, now=late)
        assert outbox.finish(connection, quick, None, opening=quick.id, now=late)


def test_routes_are_ordered_so_that_a_thread_can_link_to_its_issue() -> None:
    assert Route(channel="github", target="z") < Route(channel="slack", target="a")
