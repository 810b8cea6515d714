"""The forms of text a register may hold: ids, names of owners, GitHub and Slack names, dates, remarks."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any

from pydantic import (
    BeforeValidator,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    StrictStr,
    ValidationInfo,
    WithJsonSchema,
)
from pydantic_core import CoreSchema, core_schema

from riskloop.register.mistakes import hint
from riskloop.register.values import RELATIVE_PATH_PATTERN, read_project_path, shown

MOST_OWNERS_OF_A_RISK = 20

_RISK_ID = r"^[a-z0-9][a-z0-9._-]{0,39}$"
_MITIGATION_ID = r"^[a-z0-9][a-z0-9._-]{0,79}$"
REPOSITORY = r"^[A-Za-z0-9][A-Za-z0-9-]{0,38}/[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}$"
_GITHUB = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,38}(/[A-Za-z0-9_-][A-Za-z0-9._-]{0,99})?$"
_SLACK_PERSON = r"^[UWS][A-Z0-9]{2,20}$"
_SLACK_CHANNEL = r"^[CG][A-Z0-9]{2,20}$"
_WORKSPACE = r"^(?!(.*_)?file$)[a-z0-9]+(_[a-z0-9]+)*$"
_LINE = r"^[^\u0000-\u001f\u007f-\u009f\u2028\u2029]{1,200}$"
_TEXT = r"^[^\u0000-\u0008\u000b-\u001f\u007f-\u009f]{0,5000}$"
_DATE = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
_PATH = RELATIVE_PATH_PATTERN.replace("^", "^(?![^/]*:)", 1)
_WEB = r"^https?://[^\s<>\"]{1,500}$"
_VARIABLE = r"^[A-Za-z_][A-Za-z0-9_]*$"


@dataclass(frozen=True, slots=True)
class Form:
    """Text of one form, for `Annotated[str, Form(...)]`.

    Args:
        pattern: a regular expression for the whole of it; the JSON Schema has it too.
        wanted: completes the sentence `'x' is not …`, and says how to write it.
        examples: for the JSON Schema.
    """

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
    if isinstance(names, list) and len(names) > MOST_OWNERS_OF_A_RISK:
        raise ValueError(f"{len(names)} owners stand here; name at most {MOST_OWNERS_OF_A_RISK}")
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


Line = Annotated[str, Form(_LINE, "one line of 1 to 200 characters; shorten it, on one line")]
Text = Annotated[str, Form(_TEXT, "plain text of at most 5000 characters; shorten or clean it")]
Remark = Annotated[
    Line,
    BeforeValidator(_words),
    WithJsonSchema({"type": ["string", "integer", "boolean"], "pattern": _LINE}),
]
RiskId = Annotated[
    str,
    Form(_RISK_ID, "an id; write at most 40 of a-z 0-9 . _ - and begin with a letter or digit"),
]
MitigationId = Annotated[
    str,
    Form(_MITIGATION_ID, "an id; write at most 80 of a-z 0-9 . _ - and begin with a letter or digit"),
]
Repository = Annotated[
    str,
    Form(REPOSITORY, "a repository; write owner/name, as in acme/codex-sdk", ("acme/codex-sdk",)),
]
GithubName = Annotated[
    str,
    Form(
        _GITHUB,
        "a GitHub login or team; write octo-lead or acme/qa, without @ or address",
        ("octo-lead", "acme/qa"),
    ),
]
SlackPerson = Annotated[
    str,
    Form(
        _SLACK_PERSON,
        "a Slack ID; copy the member ID (U024BE7LH) or user group ID (S0614TZR7) from its profile in Slack",
        ("U024BE7LH", "S0614TZR7"),
    ),
]
SlackChannelId = Annotated[
    str,
    Form(
        _SLACK_CHANNEL,
        "a Slack channel ID; copy the ID (C0123456789) from the end of the channel's details in Slack",
        ("C0123456789",),
    ),
]
Workspace = Annotated[
    str,
    Form(
        _WORKSPACE,
        "a workspace; write the end of its variable RISKLOOP_SLACK_TOKEN_… in a-z 0-9 _, and not 'file'",
        ("acme",),
    ),
]
VariableName = Annotated[
    str,
    Form(_VARIABLE, "the name of an environment variable; write one such as API_TOKEN, in A-Z a-z 0-9 _"),
]
OwnerName = Annotated[StrictStr, BeforeValidator(_known_owner)]
KindName = Annotated[StrictStr, BeforeValidator(_known_kind)]
OwnerNames = Annotated[
    tuple[OwnerName, ...],
    BeforeValidator(_list_of_owners),
    WithJsonSchema(
        {
            "oneOf": [
                {"type": "string"},
                {
                    "type": "array",
                    "items": {"type": "string"},
                    "minItems": 1,
                    "maxItems": MOST_OWNERS_OF_A_RISK,
                    "uniqueItems": True,
                },
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
