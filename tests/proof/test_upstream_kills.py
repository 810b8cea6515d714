"""Looks at vendored code that are killed, or done twice at once, end in one pull request all the same."""

import os
import shutil
import signal
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import pytest
from github.Requester import Requester

from riskloop.store import Store
from tests.emulator.rig import Rig
from tests.mitigations.vendoring import numbered
from tests.proof.seasons import BRANCH, Season, begin
from tests.proof.seeding import SEED
from tests.proxy.fates import Weather
from tests.store.children import start, together

pytestmark = pytest.mark.server

KILLS = 2
"""At commands of git, where not each moment is tried; half as often before, and after, a request."""
EACH = 1_000


@dataclass(frozen=True, slots=True)
class Death:
    """The moment at which a process is killed.

    Args:
        nth: at the so manieth command of git, or request to GitHub.
        of: `git`, or what has happened of the request: `sent`, `answered`.
    """

    nth: int
    of: str


def die(death: Death, room: Path) -> None:
    """Have this process be killed when the moment has come."""
    if death.of == "git":
        left, programs = room / "left", room / "programs"
        left.write_text(str(death.nth))
        programs.mkdir(exist_ok=True)
        git = programs / "git"
        lines = (
            "#!/bin/sh",
            f"left=$(($(cat {left}) - 1))",
            f"echo $left >{left}",
            "[ $left -eq 0 ] && kill -KILL $PPID",
            f'exec {shutil.which("git")} "$@"',
        )
        git.write_text("\n".join(lines) + "\n")
        git.chmod(0o755)
        os.environ["PATH"] = f"{programs}:{os.environ['PATH']}"
        return
    ask, count = Requester.requestJson, 0

    def asking(self: Requester, *given: Any, **named: Any) -> Any:
        nonlocal count
        count += 1
        if count == death.nth and death.of == "sent":
            os.kill(os.getpid(), signal.SIGKILL)
        answer = ask(self, *given, **named)
        if count == death.nth:
            os.kill(os.getpid(), signal.SIGKILL)
        return answer

    Requester.requestJson = asking  # type: ignore[method-assign]  # of a process that is about to die


def run_and_die(season: Season, death: Death) -> bool:
    """Run once in a process of its own, that is killed; say whether the moment came before its end."""

    def work(store: Store) -> str:
        store.close()
        die(death, season.room)
        return season.run()

    child = start(aside(season), work)
    child.let_go()
    code, words = child.wait()
    season.rig.github.settle()
    assert code in (-signal.SIGKILL, 0), words
    return code != 0


def aside(season: Season) -> str:
    """Give a store for what a child is started with; a look opens its own."""
    return f"sqlite:///{season.room / 'aside.sqlite'}"


def open_pulls(season: Season) -> int:
    return sum(standing in ("open", "draft") for standing in season.standing())


def assert_tidy(season: Season) -> None:
    """Make sure that nothing half-done is left in the state directory."""
    assert list((season.state / "scratch").iterdir()) == []
    for mirror in (*(season.state / "mirrors").glob("*/"), *(season.state / "upstreams").glob("*/")):
        left = [*mirror.rglob("*.lock"), *(mirror / "objects" / "pack").glob("tmp_*")]
        assert left == []
    with sqlite3.connect(season.room / "riskloop.sqlite") as store:
        assert store.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def conflict(season: Season) -> None:
    season.upstream_commits({"src/a.txt": numbered(changed={20: "theirs"})})


def more(season: Season) -> None:
    season.upstream_commits({"src/new.txt": "1\n"})


def person(season: Season) -> None:
    season.person_commits({"note.txt": "checked\n"}, message="Note it")
    season.upstream_commits({"src/new.txt": "2\n"})


def pass_over(season: Season) -> None:
    season.acknowledge("main")


@dataclass(frozen=True, slots=True)
class Case:
    """What happened before, what happens now, and how the pull request stands in the end.

    Args:
        gits: how many commands of git a look takes then, at least.
        requests: how many requests to GitHub.
    """

    before: tuple[Callable[[Season], None], ...]
    happens: Callable[[Season], None]
    standing: str
    gits: int
    requests: int
    comments: int = 0


CASES = {
    "opened": Case((), conflict, "draft", gits=90, requests=4),
    "updated": Case((conflict,), more, "draft", gits=90, requests=4),
    "left to a person": Case((more,), person, "open", gits=65, requests=5, comments=1),
    "closed": Case((conflict,), pass_over, "closed", gits=35, requests=6, comments=1),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
@pytest.mark.parametrize("kills", [KILLS, pytest.param(EACH, marks=pytest.mark.soak)], ids=["few", "each"])
def test_killed_anywhere_the_next_run_ends_where_one_that_lives_does(
    own_rig: Rig, tmp_path: Path, case: Case, kills: int
) -> None:
    chance = Random(f"{SEED} {case.happens.__name__}")
    season = begin(own_rig, tmp_path)
    season.week()
    for step in case.before:
        step(season)
        season.week()
    case.happens(season)
    season.pass_days()
    deaths = []
    for of, moments, share in (
        ("git", case.gits, kills),
        ("sent", case.requests, kills // 2),
        ("answered", case.requests, kills // 2),
    ):
        chosen = sorted(chance.sample(range(1, moments + 1), min(share, moments)))
        deaths += [Death(nth, of) for nth in chosen]
    killed = 0
    for death in deaths:
        killed += run_and_die(season, death)
        assert open_pulls(season) <= 1
    assert killed >= len(deaths) / 2, "what was done by one that was killed later is not done again"
    season.run()
    assert season.standing() == [case.standing]
    assert len(season.comments(1)) == case.comments
    assert len(season.issues()) <= 1
    assert_tidy(season)


@pytest.mark.parametrize("machines", [1, 2])
def test_two_at_once_have_one_pull_request_and_say_once_that_it_is_left_to_a_person(
    own_rig: Rig, tmp_path: Path, machines: int
) -> None:
    season = begin(own_rig, tmp_path)
    season.week()
    own_rig.github.disturb(Weather(seed=SEED, latency=(0.0, 0.05)))
    other = season if machines == 1 else season.another_machine()

    def work(one: Season) -> Callable[[Store], str]:
        def run(store: Store) -> str:
            store.close()
            return one.run()

        return run

    for happens in (conflict, person):
        happens(season)
        season.pass_days()
        other.now = season.now
        ended = together(aside(season), work(season), work(other))
        assert [code for code, _ in ended] == [0, 0], ended
        assert not any("could not be proposed" in words for _, words in ended), ended
        assert len(season.standing()) == 1, ended
        assert len(season.issues()) == 1
    assert len(season.comments(1)) == 1
    assert season.bare.git("log", "-1", "--format=%s", BRANCH) == "Note it"
    for one in {season.state, other.state}:
        assert list((one / "scratch").iterdir()) == []
