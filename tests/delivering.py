"""A little service that looks at a toy and tells of it, to the emulator, on a clock of the test's own."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from riskloop.assessing import Occasion, assess
from riskloop.channels.github import GitHub
from riskloop.channels.slack import Slack
from riskloop.delivery import Delivered, Postman
from riskloop.identity import Accounts, Identity
from riskloop.looking import look
from riskloop.notifications import Links, Reach
from riskloop.risks import Site, SlackChannel
from riskloop.store import Store
from riskloop.store.budget import Budget
from tests.emulator.emulator import GITHUB_TOKEN, SLACK_TOKEN
from tests.emulator.rig import Rig
from tests.toys import LEAD, MITIGATION, Clock, ToySettings

SETTLE = 90.0


class Service:
    """Looks at a toy and delivers what follows, to a repository and a channel of its own."""

    def __init__(
        self, rig: Rig, store: Store, identity: Identity, place: Path, targets: tuple[str, str]
    ) -> None:
        self.rig = rig
        self.store = store
        self.identity = identity
        self.place = place
        self.repository, self.channel = targets
        owner = replace(LEAD, repository=self.repository, channel=SlackChannel(channel=self.channel))
        self.mitigation = replace(MITIGATION, risk=replace(MITIGATION.risk, owners=(owner,)))
        self.clock = Clock()
        self.clock.now = datetime.now(UTC)
        self.runs = 0
        self.waits: list[float] = []
        self._later: list[tuple[datetime, Callable[[], None]]] = []

    def look(self, **values: float) -> None:
        """Look once; with no values at all it cannot be looked at."""
        mitigation = replace(self.mitigation, settings=ToySettings(values=values or None))
        site = Site(project=self.place, state=self.place, now=self.clock())
        assess(self.store, ((mitigation, look(mitigation, site)),), self.occasion())

    def occasion(self) -> Occasion:
        """Begin another run."""
        self.runs += 1
        return Occasion(
            project="Toys",
            run=f"run-{self.runs}",
            register_digest="d",
            reach=Reach(github=True, slack=frozenset([""])),
            links=Links(),
            evidence=self.place,
            now=self.clock(),
        )

    def deliver(self, *, token: str = GITHUB_TOKEN) -> list[str]:
        """Deliver with fresh connections, as a fresh process would; give the states."""
        self.delivered: tuple[Delivered, ...] = self.postman(token=token).deliver()
        return [f"{one.channel} {one.change} {one.state}" for one in self.delivered]

    def postman(
        self,
        *,
        token: str = GITHUB_TOKEN,
        store: Store | None = None,
        budgets: Mapping[str, Budget] | None = None,
    ) -> Postman:
        """Make a postman with fresh connections.

        Args:
            store: another connection to the store, for another process or thread.
            budgets: none if left out, so that nothing waits.
        """
        key, accounts = self.identity.key, Accounts(self.place)
        github = GitHub(token, self.rig.github_url, key=key, accounts=accounts, timeout=1)
        slack = Slack({"": SLACK_TOKEN}, self.rig.slack_url, key=key, accounts=accounts, timeout=1)
        return Postman(
            store=store or self.store,
            channels={"github": github, "slack": slack},
            identity=self.identity,
            worker="worker",
            settle=timedelta(seconds=SETTLE),
            budgets=budgets or {},
            clock=self.clock,
            sleep=self.wait,
        )

    def wait(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.clock.advance(seconds)
        due = [one for one in self._later if one[0] <= self.clock()]
        self._later = [one for one in self._later if one not in due]
        for _, what in due:
            what()

    def meanwhile(self, after: float, what: Callable[[], None]) -> None:
        """Have something happen so many seconds from now, while a postman waits for its turn."""
        self._later.append((self.clock() + timedelta(seconds=after), what))

    def issues(self) -> list[tuple[str, int]]:
        """Give each issue's state and its number of comments."""
        return [
            (issue["state"], len(self.rig.comments(self.repository, issue["number"])))
            for issue in self.rig.issues(self.repository)
        ]

    def threads(self) -> list[int]:
        """Give the number of replies under each message."""
        return [
            len(self.rig.replies(self.channel, message["ts"])) for message in self.rig.messages(self.channel)
        ]
