"""Writes that are no delivery, a test or a pull request, keep to the same budget."""

from pathlib import Path

import pytest

from riskloop.errors import TryAgain
from riskloop.project import now
from riskloop.services import open_services
from riskloop.settings import read_settings
from riskloop.speaking import budgets, turn_for
from riskloop.store.budget import take


def test_a_write_that_is_no_delivery_takes_its_turn_among_all_others(tmp_path: Path) -> None:
    settings = read_settings({"RISKLOOP_STATE": str(tmp_path), "RISKLOOP_WRITE_INTERVAL_SECONDS": "0.2"})
    with open_services(settings) as services:
        turn = turn_for(services, "github", "acme/codex-sdk")
        begun = now()
        turn()
        turn_for(services, "github", "acme/other")()
        turn_for(services, "slack", "C0123456789")()
        seconds = (now() - begun).total_seconds()
    assert 0.2 <= seconds < 2


def test_a_write_for_which_the_budget_has_no_room_is_refused_with_the_time_it_takes(tmp_path: Path) -> None:
    settings = read_settings({"RISKLOOP_STATE": str(tmp_path), "RISKLOOP_WRITE_INTERVAL_SECONDS": "0"})
    allowed = budgets(settings)["github"]
    with open_services(settings) as services:
        with services.store.writing() as connection:
            for number in range(400):
                # Spread over the last hour, or the minute's cap would be reached first.
                at = now() - (399 - number) * allowed.caps[1][1] / 500
                take(
                    connection, "github", f"owner {number % 25}", allowed, now=at, patience=allowed.caps[1][1]
                )
        with pytest.raises(TryAgain, match="the budget of writes to github allows no more") as refused:
            turn_for(services, "github", "acme/codex-sdk")()
    assert refused.value.after is not None
    assert refused.value.after > 60
