"""A team that vendors a library for a season: weekly looks, what upstream does, and what people do."""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

from pydantic import SecretStr

from riskloop.acknowledging import acknowledge_upstream
from riskloop.assessing import Assessed, Occasion, assess
from riskloop.channels.github import GitHub
from riskloop.channels.slack import Slack
from riskloop.delivery import Postman
from riskloop.identity import Accounts
from riskloop.looking import look
from riskloop.measurements import Look
from riskloop.mitigations import kinds
from riskloop.notifications import Links, Reach
from riskloop.project import site
from riskloop.proposing import carry_out
from riskloop.register import Register, load
from riskloop.remembering import remembered
from riskloop.services import Services, open_services
from riskloop.settings import Settings, read_settings
from riskloop.state_directory import prepare
from tests.emulator.rig import Rig
from tests.mitigations.vendoring import (
    FOLDER,
    MITIGATION,
    NOW,
    PATCHES,
    PIN_FILE,
    Content,
    Repository,
    Vendoring,
    numbered,
)

BRANCH = f"riskloop/{MITIGATION}"
LONG_AGO = timedelta(days=120)
"""How far behind the services' clock the season begins: it never runs ahead of theirs."""

_REGISTER = """
project: {repository}
github: {{repository: {repository}}}
slack: {{channel: {channel}}}
owners:
  SDK Lead: {{github: octo-lead, slack: U024BE7LH}}
service: {{owner: SDK Lead}}
risks:
  - id: vendored-lib
    title: The library drifts away
    likelihood: medium
    impact: high
    owner: SDK Lead
    mitigations:
      - kind: upstream_drift
        path: {folder}
        upstream: {upstream}
        pin: {pin_file}
        patches: {patches}
        changelog: CHANGELOG.md
        bump: pull_request
        gate: {gate}
        {more}
        thresholds:
          commits_behind: {{warning: 1, critical: 50}}
          patches_conflicting: {{critical: 1}}
          gate_failures: {{critical: 1}}
"""


@dataclass(kw_only=True)
class Season:
    """A project, its upstream, its repository on GitHub (API and git), and the service that looks at it.

    Args:
        state: the service's state directory.
        now: its clock.
        gate: the gate's commands, as the register writes them.
        more: a further line of the mitigation in the register.
        upstream: its address as the register writes it; the folder it is in if empty.
        git_url: where git is; the folder it is in if empty.
    """

    rig: Rig
    room: Path
    state: Path
    there: Vendoring
    repository: str
    channel: str
    now: datetime
    gate: str = "[[grep, -q, line, vendor/lib/src/a.txt]]"
    more: str = ""
    upstream: str = ""
    git_url: str = ""
    assessed: tuple[Assessed, ...] = ()
    receipts: list[str] = field(default_factory=list)

    @property
    def settings(self) -> Settings:
        read = read_settings({}, register=self.there.project.path / "riskloop.yaml")
        return replace(
            read,
            state=self.state,
            store_url=SecretStr(f"sqlite:///{self.room / 'riskloop.sqlite'}"),
            allowed_roots=(self.room,),
            github_token=SecretStr(self.rig.tokens.github),
            github_url=self.rig.github_url,
            github_git_url=self.git_url or str(self.room / "git"),
            write_interval_seconds=0.0,
        )

    @property
    def bare(self) -> Repository:
        """The git of the repository on GitHub."""
        return Repository(self.room / "git" / f"{self.repository}.git")

    def another_machine(self) -> "Season":
        """Give the same with a state directory of its own, which has what all machines must share."""
        state = self.room / "another-state"
        prepare(state)
        for name in ("installation", "key"):
            shutil.copy(self.state / name, state / name)
        return replace(self, state=state)

    def register(self) -> Register:
        return load(self.settings.register, kinds(), allowed_roots=self.settings.allowed_roots)

    def write_register(self) -> None:
        """Write the register and commit it, as the team would; it is on GitHub as well."""
        text = _REGISTER.format(
            repository=self.repository,
            channel=self.channel,
            folder=FOLDER,
            upstream=self.upstream or self.there.upstream.path,
            pin_file=PIN_FILE,
            patches=PATCHES,
            gate=self.gate,
            more=self.more,
        )
        self.commit({"riskloop.yaml": text}, message="Say it in the register")

    def commit(self, files: Mapping[str, Content], *, message: str = "Work on it") -> str:
        """Commit in the project, and push that to its main branch."""
        self._at(self.there.project)
        made = self.there.project.commit(files, message=message)
        self.push()
        return made

    def push(self) -> None:
        self.there.project.git("push", "--quiet", "--force", str(self.bare.path), "HEAD:refs/heads/main")

    def upstream_commits(
        self, files: Mapping[str, Content], *, message: str = "Change", days_ago: float = 5
    ) -> str:
        """Have upstream commit something, some days before now."""
        self._at(self.there.upstream, days_ago)
        return self.there.upstream.commit(files, message=message)

    def upstream_rewrites(self) -> str:
        """Have upstream begin anew, with the files it has; give its commit."""
        self._at(self.there.upstream, days_ago=5)
        return self.there.rewrite()

    def _at(self, repository: Repository, days_ago: float = 0.0) -> None:
        repository.days_ago = (NOW - (self.now - timedelta(days=days_ago))) / timedelta(days=1)

    def pass_days(self, days: float = 7) -> None:
        self.now += timedelta(days=days)

    @contextmanager
    def services(self) -> Iterator[Services]:
        with open_services(self.settings) as services:
            yield services

    def look(self) -> list[Look]:
        """Look at everything in the register, with what people decided; propose nothing."""
        register, settings = self.register(), self.settings
        chosen = register.mitigations()
        place = replace(site(register, settings), now=self.now)
        known = remembered(settings, chosen)
        return [look(one, replace(place, decisions=known[one.id].decisions)) for one in chosen]

    def run(self, *, tell: bool = True) -> str:
        """Do as the flow does, once; give the receipt's sentence.

        Args:
            tell: deliver what follows.
        """
        chosen, looks = self.register().mitigations(), self.look()
        with self.services() as services:
            acted = [carry_out(services, one, seen) for one, seen in zip(chosen, looks, strict=True)]
            looked = list(zip(chosen, acted, strict=True))
            self.assessed = assess(services.store, looked, self.occasion())
            if tell:
                self.deliver(services)
        said = [seen.receipt.sentence if seen.receipt else seen.reason for seen in acted]
        self.receipts += said
        return "; ".join(said)

    def week(self) -> str:
        self.pass_days()
        return self.run()

    def deliver(self, services: Services) -> None:
        key, accounts = services.identity.key, Accounts(self.state)
        github = GitHub(self.rig.tokens.github, self.rig.github_url, key=key, accounts=accounts, timeout=5)
        slack = Slack({"": self.rig.tokens.slack}, self.rig.slack_url, key=key, accounts=accounts, timeout=5)
        Postman(
            store=services.store,
            channels={"github": github, "slack": slack},
            identity=services.identity,
            worker="worker",
            settle=timedelta(0),
            budgets={},
            clock=lambda: self.now,
            sleep=lambda seconds: None,
        ).deliver()

    def acknowledge(self, commit: str) -> str:
        register = self.register()
        (mitigation,) = register.mitigations()
        with self.services() as services:
            done = acknowledge_upstream(services, register, mitigation, commit, who="Ada", why="not ours")
        return done.says

    def occasion(self) -> Occasion:
        return Occasion(
            project="Season",
            run=str(uuid4()),
            register_digest="d",
            reach=Reach(github=True, slack=frozenset([""])),
            links=Links(),
            evidence=self.state / "evidence",
            now=self.now,
        )

    def pulls(self) -> list[dict[str, Any]]:
        """List every pull request, the oldest first."""
        path = f"/repos/{self.repository}/pulls?state=all&direction=asc"
        rows: list[dict[str, Any]] = self.rig.ask_github("GET", path)
        return rows

    def standing(self) -> list[str]:
        """Say of each pull request, the oldest first, how it stands."""
        return [
            "merged"
            if one["merged_at"]
            else "draft"
            if one["draft"] and one["state"] == "open"
            else one["state"]
            for one in self.pulls()
        ]

    def comments(self, number: int) -> list[str]:
        return [comment["body"] for comment in self.rig.comments(self.repository, number)]

    def issues(self) -> list[dict[str, Any]]:
        return self.rig.issues(self.repository)

    def on_branch(self) -> str:
        """Give the commit of our branch on GitHub; empty if there is none."""
        return self.bare.git("for-each-ref", "--format=%(objectname)", f"refs/heads/{BRANCH}")

    def person_closes(self, number: int) -> None:
        path = f"/repos/{self.repository}/pulls/{number}"
        self.rig.ask_github("PATCH", path, {"state": "closed"}, token=self.rig.tokens.strangers_github)

    def person_commits(self, files: Mapping[str, Content], *, message: str) -> str:
        """Have a person put a commit on our branch."""
        theirs = Repository(self.room / "theirs")
        theirs.git("fetch", "--quiet", str(self.bare.path), f"+refs/heads/{BRANCH}:refs/remotes/o/b")
        theirs.git("checkout", "--quiet", "--force", "-B", "work", "refs/remotes/o/b")
        self._at(theirs)
        made = theirs.commit(files, message=message)
        theirs.git("push", "--quiet", str(self.bare.path), f"work:refs/heads/{BRANCH}")
        return made

    def person_merges(self, number: int, *, squash: bool = False) -> str:
        """Have a person merge our branch on GitHub, and the project here follow; give main's commit."""
        path = f"/repos/{self.repository}/pulls/{number}/merge"
        self.rig.ask_github("PUT", path, {}, token=self.rig.tokens.strangers_github)
        project = self.there.project
        self._at(project)
        project.git("fetch", "--quiet", str(self.bare.path), f"refs/heads/{BRANCH}")
        if squash:
            project.git("merge", "--quiet", "--squash", "FETCH_HEAD")
            project.git("commit", "--quiet", "--message", f"Merge #{number}")
        else:
            project.git("merge", "--quiet", "--no-ff", "--message", f"Merge #{number}", "FETCH_HEAD")
        self.push()
        return project.head


def begin(rig: Rig, room: Path) -> Season:
    """Have a team vendor a library with three patches; nothing is behind yet."""
    there = Vendoring(room)
    there.vendor()
    changed: dict[int, str] = {}
    for number, name in ((5, "near"), (20, "middle"), (35, "far")):
        changed[number] = f"our line {number}"
        there.patch(f"{name}.patch", {"src/a.txt": numbered(changed=changed)})
    there.series(["near.patch", "middle.patch", "far.patch"])
    season = Season(
        rig=rig,
        room=room,
        state=room / "state",
        there=there,
        repository=rig.new_repository(),
        channel=rig.new_channel(),
        now=datetime.now(UTC) - LONG_AGO,
    )
    place = room / "git" / f"{season.repository}.git"
    there.project.git("init", "--quiet", "--bare", "--initial-branch=main", str(place))
    there.project.git("init", "--quiet", str(room / "theirs"))
    season.commit({"CHANGELOG.md": "# Changes\n\n## Unreleased\n"}, message="Patch it")
    season.write_register()
    # The emulator's API knows nothing of what is pushed to the repository's git.
    rig.make_branch(season.repository, BRANCH)
    return season
