"""Turns what is wrong with a register into sentences: where, what, and what to write instead."""

import difflib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from riskloop.register.values import shown

Place = tuple[str | int, ...]
"""Where something stands in the register: `("risks", 0, "mitigations", 0, "kind")`."""

ENOUGH = 1_000
"""After so many mistakes the rest of a file is not worth explaining."""

_MOST_NAMES = 12
_MOST_COMPARED = 100
_LONGEST_WORD = 80

_PLAIN_KEY = re.compile(r"[\w -]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is wrong.

    Args:
        line: where, counted from 1; None for the line of the place.
        explains: the place of a missing key which this one is a misspelling of: one mistake, not two.
    """

    place: Place
    says: str
    line: int | None = None
    explains: Place | None = None


def write_place(place: Place) -> str:
    """Write a place as people point at it: `risks[0].mitigations[0].kind`."""
    text = ""
    for part in place:
        if isinstance(part, int):
            text += f"[{part}]"
        elif _PLAIN_KEY.fullmatch(part):
            text += f".{part}" if text else part
        else:
            text += f"[{shown(part)}]"
    return text


def suggestion(word: str, known: Iterable[str]) -> str | None:
    """Name the known word that was probably meant, whatever its case; None if none is near."""
    if len(word) > _LONGEST_WORD:
        return None
    by_lower = {name.lower(): name for name in islice(known, _MOST_COMPARED)}
    near = difflib.get_close_matches(word.lower(), by_lower, n=1, cutoff=0.65)
    return by_lower[near[0]] if near else None


def hint(word: str, known: Iterable[str], *, otherwise: str) -> str:
    """Say `did you mean 'x'?`, or, if nothing is near, what there is."""
    known = tuple(known)
    meant = suggestion(word, known)
    if meant:
        return f"did you mean {shown(meant)}?"
    names = ", ".join(name if name.isprintable() else shown(name) for name in known[:_MOST_NAMES]) or "none"
    return f"{otherwise} {names}" + (", …" if len(known) > _MOST_NAMES else "")


def explain(
    error: ValidationError,
    *,
    data: Any,
    model: type[BaseModel],
    place: Place = (),
    also_known: Iterable[str] = (),
) -> Iterator[Finding]:
    """Say each of pydantic's errors in our words.

    Args:
        data: what was validated.
        model: against which model.
        place: where the data stands in the register.
        also_known: keys allowed beside the model's own at the top, for suggestions.
    """
    seen: set[Place] = set()
    for item in error.errors(include_url=False)[:ENOUGH]:
        location = tuple(_existing(item["loc"], data, missing=item["type"] == "missing"))
        if location in seen:
            continue  # the second branch of a union says nothing new
        seen.add(location)
        if item["type"] == "extra_forbidden":
            known = (*_fields(_model_at(model, location[:-1])), *(also_known if len(location) == 1 else ()))
            yield _unknown_key(location, known, data, place)
        else:
            yield Finding(place=place + location, says=_says(item, model, location))


def _existing(location: Place, data: Any, *, missing: bool) -> Iterator[str | int]:
    """Keep the parts of pydantic's location that stand in the data: it also names branches of unions."""
    for number, part in enumerate(location):
        try:
            if isinstance(data, str):
                continue  # one name where a list may stand
            data = data[part]
        except (KeyError, IndexError, TypeError):
            if not (missing and number == len(location) - 1):
                continue
        yield part


def _unknown_key(location: Place, known: Iterable[str], data: Any, place: Place) -> Finding:
    for part in location[:-1]:
        data = data[part]
    word = str(location[-1])
    absent = [key for key in known if key not in data]
    meant = suggestion(word, absent)
    return Finding(
        place=place + location,
        says=f"no key {shown(word)} is known here; {hint(word, absent, otherwise='what can be added is')}",
        explains=(*place, *location[:-1], meant) if meant else None,
    )


def _fields(model: type[BaseModel] | None) -> dict[str, FieldInfo]:
    return {field.alias or name: field for name, field in model.model_fields.items()} if model else {}


def _model_at(model: type[BaseModel] | None, location: Place) -> type[BaseModel] | None:
    """Follow a location to the model there; an index or a name in a mapping stays at the same model."""
    for part in location:
        field = _fields(model).get(str(part))
        model = _nested_model(field.annotation) if field else model
    return model


def _nested_model(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_nested_model, get_args(annotation))), None)


def _says(item: Any, model: type[BaseModel], location: Place) -> str:
    """Say one error: what stands there, and what to write instead."""
    given, context = item["input"], item.get("ctx", {})
    kind: str = item["type"]
    if kind == "missing":
        return _says_missing(model, location)
    if kind in {"value_error", "assertion_error"}:
        return str(context["error"])
    if given is None:
        return "nothing stands here; write a value, or leave the key out"
    if kind in {"literal_error", "enum"}:
        allowed = re.findall(r"'([^']*)'", context["expected"])
        return f"{shown(given)} is none of {', '.join(allowed)}{_did_you_mean(str(given), allowed)}"
    if kind in _WORDS:
        bound = next((context[name] for name in _BOUNDS if name in context), None)
        return f"{shown(given)} {_WORDS[kind].format(bound)}"
    return f"{shown(given)}: {item['msg'][:1].lower()}{item['msg'][1:]}"


_BOUNDS = ("ge", "gt", "le", "lt", "min_length", "max_length", "pattern")
_LIST = "is not a list; write [a, b], or lines that begin with '- '"
_MAPPING = "is not a mapping; write 'key: value' lines, indented below it"
_INTEGER = "is not a whole number; write one such as 3"
_NUMBER = "is not a number; write one such as 5 or 0.5"
_BOOLEAN = "is neither true nor false; write one of them, without quotes"
# By the names in https://docs.pydantic.dev/latest/errors/validation_errors/
_WORDS = {
    "string_type": "is not text; write it in quotes if it is meant so",
    "int_type": _INTEGER,
    "int_parsing": _INTEGER,
    "int_from_float": _INTEGER,
    "float_type": _NUMBER,
    "float_parsing": _NUMBER,
    "finite_number": "is not a finite number; write one such as 5 or 0.5",
    "bool_type": _BOOLEAN,
    "bool_parsing": _BOOLEAN,
    "list_type": _LIST,
    "tuple_type": _LIST,
    "set_type": _LIST,
    "frozen_set_type": _LIST,
    "dict_type": _MAPPING,
    "model_type": _MAPPING,
    "model_attributes_type": _MAPPING,
    "mapping_type": _MAPPING,
    "greater_than_equal": "is too small; write {} or more",
    "greater_than": "is too small; write more than {}",
    "less_than_equal": "is too large; write {} or less",
    "less_than": "is too large; write less than {}",
    "string_too_short": "is too short; write at least {} characters",
    "string_too_long": "is too long; write at most {} characters",
    "too_short": "with too few entries stands here; write at least {}",
    "too_long": "with too many entries stands here; write at most {}",
    "string_pattern_mismatch": "is not of the form {}",
}


def _says_missing(model: type[BaseModel], location: Place) -> str:
    key = str(location[-1])
    field = _fields(_model_at(model, location[:-1])).get(key)
    if field is not None and field.examples:
        return f"the key '{key}' is missing; write it, for example {key}: {field.examples[0]}"
    told = f": {field.description.rstrip('.')}" if field is not None and field.description else ""
    return f"the key '{key}' is missing; write it{told}"


def _did_you_mean(word: str, known: Iterable[str]) -> str:
    meant = suggestion(word, known)
    return f"; did you mean '{meant}'?" if meant else "; write one of them"
