"""The shape of a register's file: every key there is, what it means, and what may stand behind it."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    model_validator,
)

from riskloop.register.values import Bound
from riskloop.register.words import (
    Day,
    GithubName,
    KindName,
    Line,
    MitigationId,
    OwnerName,
    OwnerNames,
    Remark,
    Repository,
    RiskId,
    Runbook,
    SlackChannelId,
    SlackPerson,
    Text,
    Workspace,
)

MOST_ROWS = 1_000
"""Owners, risks, and mitigations of one risk."""


class Row(BaseModel):
    """A mapping in the register: unknown keys are mistakes."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class GithubRow(Row):
    """Where issues go."""

    repository: Repository = Field(
        description="The repository that gets the issues, `owner/name`.",
        examples=["acme/codex-sdk"],
    )


class SlackRow(Row):
    """Where messages go."""

    channel: SlackChannelId = Field(
        description="The ID of the channel that gets the messages; not its name.",
        examples=["C0123456789"],
    )
    workspace: Workspace = Field(
        default="",
        description="Whose token opens the channel: `acme` stands for `RISKLOOP_SLACK_TOKEN_ACME`. "
        "Left out, it is `RISKLOOP_SLACK_TOKEN`.",
    )


class OwnerRow(Row):
    """A person or team: how to mention them, and where they want to hear."""

    model_config = ConfigDict(json_schema_extra={"dependentRequired": {"workspace": ["channel"]}})

    github: GithubName = Field(
        default="",
        description="Their GitHub login, or a team as `org/team`; mentioned in issues.",
    )
    slack: SlackPerson = Field(
        default="",
        description="Their Slack member ID or user group ID; mentioned in messages.",
    )
    repository: Repository = Field(
        default="",
        description="Where the issues of their risks go, if not to `github.repository`.",
    )
    channel: SlackChannelId = Field(
        default="",
        description="Where the messages of their risks go, if not to `slack.channel`.",
    )
    workspace: Workspace = Field(
        default="",
        description="The workspace of their `channel`, if not `slack.workspace`.",
    )

    @model_validator(mode="after")
    def _check_workspace(self) -> "OwnerRow":
        if self.workspace and not self.channel:
            raise ValueError("'workspace' belongs to a channel; write the owner's 'channel' too, or neither")
        return self


class ServiceRow(Row):
    """Who looks after riskloop itself."""

    owner: OwnerName = Field(
        description="Who hears when riskloop itself is unwell, or the register cannot be read.",
    )


class ThresholdRow(Row):
    """From which value a metric is a warning and from which it is critical; the bound itself counts."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    warning: Bound | None = Field(default=None, description="From this value on, the metric is a warning.")
    critical: Bound | None = Field(default=None, description="From this value on, it is critical.")

    @model_validator(mode="before")
    @classmethod
    def _check_mapping(cls, value: object) -> object:
        if isinstance(value, int | float) and not isinstance(value, bool):
            raise ValueError(f"{value} stands alone; write {{warning: {value}}} or {{critical: {value}}}")  # noqa: TRY004 - pydantic
        return value

    @model_validator(mode="after")
    def _check_any(self) -> "ThresholdRow":
        if self.warning is None and self.critical is None:
            raise ValueError("no bound stands here; write {warning: 1}, {critical: 1} or both")
        return self


class MitigationRow(Row):
    """What every mitigation can say, whatever its kind."""

    kind: KindName = Field(
        description="What the mitigation does.",
        examples=["fixture_drift"],
    )
    id: MitigationId = Field(
        default="",
        description="Its name in commands, issues and the store; unique in the register. "
        "Left out, it is `<risk>.<kind>`.",
    )
    enabled: StrictBool = Field(default=True, description="Whether it runs; `false` keeps it for later.")
    thresholds: Mapping[str, ThresholdRow] = Field(
        description="From which value each metric is a `warning` or `critical`. "
        "`{}` measures and never alarms.",
    )
    after: StrictInt = Field(
        default=1,
        ge=1,
        le=100,
        description="How many breached looks in a row open an incident.",
    )
    resolve_after: StrictInt = Field(
        default=1,
        ge=1,
        le=100,
        description="How many good looks in a row resolve it.",
    )
    fail_run: Literal["warning", "critical"] | None = Field(
        default=None,
        description="The verdict from which the flow run itself fails, as a nightly CI job would. "
        "Left out, a breach is no failure.",
    )


class RiskRow(Row):
    """Something that can go wrong."""

    id: RiskId = Field(
        description="Its short name, unique in the register: at most 40 of `a-z 0-9 . _ -`.",
        examples=["stale-golden-fixtures"],
    )
    title: Line = Field(description="Its name for people.", examples=["Golden fixtures go stale"])
    category: Line = Field(default="", description="A word of the team's own, such as `technical`.")
    likelihood: Literal["low", "medium", "high"] = Field(
        description="How likely it is: `low` below 20 %, `medium` 20 to 60 %, `high` above 60 %.",
        examples=["medium"],
    )
    impact: Literal["low", "medium", "high", "critical"] = Field(
        description="How bad it would be.",
        examples=["high"],
    )
    owner: OwnerNames = Field(
        description="Who answers for it: a name from `owners`, or a list of them. "
        "The first is accountable and decides where it is heard; the others are told with them.",
    )
    status: Literal["open", "planned", "monitoring", "mitigated", "accepted", "closed"] = Field(
        default="open",
        description="What the team says of it. It is shown and changes nothing: "
        "to stop a mitigation, write `enabled: false` there.",
    )
    contingency: Text = Field(default="", description="What to do if it happens all the same.")
    runbook: Runbook = Field(
        default="",
        validate_default=False,
        description="Where the steps are written down: a path in the project or a web address.",
    )
    sprint: Remark = Field(default="", description="When it is worked on.")
    deferrable: Remark = Field(default="", description="Whether it can wait, and until when.")
    review: Day | None = Field(default=None, description="The day it is to be looked at again.")
    mitigations: tuple[Mapping[str, Any], ...] = Field(
        default=(),
        max_length=MOST_ROWS,
        description="What is done about it, one entry per mitigation.",
    )


class RegisterRow(Row):
    """A risk register: who owns which risk, what is done about it, and from which numbers on it is bad."""

    project: Line = Field(description="The project's name, for people.", examples=["Codex SDK"])
    github: GithubRow | None = Field(default=None, description="Where issues go; left out, there are none.")
    slack: SlackRow | None = Field(default=None, description="Where messages go; left out, there are none.")
    owners: Mapping[Line, OwnerRow] = Field(
        min_length=1,
        max_length=MOST_ROWS,
        description="The people and teams risks belong to, by name.",
    )
    service: ServiceRow | None = Field(
        default=None,
        description="Who looks after riskloop itself; left out, it is the first of `owners`.",
    )
    risks: tuple[RiskRow, ...] = Field(max_length=MOST_ROWS, description="What can go wrong; at most 1000.")
