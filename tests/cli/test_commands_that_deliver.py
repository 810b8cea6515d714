"""What a person at the terminal sees of deliveries, and does with those that did not arrive."""

import shlex
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from riskloop.store import circuits, open_store
from tests.cli.conftest import Shell
from tests.desk import Desk
from tests.toys import MITIGATION

SUBJECT = "stale.fixture_drift"


@pytest.fixture
def desk(shell: Shell) -> Iterator[Desk]:
    """Give a desk on the store of the shell's project, where the mitigation of its register is looked at."""
    state = shell.project / ".riskloop"
    assert shell("status").code == 0
    store = open_store(f"sqlite:///{state / 'riskloop.sqlite'}")
    found = Desk(store, state, mitigation=replace(MITIGATION, id=SUBJECT))
    found.clock.now = datetime.now(UTC) - timedelta(hours=5)
    yield found
    store.close()


def test_deliveries_are_listed_with_and_without_the_word_list(shell: Shell, desk: Desk) -> None:
    desk.look(leaks=2)
    dead = desk.bury()
    desk.look(leaks=20)
    for words in (["deliveries"], ["deliveries", "list"]):
        listed = shell(*words)
        assert listed.code == 0
        assert [line.split()[2] for line in listed.out.splitlines()] == ["what", "worsened", "opened"]
        assert "waiting: sent with the next round" in listed.out
    (only,) = shell("deliveries", "--dead", "--json").data
    assert (only["id"], only["state"], only["change"]) == (dead, "dead", "opened")
    assert only["last_error"] == "acme/sdk is archived; name another"


def test_what_was_dropped_is_listed_only_among_all(shell: Shell, desk: Desk) -> None:
    desk.look(leaks=2)
    dead = desk.bury()
    ended = shell("deliveries", "drop", dead, "--who", "QA", "--why", "told by phone")
    assert ended.code == 0
    assert "is not sent: dropped by QA" in ended.out
    assert shell("deliveries").out == "everything was delivered\n"
    assert "dropped" in shell("deliveries", "--all").out
    assert [one["id"] for one in shell("deliveries", "--all", "--dead", "--json").data] == [dead]
    assert "not sent: dropped by QA: told by phone" in shell("deliveries", "show", dead).out


def test_a_delivery_is_shown_whole(shell: Shell, desk: Desk) -> None:
    desk.look(leaks=2)
    dead = desk.bury(uncertain=True)
    out = shell("deliveries", "show", dead).out
    for words in (
        f"delivery          {dead}",
        "what              opened: leaks passed the threshold",
        "where             github acme/sdk, for SDK Lead",
        "how it stands     dead letter after 1 attempt: acme/sdk is archived; name another",
        "perhaps arrived   4 h ago",
        f"to send it again  riskloop deliveries retry {dead}",
        "| leaks | 2 leaks |",
    ):
        assert words in out
    data = shell("deliveries", "show", dead, "--json").data
    assert data["delivery"]["id"] == dead
    assert "| leaks | 2 leaks |" in data["wording"]


def test_a_retry_says_what_becomes_of_each_and_fails_where_one_cannot_be_sent(
    shell: Shell, desk: Desk
) -> None:
    desk.look(leaks=2)
    dead = desk.bury()
    ended = shell("deliveries", "retry", "--all")
    assert ended.code == 0
    assert ended.out.splitlines()[1].startswith("ok")
    again = shell("deliveries", "retry", dead, "--json")
    assert again.code == 1
    assert again.data == [
        {"id": dead, "done": False, "says": "it is no dead letter: it is on its way already"}
    ]
    assert shell("deliveries", "retry", "--all").out == "there is no dead letter\n"


@pytest.mark.parametrize(
    "words",
    [
        ["retry"],
        ["retry", "abc", "--all"],
        ["drop", "abc"],
        ["drop", "--who", "QA", "--why", "so"],
        ["show"],
        ["shwo"],
    ],
    ids=" ".join,
)
def test_half_a_command_is_wrong_usage(shell: Shell, words: list[str]) -> None:
    assert shell("deliveries", *words).code == 2


def test_an_id_of_no_delivery_is_answered_in_a_line(shell: Shell, desk: Desk) -> None:
    assert "nothing was ever sent" in shell("deliveries", "show", "abc").err
    desk.look(leaks=2)
    ended = shell("deliveries", "show", desk.bury() + "0")
    assert ended.code == 1
    assert "did you mean" in ended.err


def test_the_status_shows_what_stands_in_the_way_and_counts_it_as_open(shell: Shell, desk: Desk) -> None:
    desk.look(leaks=2)
    desk.arrive()
    desk.look(leaks=0)
    desk.arrive()
    assert shell("status", "--exit-status").code == 0
    with desk.store.writing() as connection:
        circuits.open_circuit(connection, "github", reason="no such token; make one", now=desk.clock())
    ended = shell("status", "--exit-status")
    assert ended.code == 3
    assert "GitHub: nothing is sent since" in ended.out
    assert "no such token; make one; it goes on by itself when the token works again" in ended.out
    assert shell("status", "--json").data["circuits"][0]["realm"] == "github"


def test_the_status_and_the_doctor_show_the_newest_dead_letters_with_their_reason(
    shell: Shell, desk: Desk
) -> None:
    for number, leaks in enumerate((2, 20, 2, 20)):
        desk.look(leaks=leaks)
        desk.bury(f"reason {number}; remedy {number}")
    desk.look(leaks=0)
    out = shell("status").out
    assert "deliveries on their way: 1; see" in out
    assert "deliveries that need a person: 4" in out
    assert "reason 3; remedy 3" in out
    assert "reason 1; remedy 1" in out
    assert "reason 0" not in out
    parts = {part["name"]: part for part in shell("doctor", "--json").data}
    assert parts["store"]["ok"]
    assert not parts["deliveries"]["ok"]
    assert "that need a person: 4; " in parts["deliveries"]["says"]
    assert "reason 3; remedy 3" in parts["deliveries"]["says"]
    for one in shell("deliveries", "--dead", "--json").data:
        shell("deliveries", "drop", one["id"], "--who", "QA", "--why", "so")
    parts = {part["name"]: part for part in shell("doctor", "--json").data}
    assert parts["deliveries"]["ok"]


def test_the_doctor_names_an_open_circuit_and_how_long_the_oldest_waits(shell: Shell, desk: Desk) -> None:
    desk.clock.now -= timedelta(hours=20)
    desk.look(leaks=2)
    with desk.store.writing() as connection:
        circuits.open_circuit(connection, "slack:acme", reason="no such token", now=desk.clock())
    parts = {part["name"]: part for part in shell("doctor", "--json").data}
    assert parts["deliveries"]["ok"]
    assert parts["deliveries"]["says"] == "on their way: 1, the oldest for 1 day"
    assert not parts["token for Slack acme"]["ok"]
    assert "it goes on by itself when the token works again" in parts["token for Slack acme"]["says"]
    assert "on their way: 1, the oldest for 1 day" in shell("status").out


def test_why_tells_the_story_of_a_mitigation_and_of_an_incident(shell: Shell, desk: Desk) -> None:
    assert shell("why", SUBJECT).out == f"nothing has happened to {SUBJECT} yet\n"
    assert shell("why", "service", "--json").data == []
    desk.look(leaks=2)
    desk.arrive()
    out = shell("why", SUBJECT).out
    assert [line.split()[2] for line in out.splitlines()[1:]] == ["look", "transition", "delivery"]
    assert "told in https://github.com/acme/sdk/issues/7" in out
    (incident,) = shell("incidents", "--json").data
    entries = shell("why", incident["id"], "--json").data
    assert [entry["what"] for entry in entries] == ["look", "transition", "delivery"]
    assert entries[1]["why"] == "SDK Lead is to hear of it: see its deliveries"


def test_why_shows_the_newest_and_says_how_to_see_all(shell: Shell, desk: Desk) -> None:
    for _ in range(201):
        desk.clock.now -= timedelta(minutes=59)
        desk.look(leaks=0)
    newest = shell("why", SUBJECT)
    assert newest.out.count("\n") == 201
    assert f"riskloop why {SUBJECT} --all" in newest.err
    everything = shell("why", SUBJECT, "--all")
    assert everything.out.count("\n") == 202
    assert everything.err == ""


def test_why_goes_on_where_the_page_before_said(shell: Shell, desk: Desk) -> None:
    for leaks in (0, 2, 20, 2, 0):
        desk.look(leaks=leaks)
    whole = shell("why", SUBJECT, "--all", "--json").data
    words = ["why", SUBJECT, "--limit", "4"]
    found: list[object] = []
    while words:
        page = shell(*words, "--json")
        assert len(page.data) <= 4
        assert shell(*words).out.count("\n") == len(page.data) + 1
        found = [*page.data, *found]
        goes_on = page.err.partition("those before them: riskloop ")[2].partition("\n")[0]
        words = shlex.split(goes_on)
    assert found == whole
    assert len(whole) > 8
    ended = shell("why", SUBJECT, "--before", whole[0]["mark"])
    assert ended.out == f"nothing has happened to {SUBJECT} before {whole[0]['mark']}\n"
    assert [one["mark"] for one in shell("why", SUBJECT, "--before", whole[3]["at"], "--json").data] == [
        one["mark"] for one in whole if one["at"] < whole[3]["at"]
    ]


@pytest.mark.parametrize(
    "words", [["--limit", "0"], ["--limit", "10001"], ["--limit", "5", "--all"]], ids=" ".join
)
def test_a_page_of_no_size_is_wrong_usage(shell: Shell, words: list[str]) -> None:
    assert shell("why", SUBJECT, *words).code == 2


def test_a_page_of_a_story_that_begins_nowhere_is_answered_in_a_line(shell: Shell) -> None:
    ended = shell("why", SUBJECT, "--before", "yesterday")
    assert ended.code == 1
    assert "'yesterday' is no moment and no place in a story; write 2026-12-01 or" in ended.err


def test_the_incidents_go_on_where_the_page_before_said(shell: Shell, desk: Desk) -> None:
    for leaks in (2, 0, 2, 0, 2, 0, 2):
        desk.look(leaks=leaks)
    whole = shell("incidents", "--all", "--json").data
    assert len(whole) == 4
    words = ["incidents", "--all", "--limit", "3"]
    found: list[object] = []
    while words:
        page = shell(*words, "--json")
        assert shell(*words).out.count("\n") == len(page.data) + 1
        found += page.data
        words = shlex.split(page.err.partition("there are more, and older: riskloop ")[2])
    assert found == whole
    (newest,) = shell("incidents", "--json").data
    assert newest == whole[0]
    assert shell("incidents", "--limit", "1").err == ""
    none = shell("incidents", "--before", newest["id"])
    assert none.out == f"no incident is older than {newest['id']}\n"
    ended = shell("incidents", "--before", "i1")
    assert ended.code == 1
    assert "there is no incident 'i1'; give the id of the last one of the page before" in ended.err


def test_why_of_a_name_that_is_none_is_answered_with_the_nearest(shell: Shell) -> None:
    ended = shell("why", "stale.fixture_drfit")
    assert ended.code == 1
    assert f"did you mean '{SUBJECT}'?" in ended.err
