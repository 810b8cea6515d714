"""Who hears of a change of an incident, where, and every fact they need: decided once, stored, sent later."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import quote

from riskloop.incidents import Change, Concern
from riskloop.measurements import Section
from riskloop.mutes import Mute
from riskloop.risks import Owner
from riskloop.thresholds import Reading, Verdict

_SERVICES = {"github": "GitHub", "slack": "Slack", "slack_webhook": "Slack's webhook"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """Which channels can be spoken to for real; what cannot be reached is previewed on the console channel.

    Args:
        github: a GitHub token is set.
        slack: the workspaces a bot token is set for ("" is the unnamed one).
        webhook: an incoming Slack webhook is set, for workspaces without a bot token.
        events: Prefect events can be emitted.
    """

    github: bool = False
    slack: frozenset[str] = frozenset()
    webhook: bool = False
    events: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Route:
    """One channel, and the place in it.

    Args:
        channel: `github`, `slack`, `slack_webhook`, `events` or `console`.
        target: `owner/name`; `C0123` or `workspace/C0123`; `prefect`; for the console what it previews,
            `github:owner/name` or `slack:C0123`.
    """

    channel: str
    target: str

    @property
    def place(self) -> tuple[str, str]:
        """The service and the place in it, the same whether it is reached, previewed or only posted to."""
        if self.channel == "console":
            service, _, place = self.target.partition(":")
            return service, place
        return self.channel.removesuffix("_webhook"), self.target

    @property
    def realm(self) -> str:
        """Whose token is used there, for one circuit: `github`, `slack:<workspace>`, else the channel."""
        if self.channel == "slack":
            return f"slack:{self.target.rpartition('/')[0]}"
        return self.channel


@dataclass(frozen=True, slots=True, kw_only=True)
class Posting:
    """What an incident has become in one channel.

    Args:
        reference: the issue's number, the Slack message's `ts`, the preview's file name.
        url: where a person can read it; empty if the channel cannot say.
    """

    reference: str
    url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """Something the reader can do: a few words, a link (may be empty), and the same as a command."""

    says: str
    url: str = ""
    command: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Everything a channel needs to tell of one transition; stored with it, so that it can be told later.

    Args:
        subject: the mitigation's id, `risk:<id>` or `service`.
        readings: every reading of the look, breached or not, in the kind's order.
        summary, sections: the evidence; text from anywhere, escaped by each channel.
        document: the file of the whole evidence, below the state directory; empty if the sections say it all.
        remedy: what can be done, a sentence each.
        run_url: the flow run that found it, empty if there was none.
        mutes: the silence and the acceptance that cover the incident after it, the silence first.
        quiet: it is not told aloud: what stands in a channel is edited, and nothing new is opened or said.
    """

    project: str
    incident: str
    subject: str
    concern: Concern
    change: Change
    severity: Verdict
    previous: Verdict
    reason: str
    at: datetime
    opened_at: datetime
    owners: tuple[Owner, ...]
    risk_id: str = ""
    risk_title: str = ""
    risk_score: int = 0
    contingency: str = ""
    runbook: str = ""
    kind: str = ""
    kind_says: str = ""
    readings: tuple[Reading, ...] = ()
    summary: str = ""
    sections: tuple[Section, ...] = ()
    document: str = ""
    remedy: tuple[str, ...] = ()
    actions: tuple[Action, ...] = ()
    run_url: str = ""
    mutes: tuple[Mute, ...] = ()
    quiet: bool = False

    @property
    def aloud(self) -> bool:
        """Whether a comment or a reply tells of it, beside the edit of what stands in a channel."""
        return self.change.aloud and not self.quiet

    @property
    def still_quiet(self) -> bool:
        """Whether of a silence and an acceptance one is over with this, and the other hushes what follows."""
        return self.change is Change.UNMUTED and any(
            mute.hushes(self.concern, Change.UPDATED, self.severity) for mute in self.mutes
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Links:
    """Addresses in the Prefect UI, handed in by whoever knows them; all may be empty.

    Args:
        run: the flow run at work.
        forms: by flow (`adopt_fixtures`), the address of its run form, to be completed with parameters.
    """

    run: str = ""
    forms: Mapping[str, str] = field(default_factory=dict)

    def form(self, flow: str, parameters: Mapping[str, str]) -> str:
        """Make the address of a flow's run form, filled in; empty if the flow is not offered."""
        if flow not in self.forms:
            return ""
        return f"{self.forms[flow]}?parameters={quote(json.dumps(parameters, separators=(',', ':')))}"


def name_realm(realm: str) -> str:
    """Name a realm as people do: GitHub, Slack, and Slack acme for the workspace acme."""
    channel, _, workspace = realm.partition(":")
    return f"{_SERVICES.get(channel, channel)} {workspace}".rstrip()


def routes(owners: tuple[Owner, ...], reach: Reach) -> tuple[Route, ...]:
    """List where the accountable owner (the first) hears: one issue, one thread, one event; GitHub first.

    The others are mentioned there, so that there is one issue and one thread whoever is told.
    """
    accountable = owners[0]
    found = []
    if accountable.repository:
        found.append(_route("github", accountable.repository, reachable=reach.github))
    if accountable.channel:
        workspace = accountable.channel.workspace
        target = accountable.channel.place
        if reach.webhook and workspace not in reach.slack:
            found.append(Route(channel="slack_webhook", target=target))
        else:
            found.append(_route("slack", target, reachable=workspace in reach.slack))
    if reach.events:
        found.append(Route(channel="events", target="prefect"))
    return tuple(found)


def belongs(facts: Facts, route: Route) -> bool:
    """Say whether a place is one of the accountable owner's, as the facts name it; an event has none."""
    if route.channel == "events":
        return True
    accountable = facts.owners[0]
    channel = accountable.channel
    return route.place in {("github", accountable.repository), ("slack", channel.place if channel else None)}


def _route(channel: str, target: str, *, reachable: bool) -> Route:
    if reachable:
        return Route(channel=channel, target=target)
    return Route(channel="console", target=f"{channel}:{target}")
