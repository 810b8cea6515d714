"""Acknowledging what upstream did is recorded once, and every later look counts from there."""

from dataclasses import replace
from pathlib import Path

import pytest

from riskloop.acknowledging import Acknowledged, acknowledge_upstream
from riskloop.errors import Refused
from riskloop.project import read_register
from riskloop.register import Register
from riskloop.remembering import remembered
from riskloop.risks import Decision
from riskloop.services import Services, open_services
from riskloop.settings import Settings, read_settings
from tests.mitigations.vendoring import FOLDER, PIN_FILE, Vendoring

REGISTER = """
project: Paper
owners:
  QA: {github: octo-qa}
risks:
  - id: vendored-lib
    title: The library drifts away
    likelihood: medium
    impact: high
    owner: QA
    mitigations:
      - kind: upstream_drift
        path: FOLDER
        upstream: UPSTREAM
        pin: PIN_FILE
        thresholds:
          commits_behind: {warning: 1}
"""


class Desk:
    """A project whose vendored library is two commits behind, and a person who decides about it."""

    def __init__(self, room: Path) -> None:
        self.there = Vendoring(room)
        self.there.vendor()
        self.first = self.there.upstream.commit({"src/new.txt": "1\n"}, message="Only their website")
        self.second = self.there.upstream.commit({"src/new.txt": "2\n"}, message="Again only their website")
        register = self.there.project.path / "riskloop.yaml"
        text = REGISTER.replace("UPSTREAM", str(self.there.upstream.path))
        text = text.replace("FOLDER", FOLDER).replace("PIN_FILE", PIN_FILE)
        register.write_text(text, encoding="utf-8")
        given = {"RISKLOOP_ALLOWED_ROOTS": str(room)}
        self.settings: Settings = read_settings(given, register=register, state=room / "state")
        self.register: Register = read_register(self.settings)
        (self.mitigation,) = self.register.mitigations()

    def acknowledge(
        self, services: Services, commit: str, *, who: str = "Mia", why: str = "only their website"
    ) -> Acknowledged:
        return acknowledge_upstream(services, self.register, self.mitigation, commit, who=who, why=why)

    def recorded(self) -> tuple[Decision, ...]:
        return remembered(self.settings, [self.mitigation])[self.mitigation.id].decisions


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_the_whole_commit_is_recorded_with_who_why_and_of_which_upstream(desk: Desk) -> None:
    with open_services(desk.settings) as services:
        said = desk.acknowledge(services, desk.first[:12])
    assert said.commit == desk.first
    assert said.says == f"upstream acknowledged up to {desk.first[:12]} by Mia: only their website"
    (decision,) = desk.recorded()
    assert (decision.decision, decision.who, decision.why) == ("acknowledge", "Mia", "only their website")
    assert decision.details == {"commit": desk.first, "upstream": str(desk.there.upstream.path)}


def test_the_same_acknowledgement_twice_is_one_and_another_one_comes_before_it(desk: Desk) -> None:
    with open_services(desk.settings) as services:
        desk.acknowledge(services, desk.first)
        again = desk.acknowledge(services, desk.first[:9], who="Ada", why="the same")
        assert again.says.endswith("by Mia: only their website")
        assert [one.who for one in desk.recorded()] == ["Mia"]
        desk.acknowledge(services, desk.second, who="Ada")
        desk.acknowledge(services, desk.first, who="Eve", why="not the second after all")
    assert [one.who for one in desk.recorded()] == ["Eve", "Ada", "Mia"]


def test_what_is_no_later_commit_of_upstream_is_refused_and_nothing_is_recorded(desk: Desk) -> None:
    side = desk.there.upstream
    side.git("checkout", "--quiet", "-b", "side")
    aside = side.commit({"src/side.txt": "1\n"}, message="Aside")
    side.git("checkout", "--quiet", "main")
    with open_services(desk.settings) as services:
        for commit in (desk.there.pin, aside, "0" * 40, "--upload-pack=x", ""):
            with pytest.raises(Refused):
                desk.acknowledge(services, commit)
    assert desk.recorded() == ()


@pytest.mark.parametrize(("who", "why"), [("", "because"), ("Mia", "  ")])
def test_an_acknowledgement_without_a_name_or_a_reason_is_refused(desk: Desk, who: str, why: str) -> None:
    with open_services(desk.settings) as services, pytest.raises(Refused, match="a name and a reason"):
        desk.acknowledge(services, desk.first, who=who, why=why)
    assert desk.recorded() == ()


def test_the_looks_of_the_mitigation_alone_are_told_of_it(desk: Desk) -> None:
    with open_services(desk.settings) as services:
        desk.acknowledge(services, desk.first)
    other = replace(desk.mitigation, id="another")
    found = remembered(desk.settings, [desk.mitigation, other])
    assert [one.details["commit"] for one in found[desk.mitigation.id].decisions] == [desk.first]
    assert found["another"].decisions == ()
