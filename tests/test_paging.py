"""The pages of a story, or of the incidents, put together are the whole: nothing is lost or doubled."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from riskloop.assessing import begin_mute, end_mute
from riskloop.errors import RiskloopError
from riskloop.incidents import Concern, Incident
from riskloop.mutes import Mute, Muting
from riskloop.notifications import Posting, Route
from riskloop.store import Store, history, postings, timeline
from riskloop.store.marks import Mark, Page, What, read_mark
from riskloop.story import Entry, tell
from riskloop.thresholds import Verdict
from tests.desk import Desk
from tests.toys import MITIGATION

SIZES = [1, 2, 3, 7, 50]


def page_of(desk: Desk, name: str, page: Page) -> tuple[Entry, ...]:
    with desk.store.reading() as connection:
        subject, incident = timeline.find_subject(connection, name) or (name, "")
        past = timeline.read_past(connection, subject, incident=incident, metrics=["leaks"], page=page)
    told = tell(past, desk.mitigation, now=desk.clock())
    return told if page.limit is None else told[-page.limit :]


def paged(desk: Desk, name: str, size: int) -> list[Entry]:
    """Read a story a page at a time, each before the first entry of the one that was read last."""
    found: list[Entry] = []
    before: Mark | None = None
    while page := page_of(desk, name, Page(limit=size, before=before)):
        found = [*page, *found]
        before = read_mark(page[0].mark)
    return found


def change_places(desk: Desk, incident: str, state: str) -> None:
    """Let a person change every place of an incident, and let all that be noticed in one moment."""
    with desk.store.writing() as connection:
        for target in ("acme/Sdk", "acme/sdk", "acme/a-b", "acme/ab", "acme/ä"):
            route = Route(channel="github", target=target)
            there = Posting(reference="7")
            postings.keep_posting(connection, incident, route, there, opening="d", now=desk.clock())
            postings.change_posting(connection, incident, route, state=state, now=desk.clock())


@pytest.fixture
def desk(store: Store, tmp_path: Path) -> Desk:
    """Give a desk with a past of everything that happens, much of it in the same moments."""
    made = Desk(store, tmp_path)
    made.mitigation = replace(made.mitigation, after=2)
    for round_ in range(3):
        for leaks in (0, 2, 2, 20, 3):
            made.look(leaks=leaks)
            made.clock.advance(-3600 if leaks == 20 else 0)
        made.arrive()
        made.bury()
        incident = open_incident(made)
        mute = Mute(
            id=f"m{round_}",
            muting=Muting.SILENCED,
            subject=MITIGATION.id,
            concern=None,
            severity=Verdict.CRITICAL,
            who="QA",
            why="a freeze",
            since=made.clock(),
            until=made.clock() + timedelta(days=9),
        )
        begin_mute(store, mute, made.occasion())
        end_mute(store, mute, "by QA: over", made.occasion())
        change_places(made, incident, "closed")
        with store.writing() as connection:
            for _ in range(2):
                history.add_decision(
                    connection, "adopt", mitigation=MITIGATION.id, who="Mia", why="so", at=made.clock()
                )
        made.look()
        made.look()
        made.look(leaks=0)
        made.clock.advance(-7200)
    made.look(leaks=0)
    return made


def open_incident(desk: Desk) -> str:
    with desk.store.reading() as connection:
        return history.open_incidents(connection, MITIGATION.id)[Concern.BREACH].id


@pytest.mark.parametrize("size", SIZES)
def test_the_pages_of_a_story_put_together_are_all_of_it(desk: Desk, size: int) -> None:
    whole = list(page_of(desk, MITIGATION.id, Page(limit=None)))
    assert {entry.what for entry in whole} == set(What)
    assert len({entry.at for entry in whole}) < len(whole) / 3, "many share a moment"
    assert len({entry.mark for entry in whole}) == len(whole)
    assert paged(desk, MITIGATION.id, size) == whole


@pytest.mark.parametrize("size", SIZES)
def test_the_pages_of_an_incident_s_story_put_together_are_all_of_it(desk: Desk, size: int) -> None:
    with desk.store.reading() as connection:
        incidents = history.list_incidents(connection, resolved=True, limit=99)
    assert len(incidents) > 3
    for incident in incidents:
        whole = list(page_of(desk, incident.id, Page(limit=None)))
        assert {What.LOOK, What.TRANSITION} <= {entry.what for entry in whole}
        assert paged(desk, incident.id, size) == whole


def test_a_moment_alone_ends_a_page_before_everything_that_happened_at_it(desk: Desk) -> None:
    whole = page_of(desk, MITIGATION.id, Page(limit=None))
    for moment in {entry.at for entry in whole}:
        earlier = tuple(entry for entry in whole if entry.at < moment)
        mark = read_mark(moment.isoformat())
        assert page_of(desk, MITIGATION.id, Page(limit=None, before=mark)) == earlier


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("resolved", [True, False])
def test_the_pages_of_the_incidents_put_together_are_all_of_them(
    store: Store, size: int, *, resolved: bool
) -> None:
    begun = datetime(2026, 3, 1, tzinfo=UTC)
    with store.writing() as connection:
        for number in range(20):
            at = begun + timedelta(hours=number // 4)
            incident = Incident(
                id=f"{number * 7 % 20:012x}",
                subject=f"toys.{number}",
                concern=Concern.BREACH,
                severity=Verdict.WARNING,
                opened_at=at,
            )
            history.add_incident(connection, incident, owner="QA")
            if number % 2:
                history.change_incident(connection, replace(incident, resolved_at=at))
    found: list[Incident] = []
    with store.reading() as connection:
        whole = history.list_incidents(connection, resolved=resolved, limit=99)
        while page := history.list_incidents(
            connection, resolved=resolved, limit=size, before=found[-1].id if found else ""
        ):
            found += page
    assert tuple(found) == whole
    assert len(found) == (20 if resolved else 10)
    assert [one.opened_at for one in found] == sorted((one.opened_at for one in found), reverse=True)


@pytest.mark.parametrize(
    "mark",
    [
        Mark(at=datetime(2026, 3, 1, 2, 20, 0, 7, tzinfo=UTC), what=What.LOOK, number=17),
        Mark(at=datetime(2026, 3, 1, tzinfo=UTC), what=What.POSTING, text="i1 github acme/sdk"),
    ],
    ids=str,
)
def test_a_mark_is_read_as_it_was_written(mark: Mark) -> None:
    assert read_mark(str(mark)) == mark


def test_a_moment_without_a_zone_is_utc() -> None:
    assert read_mark("2026-03-01") == read_mark("2026-03-01T01:00+01:00")


@pytest.mark.parametrize(
    "words", ["yesterday", "", "2026-03-01/cake/7", "2026-03-01/look/x", "0001-01-01T00:00+09:00"]
)
def test_what_is_no_mark_is_refused_with_what_would_do(words: str) -> None:
    with pytest.raises(RiskloopError, match=r"is no moment and no place in a story; write 2026-12-01 or"):
        read_mark(words)
