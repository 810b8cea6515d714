"""A toy kind with one setting of each sort, and a register that uses it."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field

from riskloop.errors import Unmeasurable
from riskloop.measurements import HIGHER, LOWER, Metric, Observation
from riskloop.register.values import ByteSize, Duration, ProjectPath
from riskloop.risks import Kind, Site


class Rule(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    path: str = Field(description="What to leave out.", examples=["$..created_at"])
    do: Literal["drop", "round", "sort"] = Field(default="drop", description="How.")
    digits: Annotated[int, Field(ge=0, le=15)] = Field(default=3, description="For `round`.")


class ToySettings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    directory: ProjectPath = Field(description="The folder to look at.", examples=["fixtures"])
    command: list[str] = Field(default=[], description="What to run.")
    ttl: Duration = Field(default=timedelta(days=7), description="How long things are kept.")
    budget: ByteSize = Field(default=5 * 1024**3, description="How much room there is.")
    rules: tuple[Rule, ...] = Field(default=(), description="What does not count.")


def measure_nothing(settings: Any, site: Site) -> Observation:
    raise Unmeasurable("a toy sees nothing")


TOY = Kind(
    name="toy_drift",
    says="Toys fall out of date.",
    settings=ToySettings,
    metrics=(
        Metric("toys_changed", "files", worse=HIGHER, says="toys that differ"),
        Metric("toys_left", "files", worse=LOWER, says="toys still there"),
    ),
    remedy=("Tidy up.",),
    forms=(),
    measure=measure_nothing,
)

OTHER = Kind(
    name="toy_cleanup",
    says="Old toys are put away.",
    settings=ToySettings,
    metrics=(Metric("bytes_over", "bytes", worse=HIGHER, says="bytes over the budget"),),
    remedy=(),
    forms=(),
    measure=measure_nothing,
)


@pytest.fixture
def toys() -> Mapping[str, Kind]:
    return {TOY.name: TOY, OTHER.name: OTHER}


GOOD = """\
project: Toy shop
github: {repository: acme/toys}
slack: {channel: C0123456789}
owners:
  Keeper: {github: octo-lead, slack: U024BE7LH}
  QA: {github: acme/qa}
service: {owner: Keeper}
risks:
  - id: broken-toys
    title: Toys break
    likelihood: medium
    impact: high
    owner: [QA, Keeper]
    review: 2026-03-31
    sprint: 14
    deferrable: true
    mitigations:
      - kind: toy_drift
        directory: toys
        ttl: 12h
        budget: 64MiB
        rules:
          - {path: $..made_at}
        thresholds:
          toys_changed: {warning: 1, critical: 5}
          toys_left: {warning: 5, critical: 1}
        after: 2
        fail_run: critical
      - kind: toy_drift
        id: attic
        enabled: false
        directory: attic
        thresholds: {}
  - id: full-cellar
    title: The cellar is full
    likelihood: high
    impact: critical
    owner: Keeper
    mitigations:
      - kind: toy_cleanup
        directory: cellar
        thresholds: {bytes_over: {critical: 1}}
"""


@pytest.fixture
def good() -> str:
    return GOOD


@pytest.fixture
def register_file(tmp_path: Path) -> Path:
    """A good register in a project of its own."""
    project = tmp_path / "project"
    project.mkdir()
    path = project / "riskloop.yaml"
    path.write_text(GOOD, encoding="utf-8")
    return path
