"""What nobody has heard yet is told once, in order, on GitHub and Slack, whatever happens on the way."""

from dataclasses import replace
from datetime import timedelta

import pytest

from riskloop.delivery import MAXIMUM_ATTEMPTS, PATIENCE_SECONDS
from riskloop.store import Store, letters, outbox
from tests.delivering import SETTLE, Service
from tests.proxy.faults import Fault, github_says
from tests.store import children
from tests.store.claiming import claim_next

pytestmark = pytest.mark.server

ISSUES = r"/repos/[^/]+/[^/]+/issues"


def asks_to_wait(seconds: int) -> Fault:
    return github_says(429, "Too many requests", Retry_After=str(seconds))


def test_a_breach_is_one_issue_and_one_message_and_a_second_run_writes_nothing_more(service: Service) -> None:
    service.look(leaks=2)
    assert service.deliver() == ["github opened done", "slack opened done"]
    assert service.issues() == [("open", 0)]
    assert service.threads() == [0]
    writes = len(service.rig.github.writes("POST", r".*"))
    service.look(leaks=2)
    assert service.deliver() == []
    assert len(service.rig.github.writes("POST", r".*")) == writes


def test_a_worse_breach_edits_and_comments_once_and_a_good_look_closes(service: Service) -> None:
    service.look(leaks=2)
    service.deliver()
    service.look(leaks=20)
    assert service.deliver() == ["github worsened done", "slack worsened done"]
    assert service.issues() == [("open", 1)]
    assert service.threads() == [1]
    (issue,) = service.rig.issues(service.repository)
    assert "severity:critical" in [label["name"] for label in issue["labels"]]
    service.look(leaks=0)
    assert service.deliver() == ["github resolved done", "slack resolved done"]
    assert service.issues() == [("closed", 2)]
    assert service.threads() == [2]


def test_new_numbers_edit_silently(service: Service) -> None:
    service.look(leaks=2)
    service.deliver()
    service.look(leaks=3)
    assert service.deliver() == ["github updated done", "slack updated done"]
    assert service.issues() == [("open", 0)]
    assert service.threads() == [0]
    (issue,) = service.rig.issues(service.repository)
    assert "| leaks | 3 leaks |" in issue["body"]


def test_the_next_incident_like_it_links_to_the_last(service: Service) -> None:
    for leaks in (2, 0, 2):
        service.look(leaks=leaks)
        service.deliver()
    newest, last = sorted(service.rig.issues(service.repository), key=lambda issue: -issue["number"])
    assert last["html_url"] in newest["body"]


def test_what_piled_up_arrives_in_order(service: Service) -> None:
    for leaks in (2, 20, 0):
        service.look(leaks=leaks)
    assert service.deliver() == [
        "github opened done",
        "slack opened done",
        "github worsened done",
        "slack worsened done",
        "github resolved done",
        "slack resolved done",
    ]
    assert service.issues() == [("closed", 2)]


def test_what_was_over_before_anyone_heard_of_it_is_told_to_nobody_new(service: Service) -> None:
    service.rig.github.fail("422", method="POST", path=ISSUES)
    service.look(leaks=2)
    assert service.deliver() == ["github opened dead", "slack opened done"]
    service.look(leaks=0)
    assert service.deliver() == ["github resolved done", "slack resolved done"]
    assert service.issues() == []


@pytest.mark.parametrize("fault", ["502", "reset", "timeout"])
@pytest.mark.parametrize("applied", ["applied", "not applied"])
def test_an_issue_whose_answer_was_lost_is_looked_for_and_not_opened_twice(
    service: Service, fault: str, applied: str
) -> None:
    service.rig.github.fail(fault, method="POST", path=ISSUES, after_commit=applied == "applied")
    service.look(leaks=2)
    assert service.deliver() == ["github opened pending", "slack opened done"]
    assert service.deliver() == [], "it may still arrive"
    service.clock.advance(SETTLE)
    assert service.deliver() == ["github opened done"]
    assert service.issues() == [("open", 0)]


@pytest.mark.parametrize("while_looking", ["429", "502"])
def test_a_look_that_fails_leaves_the_outcome_unknown(service: Service, while_looking: str) -> None:
    service.rig.github.fail("502", method="POST", path=ISSUES, after_commit=True)
    service.look(leaks=2)
    service.deliver()
    service.clock.advance(SETTLE)
    service.rig.github.fail(while_looking, method="GET", path=ISSUES, times=1)
    assert service.deliver() == ["github opened pending"]
    service.clock.advance(4_000)
    assert service.deliver() == ["github opened done"]
    assert service.issues() == [("open", 0)]


def test_a_message_whose_answer_was_lost_is_looked_for_and_not_posted_twice(service: Service) -> None:
    service.rig.slack.fail("reset", path=r".*chat\.postMessage", after_commit=True)
    service.look(leaks=2)
    assert service.deliver() == ["github opened done", "slack opened pending"]
    service.clock.advance(SETTLE)
    assert service.deliver() == ["slack opened done"]
    assert service.threads() == [0]


def test_a_worker_that_died_while_sending_is_followed_by_one_that_looks_first(service: Service) -> None:
    service.look(leaks=2)
    service.deliver()
    service.look(leaks=20)
    with service.store.writing() as connection:
        assert claim_next(connection, channels={"github"}, worker="dead", now=service.clock())
    assert service.deliver() == ["slack worsened done"]
    service.clock.advance(outbox.LEASE.total_seconds() + 1)
    assert service.deliver() == ["github worsened done"]
    assert service.issues() == [("open", 1)]


@pytest.mark.parametrize("hours", [-30, -900, 900])
def test_a_clock_that_jumps_by_more_than_a_day_holds_up_nothing_and_doubles_nothing(
    service: Service, hours: int
) -> None:
    service.rig.github.fail("502", path=ISSUES, after_commit=True)
    service.look(leaks=2)
    assert service.deliver() == ["github opened pending", "slack opened done"]
    service.clock.advance(hours * 3_600)
    service.deliver()
    service.clock.advance(SETTLE)
    service.deliver()
    assert service.issues() == [("open", 0)]
    service.look(leaks=0)
    assert service.deliver()[0] == "github resolved done"
    assert service.issues() == [("closed", 1)]


def test_a_short_wait_is_waited_and_a_long_one_is_left_to_a_later_run(service: Service) -> None:
    service.rig.github.fail(asks_to_wait(5), method="POST", path=ISSUES)
    service.look(leaks=2)
    assert service.deliver()[0] == "github opened done"
    assert 5 in service.waits
    service.rig.github.fail(asks_to_wait(600), method="PATCH", path=rf"{ISSUES}/\d+")
    service.look(leaks=20)
    assert service.deliver()[0] == "github worsened pending"
    assert service.deliver() == []
    service.clock.advance(600)
    assert service.deliver() == ["github worsened done"]


def test_being_asked_to_wait_for_no_time_at_all_does_not_hammer(service: Service) -> None:
    service.rig.github.fail(asks_to_wait(0), path=ISSUES, times=10_000)
    service.look(leaks=2)
    assert service.deliver() == ["github opened pending", "slack opened done"]
    assert min(service.waits) >= 1
    assert sum(service.waits) <= PATIENCE_SECONDS
    assert service.deliver() == [], "it is left to a later run, and is not used up"


def test_a_reason_that_no_database_takes_is_kept_readably(service: Service) -> None:
    service.rig.github.fail(github_says(422, "a\0b\x1b[31m\ud800"), path=ISSUES)
    service.look(leaks=2)
    assert service.deliver() == ["github opened dead", "slack opened done"]
    with service.store.reading() as connection:
        (dead,) = letters.list_deliveries(connection, states={"dead"}, limit=10)
    assert "422 a⟨U+0000⟩b⟨U+001B⟩[31m⟨U+D800⟩" in dead.last_error


def test_after_eight_attempts_it_is_a_dead_letter(service: Service) -> None:
    service.rig.github.fail(asks_to_wait(3_000), method="POST", path=ISSUES, times=100)
    service.look(leaks=2)
    states = []
    for _ in range(MAXIMUM_ATTEMPTS + 1):
        states += [state for state in service.deliver() if state.startswith("github")]
        service.clock.advance(3_601)
    assert states == ["github opened pending"] * (MAXIMUM_ATTEMPTS - 1) + ["github opened dead"]


def test_an_outage_of_two_hours_makes_no_dead_letter(service: Service) -> None:
    service.rig.github.fail("502", path=ISSUES, times=10_000)
    service.look(leaks=2)
    begun = service.clock()
    while service.clock() < begun + timedelta(hours=2):
        assert "github opened dead" not in service.deliver()
        service.clock.advance(600)
    service.rig.github.forget()
    service.clock.advance(3_600)
    assert service.deliver() == ["github opened done"]


def test_after_a_day_it_is_a_dead_letter_however_few_its_attempts(service: Service) -> None:
    service.rig.github.fail(asks_to_wait(50_000), method="POST", path=ISSUES, times=100)
    service.look(leaks=2)
    assert service.deliver() == ["github opened pending", "slack opened done"]
    service.clock.advance(50_001)
    assert service.deliver() == ["github opened pending"]
    service.clock.advance(50_001)
    assert service.deliver() == ["github opened dead"]
    assert service.delivered[0].error.startswith("given up after 24 hours")


def test_where_an_opening_is_dead_the_next_transition_opens_with_the_current_state(service: Service) -> None:
    service.rig.github.fail("422", path=ISSUES)
    service.look(leaks=2)
    assert service.deliver() == ["github opened dead", "slack opened done"]
    service.look(leaks=20)
    assert service.deliver() == ["github worsened done", "slack worsened done"]
    (issue,) = service.rig.issues(service.repository)
    assert issue["title"].startswith("Critical")


def test_a_dead_letter_that_arrived_after_all_is_found_by_what_follows_and_not_opened_twice(
    service: Service,
) -> None:
    service.rig.github.fail("502", path=ISSUES, after_commit=True)
    service.rig.slack.fail("502", path=r".*chat\.postMessage", after_commit=True)
    service.look(leaks=2)
    assert service.deliver() == ["github opened pending", "slack opened pending"]
    service.clock.advance(SETTLE)
    service.rig.github.fail("404", method="GET", path=ISSUES)
    service.rig.slack.fail("404", path=r".*auth\.test")
    assert service.deliver() == ["github opened dead", "slack opened dead"]
    service.look(leaks=20)
    assert service.deliver() == ["github worsened done", "slack worsened done"]
    assert service.issues() == [("open", 1)]
    assert service.threads() == [1]
    service.look(leaks=0)
    assert service.deliver() == ["github resolved done", "slack resolved done"]
    assert service.issues() == [("closed", 2)]
    assert service.threads() == [2]


def test_an_issue_nobody_knew_to_have_arrived_is_closed_at_the_end(service: Service) -> None:
    service.rig.github.fail("502", path=ISSUES, after_commit=True)
    service.look(leaks=2)
    service.deliver()
    service.clock.advance(SETTLE)
    service.rig.github.fail("502", method="GET", path=ISSUES, times=100)
    states = []
    while "github opened dead" not in states:
        states += service.deliver()
        service.clock.advance(SETTLE)
    service.rig.github.forget()
    service.look(leaks=0)
    assert service.deliver() == ["github resolved done", "slack resolved done"]
    assert service.issues() == [("closed", 1)]


def test_two_workers_at_once_tell_everything_once_and_in_order(service: Service, store_url: str) -> None:
    mitigation = service.mitigation
    for leaks in (2, 20, 0):
        for number in range(4):
            service.mitigation = replace(mitigation, id=f"toys.{number}")
            service.look(leaks=leaks)
    service.store.close()

    def work(store: Store) -> str:
        mine = Service(
            service.rig, store, service.identity, service.place, (service.repository, service.channel)
        )
        worked = 0
        for _ in range(1_000):
            worked += len(mine.deliver())
            with store.reading() as connection:
                counts = letters.count_deliveries(connection)
            if counts["done"] == 24:
                return str(worked)
        raise AssertionError(counts)

    workers = [children.start(store_url, work) for _ in range(2)]
    for worker in workers:
        worker.let_go()
    ended = [worker.wait() for worker in workers]
    assert [code for code, _ in ended] == [0, 0], ended
    assert sum(int(words) for _, words in ended) == 24
    assert service.issues() == [("closed", 2)] * 4
    assert service.threads() == [2] * 4
    for message in service.rig.messages(service.channel):
        replies = service.rig.replies(service.channel, message["ts"])
        assert ["Worsened" in reply["text"] for reply in replies] == [True, False]
