"""A bad network by chance: the same by seed, slow both ways, and no respecter of clients that are gone."""

import socket
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.emulator.emulator import GITHUB_TOKEN, SLACK_TOKEN
from tests.emulator.rig import Rig
from tests.proxy.fates import Fate, Weather
from tests.proxy.faults import FAULTS, GITHUB_FAULTS, SLACK_FAULTS, Breakage, named
from tests.proxy.traffic import busiest

BREAKAGES = (Breakage.NONE, Breakage.RESET, Breakage.SILENCE)
ISSUES = "/repos/acme/sdk/issues"
HEADERS = {"Authorization": f"Bearer {GITHUB_TOKEN}"}


def fates(weather: Weather, count: int = 2_000) -> list[Fate]:
    return [weather.fate("POST", ISSUES, nth) for nth in range(count)]


def test_the_same_seed_brings_the_same_weather() -> None:
    first = fates(Weather(seed=7, latency=(0.0, 0.15), share=0.05))
    assert first == fates(Weather(seed=7, latency=(0.0, 0.15), share=0.05))
    assert first != fates(Weather(seed=8, latency=(0.0, 0.15), share=0.05))


def test_a_share_of_the_requests_fails_before_and_after_the_commit_in_each_way() -> None:
    weather = Weather(seed=7, latency=(0.01, 0.15), share=0.05, faults=("502", "reset", "timeout"))
    drawn = fates(weather)
    failing = [fate for fate in drawn if fate.fault]
    assert 60 < len(failing) < 140
    ways = Counter((fate.fault.breakage, fate.after_commit) for fate in drawn if fate.fault)
    assert ways.keys() == {(broken, after) for broken in BREAKAGES for after in (False, True)}
    assert all(0.01 <= way <= 0.15 for fate in drawn for way in (fate.there, fate.back))
    assert len({fate.there for fate in drawn}) > 1_900


def test_a_fault_that_says_when_comes_then() -> None:
    weather = Weather(seed=7, share=1.0, faults=("502 after",))
    assert {fate.after_commit for fate in fates(weather, 50)} == {True}


def test_weather_is_for_the_requests_it_names() -> None:
    weather = Weather(seed=7, share=1.0, method="POST", path=".*/comments")
    assert weather.fate("POST", ISSUES, 1) == weather.fate("GET", f"{ISSUES}/1/comments", 1) == Fate()
    assert weather.fate("POST", f"{ISSUES}/1/comments", 1).fault is not None


def test_every_fault_of_the_tables_has_its_name() -> None:
    for name in (*GITHUB_FAULTS, *SLACK_FAULTS):
        fault, after = named(name)
        assert fault in FAULTS.values()
        assert after is {"before": False, "after": True}.get(name.split()[-1])
    assert named("timeout after") == (FAULTS["timeout"], True)
    assert named("429") == (FAULTS["429"], None)
    assert FAULTS["429"].headers == {}
    assert FAULTS["429 with Retry-After"].headers == {"Retry-After": "7"}
    assert FAULTS["truncated JSON"].breakage is Breakage.CUT_JSON
    with pytest.raises(KeyError):
        named("418")


@pytest.mark.server
@pytest.mark.parametrize("name", GITHUB_FAULTS)
def test_each_fault_of_github_is_committed_or_not_as_its_name_says(
    rig: Rig, repository: str, name: str
) -> None:
    rig.github.fail(name, path=".*/issues")
    with httpx.Client(base_url=rig.github_url, headers=HEADERS, timeout=0.3) as client:
        try:
            status = client.post(f"/repos/{repository}/issues", json={"title": "x"}).status_code
        except httpx.TransportError:
            status = 0
    rig.github.settle()
    applied = name.endswith("after") or name == "truncated JSON"
    assert len(rig.issues(repository)) == applied
    (recorded,) = rig.github.recorded
    assert recorded.committed is applied
    assert recorded.status == status
    assert (status == 0) is name.startswith(("reset", "timeout"))


@pytest.mark.server
@pytest.mark.parametrize("name", SLACK_FAULTS)
def test_each_fault_of_slack_is_committed_or_not_as_its_name_says(
    rig: Rig, slack_channel: str, name: str
) -> None:
    before = len(rig.messages(slack_channel))
    rig.slack.fail(name, path=".*/chat.postMessage")
    headers = {"Authorization": f"Bearer {SLACK_TOKEN}"}
    with httpx.Client(base_url=rig.slack_url, headers=headers, timeout=0.3) as client:
        try:
            client.post("chat.postMessage", json={"channel": slack_channel, "text": "x"})
        except httpx.TransportError:
            assert name.startswith(("reset", "timeout"))
    rig.slack.settle()
    applied = name.endswith("after") or name == "truncated JSON"
    assert len(rig.messages(slack_channel)) - before == applied


@pytest.mark.server
def test_a_request_takes_its_time_both_ways_until_the_weather_is_forgotten(rig: Rig, repository: str) -> None:
    rig.github.disturb(Weather(seed=7, latency=(0.05, 0.06)))
    with httpx.Client(base_url=rig.github_url, headers=HEADERS) as client:
        started = time.perf_counter()
        client.get(f"/repos/{repository}/issues")
        assert time.perf_counter() - started >= 0.1
        rig.github.forget()
        started = time.perf_counter()
        client.get(f"/repos/{repository}/issues")
        assert time.perf_counter() - started < 0.1


@pytest.mark.server
def test_a_request_whose_client_is_gone_is_applied_once_its_time_is_over(rig: Rig, repository: str) -> None:
    rig.github.disturb(Weather(seed=7, latency=(0.3, 0.3)))
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(
            f"{rig.github_url}/repos/{repository}/issues", headers=HEADERS, json={"title": "x"}, timeout=0.1
        )
    assert rig.issues(repository) == []
    rig.github.settle()
    assert len(rig.issues(repository)) == 1


@pytest.mark.server
def test_half_a_request_is_not_applied(rig: Rig, repository: str) -> None:
    host, port = rig.github_url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as client:
        client.sendall(
            f"POST /repos/{repository}/issues HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
            f"Authorization: Bearer {GITHUB_TOKEN}\r\nContent-Length: 99\r\n\r\n".encode()
            + b'{"title": "x"}'
        )
        client.shutdown(socket.SHUT_WR)
        assert client.recv(1) == b""
    assert rig.issues(repository) == []
    assert rig.github.recorded == []


@pytest.mark.server
def test_the_weather_does_not_depend_on_who_is_first(rig: Rig) -> None:
    repositories = [rig.new_repository() for _ in range(4)]

    def statuses(repository: str) -> list[int]:
        with httpx.Client(base_url=rig.github_url, headers=HEADERS) as client:
            return [client.get(f"/repos/{repository}/issues").status_code for _ in range(10)]

    rig.github.disturb(Weather(seed=7, share=0.5, faults=("502",)))
    in_turn = [statuses(repository) for repository in repositories]
    rig.github.disturb(Weather(seed=7, share=0.5, faults=("502",)))
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(statuses, reversed(repositories))) == in_turn[::-1]
    assert {200, 502} == {status for row in in_turn for status in row}


def test_the_busiest_window_is_found_wherever_it_begins() -> None:
    assert busiest([], 60) == 0
    assert busiest([0, 59, 60, 61, 200], 60) == 3
    assert busiest([61, 0, 60, 59], 60) == 3
    assert busiest([0, 60, 120], 60) == 1
    assert busiest([5, 5, 5], 60) == 3


@pytest.mark.server
def test_writes_are_counted_by_the_clock_of_the_test_whatever_became_of_them(
    rig: Rig, repository: str
) -> None:
    moments = iter([0.0, 30.0, 59.0, 3_000.0, 3_001.0])
    rig.github.clock = lambda: next(moments)
    rig.github.fail("502")
    with httpx.Client(base_url=rig.github_url, headers=HEADERS) as client:
        for _ in range(2):
            client.post(f"/repos/{repository}/issues", json={"title": "x"})
        client.get(f"/repos/{repository}/issues")
        for _ in range(2):
            client.patch(f"/repos/{repository}/issues/1", json={"title": "y"})
    assert rig.github.busiest(60) == 2
    assert rig.github.busiest(60, writes_only=False) == 3
    assert rig.github.busiest(3_600) == 4
    assert [r.at for r in rig.github.recorded] == [0.0, 30.0, 59.0, 3_000.0, 3_001.0]


@pytest.mark.server
def test_of_slack_only_what_posts_or_edits_is_a_write(rig: Rig, slack_channel: str) -> None:
    headers = {"Authorization": f"Bearer {SLACK_TOKEN}"}
    with httpx.Client(base_url=rig.slack_url, headers=headers) as client:
        client.post("conversations.history", json={"channel": slack_channel})
        client.post("chat.postMessage", json={"channel": slack_channel, "text": "x"})
    assert rig.slack.busiest(60) == 1
