"""Of everything that was seen and told of a mitigation it is said why somebody was told, or nobody was."""

import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import insert, text

from riskloop.assessing import assess, begin_mute, end_mute
from riskloop.incidents import Concern
from riskloop.looking import look
from riskloop.mutes import Mute, Muting
from riskloop.notifications import Posting, Route, name_realm
from riskloop.receipts import Receipt
from riskloop.risks import Site
from riskloop.store import Store, circuits, history, outbox, postings, timeline
from riskloop.store.marks import Mark, Page, What
from riskloop.store.tables import observations
from riskloop.story import Entry, circuit_says, letter_says, tell, waiting_says
from riskloop.thresholds import Verdict
from tests.desk import Desk
from tests.toys import MITIGATION

HEARS = "SDK Lead is to hear of it: see its deliveries"
ISSUE = "https://github.com/acme/sdk/issues/7"


@pytest.fixture
def desk(store: Store, tmp_path: Path) -> Desk:
    return Desk(store, tmp_path)


def story(
    desk: Desk, name: str = MITIGATION.id, *, limit: int | None = 200, before: Mark | None = None
) -> tuple[Entry, ...]:
    with desk.store.reading() as connection:
        found = timeline.find_subject(connection, name)
        assert found is not None
        subject, incident = found
        page = Page(limit=limit, before=before)
        past = timeline.read_past(connection, subject, incident=incident, metrics=["leaks"], page=page)
    told = tell(past, desk.mitigation, now=desk.clock())
    return told if limit is None else told[-limit:]


def whys(entries: Sequence[Entry], what: What) -> list[str]:
    return [entry.why for entry in entries if entry.what is what]


def incident_of(desk: Desk) -> str:
    with desk.store.reading() as connection:
        return history.open_incidents(connection, MITIGATION.id)[Concern.BREACH].id


def mute(desk: Desk, muting: Muting) -> Mute:
    made = Mute(
        id="m1",
        muting=muting,
        subject=MITIGATION.id,
        concern=Concern.BREACH if muting is Muting.ACCEPTED else None,
        severity=Verdict.CRITICAL,
        who="QA",
        why="a freeze",
        since=desk.clock(),
        until=desk.clock() + timedelta(days=20),
    )
    begin_mute(desk.store, made, desk.occasion())
    return made


@pytest.mark.parametrize(
    ("realm", "name"),
    [
        ("github", "GitHub"),
        ("slack:", "Slack"),
        ("slack:acme", "Slack acme"),
        ("slack_webhook", "Slack's webhook"),
    ],
)
def test_a_token_is_said_to_be_for_what_people_call_the_service(realm: str, name: str) -> None:
    assert name_realm(realm) == name


def test_an_event_is_told_as_one_and_has_no_place_to_read_it(store: Store, tmp_path: Path) -> None:
    desk = Desk(store, tmp_path, events=True)
    desk.look(leaks=2)
    claim = desk.claim()
    with store.writing() as connection:
        assert outbox.finish(connection, claim, Posting(reference="e1"), opening=claim.id, now=desk.clock())
    assert "told as event e1" in whys(story(desk), What.DELIVERY)


def test_a_breach_is_told_in_the_order_of_time_from_the_look_to_the_issue(desk: Desk) -> None:
    desk.look(leaks=2)
    desk.clock.advance(60)
    desk.arrive()
    look, transition, delivery = story(desk)
    incident = incident_of(desk)
    assert (look.what, look.says) == (What.LOOK, "warning: leaks 2")
    assert look.why == f"breach incident {incident} opened: see there"
    assert transition.says == "breach opened (warning): leaks passed the threshold"
    assert (transition.why, transition.incident) == (HEARS, incident)
    assert delivery.says == "opened to github acme/sdk: done"
    assert (delivery.why, delivery.url) == (f"told in {ISSUE}", ISSUE)
    assert look.at == transition.at < delivery.at


def test_a_look_that_told_nobody_says_why(desk: Desk) -> None:
    desk.mitigation = replace(desk.mitigation, after=3, resolve_after=2)
    for leaks in (0, 2, 2, 2, 2, 0):
        desk.look(leaks=leaks)
    for _ in range(3):
        desk.look()
    said = whys(story(desk), What.LOOK)
    assert said[:3] == [
        "nobody: within the thresholds",
        "nobody: 1 of 3 breaches in a row",
        "nobody: 2 of 3 breaches in a row",
    ]
    assert said[3].startswith("breach incident")
    assert said[4:7] == [
        "nobody: the same numbers as told before",
        "nobody: 1 of 2 good looks in a row that resolve the incident",
        "nobody: 1 of 2 looks in a row that gave nothing",
    ]
    assert said[7].startswith("blind incident")
    assert said[8] == "nobody: the same reason as told before"
    assert story(desk)[-1].says == "could not look: the toy is broken; mend it"


def test_a_streak_is_counted_from_before_what_is_shown(desk: Desk) -> None:
    desk.mitigation = replace(desk.mitigation, after=9)
    for _ in range(5):
        desk.look(leaks=2)
    assert whys(story(desk, limit=2), What.LOOK) == [
        "nobody: 4 of 9 breaches in a row",
        "nobody: 5 of 9 breaches in a row",
    ]


def test_new_numbers_are_edited_silently(desk: Desk) -> None:
    for leaks in (2, 3):
        desk.look(leaks=leaks)
        desk.arrive()
    *_, transition, delivery = story(desk)
    assert transition.why == "nobody: what stands in a channel is edited silently"
    assert delivery.why == f"nobody: edited silently in {ISSUE}"


@pytest.mark.parametrize("muting", Muting)
def test_what_is_accepted_or_silenced_says_by_whom_and_until_when(desk: Desk, muting: Muting) -> None:
    desk.look(leaks=2)
    desk.arrive()
    held = mute(desk, muting)
    desk.arrive()
    desk.look(leaks=2, spills=2)
    desk.arrive()
    desk.clock.advance(60)
    end_mute(desk.store, held, "by QA: the freeze is over", desk.occasion())
    entries = story(desk)
    begun, ended = [entry for entry in entries if entry.what is What.MUTE]
    assert begun.says == f"{muting} until 21 March 2026 03:20 UTC by QA: a freeze"
    assert (ended.says, ended.why) == (f"no longer {muting}", "by QA: the freeze is over")
    worsened = next(entry for entry in entries if "worsened (warning)" in entry.says)
    if muting is Muting.SILENCED:
        assert worsened.why.startswith(f"nobody: {muting} until 21 March 2026 03:20 UTC by QA (a freeze)")
        assert f"nobody: edited silently in {ISSUE}" in whys(entries, What.DELIVERY)
    else:
        assert worsened.why == HEARS, "it worsened"


def test_each_delivery_that_has_not_arrived_says_why(desk: Desk) -> None:
    desk.look(leaks=2)
    dead = desk.bury("acme/sdk is archived;\n name \x1b[2Janother")
    for leaks in (20, 2):
        desk.look(leaks=leaks)
    _, second, third = (entry for entry in story(desk) if entry.what is What.DELIVERY)
    (first, *_) = desk.deliveries()
    assert letter_says(first).startswith(f"{dead}: toys.toy, 'opened' to github acme/sdk: acme/sdk is")
    assert "\x1b" not in letter_says(first)
    assert "\n" not in letter_says(first)
    assert second.why == "waiting: sent with the next round"
    assert third.why == f"waiting behind 'worsened' ({second.id}), so that its incident is told in order"
    with desk.store.writing() as connection:
        circuits.open_circuit(connection, "github", reason="no such token; make one", now=desk.clock())
        (circuit,) = circuits.list_circuits(connection)
    said = whys(story(desk), What.DELIVERY)
    assert said[0].startswith("dead letter after 1 attempt: acme/sdk is archived; name ")
    assert said[1].startswith("waiting: the token for GitHub is refused since 01 March 2026 05:20 UTC")
    assert "no such token; make one; it goes on by itself when the token works again" in circuit_says(circuit)


def test_an_owner_without_a_place_is_told_nowhere(desk: Desk) -> None:
    owner = replace(desk.mitigation.risk.owners[0], repository="")
    desk.mitigation = replace(desk.mitigation, risk=replace(desk.mitigation.risk, owners=(owner,)))
    desk.look(leaks=2)
    assert story(desk)[-1].why == "nobody: its owner has no place where to hear of it"


def test_what_was_over_before_it_was_told_anywhere_says_so(desk: Desk) -> None:
    desk.look(leaks=2)
    desk.bury()
    desk.look(leaks=0)
    with desk.store.writing() as connection:
        # As the postman ends what nobody heard of.
        connection.execute(text("UPDATE deliveries SET state = 'done' WHERE state = 'pending'"))
    assert "never told there" in story(desk)[-1].why


def test_what_a_person_closed_is_in_the_story(desk: Desk) -> None:
    desk.look(leaks=2)
    desk.arrive()
    desk.clock.advance(60)
    route = Route(channel="github", target="acme/sdk")
    with desk.store.writing() as connection:
        postings.change_posting(connection, incident_of(desk), route, state="closed", now=desk.clock())
    last = story(desk)[-1]
    assert (last.what, last.says) == (What.POSTING, f"{ISSUE} was closed by a person")
    assert "unless the incident worsens" in last.why


def test_an_incident_s_own_story_begins_and_ends_with_it(desk: Desk) -> None:
    for leaks in (2, 0, 0, 2, 0):
        desk.look(leaks=leaks)
    with desk.store.reading() as connection:
        newest, oldest = history.list_incidents(connection, resolved=True, limit=9)
    says = [entry.says for entry in story(desk, oldest.id) if entry.what is not What.DELIVERY]
    assert [one.partition(" (")[0] for one in says] == [
        "warning: leaks 2",
        "breach opened",
        "ok: leaks 0",
        "breach resolved",
    ]
    assert {entry.incident for entry in story(desk, newest.id)} == {"", newest.id}


def test_a_decision_is_told_where_it_was_taken_with_who_and_why(desk: Desk) -> None:
    desk.look(leaks=2)
    incident = incident_of(desk)
    commit = "1a2b3c4d5e6f7a8b9c0d1a2b3c4d5e6f7a8b9c0d"
    with desk.store.writing() as connection:
        for decision, details in (("acknowledge", f'{{"commit": "{commit}"}}'), ("adopt", "")):
            desk.clock.advance(60)
            number = history.add_decision(
                connection, decision, mitigation=MITIGATION.id, who="Mia", why="a\nlie", at=desk.clock()
            )
            if details:
                history.complete_decision(connection, number, details=details, at=desk.clock())
    desk.look(leaks=0)
    for name in (MITIGATION.id, incident):
        told = [(one.says, one.why) for one in story(desk, name) if one.what is What.DECISION]
        assert told == [
            (
                "acknowledge 1a2b3c4d5e6f by Mia: a lie",
                "nobody by itself: the look that follows tells what it changed",
            ),
            ("adopt by Mia: a lie", "nobody: it was not carried out"),
        ]
    desk.clock.advance(60)
    desk.look(leaks=3)
    assert not [one for one in story(desk, incident_of(desk)) if one.what is What.DECISION]


def test_what_could_not_be_done_about_a_look_is_told_with_it(desk: Desk) -> None:
    seen = look(desk.mitigation, Site(project=desk.directory, state=desk.directory, now=desk.clock()))
    undone = replace(seen, receipt=Receipt(says="no answer", failed=True))
    assess(desk.store, [(desk.mitigation, undone)], desk.occasion())
    told, opened, *_ = story(desk)
    assert told.says == "warning: {}; it could not be proposed: no answer"
    assert opened.says == "breach opened (warning): it could not be proposed: no answer"


def test_a_name_that_means_nothing_is_found_to_mean_nothing(desk: Desk) -> None:
    desk.look(leaks=2)
    with desk.store.reading() as connection:
        assert timeline.find_subject(connection, "toys.tpy") is None
        assert timeline.find_subject(connection, MITIGATION.id) == (MITIGATION.id, "")
        assert timeline.known_names(connection, limit=9) == (MITIGATION.id, incident_of(desk))


def test_ten_thousand_looks_are_told_of_in_a_moment(desk: Desk) -> None:
    desk.look(leaks=2)
    with desk.store.writing() as connection:
        (template,) = connection.execute(observations.select()).mappings()
        rows = [
            {name: value for name, value in template.items() if name != "number"}
            | {"run": f"more-{count}", "at": desk.clock() + timedelta(minutes=count + 1)}
            for count in range(10_000)
        ]
        connection.execute(insert(observations), rows)
    begun = time.perf_counter()
    assert len(story(desk)) == 200
    assert time.perf_counter() - begun < 0.5
    begun = time.perf_counter()
    entries = story(desk, limit=None)
    assert time.perf_counter() - begun < 5
    assert len(entries) == 10_003


def test_how_long_the_oldest_waits_is_said_from_an_hour_on(desk: Desk) -> None:
    now = desk.clock()
    assert waiting_says(0, None, now=now) == "0"
    assert waiting_says(2, now - timedelta(hours=1), now=now) == "2"
    assert waiting_says(2, now - timedelta(hours=3), now=now) == "2, the oldest for 3 hours"
