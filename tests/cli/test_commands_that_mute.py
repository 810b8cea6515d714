"""Accepting an incident, silencing a mitigation: who, why, until when is recorded, and what is refused."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, update

from riskloop.assessing import Occasion, assess, assess_service
from riskloop.looking import look
from riskloop.notifications import Links, Reach
from riskloop.project import read_register, site
from riskloop.services import open_services
from riskloop.settings import read_settings
from riskloop.store import history
from riskloop.store.tables import incidents, mutes
from tests.cli.conftest import Shell

ID = "stale.fixture_drift"
SIGNED = ("--who", "Mia", "--why", "the recorder changes next week")


def breach(shell: Shell, *, times: int = 1, service: str = "") -> list[str]:
    """Let the mitigation breach, or be looked at in vain; give the ids of its open incidents."""
    (shell.project / "source.txt").write_text("two\n", encoding="utf-8")
    settings = read_settings({}, register=shell.project / "riskloop.yaml")
    register = read_register(settings)
    (mitigation,) = register.mitigations()
    now = datetime.now(UTC)
    at = Occasion(
        project="Paper",
        run="run",
        register_digest="d",
        reach=Reach(),
        links=Links(),
        evidence=settings.state / "evidence",
        now=now,
    )
    with open_services(settings) as services:
        for number in range(times):
            seen = look(mitigation, site(register, settings))
            if number:
                seen = replace(seen, observation=None, reason="no network")
            assess(services.store, [(mitigation, seen)], replace(at, run=f"run {number}"))
        if service:
            owner = register.service_owner
            assess_service(services.store, owner=owner, problem=service, remedy="mend it", occasion=at)
        with services.store.reading() as connection:
            found = history.list_incidents(connection, resolved=False, limit=10)
    return [one.id for one in sorted(found, key=lambda one: str(one.concern), reverse=True)]


def rows(shell: Shell) -> list[tuple[str, str | None, str, str, str]]:
    settings = read_settings({}, register=shell.project / "riskloop.yaml")
    with open_services(settings) as services, services.store.reading() as connection:
        found = connection.execute(select(mutes).order_by(mutes.c.number))
        return [(row.muting, row.concern, row.who, row.why, row.ended) for row in found]


@pytest.mark.parametrize("by", ["incident", "mitigation"])
def test_an_incident_is_accepted_by_its_id_or_its_mitigations(shell: Shell, by: str) -> None:
    (incident,) = breach(shell)
    day = datetime.now(UTC).date() + timedelta(days=10)
    ended = shell("accept", incident if by == "incident" else ID, "--until", f"{day}", *SIGNED)
    assert ended.code == 0, ended.err
    assert ended.out == ""
    assert f"{ID} is accepted until {day:%d %B %Y} 23:59 UTC by Mia" in ended.err
    assert "within ten minutes" in ended.err
    assert rows(shell) == [("accepted", "breach", "Mia", "the recorder changes next week", "")]
    changes = [one["change"] for one in shell("deliveries", "--json").data]
    assert sorted(changes) == ["muted", "muted", "opened", "opened"]


def test_what_holds_is_shown_in_the_status_and_its_json(shell: Shell) -> None:
    breach(shell)
    shell("accept", ID, "--until", "30d", *SIGNED)
    shell("silence", ID, "--until", "2d", "--who", "Bob", "--why", "moving house")
    shown = shell("status").out
    assert re.search(r"accepted until \d\d \w+ \d{4} \d\d:\d\d UTC by Mia: the recorder changes", shown)
    assert re.search(r"silenced until .* by Bob: moving house", shown)
    (row,) = shell("status", "--json").data["rows"]
    assert [(one["muting"], one["who"]) for one in row["mutes"]] == [("accepted", "Mia"), ("silenced", "Bob")]
    assert shell("status", "--exit-status").code == 3, "what is accepted is open all the same"


def test_a_mitigation_is_silenced_with_nothing_open(shell: Shell) -> None:
    ended = shell("silence", ID, "--until", "7d", *SIGNED)
    assert ended.code == 0
    assert f"{ID} is silenced until" in ended.err
    assert "it is told" not in ended.err
    assert rows(shell) == [("silenced", None, "Mia", "the recorder changes next week", "")]
    assert "silenced until" in shell("status").out


@pytest.mark.parametrize("command", ["accept", "silence"])
def test_either_is_ended_early_once_with_a_name_and_a_reason(shell: Shell, command: str) -> None:
    breach(shell)
    shell(command, ID, "--until", "30d", *SIGNED)
    ended = shell(command, ID, "--end", "--who", "Bob", "--why", "it is mended")
    assert ended.code == 0, ended.err
    assert f"{ID} is no longer {command.removesuffix('e').removesuffix('t')}" in ended.err
    assert [row[-1] for row in rows(shell)] == ["by Bob: it is mended"]
    assert "by Mia" not in shell("status").out
    again = shell(command, ID, "--end", "--who", "Bob", "--why", "it is mended")
    assert again.code == 1
    assert f"{ID} is not" in again.err


def test_ending_the_one_leaves_the_other(shell: Shell) -> None:
    (incident,) = breach(shell)
    shell("accept", ID, "--until", "30d", *SIGNED)
    shell("silence", ID, "--until", "30d", *SIGNED)
    shell("accept", incident, "--end", *SIGNED)
    assert [bool(row[-1]) for row in rows(shell)] == [True, False]


@pytest.mark.parametrize("command", ["accept", "silence"])
@pytest.mark.parametrize(
    ("until", "says"),
    [
        ("2020-01-31", "2020-01-31 is over; name a later day"),
        ("0d", "is over"),
        ("181d", "more than 180 days away; name a day up to"),
        ("2999-01-01", "more than 180 days away"),
        ("9999-12-31", "more than 180 days away"),
        ("9999d", "more than 180 days away"),
        ("tomorrow", "'tomorrow' is no day; write one as 2027-01-31, or a number of days as 30d"),
        ("2027-02-30", "is no day"),
        ("-3d", "is no day"),
        ("3w", "is no day"),
    ],
)
def test_a_day_that_is_none_or_too_far_is_refused_with_what_would_do(
    shell: Shell, command: str, until: str, says: str
) -> None:
    breach(shell)
    ended = shell(command, ID, f"--until={until}", *SIGNED)
    assert ended.code == 1
    assert says in ended.err
    assert ended.err.count("\n") == 1
    assert rows(shell) == []


def test_the_hundred_and_eightieth_day_is_the_last(shell: Shell) -> None:
    day = datetime.now(UTC).date() + timedelta(days=180)
    assert shell("silence", ID, "--until", f"{day}", *SIGNED).code == 0
    assert shell("silence", ID, "--until", "180d", *SIGNED).code == 0


@pytest.mark.parametrize(
    ("who", "why"), [(" ", "why"), ("who", "\n\t"), ("w" * 101, "why"), ("who", "y" * 1_001)]
)
def test_a_decision_without_a_name_or_a_reason_is_refused(shell: Shell, who: str, why: str) -> None:
    breach(shell)
    for command in ("accept", "silence"):
        for words in (("--until", "3d"), ("--end",)):
            ended = shell(command, ID, *words, "--who", who, "--why", why)
            assert ended.code == 1
            assert "name" in ended.err
            assert "reason" in ended.err
    assert rows(shell) == []


def test_a_name_and_a_reason_become_one_line_each(shell: Shell) -> None:
    shell("silence", ID, "--until", "3d", "--who", " Mia \n Meier", "--why", "one\r\n## two")
    assert rows(shell) == [("silenced", None, "Mia Meier", "one ## two", "")]


def test_with_nothing_open_there_is_nothing_to_accept_and_silence_is_offered(shell: Shell) -> None:
    ended = shell("accept", ID, "--until", "3d", *SIGNED)
    assert ended.code == 1
    assert f"nothing is open to accept under '{ID}'" in ended.err
    assert f"silence it instead: riskloop silence {ID}" in ended.err


def test_what_is_resolved_or_unknown_cannot_be_accepted(shell: Shell) -> None:
    (incident,) = breach(shell)
    settings = read_settings({}, register=shell.project / "riskloop.yaml")
    with open_services(settings) as services, services.store.writing() as connection:
        connection.execute(update(incidents).values(resolved_at=datetime.now(UTC)))
    for name in (incident, "nothing"):
        ended = shell("accept", name, "--until", "3d", *SIGNED)
        assert ended.code == 1
        assert "see: riskloop incidents" in ended.err


def test_a_mitigation_with_two_open_incidents_asks_which(shell: Shell) -> None:
    one, other = breach(shell, times=3)
    ended = shell("accept", ID, "--until", "3d", *SIGNED)
    assert ended.code == 1
    assert f"{one} (breach)" in ended.err
    assert f"{other} (blind)" in ended.err
    assert shell("accept", other, "--until", "3d", *SIGNED).code == 0
    assert [row[1] for row in rows(shell)] == ["blind"]


def test_riskloops_own_incident_cannot_be_accepted(shell: Shell) -> None:
    breach(shell, service="the register is broken")
    ended = shell("accept", "service", "--until", "3d", *SIGNED)
    assert ended.code == 1
    assert "which cannot be accepted" in ended.err


def test_a_mitigation_that_is_none_is_answered_with_the_nearest(shell: Shell) -> None:
    ended = shell("silence", "stale.fixture_drfit", "--until", "3d", *SIGNED)
    assert ended.code == 1
    assert f"did you mean '{ID}'" in ended.err


@pytest.mark.parametrize(
    "words", [(), ("--until", "3d", "--end"), ("--until", "3d", "--who", "Mia"), ("--no-end",)]
)
def test_wrong_usage_exits_with_2(shell: Shell, words: tuple[str, ...]) -> None:
    signed = () if "--who" in words else SIGNED
    assert shell("accept", ID, *words, *signed).code == 2
    assert shell("silence", ID, *words, *signed).code == 2
