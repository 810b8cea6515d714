"""A small team that riskloop serves for weeks: three owners, two repositories, three Slack channels."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from riskloop.assessing import Occasion, assess, follow_mutes, remind, settle_floods
from riskloop.assessing.muting import begin_mute
from riskloop.channels import Turn
from riskloop.channels.github import GitHub
from riskloop.channels.slack import Slack
from riskloop.delivery import PATIENCE_SECONDS
from riskloop.errors import TryAgain
from riskloop.identity import Accounts, read_identity
from riskloop.incidents import Change, Incident
from riskloop.looking import look
from riskloop.mutes import Mute, Muting
from riskloop.notifications import Route
from riskloop.register import Register
from riskloop.risks import Mitigation, Owner, Risk, Site, SlackChannel
from riskloop.settings import read_settings
from riskloop.speaking import budgets
from riskloop.store import Store, budget, chores, history
from riskloop.sweeping import EVERY, Sweeper
from riskloop.thresholds import Verdict
from tests.delivering import Service
from tests.emulator.emulator import GITHUB_TOKEN, SLACK_TOKEN
from tests.emulator.rig import Rig
from tests.proof.dying import Dying, Killed
from tests.toys import LEAD, MITIGATION, RISK, ToySettings

LONG_AGO = timedelta(days=40)
"""How far behind the services' clock the team's begins: it never runs ahead of theirs."""

EACH = 4
"""Mitigations of each owner."""

MANY = 25
"""Mitigations that pass their thresholds in one run, once."""

BUDGETS = budgets(read_settings({}))
ROUNDS = timedelta(minutes=10)

Values = dict[str, float] | None
"""What is measured; None if it cannot be looked at."""


class Team(Service):
    """Looks, follows up and sweeps by a clock of its own, as the flows do it."""

    def __init__(self, rig: Rig, store: Store, place: Path) -> None:
        north, south = rig.new_repository(), rig.new_repository()
        channels = [rig.new_channel() for _ in range(3)]
        super().__init__(rig, store, read_identity(place / "state"), place, (north, channels[0]))
        self.elsewhere = rig.new_repository()
        self.clock.now = (datetime.now(UTC) - LONG_AGO).replace(hour=0, minute=0, second=0, microsecond=0)
        self.wrong = 0.0
        for proxy in (rig.github, rig.slack):
            proxy.clock = self.passed
        self.owners = [
            replace(LEAD, name=name, repository=repository, channel=SlackChannel(channel=channel))
            for name, repository, channel in zip(
                ("SDK Lead", "QA", "Docs"), (north, south, south), channels, strict=True
            )
        ]
        self.mitigations = [_toy(owner, number) for owner in self.owners for number in range(EACH)]
        self.many = [_toy(self.owners[1], number) for number in range(100, 100 + MANY)]
        self.values: dict[str, Values] = {one.id: {"leaks": 0.0} for one in self.everything}
        self.verdicts: dict[str, list[Verdict]] = {one.id: [] for one in self.everything}
        self.log: list[str] = []

    @property
    def everything(self) -> list[Mitigation]:
        return [*self.mitigations, *self.many]

    @property
    def repositories(self) -> list[str]:
        return sorted({str(owner.repository) for owner in self.owners})

    @property
    def channels(self) -> list[str]:
        return [owner.channel.channel for owner in self.owners if owner.channel]

    def passed(self) -> float:
        """Say how much time has passed, in seconds, whatever the clock says."""
        return self.clock().timestamp() - self.wrong

    def note(self, what: str) -> None:
        self.log.append(f"{self.clock():%d %b %H:%M} {what}")

    def jump(self, hours: float) -> None:
        """Have the clock be wrong from now on."""
        self.wrong += hours * 3_600
        self.clock.advance(hours * 3_600)
        self.note(f"the clock jumps by {hours} h")

    def look_at(self, chosen: Iterable[Mitigation]) -> None:
        """Look at some, each as it is now; a failed look must close nothing."""
        site = Site(project=self.place, state=self.place, now=self.clock())
        looked = [replace(one, settings=ToySettings(values=self.values[one.id])) for one in chosen]
        for one in assess(self.store, [(toy, look(toy, site)) for toy in looked], self.occasion()):
            verdict = one.assessment.verdict
            self.verdicts[one.mitigation.id].append(verdict)
            changes = [transition.change for _, transition in one.transitions]
            if changes:
                self.note(f"{one.mitigation.id} is {verdict}: {', '.join(changes)}")
            if verdict is Verdict.UNKNOWN:
                assert Change.RESOLVED not in changes, "a failed look closes nothing"

    def follow_up(self, *, dies: tuple[str, bool] | None = None) -> bool:
        """Do one round, and wait for the next; say whether the process was killed.

        Args:
            dies: the channel at whose next sending the process is killed, or `sweep` for its next write;
                and whether what was sent was applied.
        """
        begun, killed = self.passed(), False
        try:
            for what in (follow_mutes, settle_floods, remind):
                for incident in what(self.store, self.occasion()):
                    self.note(f"{what.__name__}: {incident.subject}")
            self.sweep_if_due(dies=dies is not None and dies[0] == "sweep")
            self.deliver_within_budget(dies)
        except Killed:
            killed = True
            self.note(f"a worker is killed: {dies}")
        self.clock.advance(max(0.0, begun + ROUNDS.total_seconds() - self.passed()))
        return killed

    def deliver_within_budget(self, dies: tuple[str, bool] | None = None) -> None:
        postman = self.postman(budgets=BUDGETS)
        if dies and dies[0] in postman.channels:
            channel, sent = dies
            dying: Any = Dying(postman.channels[channel], sent=sent)
            postman = replace(postman, channels={**postman.channels, channel: dying})
        for one in postman.deliver():
            self.note(f"{one.subject}: {one.change} {one.state} on {one.channel} {one.error[:120]}")

    def sweep_if_due(self, *, dies: bool = False) -> None:
        occasion = self.occasion()
        with self.store.writing() as connection:
            due = chores.take(connection, "sweep", every=EVERY, now=occasion.now)
        if due:
            self.sweep(dies=dies)

    def sweep(self, *, dies: bool = False) -> None:
        key, accounts = self.identity.key, Accounts(self.place)
        sweeper = Sweeper(
            store=self.store,
            channels={
                "github": GitHub(GITHUB_TOKEN, self.rig.github_url, key=key, accounts=accounts, timeout=1),
                "slack": Slack({"": SLACK_TOKEN}, self.rig.slack_url, key=key, accounts=accounts, timeout=1),
            },
            identity=self.identity,
            turn=lambda route: self._turn(route, dies=dies),
            stopwatch=self.passed,
        )
        for sentence in sweeper.sweep(self.register(), self.occasion()):
            self.note(f"swept: {sentence[:160]}")

    def _turn(self, route: Route, *, dies: bool) -> Turn:
        place = route.channel if route.channel == "github" else f"{route.channel}:{route.target}"
        patience = timedelta(seconds=PATIENCE_SECONDS)

        def turn() -> None:
            if dies:
                raise Killed
            with self.store.writing() as connection:
                allowed = BUDGETS[route.channel]
                wait = budget.take(connection, place, "", allowed, now=self.clock(), patience=patience)
            if wait > patience:
                raise TryAgain("the budget allows no more", after=wait.total_seconds())
            self.wait(wait.total_seconds())

        return turn

    def register(self) -> Register:
        return Register(
            path=self.place / "riskloop.yaml",
            project="Toys",
            digest="d",
            owners={owner.name: owner for owner in self.owners},
            service_owner=self.owners[0],
            risks=tuple({one.risk.id: one.risk for one in self.everything}.values()),
            configured=tuple(self.everything),
        )

    def open_incidents(self) -> list[Incident]:
        """List those that are open, in an order that the seed decides, not their random ids."""
        with self.store.reading() as connection:
            found = history.list_incidents(connection, resolved=False, limit=999)
        return sorted(found, key=lambda one: (one.subject, one.concern))

    def mute(self, muting: Muting, subject: str, *, days: float, incident: Incident | None = None) -> None:
        """Accept an incident, or silence a mitigation."""
        mute = Mute(
            id=history.new_id(),
            muting=muting,
            subject=subject,
            concern=incident.concern if incident else None,
            severity=incident.severity if incident else Verdict.UNKNOWN,
            who="Ada",
            why="known",
            since=self.clock(),
            until=self.clock() + timedelta(days=days),
        )
        begin_mute(self.store, mute, self.occasion())
        self.note(f"{subject} is {muting} for {days:.1f} days")

    def occasion(self) -> Occasion:
        """Begin another run."""
        return replace(super().occasion(), evidence=self.place / "evidence")


def places_of(owners: Iterable[Owner]) -> Mapping[str, frozenset[tuple[str, str]]]:
    """Say by owner where they are told: channel and target."""
    return {
        owner.name: frozenset(
            {
                ("github", str(owner.repository)),
                ("slack", owner.channel.channel if owner.channel else ""),
            }
        )
        for owner in owners
    }


def _toy(owner: Owner, number: int) -> Mitigation:
    name = owner.name.lower().replace(" ", "-")
    risk: Risk = replace(RISK, id=name, title=f"Secrets of {owner.name}", owners=(owner,))
    # A few need two looks in a row to open, and to resolve.
    patient = 2 if number == EACH - 1 else 1
    return replace(MITIGATION, id=f"{name}.{number}", risk=risk, after=patient, resolve_after=patient)
