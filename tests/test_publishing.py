"""The pages of the kinds: they follow from the kind, and a stale one is noticed."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, Field

from riskloop.kind_pages import example_rows, page, page_name
from riskloop.measurements import HIGHER, LOWER, Metric, Observation
from riskloop.mitigations import kinds
from riskloop.publishing import EXAMPLE, documents, main, outdated
from riskloop.register import load
from riskloop.risks import Form, Kind, Site


class Lid(BaseModel):
    """What keeps a jar shut."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    turns: int = Field(3, description="How far it is turned.")


class JarSettings(BaseModel):
    """A shelf of jars."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    shelf: str = Field(description="Where they stand.")
    lids: list[Lid] = Field(default=[], description="The lids there are.")


def measure(settings: Any, site: Site) -> Observation:
    raise NotImplementedError


JARS = Kind(
    name="jars",
    says="Counts the jars on a shelf.",
    about="A jar without a lid | is no jar.",
    settings=JarSettings,
    metrics=(
        Metric("jars_open", "jars", worse=HIGHER, says="jars without a lid"),
        Metric("jars_left", "jars", worse=LOWER, says="jars on the shelf"),
    ),
    remedy=("Put the lids on.",),
    forms=(Form("empty_jars", "Empty them all", 'riskloop empty {mitigation} --who "your name"'),),
    measure=measure,
)

REGISTER = """\
risks:
  - id: mould
    title: Jam goes bad
    mitigations:
      - kind: other
        shelf: cellar

      # The shelf by the door.
      - kind: jars
        shelf: door    # the upper one

        lids:
          - {turns: 2}
        thresholds: {}

  # Nothing is done about this one.
  - id: mice
    title: Mice
  - id: more
    title: More jam
    mitigations:
    - kind: jars
      shelf: window
"""


def test_a_kinds_page_says_everything_a_kind_says_of_itself() -> None:
    text = page(JARS, row="- kind: jars\n  shelf: door")
    for piece in (
        "# `jars`",
        JARS.says,
        JARS.about,
        "```yaml\n- kind: jars\n  shelf: door\n```",
        "| `shelf` | text | **required** | Where they stand. |",
        "| `turns` | whole number | `3` | How far it is turned. |",
        "| `jars_open` | jars | higher | jars without a lid |",
        "| `jars_left` | jars | lower | jars on the shelf |",
        "- Put the lids on.",
        "- Empty them all: the flow `empty-jars`",
        'riskloop empty <risk>.jars --who "your name"',
    ):
        assert piece in text
    assert text.endswith("\n")
    assert not text.endswith("\n\n")


def test_a_kinds_page_leads_to_its_guide_if_somebody_wrote_one() -> None:
    assert "[the guide](../guides/jars.md)" in page(JARS, guide="../guides/jars.md")
    assert "the guide" not in page(JARS)
    for name, kind in kinds().items():
        written = (EXAMPLE.parents[1] / "docs" / "guides" / f"{name}.md").is_file()
        assert ("[the guide]" in documents(kinds())[page_name(kind)]) is written


def test_what_a_kind_does_not_have_is_left_out_of_its_page() -> None:
    text = page(replace(JARS, about="", remedy=(), forms=()))
    for heading in ("In the register", "What to do", "Decisions"):
        assert f"## {heading}" not in text
    assert "\n\n\n" not in text


def test_a_row_is_cut_out_of_the_register_with_its_comments(tmp_path: Path) -> None:
    register = tmp_path / "riskloop.yaml"
    register.write_text(REGISTER, encoding="utf-8")
    assert example_rows(register)["jars"] == (
        "- kind: jars\n  shelf: door    # the upper one\n\n  lids:\n    - {turns: 2}\n  thresholds: {}"
    )
    assert example_rows(tmp_path / "none.yaml") == {}


def test_every_kind_has_a_row_in_the_example_and_the_example_has_no_mistakes() -> None:
    assert set(example_rows(EXAMPLE)) == set(kinds())
    assert {mitigation.kind.name for mitigation in load(EXAMPLE, kinds()).configured} == set(kinds())


def test_every_kind_says_how_it_works() -> None:
    for kind in kinds().values():
        assert kind.says.endswith(".")
        assert kind.about


def test_a_kind_that_is_added_gets_its_page_without_an_edit(tmp_path: Path) -> None:
    more = {**kinds(), "jars": JARS}
    assert page_name(JARS) in documents(more)
    assert tmp_path / "kinds" / "jars.md" in outdated(tmp_path, more)


def test_a_page_of_no_kind_is_named_and_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path)]) == 0
    stray = tmp_path / "kinds" / "former.md"
    stray.write_text("somebody's words", encoding="utf-8")
    capsys.readouterr()
    for arguments in ([str(tmp_path), "--check"], [str(tmp_path)]):
        assert main(arguments) == 1
        assert f"{stray} is the page of no kind" in capsys.readouterr().err
    assert stray.read_text("utf-8") == "somebody's words"
