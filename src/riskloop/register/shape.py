"""The shape of a register's file: every key there is, what it means, and what may stand behind it."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    ValidationInfo,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import CoreSchema, core_schema

from riskloop.register.mistakes import hint
from riskloop.register.values import RELATIVE_PATH_PATTERN, read_project_path, shown

_RISK_ID = r"^[a-z0-9][a-z0-9._-]{0,39}$"
_MITIGATION_ID = r"^[a-z0-9][a-z0-9._-]{0,79}$"
REPOSITORY = r"^[A-Za-z0-9][A-Za-z0-9-]{0,38}/[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}$"
_GITHUB = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,38}(/[A-Za-z0-9_-][A-Za-z0-9._-]{0,99})?$"
_SLACK_PERSON = r"^[UWS][A-Z0-9]{2,20}$"
_SLACK_CHANNEL = r"^[CG][A-Z0-9]{2,20}$"
_WORKSPACE = r"^(?!(.*_)?file$)[a-z0-9]+(_[a-z0-9]+)*$"
_LINE = r"^[^\u0000-\u001f\u007f\u0085\u2028\u2029]{1,200}$"
_TEXT = r"^[^\u0000-\u0008\u000b-\u001f\u007f]{0,5000}$"
_DATE = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
_PATH = RELATIVE_PATH_PATTERN.replace("^", "^(?![^/]*:)", 1)
_WEB = r"^https?://[^\s<>\"]{1,500}$"


@dataclass(frozen=True, slots=True)
class _Form:
    """Text of one form; `wanted` completes the sentence `'x' is not …`, and says how to write it."""

    pattern: str
    wanted: str
    examples: tuple[str, ...] = ()

    def check(self, value: object) -> object:
        if isinstance(value, str) and not re.fullmatch(self.pattern, value):
            raise ValueError(f"{shown(value)} is not {self.wanted}")
        return value

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        examples = {"examples": list(self.examples)} if self.examples else {}
        return {**handler(schema), "pattern": self.pattern, **examples}


def _known_owner(value: object, info: ValidationInfo) -> object:
    owners: Iterable[str] = (info.context or {}).get("owners", ())
    if owners and isinstance(value, str) and value not in owners:
        raise ValueError(f"{shown(value)} is not in owners; {hint(value, owners, otherwise='there are')}")
    return value


def _known_kind(value: object, info: ValidationInfo) -> object:
    kinds: Iterable[str] = (info.context or {}).get("kinds", ())
    if isinstance(value, str) and value not in kinds:
        raise ValueError(f"no kind {shown(value)}; {hint(value, kinds, otherwise='the kinds are')}")
    return value


def _list_of_owners(value: object) -> object:
    names = [value] if isinstance(value, str) else value
    if isinstance(names, list) and not names:
        raise ValueError("the list is empty; name at least one owner")
    if isinstance(names, list):
        for number, name in enumerate(names):
            if name in names[:number]:
                raise ValueError(f"{shown(name)} is named twice; name each owner once")
    return names


def _date(value: object) -> date:
    if isinstance(value, date):
        return value
    if isinstance(value, str) and re.fullmatch(_DATE, value):
        try:
            return date.fromisoformat(value)
        except ValueError:
            raise ValueError(f"{shown(value)} is no day of the calendar; write one as 2026-03-31") from None
    raise ValueError(f"{shown(value)} is not a date; write it as 2026-03-31")


def _runbook(value: object, info: ValidationInfo) -> object:
    if isinstance(value, str) and ":" in value.partition("/")[0]:
        if not re.fullmatch(_WEB, value):
            raise ValueError(f"{shown(value)} is not a web address; write https://… or a path in the project")
        return value
    return str(read_project_path(value, info)) if isinstance(value, str) else value


def _words(value: object) -> object:
    """Accept what people write for short remarks: text, a number, true or false."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value) if isinstance(value, int) else value


Line = Annotated[str, _Form(_LINE, "one line of 1 to 200 characters; shorten it, on one line")]
Text = Annotated[str, _Form(_TEXT, "plain text of at most 5000 characters; shorten or clean it")]
Remark = Annotated[
    Line,
    BeforeValidator(_words),
    WithJsonSchema({"type": ["string", "integer", "boolean"], "pattern": _LINE}),
]
RiskId = Annotated[
    str,
    _Form(_RISK_ID, "an id; write at most 40 of a-z 0-9 . _ - and begin with a letter or digit"),
]
MitigationId = Annotated[
    str,
    _Form(_MITIGATION_ID, "an id; write at most 80 of a-z 0-9 . _ - and begin with a letter or digit"),
]
Repository = Annotated[
    str,
    _Form(REPOSITORY, "a repository; write owner/name, as in acme/codex-sdk", ("acme/codex-sdk",)),
]
GithubName = Annotated[
    str,
    _Form(
        _GITHUB,
        "a GitHub login or team; write octo-lead or acme/qa, without @ or address",
        ("octo-lead", "acme/qa"),
    ),
]
SlackPerson = Annotated[
    str,
    _Form(
        _SLACK_PERSON,
        "a Slack ID; copy the member ID (U024BE7LH) or user group ID (S0614TZR7) from its profile in Slack",
        ("U024BE7LH", "S0614TZR7"),
    ),
]
SlackChannelId = Annotated[
    str,
    _Form(
        _SLACK_CHANNEL,
        "a Slack channel ID; copy the ID (C0123456789) from the end of the channel's details in Slack",
        ("C0123456789",),
    ),
]
Workspace = Annotated[
    str,
    _Form(
        _WORKSPACE,
        "a workspace; write the end of its variable RISKLOOP_SLACK_TOKEN_… in a-z 0-9 _, and not 'file'",
        ("acme",),
    ),
]
OwnerName = Annotated[StrictStr, BeforeValidator(_known_owner)]
OwnerNames = Annotated[
    tuple[OwnerName, ...],
    BeforeValidator(_list_of_owners),
    WithJsonSchema(
        {
            "oneOf": [
                {"type": "string"},
                {"type": "array", "items": {"type": "string"}, "minItems": 1, "uniqueItems": True},
            ],
        },
    ),
]
Day = Annotated[
    date,
    BeforeValidator(_date),
    WithJsonSchema({"type": "string", "pattern": _DATE, "examples": ["2026-03-31"]}),
]
Runbook = Annotated[
    StrictStr,
    BeforeValidator(_runbook),
    WithJsonSchema(
        {
            "type": "string",
            "anyOf": [{"pattern": _WEB}, {"pattern": _PATH}],
            "examples": ["docs/runbooks/upstream.md"],
        },
    ),
]


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

    warning: StrictFloat | None = Field(
        default=None, description="From this value on, the metric is a warning."
    )
    critical: StrictFloat | None = Field(default=None, description="From this value on, it is critical.")

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

    kind: Annotated[StrictStr, BeforeValidator(_known_kind)] = Field(
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
    status: Literal["open", "mitigated", "accepted", "closed"] = Field(
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
        description="What is done about it, one entry per mitigation.",
    )


class RegisterRow(Row):
    """A risk register: who owns which risk, what is done about it, and from which numbers on it is bad."""

    project: Line = Field(description="The project's name, for people.", examples=["Codex SDK"])
    github: GithubRow | None = Field(default=None, description="Where issues go; left out, there are none.")
    slack: SlackRow | None = Field(default=None, description="Where messages go; left out, there are none.")
    owners: Mapping[Line, OwnerRow] = Field(
        min_length=1,
        description="The people and teams risks belong to, by name.",
    )
    service: ServiceRow | None = Field(
        default=None,
        description="Who looks after riskloop itself; left out, it is the first of `owners`.",
    )
    risks: tuple[RiskRow, ...] = Field(description="What can go wrong.")
