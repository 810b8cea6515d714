"""Holds a request to GitHub against GitHub's own description of its API, and says what is wrong with it."""

import functools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from jsonschema import Draft202012Validator, FormatChecker

_DESCRIPTION = Path(__file__).resolve().parent / "github.json"
_FORMATS = FormatChecker(formats=())
_REDIRECTED = re.compile(r"/repositories/\d+(?=/|$)")


def mistakes(method: str, target: str, raw: bytes) -> list[str]:
    """Say what of a request is not as GitHub describes it; nothing if it is.

    GitHub ignores a field or a parameter that it does not know, and with it what was meant: here it is a
    mistake.

    Args:
        target: path and query, as they stand in the request line.
        raw: the body.
    """
    parts = urlsplit(target)
    # Where GitHub itself sends us when something has moved; the description does not have it.
    path = _REDIRECTED.sub("/repos/moved/moved", parts.path)
    for template, pattern, methods in _operations():
        match = pattern.fullmatch(path)
        if match and method.lower() in methods:
            operation = methods[method.lower()]
            query = parse_qsl(parts.query, keep_blank_values=True)
            found = [*_in_path(operation, match.groupdict()), *_in_query(operation, query)]
            found += _in_body(operation, raw)
            return [f"{method} {target}: {words}, as {method} {template} is described" for words in found]
    return [f"{method} {target}: not among the operations that tests/openapi/cut.py names"]


@functools.cache
def _operations() -> Sequence[tuple[str, re.Pattern[str], Mapping[str, Any]]]:
    document = json.loads(_DESCRIPTION.read_text(encoding="utf-8"))
    return [
        (template, re.compile(re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(template))), methods)
        for template, methods in document["paths"].items()
    ]


def _in_path(operation: Mapping[str, Any], values: Mapping[str, str]) -> Iterator[str]:
    for parameter in operation["parameters"]:
        if parameter["in"] == "path":
            name, schema = parameter["name"], parameter["schema"]
            yield from _wrong(f"{name} in the path", schema, _read(unquote(values[name]), schema))


def _in_query(operation: Mapping[str, Any], query: Sequence[tuple[str, str]]) -> Iterator[str]:
    known = {p["name"]: p for p in operation["parameters"] if p["in"] == "query"}
    for name, value in query:
        if name not in known:
            yield f"there is no {name!r} in the query"
        else:
            schema = known[name]["schema"]
            yield from _wrong(f"{name} in the query", schema, _read(value, schema))
    asked = {name for name, _ in query}
    for name, parameter in known.items():
        if parameter["required"] and name not in asked:
            yield f"{name} is missing in the query"


def _in_body(operation: Mapping[str, Any], raw: bytes) -> Iterator[str]:
    described = operation.get("requestBody")
    if not raw:
        if described and described["required"]:
            yield "the body is missing"
        return
    if described is None:
        yield "there is a body, and none is expected"
        return
    try:
        body = json.loads(raw)
    except ValueError:
        yield "the body is not JSON"
        return
    schema = described["content"]["application/json"]["schema"]
    yield from _wrong("the body", schema, body)
    if isinstance(body, dict) and "properties" in schema:
        for name in body.keys() - schema["properties"].keys():
            yield f"there is no {name!r} in the body"


def _read(text: str, schema: Mapping[str, Any]) -> Any:
    """Read a value of the address as its schema means it; as text where it cannot be."""
    if schema.get("type") == "integer" and re.fullmatch(r"-?\d+", text):
        return int(text)
    if schema.get("type") == "boolean" and text in {"true", "false"}:
        return text == "true"
    return text


def _wrong(where: str, schema: Mapping[str, Any], value: Any) -> Iterator[str]:
    for error in Draft202012Validator(schema, format_checker=_FORMATS).iter_errors(value):
        place = ".".join(str(step) for step in error.absolute_path)
        yield f"{where}{place and ', ' + place}: {error.message[:300]}"


@_FORMATS.checks("date-time", raises=ValueError)
def _is_moment(value: object) -> bool:
    return not isinstance(value, str) or datetime.fromisoformat(value).tzinfo is not None
