"""A look knows what was decided and measured of its mitigation, as its kind asks, and no more is read."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from riskloop.remembering import Memory, remembered
from riskloop.services import open_services
from riskloop.settings import Settings, read_settings
from riskloop.store import Store, history
from tests.toys import MITIGATION, TOY

NOW = datetime(2026, 3, 11, 4, 10, tzinfo=UTC)
HEEDING = replace(MITIGATION, id="toys.heeding", kind=replace(TOY, heeds=("acknowledge",)))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return read_settings({}, register=tmp_path / "riskloop.yaml")


def decide(store: Store, decision: str, *, of: str, who: str = "Mia", carried_out: bool = True) -> None:
    with store.writing() as connection:
        number = history.add_decision(connection, decision, mitigation=of, who=who, why="so", at=NOW)
        if carried_out:
            moment = NOW + timedelta(seconds=1)
            history.complete_decision(connection, number, details='{"commit": "abc"}', at=moment)


def test_only_what_was_carried_out_and_is_heeded_is_given_the_newest_first(settings: Settings) -> None:
    with open_services(settings) as services:
        decide(services.store, "acknowledge", of=HEEDING.id, who="first")
        decide(services.store, "acknowledge", of=HEEDING.id, who="second")
        decide(services.store, "acknowledge", of=HEEDING.id, who="broke off", carried_out=False)
        decide(services.store, "adopt", of=HEEDING.id)
        decide(services.store, "acknowledge", of="somebody.elses")
        decide(services.store, "acknowledge", of=MITIGATION.id)
    found = remembered(settings, [MITIGATION, HEEDING])
    assert [one.who for one in found[HEEDING.id].decisions] == ["second", "first"]
    newest = found[HEEDING.id].decisions[0]
    assert (newest.decision, newest.why, newest.at) == ("acknowledge", "so", NOW)
    assert newest.details == {"commit": "abc"}
    assert found[MITIGATION.id] == Memory()


def test_no_store_is_made_where_no_kind_heeds_anything(settings: Settings) -> None:
    assert remembered(settings, [MITIGATION]) == {MITIGATION.id: Memory()}
    assert not settings.state.exists()


def test_many_mitigations_are_one_query(store: Store) -> None:
    decide(store, "acknowledge", of="toys.7")
    with store.reading() as connection:
        found = history.list_decisions(connection, [f"toys.{one}" for one in range(2_000)], ["acknowledge"])
    assert len(found) == 2_000
    assert [one.who for one in found["toys.7"]] == ["Mia"]
