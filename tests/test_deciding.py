"""A person's decision is written down, carried out once, and only on what they were shown."""

import json
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import select

from riskloop.assessing import Occasion, assess
from riskloop.deciding import adopt_fixtures
from riskloop.errors import Refused
from riskloop.looking import look
from riskloop.notifications import Links, Reach
from riskloop.project import read_register, site
from riskloop.register import Register
from riskloop.services import Services, open_services
from riskloop.settings import Settings, read_settings
from riskloop.store import history
from riskloop.store.tables import decisions
from tests.emulator.emulator import GITHUB_TOKEN
from tests.emulator.rig import Rig
from tests.papers import MAKE

REGISTER = """
project: Paper
github: {repository: REPOSITORY}
owners:
  QA: {github: octo-qa}
risks:
  - id: stale
    title: Fixtures are stale
    likelihood: medium
    impact: high
    owner: QA
    mitigations:
      - kind: fixture_drift
        directory: fixtures
        regenerate: [python3, make.py]
        adopt: ADOPT
        thresholds:
          fixtures_changed: {warning: 1}
"""


def git(*arguments: str, folder: Path) -> str:
    identity = ("-c", "user.name=T", "-c", "user.email=t@example.org")
    ended = subprocess.run(
        ["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True
    )
    return ended.stdout


class Project:
    """A project whose one fixture has drifted, and what riskloop knows of it."""

    def __init__(self, folder: Path, *, adopt: str = "in_place", repository: str = "acme/paper") -> None:
        self.folder = folder
        (folder / "fixtures").mkdir(parents=True)
        text = REGISTER.replace("ADOPT", adopt).replace("REPOSITORY", repository)
        (folder / "riskloop.yaml").write_text(text, encoding="utf-8")
        (folder / ".gitignore").write_text(".riskloop/\n", encoding="utf-8")
        (folder / "make.py").write_text(MAKE, encoding="utf-8")
        (folder / "fixtures" / "a.txt").write_text("one\n", encoding="utf-8")
        git("init", "--quiet", "--initial-branch=main", folder=folder)
        self.imitate("two")
        self.settings: Settings = read_settings({}, register=folder / "riskloop.yaml")
        self.register: Register = read_register(self.settings)
        (self.mitigation,) = self.register.mitigations()
        self.runs = 0

    def imitate(self, what: str) -> None:
        """Change what the fixture is made from, and commit it."""
        (self.folder / "source.txt").write_text(f"{what}\n", encoding="utf-8")
        git("add", "--all", folder=self.folder)
        git("commit", "--quiet", "--message", what, folder=self.folder)

    def look(self, services: Services) -> None:
        self.runs += 1
        seen = look(self.mitigation, site(self.register, self.settings))
        occasion = Occasion(
            project="Paper",
            run=f"run-{self.runs}",
            register_digest="d",
            reach=Reach(),
            links=Links(),
            evidence=self.settings.state / "evidence",
            now=seen.at,
        )
        assess(services.store, ((self.mitigation, seen),), occasion)

    def adopt(self, services: Services, *, who: str = "Mia", why: str = "it counts differently now") -> str:
        return adopt_fixtures(services, self.register, self.mitigation, who=who, why=why).url


def recorded(services: Services) -> list[tuple[str, str, Any]]:
    with services.store.reading() as connection:
        rows = connection.execute(select(decisions).order_by(decisions.c.number))
        return [(row.who, row.why, json.loads(row.details or "{}")) for row in rows]


def test_what_was_shown_is_adopted_and_recorded_with_who_and_why_and_the_hashes(tmp_path: Path) -> None:
    project = Project(tmp_path / "paper")
    with open_services(project.settings) as services:
        project.look(services)
        project.adopt(services)
        ((who, why, details),) = recorded(services)
    assert (project.folder / "fixtures" / "a.txt").read_text(encoding="utf-8") == "two\n"
    assert (who, why) == ("Mia", "it counts differently now")
    (change,) = details["files"]
    assert change["path"] == "a.txt"
    assert change["before"] != change["after"]
    assert details["manifest"]["after"]


def test_what_changed_since_it_was_shown_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    project = Project(tmp_path / "paper")
    with open_services(project.settings) as services:
        project.look(services)
        project.imitate("three")
        with pytest.raises(Refused, match="come out differently"):
            project.adopt(services)
        ((_, _, details),) = recorded(services)
    assert (project.folder / "fixtures" / "a.txt").read_text(encoding="utf-8") == "one\n"
    assert details == {}


def test_the_same_numbers_with_another_difference_are_what_is_shown_next(tmp_path: Path) -> None:
    project = Project(tmp_path / "paper")
    with open_services(project.settings) as services:
        project.look(services)
        project.imitate("three")
        project.look(services)
        project.adopt(services)
    assert (project.folder / "fixtures" / "a.txt").read_text(encoding="utf-8") == "three\n"


def test_what_nobody_was_shown_is_not_adopted(tmp_path: Path) -> None:
    project = Project(tmp_path / "paper")
    with open_services(project.settings) as services:
        with pytest.raises(Refused, match="nobody was shown"):
            project.adopt(services)
        assert recorded(services) == []


@pytest.mark.parametrize(("who", "why"), [("", "because"), ("Mia", "  ")])
def test_a_decision_without_a_name_or_a_reason_is_refused(tmp_path: Path, who: str, why: str) -> None:
    project = Project(tmp_path / "paper")
    with open_services(project.settings) as services:
        project.look(services)
        with pytest.raises(Refused, match="a name and a reason"):
            project.adopt(services, who=who, why=why)
        assert recorded(services) == []


def test_without_a_token_a_pull_request_is_refused_before_anything_is_pushed(tmp_path: Path) -> None:
    project = Project(tmp_path / "paper", adopt="pull_request")
    with open_services(project.settings) as services:
        project.look(services)
        with pytest.raises(Refused, match="no token"):
            project.adopt(services)
    assert (project.folder / "fixtures" / "a.txt").read_text(encoding="utf-8") == "one\n"


@pytest.mark.server
def test_by_pull_request_the_project_is_left_alone_and_one_is_opened_however_often(
    tmp_path: Path, rig: Rig, repository: str
) -> None:
    project = Project(tmp_path / "paper", adopt="pull_request", repository=repository)
    remote = tmp_path / "git" / f"{repository}.git"
    remote.parent.mkdir(parents=True)
    git("clone", "--quiet", "--bare", str(project.folder), str(remote), folder=tmp_path)
    project.settings = replace(
        project.settings,
        github_token=SecretStr(GITHUB_TOKEN),
        github_url=rig.github_url,
        github_git_url=str(tmp_path / "git"),
    )
    with open_services(project.settings) as services:
        project.look(services)
        with services.store.reading() as connection:
            fingerprint = history.last_fingerprint(connection, project.mitigation.id) or ""
        rig.make_branch(repository, f"riskloop/fixtures-{fingerprint[:12]}")
        first = project.adopt(services)
        again = project.adopt(services)
        details = recorded(services)[-1][2]
    assert first == again == details["pull_request"]
    assert len(rig.github.writes("POST", r"/repos/.*/pulls")) == 1
    branch = git("branch", "--list", "riskloop/*", "--format=%(refname:short)", folder=remote).strip()
    assert git("show", f"{branch}:fixtures/a.txt", folder=remote) == "two\n"
    assert (project.folder / "fixtures" / "a.txt").read_text(encoding="utf-8") == "one\n"
