"""The register's meaning: who owns which risk, and what is configured against it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any, Protocol

from riskloop.measurements import Metric, Observation
from riskloop.plans import Plan
from riskloop.receipts import Receipt
from riskloop.thresholds import Threshold, Verdict

LIKELIHOODS = ("low", "medium", "high")
IMPACTS = ("low", "medium", "high", "critical")


@dataclass(frozen=True, slots=True, kw_only=True)
class SlackChannel:
    """A channel ID such as `C0123456789`, and the workspace whose token opens it (empty for the only one)."""

    channel: str
    workspace: str = ""

    @property
    def place(self) -> str:
        """The channel as routes and settings name it: `C0123`, or `workspace/C0123`."""
        return f"{self.workspace}/{self.channel}" if self.workspace else self.channel


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """A person or team of the register: how to mention them, and where they want to hear.

    Args:
        github: a login (`octo-lead`) or a team (`acme/qa`), without `@`; empty if none.
        slack: a user ID (`U…`) or a user group ID (`S…`); empty if none.
        repository: `owner/name` of the repository their issues go to; None for no issues.
        channel: the Slack channel their messages go to; None for no messages.
    """

    name: str
    github: str = ""
    slack: str = ""
    repository: str | None = None
    channel: SlackChannel | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Risk:
    """What can go wrong. The first owner is accountable; the others are told with them."""

    id: str
    title: str
    category: str = ""
    likelihood: str
    impact: str
    owners: tuple[Owner, ...]
    status: str = "open"
    contingency: str = ""
    runbook: str = ""
    sprint: str = ""
    deferrable: str = ""
    review: date | None = None

    @property
    def score(self) -> int:
        """Likelihood (1 to 3) times impact (1 to 4): from 1 to 12."""
        return (LIKELIHOODS.index(self.likelihood) + 1) * (IMPACTS.index(self.impact) + 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What a person decided about a mitigation, as it was recorded.

    Args:
        decision: its name, such as `acknowledge`.
        who: as they gave their name.
        details: what was decided, JSON values only.
    """

    decision: str
    who: str
    why: str
    at: datetime
    details: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class PastLook:
    """What an earlier look measured: its moment, and by metric the values that its kind recalls."""

    at: datetime
    values: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Where a kind works.

    Args:
        project: the directory of the register, absolute: relative settings are below it.
        state: our own directory, for mirrors and scratch space.
        now: the moment the look stands for.
        mitigation: the id of the mitigation it works for; empty where it is of no matter.
        decisions: what people decided about that mitigation and its kind heeds, the newest first.
        past: the newest earlier looks, as far as its kind recalls them, the oldest first.
        succeeded_at: when its kind last carried out what it does without a failure; None if never.
        waited_since: when its kind first tried to; None if it never did.
        receipt: what was done a moment ago, where this looks whether it helped; None otherwise.
    """

    project: Path
    state: Path
    now: datetime
    mitigation: str = ""
    decisions: tuple[Decision, ...] = ()
    past: tuple[PastLook, ...] = ()
    succeeded_at: datetime | None = None
    waited_since: datetime | None = None
    receipt: Receipt | None = None


class Mitigate(Protocol):
    """How a kind carries out a plan that a look of its own made ready."""

    def __call__(
        self,
        settings: Any,
        site: Site,
        plan: Plan | None,
        store: Any,
        *,
        warrant: str,
        approved: bool,
        dry_run: bool,
    ) -> Receipt:
        """Carry out the stored plan and nothing else, after finishing what an earlier call left unfinished.

        Args:
            settings: an instance of the kind's settings model.
            site: where it works.
            plan: what to carry out; None to do only what is left over from earlier plans.
            store: the open store, where every step is written down before it is taken.
            warrant: by what it is carried out: a run or an approval. The same warrant carries out a plan
                once, however often it is called.
            approved: a person has approved just this plan, so that no limit stands against it.
            dry_run: do all the same but the changes.

        Raises:
            Refused: a safety rule stands against it; nothing was changed.
            Unmeasurable: what it works on cannot be looked at.
            StoreError: what is to be done cannot be written down, so it is not done.
        """


@dataclass(frozen=True, slots=True)
class Form:
    """A decision people may take from the Prefect UI or the command line, and what it does in a few words.

    Args:
        flow: the flow to run; it takes the mitigation's id as its parameter `mitigation`.
        command: the same as a command, with `{mitigation}` where the id goes.
    """

    flow: str
    says: str
    command: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What a mitigation does, as its module defines it.

    Args:
        name: as the register writes it, `fixture_drift`; also the module's and the flow's name.
        says: the first sentence of the module's docstring.
        about: the rest of that docstring, for the kind's page; empty if there is no more.
        settings: the pydantic model of its settings.
        metrics: every metric it can report.
        remedy: what a person can do about a breach, a sentence each.
        forms: the decisions a person can take from the Prefect UI.
        measure: look, change nothing; raises Unmeasurable.
        heeds: the names of the decisions that its looks are to know of.
        recalls: the metrics of which its looks are to know the earlier values.
        mitigate: carries out the plan of a look; None for a kind that only looks, or proposes.
    """

    name: str
    says: str
    settings: type[Any]
    metrics: tuple[Metric, ...]
    remedy: tuple[str, ...]
    forms: tuple[Form, ...]
    measure: Callable[[Any, Site], Observation]
    about: str = ""
    heeds: tuple[str, ...] = ()
    recalls: tuple[str, ...] = ()
    mitigate: Mitigate | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Mitigation:
    """One configured action under a risk.

    Args:
        settings: an instance of the kind's settings model.
        after: breaches in a row that open an incident.
        resolve_after: good looks in a row that resolve it.
        fail_run: the verdict from which the run itself fails, as a nightly CI job would; None for never.
    """

    id: str
    kind: Kind
    risk: Risk
    settings: Any
    thresholds: Mapping[str, Threshold]
    after: int = 1
    resolve_after: int = 1
    fail_run: Verdict | None = None
    enabled: bool = True
