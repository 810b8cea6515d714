"""The rules take out what they say, sort last, and leave everything else as it was."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from riskloop.mitigations.fixture_drift.normalizing import Form, normalise
from riskloop.mitigations.fixture_drift.settings import Rule, Settings


def rules(*given: dict[str, Any]) -> list[Rule]:
    return [Rule.model_validate(one) for one in given]


def value(content: object, *given: dict[str, Any]) -> Any:
    return json.loads(normalise("a.json", json.dumps(content).encode(), rules(*given)).content)


@pytest.mark.parametrize(
    ("before", "rule", "after"),
    [
        ({"a": 1, "b": {"a": 2}}, {"path": "$..a", "do": "drop"}, {"b": {}}),
        ([1, 2, 3, 4], {"path": "$[?@ > 2]", "do": "drop"}, [1, 2]),
        ([1, 2, 3], {"path": "$[0, 1]", "do": "drop"}, [3]),
        ([1, 2, 3], {"path": "$[1, 0, 1]", "do": "drop"}, [3]),
        ("{}", {"path": "$..a", "do": "drop"}, "{}"),
        ({"a": 1}, {"path": "$", "do": "drop"}, None),
        ({"a": [1, 2]}, {"path": "$.a[*]", "do": "constant", "value": None}, {"a": [None, None]}),
        ([1.239, True, "x"], {"path": "$.*", "do": "round", "digits": 1}, [1.2, True, "x"]),
        ({"a": [3, 1, 2]}, {"path": "$.a", "do": "sort"}, {"a": [1, 2, 3]}),
        ([{"k": 2}, {"k": 1}], {"path": "$", "do": "sort"}, [{"k": 1}, {"k": 2}]),
        ({"a": {"a": {"a": 1}}}, {"path": "$..a", "do": "drop"}, {}),
    ],
)
def test_a_json_path_rule_does_what_it_says(before: object, rule: dict[str, Any], after: object) -> None:
    assert value(before, rule) == after


def test_sorting_comes_after_everything_else() -> None:
    records = [{"at": 9, "n": 1}, {"at": 1, "n": 2}]
    sort, drop = {"path": "$", "do": "sort"}, {"path": "$..at", "do": "drop"}
    assert value(records, sort, drop) == [{"n": 1}, {"n": 2}]


def test_in_jsonl_a_path_is_that_of_each_record_and_strings_may_hold_odd_line_ends() -> None:
    content = '{"id": 1, "at": 5, "s": "a\u2028b"}\n{"id": 2, "at": 6}\n'.encode()
    normal = normalise("a.jsonl", content, rules({"path": "$.at", "do": "drop"}))
    assert normal.form is Form.JSONL
    assert normal.records == ({"id": 1, "s": "a\u2028b"}, {"id": 2})


def test_a_regular_expression_is_for_any_text() -> None:
    text = b"b 1.239\na 2\n# keep\n"
    given = rules(
        {"regex": r"\d+\.\d+", "do": "round", "digits": 1},
        {"regex": r"^# keep$", "do": "constant", "value": "# kept"},
        {"regex": r"^[ab]", "do": "sort"},
    )
    assert normalise("a.txt", text, given).content == b"a 2\nb 1.2\n# kept\n"


def test_without_a_rule_for_it_a_file_is_compared_byte_by_byte() -> None:
    content = b'{ "b": 1,\r\n "a": 2 }'
    given = rules({"path": "$.a", "do": "drop", "files": "other/*.json"})
    assert normalise("a.json", content, given).content == content
    assert normalise("other/a.json", content, given).content == b'{"b":1}\n'


def test_a_file_with_nul_bytes_is_binary() -> None:
    assert normalise("a.txt", b"a\0b", []).form is Form.BINARY


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        ({"path": "$..[", "do": "drop"}, "not a JSON path"),
        ({"regex": "(", "do": "drop"}, "not a regular expression"),
        ({"do": "drop"}, "either path or regex"),
        ({"path": "$", "regex": "x", "do": "drop"}, "either path or regex"),
        ({"path": "$.a", "do": "constant"}, "needs the value"),
        ({"path": "$.a", "do": "round"}, "add digits"),
        ({"path": "$.a", "do": "explode"}, "drop"),
    ],
)
def test_a_rule_that_cannot_work_is_a_mistake_in_the_register(rule: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        Rule.model_validate(rule)


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ({"directory": "/etc"}, "absolute"),
        ({"directory": "../x"}, r"\.\."),
        ({"carry": ["/etc"]}, "absolute"),
        ({"manifest": ".."}, "not a file name"),
        ({"manifest": "a/b"}, "manifest"),
        ({"environment": ["RISKLOOP_GITHUB_TOKEN"]}, "never let through"),
        ({"environment": ["A B"]}, "environment"),
        ({"regenerate": []}, "regenerate"),
        ({"regenerate": "make fixtures"}, "regenerate"),
        ({"setup": ["make"]}, "setup"),
        ({"include": []}, "include"),
        ({"unknown": 1}, "unknown"),
    ],
)
def test_settings_that_cannot_work_are_mistakes_in_the_register(setting: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        Settings.model_validate({"directory": "fixtures", "regenerate": ["make"], **setting})
