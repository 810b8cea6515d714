"""What a register says about vendored code and its upstream."""

import re
from datetime import timedelta
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator, model_validator

from riskloop.mitigations.upstream_drift.addresses import Address
from riskloop.register.values import ByteSize, Duration, ProjectPath
from riskloop.register.words import Form, VariableName

Word = Annotated[str, StringConstraints(min_length=1, pattern=r"^[^\x00]+$")]
Words = Annotated[list[Word], Field(min_length=1)]
"""A command: the program and its arguments, a list item each; no shell reads it."""

COMMIT = re.compile(r"[0-9a-f]{40}")
_BRANCH = r"^(?![-/.])(?!.*(\.\.|//|@\{|/\.))[^\x00-\x20\x7f~^:?*\[\\]+(?<![/.])$"
_BELOW = r"^(?![/~-])(?!(.*/)?\.{1,2}(/|$))[^\x00-\x1f\x7f]+$"
Below = Annotated[
    str, Form(_BELOW, "a path inside upstream; write one such as crates/core, from its top and without '..'")
]
"""A path inside upstream, with `/`."""
Branch = Annotated[
    str, Form(_BRANCH, "a branch as git names them; write its name alone, such as main or release/1.x")
]
# As GitHub's and GitLab's documentation on tokens spells them.
_TOKEN = re.compile(r"(gh[pousr]_|github_pat_|glpat-).{12}", re.DOTALL)


class Settings(BaseModel):
    """Vendored code: where it is, where it comes from, and how it may be brought up to date."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: ProjectPath = Field(
        description="The vendored code: a git submodule, or a folder that upstream was copied into."
    )
    upstream: Address | None = Field(
        None,
        description="Where it comes from: an address of https or ssh, or a folder. A submodule's own address "
        "if left out.",
    )
    token: VariableName | None = Field(
        None,
        description="The name of an environment variable that holds a token for an https upstream that is "
        "not public.",
    )
    branch: Branch | None = Field(
        None, description="The upstream branch that is followed; upstream's HEAD if left out."
    )
    pin: str | None = Field(
        None,
        description="Which upstream commit is vendored: 40 hexadecimal digits, or a file of the project that "
        "holds them once. A submodule's own commit if left out.",
    )
    strip: Below | None = Field(
        None, description="The folder of upstream that is vendored; all of upstream if left out."
    )
    patches: ProjectPath | None = Field(
        None,
        description="The folder of our patches on it: in the order of its `series` file, else by name.",
    )
    watch: list[Below] = Field(
        default=[],
        description="Folders and files of upstream whose commits count; all that is vendored if left out.",
    )
    gate: list[Words] = Field(
        default=[],
        description="Commands that must pass before a bump is offered for review: the integration tests. "
        "They run at the top of the project, in a copy that has the bump.",
    )
    timeout: Duration = Field(
        timedelta(minutes=30), validate_default=True, description="How long one command of the gate may take."
    )
    memory: ByteSize = Field(4 * 1024**3, description="Address space each process of the gate may use.")
    environment: list[VariableName] = Field(
        default=[], description="Names of environment variables the gate may see, besides PATH."
    )
    changelog: ProjectPath | None = Field(
        None,
        description="The file that gets an entry with each bump, under its first heading that says "
        "Unreleased, else above its first entry.",
    )
    bump: Literal["never", "pull_request"] = Field(
        "never", description="Whether a pull request is opened that brings the newest upstream commit."
    )
    cooldown: Duration = Field(
        timedelta(days=3),
        validate_default=True,
        description="The age from which an upstream commit is considered for a bump.",
    )

    @property
    def watched(self) -> tuple[str, ...]:
        """The paths of upstream whose commits count; none for all of it."""
        return tuple(self.watch) or ((self.strip,) if self.strip else ())

    @field_validator("path", "patches", "changelog")
    @classmethod
    def _is_relative(cls, path: Path | None) -> Path | None:
        if path is not None and path.is_absolute():
            raise ValueError(f"'{path}' is absolute; write a path inside the project")
        return path

    @field_validator("pin")
    @classmethod
    def _is_a_commit_or_a_file(cls, pin: str | None) -> str | None:
        if pin is None:
            return None
        if COMMIT.fullmatch(pin.lower()):
            return pin.lower()
        parts = PurePosixPath(pin).parts
        if not parts or pin.startswith(("/", "~")) or ".." in parts or not pin.isprintable():
            raise ValueError(
                f"'{pin}' is neither a commit nor a file of the project; write 40 hexadecimal digits, or the "
                "file's path inside the project"
            )
        return pin

    @field_validator("token", mode="before")
    @classmethod
    def _is_no_token_itself(cls, token: object) -> object:
        if isinstance(token, str) and _TOKEN.match(token):
            raise ValueError(
                "a token itself stands here, and stays readable for ever; withdraw it, and write the name of "
                "an environment variable that holds another"
            )
        return token

    @field_validator("environment", "token")
    @classmethod
    def _is_not_ours(cls, names: list[str] | str | None) -> list[str] | str | None:
        for name in [names] if isinstance(names, str) else names or ():
            if name.startswith(("RISKLOOP_", "PREFECT_")):
                raise ValueError(f"{name} may hold a secret of the service; it is never let through")
        return names

    @model_validator(mode="after")
    def _can_be_bumped(self) -> Self:
        if self.bump == "pull_request" and self.pin is not None and COMMIT.fullmatch(self.pin):
            raise ValueError(
                "a pin that stands in the register cannot be moved by a pull request; write it into a file "
                "of the project, and name that file in pin"
            )
        return self
