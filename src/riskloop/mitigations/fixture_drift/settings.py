"""What a register says about a folder of golden fixtures."""

import re
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal, Self

from jsonpath import JSONPath, JSONPathEnvironment, JSONPathError
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator, model_validator

from riskloop.register.values import ByteSize, Duration, ProjectPath
from riskloop.register.words import Form, VariableName

Word = Annotated[str, StringConstraints(min_length=1, pattern=r"^[^\x00]+$")]
Words = Annotated[list[Word], Field(min_length=1)]
"""A command: the program and its arguments, a list item each; no shell reads it."""

FileName = Annotated[
    str, Form(r"^[^/\x00-\x1f]+$", "a file name; write one such as MANIFEST.sha256, without a folder")
]

_PATHS = JSONPathEnvironment(strict=True)


class Rule(BaseModel):
    """One thing in which fixtures may differ without having drifted."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: str | None = Field(
        None, description="What it is about: a JSON path (RFC 9535); in JSONL, of each record."
    )
    regex: str | None = Field(None, description="What it is about: a regular expression, for text.")
    do: Literal["drop", "constant", "round", "sort"] = Field(
        description="Leave it out, put `value` in its place, round it to `digits`, or sort it: an array, or "
        "the lines that the regex matches. Sorting comes last."
    )
    value: str | int | float | bool | None = Field(None, description="What `constant` puts in its place.")
    digits: int = Field(0, ge=0, le=15, description="Decimal digits that `round` keeps.")
    files: str = Field("**", description="Which fixtures it is for: a pattern such as `threads/*.jsonl`.")

    @field_validator("path")
    @classmethod
    def _path_is_one(cls, path: str | None) -> str | None:
        if path is not None:
            try:
                _PATHS.compile(path)
            except JSONPathError as error:
                reason = str(error).partition("\n")[0]
                raise ValueError(
                    f"'{path}' is not a JSON path ({reason}); write one such as $..created_at"
                ) from error
        return path

    @field_validator("regex")
    @classmethod
    def _regex_is_one(cls, regex: str | None) -> str | None:
        if regex is not None:
            try:
                re.compile(regex)
            except re.error as error:
                raise ValueError(f"'{regex}' is not a regular expression: {error}") from error
        return regex

    @model_validator(mode="after")
    def _is_about_one_thing(self) -> Self:
        if (self.path is None) == (self.regex is None):
            raise ValueError("a rule is about one thing; give either path or regex")
        if self.do == "constant" and "value" not in self.model_fields_set:
            raise ValueError("constant needs the value to put in its place; add value")
        if self.do == "round" and "digits" not in self.model_fields_set:
            raise ValueError("round needs to know how far; add digits")
        return self

    @cached_property
    def compiled_path(self) -> JSONPath:
        compiled = _PATHS.compile(self.path or "$")
        if not isinstance(compiled, JSONPath):
            raise TypeError(f"{self.path} is more than one path")
        return compiled

    @cached_property
    def compiled_regex(self) -> re.Pattern[str]:
        return re.compile(self.regex or "", re.MULTILINE)


class Settings(BaseModel):
    """A folder of golden fixtures, and the command that makes them anew."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    directory: ProjectPath = Field(description="The folder of the golden fixtures, inside the project.")
    include: list[str] = Field(
        default=["**"],
        min_length=1,
        description="Which files in it are fixtures: patterns with `*`, `?`, `**`; without `/`, file names.",
    )
    exclude: list[str] = Field(
        default=[], description="Which of these are no fixtures; they stay for the generator to read."
    )
    manifest: FileName = Field(
        "MANIFEST.sha256",
        description="The file in that folder that says what was adopted, as `sha256sum` writes it.",
    )
    setup: list[Words] = Field(default=[], description="Commands to run first, in the exported project.")
    regenerate: Words = Field(
        description="The command that writes the fixtures, run in the exported project."
    )
    carry: list[ProjectPath] = Field(
        default=[], description="Paths git ignores that the command needs; it gets a read-only copy of each."
    )
    timeout: Duration = Field(
        timedelta(minutes=10), validate_default=True, description="How long one command may take."
    )
    memory: ByteSize = Field(4 * 1024**3, description="Address space each of its processes may use.")
    environment: list[VariableName] = Field(
        default=[], description="Names of environment variables the commands may see, besides PATH."
    )
    normalize: list[Rule] = Field(default=[], description="What may differ without being drift.")
    adopt: Literal["in_place", "pull_request"] = Field(
        "in_place", description="Where adopted fixtures go: into the project's folder, or to a pull request."
    )

    @field_validator("directory", "carry")
    @classmethod
    def _is_relative(cls, value: Path | list[Path]) -> Path | list[Path]:
        for path in value if isinstance(value, list) else [value]:
            if path.is_absolute():
                raise ValueError(f"'{path}' is absolute; write a path inside the project, which is exported")
        return value

    @field_validator("manifest")
    @classmethod
    def _is_a_file_name(cls, manifest: str) -> str:
        if manifest in (".", ".."):
            raise ValueError(f"'{manifest}' is not a file name; write one such as MANIFEST.sha256")
        return manifest

    @field_validator("environment")
    @classmethod
    def _is_not_ours(cls, names: list[str]) -> list[str]:
        for name in names:
            if name.startswith(("RISKLOOP_", "PREFECT_")):
                raise ValueError(f"{name} may hold a secret of the service; it is never let through")
        return names
