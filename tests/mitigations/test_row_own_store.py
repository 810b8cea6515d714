"""Our own store is archived as the example says: observations go with what they measured, stories stay."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, text

from riskloop.mitigations import kinds
from riskloop.mitigations.row_archive import measure, mitigate
from riskloop.publishing import EXAMPLE
from riskloop.register import load
from riskloop.risks import Site
from riskloop.store import Store, tables

NOW = datetime(2026, 3, 1, tzinfo=UTC)
DAYS = 500


@pytest.fixture
def settings() -> Any:
    (found,) = load(EXAMPLE, kinds()).mitigations("row_archive")
    return found.settings.model_copy(update={"approval": "none"})


def fill(store: Store) -> None:
    """Look once a day; one old look and one new one are a part of an incident's story."""
    at = [NOW - timedelta(days=DAYS - day) for day in range(DAYS)]
    looks = [
        {
            "number": day + 1,
            "mitigation": "toys.toy",
            "run": f"run {day}",
            "phase": "",
            "at": moment,
            **dict.fromkeys(("verdict", "reason", "register_digest", "summary", "fingerprint"), "x"),
        }
        for day, moment in enumerate(at)
    ]
    measured = [
        {"observation": look["number"], "metric": metric, "value": 1.5, "unit": "toys"}
        for look in looks
        for metric in ("lost", "broken", "found")
    ]
    words = dict.fromkeys(("severity", "reason", "breaches", "fingerprint", "owner"), "x")
    standing = {"id": "toys.toy", "kind": "toy", "risk": "toys", "breached": 0, "fine": 0, "unknown": 0}
    with store.writing() as connection:
        connection.execute(
            insert(tables.mitigations).values(**standing, verdict="ok", reason="", last_look_at=NOW)
        )
        connection.execute(insert(tables.observations), looks)
        connection.execute(insert(tables.measurements), measured)
        connection.execute(
            insert(tables.incidents).values(
                id="i", subject="toys.toy", concern="breach", opened_at=NOW, **words
            )
        )
        for number, look in enumerate((10, 450)):
            connection.execute(
                insert(tables.transitions).values(
                    id=f"t{number}",
                    incident="i",
                    change="opened",
                    severity="x",
                    reason="x",
                    at=NOW,
                    observation=look,
                    facts="{}",
                )
            )


def count(store: Store, table: str) -> int:
    with store.reading() as connection:
        return int(connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one())


def test_old_observations_go_with_what_they_measured_and_what_a_story_leads_to_stays(
    store: Store, store_url: str, settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RISKLOOP_STORE_URL", store_url)
    fill(store)
    site = Site(project=tmp_path, state=tmp_path, now=NOW, mitigation="rows.row_archive")
    seen = measure(settings, site)
    assert seen.value("rows_over_age") == 99
    assert "1 row past their age stay, as rows of other tables lead to them" in seen.evidence.summary
    receipt = mitigate(settings, site, seen.plan, store, warrant="run", approved=False, dry_run=False)
    assert not receipt.failed, receipt.says
    assert (count(store, "observations"), count(store, "measurements")) == (DAYS - 99, (DAYS - 99) * 3)
    assert (count(store, "transitions"), count(store, "archives")) == (2, 1)
    assert measure(settings, site).value("rows_over_age") == 0
    with store.reading() as connection:
        left = connection.execute(text("SELECT min(number) FROM observations")).scalar_one()
    assert left == 10
