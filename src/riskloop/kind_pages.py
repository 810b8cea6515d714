"""Writes a page of documentation for each kind, from the kind itself and its row in the example register."""

import textwrap
from collections.abc import Iterator
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedSeq

from riskloop.measurements import Worse
from riskloop.register.reference import settings_tables
from riskloop.risks import Kind

_FOLDER = "kinds"


def page_name(kind: Kind) -> str:
    """Name a kind's page, relative to the documentation's directory."""
    return f"{_FOLDER}/{kind.name}.md"


def page(kind: Kind, *, row: str = "", guide: str = "") -> str:
    """Write a kind's page as Markdown: what it does, its settings, metrics, remedy and decisions.

    Args:
        row: a mitigation of this kind as a register writes it; left out of the page if empty.
        guide: where its guide is, seen from the page; empty if nobody wrote one.
    """
    return "\n".join(_lines(kind, row, guide)).rstrip() + "\n"


def example_rows(register: Path) -> dict[str, str]:
    """Cut the first mitigation of each kind out of a register: its lines, comments and all, by kind.

    Args:
        register: a register without mistakes; nothing comes of one that is not there.
    """
    if not register.is_file():
        return {}
    text = register.read_text(encoding="utf-8")
    lines = text.splitlines()
    # Only the round-trip reader says where each row begins.
    content = YAML(typ="rt").load(text)
    found: dict[str, str] = {}
    for risk in content["risks"]:
        mitigations = risk.get("mitigations", CommentedSeq())
        for number, mitigation in enumerate(mitigations):
            line, column = mitigations.lc.item(number)
            found.setdefault(mitigation["kind"], _block(lines[line:], column - len("- ")))
    return found


def _block(lines: list[str], dash: int) -> str:
    """Give the item that begins in the first line, with its dash in this column."""
    kept = lines[:1]
    for line in lines[1:]:
        if line.strip() and len(line) - len(line.lstrip()) <= dash:
            break
        kept.append(line)
    return textwrap.dedent("\n".join(kept)).strip()


def _lines(kind: Kind, row: str, guide: str) -> Iterator[str]:
    yield from (f"# `{kind.name}`", "", "*Generated from the kind by `python -m riskloop.publishing`.*", "")
    yield from (kind.says, "")
    yield from (kind.about, "") if kind.about else ()
    if guide:
        yield from (f"How it is set up, what it does step by step, with examples: [the guide]({guide}).", "")
    if row:
        yield from (
            "## In the register",
            "",
            "One of the `mitigations` of a risk, from `examples/riskloop.yaml`:",
        )
        yield from ("", "```yaml", row, "```", "")
    yield "The keys that every mitigation has stand in [the register's reference](../register.md)."
    yield ""
    yield from settings_tables(kind, under="#")
    yield from ("## Metrics", "", "| Metric | Unit | Worse | What it counts |", "| --- | --- | --- | --- |")
    for metric in kind.metrics:
        worse = "higher" if metric.worse is Worse.HIGHER else "lower"
        yield f"| `{metric.name}` | {metric.unit} | {worse} | {metric.says} |"
    yield ""
    if kind.remedy:
        yield from ("## What to do about a breach", "", *(f"- {sentence}" for sentence in kind.remedy), "")
    if kind.forms:
        yield from ("## Decisions", "")
        yield "Issues and messages link to the form in the Prefect UI; the command does the same."
        yield ""
        for form in kind.forms:
            yield f"- {form.says}: the flow `{form.flow.replace('_', '-')}`"
            if form.command:
                yield from (
                    "",
                    "  ```sh",
                    f"  {form.command.format(mitigation=f'<risk>.{kind.name}')}",
                    "  ```",
                )
        yield ""
