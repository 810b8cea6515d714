"""What a person types to see what waits for a decision, to approve it and to reject it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from riskloop.approvals import Approval, Decision, State, asked, decided, ended
from riskloop.plans import Plan
from riskloop.project import read_register
from riskloop.services import open_services
from riskloop.settings import read_settings
from riskloop.store import approvals
from tests.cli.conftest import REGISTER, Shell

ID = "stale.fixture_drift"
NOW = datetime.now(UTC).replace(microsecond=0)
SIGNED = ("--who", "Mia", "--why", "they are old")


def store(shell: Shell, *found: Approval) -> None:
    settings = read_settings({}, register=shell.project / "riskloop.yaml")
    with open_services(settings) as services, services.store.writing() as connection:
        for one in found:
            approvals.add(connection, one)


def owed(**more: Any) -> Approval:
    plan = Plan(
        digest="ab" * 32,
        file=Path("/state/plans/p"),
        says="3 sheets would be shredded",
        summary="a\nb \u202e c",
        settings="5e",
        asks="3 are more than 2",
    )
    made = asked(plan, name="a1b2c3d4e5f6", mitigation=ID, deciders=("QA",), state=Path("/state"), now=NOW)
    return replace(made, **more)


def test_with_nothing_to_decide_that_is_said(shell: Shell) -> None:
    ended_ = shell("approvals")
    assert (ended_.code, ended_.out) == (0, "nothing waits for a decision\n")
    assert shell("approvals", "--json").data == []


def test_what_waits_is_listed_and_with_all_what_has_ended_too(shell: Shell) -> None:
    done = ended(owed(id="0ld"), State.REJECTED, "rejected by Bob: no; nothing was changed", now=NOW)
    store(shell, done, owed())
    assert [line.split()[0] for line in shell("approvals").out.splitlines()] == ["approval", "a1b2c3d4e5f6"]
    listed = shell("approvals", "--all").out
    assert "rejected by Bob: no; nothing was changed" in listed
    assert "3 sheets would be shredded" in listed
    assert [one["id"] for one in shell("approvals", "--all", "--json").data] == ["a1b2c3d4e5f6", "0ld"]
    (row,) = shell("approvals", "list", "--json").data
    assert (row["state"], row["deadline"]) == ("pending", (NOW + timedelta(hours=24)).isoformat())


@pytest.mark.parametrize("name", ["a1b2c3d4e5f6", ID])
def test_one_is_shown_with_all_that_is_needed_to_decide(shell: Shell, name: str) -> None:
    store(shell, owed())
    shown = shell("approvals", "show", name).out
    for words in (
        f"approval a1b2c3d4e5f6 of {ID}",
        "3 sheets would be shredded",
        "why it is asked: 3 are more than 2",
        "who may decide: QA (names are recorded as given, not proven)",
        "ab" * 32,
        "  b ⟨U+202E⟩ c",
        'riskloop approvals approve a1b2c3d4e5f6 --who "your name" --why "why"',
        'riskloop approvals reject a1b2c3d4e5f6 --who "your name" --why "why"',
    ):
        assert words in shown, words
    assert shell("approvals", "show", name, "--json").data["what"] == "3 sheets would be shredded"


def test_one_that_has_ended_is_shown_with_what_it_came_to(shell: Shell) -> None:
    store(shell, decided(owed(), Decision.REJECT, who="Bob", why="no", now=NOW))
    shown = shell("approvals", "show", ID).out
    assert "rejected: rejected by Bob: no; nothing was changed" in shown
    assert "riskloop approvals approve" not in shown


def test_what_is_unknown_is_answered_with_what_to_do(shell: Shell) -> None:
    ended_ = shell("approvals", "show", "nothing")
    assert ended_.code == 1
    assert "there is no approval 'nothing'" in ended_.err
    assert "riskloop approvals --all" in ended_.err


@pytest.mark.parametrize("verb", ["approve", "reject"])
def test_without_a_name_or_a_reason_it_is_wrong_usage(shell: Shell, verb: str) -> None:
    for words in ((), ("--who", "Mia"), ("--why", "old")):
        assert shell("approvals", verb, "a1", *words).code == 2


@pytest.mark.server
def test_a_plan_is_asked_about_shown_approved_and_carried_out(shell: Shell) -> None:
    register = REGISTER.partition("      - kind: fixture_drift")[0]
    register += (
        "      - kind: ttl_cleanup\n        directory: staging\n        ttl: 1s\n        min_age: 1s\n"
    )
    register += "        approval: always\n        thresholds: {expired_files: {warning: 9}}\n"
    (shell.project / "riskloop.yaml").write_text(register, encoding="utf-8")
    (shell.project / "staging").mkdir()
    (shell.project / "staging" / "old.bin").write_text("old", encoding="utf-8")
    assert shell("cleanup", "init", "staging").code == 0
    (mitigation,) = read_register(read_settings({}, register=shell.project / "riskloop.yaml")).mitigations()
    ran = shell.outside("run", "ttl_cleanup")
    assert ran.code == 0, ran.err
    (row,) = shell("approvals", "--json").data
    assert row["mitigation"] == mitigation.id
    assert row["id"] in shell("status").out
    done = shell.outside("approvals", "approve", row["id"], *SIGNED)
    assert done.code == 0, done.err
    assert "approved by Mia: they are old; moved 1 file" in done.err
    assert not (shell.project / "staging" / "old.bin").exists()
    again = shell.outside("approvals", "reject", row["id"], *SIGNED)
    assert again.code == 1
    assert "cannot be decided any more" in again.err
    assert shell("approvals").out == "nothing waits for a decision\n"
