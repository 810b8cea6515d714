"""Whatever goes wrong with any one call in an incident's life: it converges, or says what to mend."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from riskloop.channels.markers import read_marker
from riskloop.identity import read_identity
from riskloop.store import circuits, letters, open_store
from tests.delivering import Service
from tests.emulator.rig import Rig
from tests.proof.seeding import in_the_tenth
from tests.proxy.faults import GITHUB_FAULTS, SLACK_FAULTS

pytestmark = pytest.mark.server

LIFE = (2.0, 20.0, 2.0, 0.0)
"""What leaks: a warning opens, a critical worsens, it eases, and it is over."""

GITHUB_CALLS = (
    "GET user",
    "GET issues",
    "POST issues",
    *("GET issue", "PATCH issue", "POST comments") * 2,
    *("GET issue", "POST comments", "PATCH issue"),
)
SLACK_CALLS = (
    "conversations.history",
    "chat.postMessage",
    "chat.getPermalink",
    *("chat.update", "chat.postMessage") * 3,
)

MENDED_BY_A_PERSON = {"403", "404", "410", "422", "channel_not_found", "is_archived"}


def cases(calls: tuple[str, ...], faults: tuple[str, ...]) -> list[Any]:
    return [
        pytest.param(
            number,
            fault,
            id=f"{number}-{call}-{fault}".replace(" ", "-"),
            marks=() if in_the_tenth(f"{number} {call} {fault}") else pytest.mark.soak,
        )
        for number, call in enumerate(calls)
        for fault in faults
    ]


@pytest.fixture
def service(rig: Rig, tmp_path: Path, repository: str, slack_channel: str) -> Service:
    store = open_store(f"sqlite:///{tmp_path / 'riskloop.sqlite'}")
    store.upgrade()
    return Service(rig, store, read_identity(tmp_path / "state"), tmp_path, (repository, slack_channel))


def live(service: Service) -> None:
    """Lead a whole life, each transition delivered until nothing of it is on its way."""
    for leaks in LIFE:
        service.look(leaks=leaks)
        for _ in range(12):
            service.deliver()
            service.clock.advance(3_600)
            if not waiting(service):
                break


def waiting(service: Service) -> int:
    with service.store.reading() as connection:
        counts = letters.count_deliveries(connection)
    return counts["pending"] + counts["sending"]


def called(service: Service) -> tuple[list[str], list[str]]:
    names = {"issues": "issues", "comments": "comments", "user": "user"}
    github = [
        f"{request.method} {names.get(request.path.rpartition('/')[2], 'issue')}"
        for request in service.rig.github.recorded
    ]
    return github, [request.path.rpartition("/")[2] for request in service.rig.slack.recorded]


def markers(service: Service) -> Counter[str]:
    """Count how often each delivery of ours is found on GitHub, and in Slack."""
    issues = service.rig.issues(service.repository)
    comments = [one for i in issues for one in service.rig.comments(service.repository, i["number"])]
    messages = service.rig.messages(service.channel)
    replies = [one for m in messages for one in service.rig.replies(service.channel, m["ts"])]
    found = [f"github {one['body'].partition(chr(10))[0]}" for one in (*issues, *comments)]
    found += [f"slack {one['metadata']['event_payload']['marker']}" for one in (*messages, *replies)]
    assert all(read_marker(line, service.identity.key) for line in found)
    return Counter(found)


def test_a_whole_life_makes_these_calls_and_no_others(service: Service) -> None:
    live(service)
    github, slack = called(service)
    assert tuple(github) == GITHUB_CALLS
    assert tuple(slack) == SLACK_CALLS


@pytest.mark.parametrize(("number", "fault"), cases(GITHUB_CALLS, GITHUB_FAULTS))
def test_whatever_happens_to_one_call_to_github(service: Service, number: int, fault: str) -> None:
    service.rig.github.fail(fault, method="", passing=number)
    live(service)
    came_right(service, fault)


@pytest.mark.parametrize(("number", "fault"), cases(SLACK_CALLS, SLACK_FAULTS))
def test_whatever_happens_to_one_call_to_slack(service: Service, number: int, fault: str) -> None:
    service.rig.slack.fail(fault, method="", passing=number)
    live(service)
    came_right(service, fault)


def came_right(service: Service, fault: str) -> None:
    """Nothing is doubled, nothing is on its way, and what is dead is so for a reason of the table's."""
    assert waiting(service) == 0
    assert set(markers(service).values()) == {1}, "each is told once"
    with service.store.reading() as connection:
        dead = letters.list_deliveries(connection, states={"dead"}, limit=99)
        assert circuits.list_circuits(connection) == ()
    if dead:
        assert fault.removesuffix(" before").removesuffix(" after") in MENDED_BY_A_PERSON
        assert len(dead) == 1, dead
    gone = fault in {"404", "410"} and len(service.rig.issues(service.repository)) > 1
    if not dead and not gone:
        assert service.issues() == [("closed", 3)]
        assert service.threads() == [3]
