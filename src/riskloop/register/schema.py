"""Describes the register's file to editors: a JSON Schema, with the settings and metrics of every kind."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema, to_jsonable_python

from riskloop.measurements import Metric, Worse
from riskloop.register.shape import MitigationRow, RegisterRow, ThresholdRow
from riskloop.risks import Kind

ADDRESS = "https://raw.githubusercontent.com/riskloop/riskloop/main/docs/riskloop.schema.json"
"""Where editors find the published schema."""

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schema(kinds: Mapping[str, Kind]) -> dict[str, Any]:
    """Describe the register as JSON Schema, draft 2020-12; the same kinds give the same answer.

    What only the whole register can say (unknown owners, ids used twice, bounds in the wrong order) is left
    to `riskloop register check`.
    """
    root = describe(RegisterRow)
    definitions: dict[str, Any] = root.pop("$defs")
    definitions["Mitigation"] = {
        "type": "object",
        "description": "One thing that is done about a risk; its kind says which further keys it takes.",
        "properties": {"kind": {"enum": sorted(kinds), "description": "What the mitigation does."}},
        "required": ["kind", "thresholds"],
        "allOf": [
            {
                "if": {"properties": {"kind": {"const": name}}, "required": ["kind"]},
                "then": {"$ref": f"#/$defs/{name}"},
            }
            for name in sorted(kinds)
        ],
    }
    root["properties"]["owners"]["additionalProperties"] = False
    definitions["RiskRow"]["properties"]["mitigations"]["items"] = {"$ref": "#/$defs/Mitigation"}
    definitions["ThresholdRow"] = describe(ThresholdRow)
    for name in sorted(kinds):
        definitions |= _kind_definitions(kinds[name])
    return {
        "$schema": _DIALECT,
        "$id": ADDRESS,
        "title": "riskloop register",
        **root,
        "$defs": dict(sorted(definitions.items())),
    }


def describe(model: type[BaseModel], *, prefix: str = "") -> dict[str, Any]:
    """Describe one model: defaults as a register writes them, no titles made from names.

    Args:
        prefix: put before the names of the models inside it.
    """
    found = model.model_json_schema(
        ref_template=f"#/$defs/{prefix}{{model}}",
        schema_generator=_Generator,
    )
    inner = {f"{prefix}{name}": value for name, value in found.pop("$defs", {}).items()}
    for described in (found, *inner.values()):
        described.pop("title", None)
    return {**found, "$defs": inner} if inner else found


def _kind_definitions(kind: Kind) -> dict[str, Any]:
    common = describe(MitigationRow)["properties"]
    settings = describe(kind.settings, prefix=f"{kind.name}.")
    inner = settings.pop("$defs", {})
    common["kind"] = {"const": kind.name, "description": kind.says}
    common["thresholds"] = {
        "type": "object",
        "description": common["thresholds"]["description"],
        "properties": {
            metric.name: {"$ref": "#/$defs/ThresholdRow", "description": say_metric(metric)}
            for metric in kind.metrics
        },
        "additionalProperties": False,
    }
    described = {
        "type": "object",
        "description": kind.says,
        "properties": {**common, **settings.get("properties", {})},
        "required": ["kind", "thresholds", *settings.get("required", ())],
        "additionalProperties": False,
    }
    rest = {key: value for key, value in settings.items() if key not in {*described, "type"}}
    return {kind.name: described | rest, **inner}


def say_metric(metric: Metric) -> str:
    """Say what a metric counts, its unit, and which way is worse."""
    worse = "higher" if metric.worse is Worse.HIGHER else "lower"
    return f"{metric.says[:1].upper()}{metric.says[1:]} ({metric.unit}; {worse} is worse)."


class _Generator(GenerateJsonSchema):
    def field_title_should_be_set(self, _schema: Any) -> bool:
        return False

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        # Nobody writes `review: null` on purpose: an editor should ask for the value.
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        described = super().default_schema(schema)
        default = self.get_default_value(schema)
        written: Any = schema["schema"].get("serialization")
        if default in (None, "", (), [], {}):
            described.pop("default", None)
        elif written is not None and written["type"] == "function-plain" and "default" in described:
            described["default"] = to_jsonable_python(written["function"](default))
        return described
