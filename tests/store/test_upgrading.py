"""A store of the first version, with an incident half told, is gone on with by this one: nothing is lost."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import text

import riskloop.store
from riskloop.assessing.reminding import remind
from riskloop.notifications import Posting, Route
from riskloop.store import Store, circuits, history, letters, open_store, outbox, places, postings, timeline
from riskloop.store.marks import Page, read_mark
from riskloop.story import tell
from tests.store.claiming import claim_next
from tests.store.shelf import occasion

BEGUN = datetime(2026, 3, 1, tzinfo=UTC)
NOW = BEGUN + timedelta(hours=2)
ROUTE = Route(channel="github", target="acme/sdk")

FACTS = {
    "project": "Toys",
    "incident": "i1",
    "subject": "toys.toy",
    "concern": "breach",
    "change": "opened",
    "severity": "critical",
    "previous": "ok",
    "reason": "leaks passed the threshold",
    "at": BEGUN.isoformat(),
    "opened_at": BEGUN.isoformat(),
    "owners": [{"name": "QA", "repository": "acme/sdk", "channel": {"channel": "C0123456789"}}],
    "readings": [
        {"metric": "leaks", "value": 20, "unit": "leaks", "verdict": "critical", "warning": 1, "critical": 10}
    ],
}

ROWS = """
    INSERT INTO incidents (id, subject, concern, severity, reason, breaches, fingerprint, owner, opened_at)
    VALUES ('i1', 'toys.toy', 'breach', 'critical', 'leaks', '[]', '', 'QA', :at);
    INSERT INTO transitions (id, incident, change, severity, reason, at, facts)
    VALUES ('t1', 'i1', 'opened', 'critical', 'leaks', :at, :opened);
    INSERT INTO transitions (id, incident, change, severity, reason, at, facts)
    VALUES ('t2', 'i1', 'updated', 'critical', 'leaks', :at, :updated);
    INSERT INTO deliveries (id, transition, incident, channel, target, state, attempts, attempted_at,
                            lease_owner, lease_until, fence, last_error, created_at)
    VALUES ('d1', 1, 'i1', 'github', 'acme/sdk', 'done', 1, :at, NULL, NULL, 1, '', :at),
           ('d2', 1, 'i1', 'slack', 'C0123456789', 'dead', 3, :at, NULL, NULL, 3, 'archived', :at),
           ('d3', 2, 'i1', 'github', 'acme/sdk', 'sending', 1, :at, 'w', :at, 1, '', :at),
           ('d4', 2, 'i1', 'slack', 'C0123456789', 'pending', 0, NULL, NULL, NULL, 0, '', :at);
    INSERT INTO postings (incident, channel, target, reference, url, opening_delivery, at)
    VALUES ('i1', 'github', 'acme/sdk', '7', 'https://github.com/acme/sdk/issues/7', 'd1', :at)
"""


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.server)])
def upgraded(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """Give a store made and filled by the first version, and upgraded since."""
    url = f"sqlite:///{tmp_path / 'first.sqlite'}"
    if request.param == "postgresql":
        address: str = request.getfixturevalue("postgresql")
        with psycopg.connect(address, autocommit=True) as connection:
            name = f"first_{abs(hash(request.node.nodeid))}"
            connection.execute(f"CREATE DATABASE {name}".encode())
        url = address.replace("/postgres?", f"/{name}?")
    store = open_store(url)
    config = Config()
    config.set_main_option("script_location", str(Path(riskloop.store.__file__).parent / "migrations"))
    told = {name: json.dumps(FACTS | {"change": name}) for name in ("opened", "updated")}
    with store.writing() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        for statement in ROWS.split(";"):
            known = {"at": BEGUN, **told}
            connection.execute(text(statement), {k: v for k, v in known.items() if f":{k}" in statement})
    store.upgrade()
    yield store
    store.close()


def test_what_was_on_its_way_goes_on_in_its_order(upgraded: Store) -> None:
    with upgraded.writing() as connection:
        claim = claim_next(connection, channels={"github", "slack"}, worker="w", now=NOW)
        again = claim_next(connection, channels={"github", "slack"}, worker="w", now=NOW)
    assert claim is not None
    assert again is not None
    assert [claim.id, again.id] == ["d3", "d4"]
    assert claim.uncertain_since == BEGUN, "its worker died"
    assert claim.expires_at == NOW + outbox.LIFETIME
    assert not claim.facts.quiet
    with upgraded.writing() as connection:
        there = Posting(reference="7")
        assert outbox.finish(connection, claim, there, opening="d1", now=NOW)
        circuits.open_circuit(connection, "slack:", reason="refused", now=NOW)
        assert outbox.put_back(
            connection, again, error="refused", not_before=None, uncertain_since=None, counts=False
        )
        circuits.close_circuit(connection, "slack:", now=NOW)
    with upgraded.reading() as connection:
        counts = letters.count_deliveries(connection)
    assert {state: count for state, count in counts.items() if count} == {"done": 2, "pending": 1, "dead": 1}


def test_what_stands_is_known_as_it_was_and_reminded_of(upgraded: Store, tmp_path: Path) -> None:
    with upgraded.reading() as connection:
        posted = postings.posted(connection, "i1", ROUTE)
        (incident,) = history.list_incidents(connection, resolved=False, limit=9)
        here = places.here(connection, ROUTE, ())
    assert posted is not None
    assert (posted.state, posted.state_at, posted.opening) == ("open", None, "d1")
    assert (incident.spoken_at, incident.flood) == (None, "")
    assert here["i1"].unfinished
    day_later = replace(occasion("run", tmp_path), now=BEGUN + timedelta(days=1))
    assert [one.id for one in remind(upgraded, day_later)] == ["i1"]
    assert remind(upgraded, day_later) == ()
    with upgraded.reading() as connection:
        assert history.last_facts(connection, "i1").owners[0].name == "QA"
        reminded = letters.list_deliveries(connection, states={"pending"}, limit=2)
    assert {one.route.channel for one in reminded} == {"github", "slack"}


def test_what_was_told_before_is_in_the_story_by_the_page(upgraded: Store) -> None:
    seen: list[str] = []
    page = Page(limit=2)
    with upgraded.writing() as connection:
        postings.change_posting(connection, "i1", ROUTE, state="closed", now=NOW)
    with upgraded.reading() as connection:
        while True:
            past = timeline.read_past(connection, "toys.toy", incident="", metrics=(), page=page)
            entries = tell(past, None, now=NOW)[-2:]
            if not entries:
                break
            seen = [*(entry.id for entry in entries), *seen]
            page = replace(page, before=read_mark(entries[0].mark))
    assert seen == ["t1", "t2", "d1", "d2", "d3", "d4", "github acme/sdk"]
