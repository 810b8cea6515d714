"""Writes the reference of the register's file, from the same models that check it."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from riskloop.register.reading import MAX_DEPTH
from riskloop.register.schema import describe, say_metric
from riskloop.register.shape import (
    GithubRow,
    MitigationRow,
    OwnerRow,
    RegisterRow,
    RiskRow,
    Row,
    ServiceRow,
    SlackRow,
    ThresholdRow,
)
from riskloop.risks import IMPACTS, LIKELIHOODS, Kind

_INTRODUCTION = f"""\
# The register

*Generated from the models by `python -m riskloop.publishing`; edit those instead.*

A register is one YAML file, `riskloop.yaml`, in the project it speaks of. It is the only thing a team must
write. `riskloop init` writes a first one, `riskloop register check` says everything that is wrong with one,
each mistake with its line and what to write instead, and `riskloop register show` prints the risks by score.
Editors complete and check it while it is written, if its first line is

```yaml
# yaml-language-server: $schema=https://raw.githubusercontent.com/riskloop/riskloop/main/docs/riskloop.schema.json
```

A register with a mistake starts nothing. A service that runs already goes on with the last good register
and tells its owner.

## The file

YAML 1.2 in UTF-8, one document, at most 1 MB and {MAX_DEPTH} levels deep. No anchors, aliases, merge keys or
tags, and no key twice: what stands in a line is what counts. An unknown key is a mistake, never ignored.
`yes`, `no` and dates are plain text in YAML 1.2; write `true`, `false` and `2026-03-31`.

| Value | How to write it |
| --- | --- |
| duration | a whole number and `w`, `d`, `h`, `m` or `s`: `7d`, `12h`, `30m` |
| size | a whole number and `B`, `KiB`, `MiB`, `GiB`, `TiB`, `kB`, `MB`, `GB` or `TB`, or a number of bytes |
| path | below the register's directory, without `..`, and not out of it through a symbolic link; \
absolute only below a directory the operator lists in `RISKLOOP_ALLOWED_ROOTS` |
| date | `2026-03-31` |
"""

_SECTIONS: tuple[tuple[str, type[Row]], ...] = (
    ("## Top level", RegisterRow),
    ("### `github`", GithubRow),
    ("### `slack`", SlackRow),
    ("### `owners.<name>`", OwnerRow),
    ("### `service`", ServiceRow),
    ("### `risks[]`", RiskRow),
)


def reference(kinds: Mapping[str, Kind]) -> str:
    """Write the reference as Markdown: every key, the score, and every kind's settings and metrics."""
    parts = [_INTRODUCTION]
    for heading, model in _SECTIONS:
        described = describe(model)
        parts.append("\n".join((heading, "", described["description"], "", *_keys(described), "")))
    parts.append("\n".join(_score()))
    parts.append("\n".join(_mitigations(sorted(kinds))))
    parts.extend("\n".join(_kind(kinds[name])) for name in sorted(kinds))
    return "\n".join(parts).rstrip() + "\n"


def _score() -> Iterator[str]:
    yield from ("### The score", "")
    yield "Likelihood (1 to 3) times impact (1 to 4); where risks are listed, the highest stand first."
    yield from ("", "| Likelihood | " + " | ".join(f"impact {impact}" for impact in IMPACTS) + " |")
    yield "| --- |" + " ---: |" * len(IMPACTS)
    for times, likelihood in enumerate(LIKELIHOODS, start=1):
        scores = " | ".join(str(times * impact) for impact in range(1, len(IMPACTS) + 1))
        yield f"| {likelihood} | {scores} |"
    yield ""


def _mitigations(kinds: list[str]) -> Iterator[str]:
    yield from ("## `risks[].mitigations[]`", "")
    yield "These keys belong to every mitigation; its kind adds settings of its own, listed below."
    yield "The kinds: " + ", ".join(f"[`{kind}`](#{kind})" for kind in kinds) + "."
    yield from ("", *_keys(describe(MitigationRow)), "")
    described = describe(ThresholdRow)
    yield from ("### `thresholds.<metric>`", "", described["description"], "", *_keys(described), "")


def _kind(kind: Kind) -> Iterator[str]:
    yield from (f"## `{kind.name}`", "", kind.says, "", *settings_tables(kind, under="##"))
    yield from ("### Metrics", "", "| Metric | What it counts |", "| --- | --- |")
    for metric in kind.metrics:
        yield f"| `{metric.name}` | {_cell(say_metric(metric))} |"
    yield ""
    if kind.remedy:
        yield from ("### What to do about a breach", "", *(f"- {sentence}" for sentence in kind.remedy), "")


def settings_tables(kind: Kind, *, under: str) -> Iterator[str]:
    """Write a kind's settings as tables, one for each model in them.

    Args:
        under: the marks of the heading above, such as `##`.
    """
    described = describe(kind.settings)
    inner: dict[str, Any] = described.pop("$defs", {})
    yield from (f"{under}# Settings", "", *_keys(described), "")
    for name, part in sorted(inner.items()):
        if "properties" in part:
            yield from (f"{under}## {name}", "")
            yield from (part["description"], "") if "description" in part else ()
            yield from (*_keys(part), "")


def _keys(described: Mapping[str, Any]) -> Iterator[str]:
    """Write one model's keys as a table."""
    required = described.get("required", ())
    yield from ("| Key | Type | Default | Meaning |", "| --- | --- | --- | --- |")
    for name, value in described.get("properties", {}).items():
        default = "**required**" if name in required else _default(value)
        yield f"| `{name}` | {_cell(_type(value))} | {default} | {_cell(value.get('description', ''))} |"


def _default(value: Mapping[str, Any]) -> str:
    if "default" not in value:
        return ""
    return _cell(f"`{_written(value['default'])}`")


def _written(value: object) -> str:
    """Write a value as a register does."""
    return value if isinstance(value, str) else json.dumps(value)


def _type(value: Mapping[str, Any]) -> str:
    """Say in words what may stand behind a key."""
    if "$ref" in value:
        return f"a mapping ({value['$ref'].rpartition('/')[2].removesuffix('Row').lower()})"
    if "enum" in value:
        return " or ".join(f"`{_written(option)}`" for option in value["enum"])
    if "const" in value:
        return f"`{value['const']}`"
    if (branches := value.get("oneOf") or value.get("anyOf")) and value.get("type") != "string":
        return " or ".join(dict.fromkeys(_type(branch) for branch in branches))
    match value.get("type"):
        case "array":
            inner = _type(value.get("items", {}))
            return "a list of " + inner.replace("a mapping", "mappings", 1).replace("a list", "lists", 1)
        case "object":
            return "a mapping"
        case "boolean":
            return "`true` or `false`"
        case "integer" | "number" as kind:
            return _number(value, "whole number" if kind == "integer" else "number")
        case list():
            return "text"
    examples = value.get("examples", ())
    return "text" + (f", such as `{examples[0]}`" if examples else "")


def _number(value: Mapping[str, Any], noun: str) -> str:
    least, most = value.get("minimum"), value.get("maximum")
    if least is None or most is None or most > 10**9:
        return noun
    return f"{noun}, {least} to {most}"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
