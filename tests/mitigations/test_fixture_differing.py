"""Differences are shown by record and JSON path where they can be, and never take for ever."""

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riskloop.mitigations.fixture_drift.differing import changes, differ, pair, show_path
from riskloop.mitigations.fixture_drift.normalizing import normalise

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
    max_leaves=12,
)


def lines(*records: object) -> bytes:
    return "".join(f"{json.dumps(record)}\n" for record in records).encode()


def difference(before: bytes, after: bytes, *, name: str = "a.jsonl") -> list[str]:
    return list(differ(normalise(name, before, []), normalise(name, after, [])).hunks)


def test_a_changed_record_is_found_by_what_identifies_it_though_it_moved() -> None:
    before = lines({"id": "x", "v": 1}, {"id": "y", "v": 2})
    after = lines({"id": "y", "v": 3}, {"id": "x", "v": 1})
    assert difference(before, after) == ["@@ record 2 (now 1), 1 changed @@\n-$.v: 2\n+$.v: 3"]


def test_records_without_identity_are_aligned_and_like_is_held_against_like() -> None:
    before = lines({"type": "start"}, {"type": "item", "n": 1}, {"type": "end", "t": 1})
    after = lines({"type": "start"}, {"type": "new"}, {"type": "item", "n": 2}, {"type": "end", "t": 1})
    assert difference(before, after) == [
        '@@ record 2 added @@\n+{"type": "new"}',
        "@@ record 2 (now 3), 1 changed @@\n-$.n: 1\n+$.n: 2",
    ]


def test_a_change_deep_in_a_document_is_named_by_its_path() -> None:
    before = {"a": [{"b c": {"d": 1}}], "gone": True, "same": [1, 2]}
    after = {"a": [{"b c": {"d": 2}}], "new": None, "same": [2, 1]}
    found = differ(
        normalise("a.json", json.dumps(before).encode(), []),
        normalise("a.json", json.dumps(after).encode(), []),
    )
    assert found.paths == ("$.a[*]['b c'].d", "$.gone", "$.same", "$.new")
    assert found.hunks[0].split("\n") == [
        "@@ value, 4 changed @@",
        "-$.a[0]['b c'].d: 1",
        "+$.a[0]['b c'].d: 2",
        "-$.gone: true",
        " $.same: the same elements in another order",
        "+$.new: null",
    ]


def test_json_that_differs_in_white_space_only_is_shown_by_line() -> None:
    assert difference(b'{"a":1}\n', b'{"a": 1}\n', name="a.json") == ['@@ -1 +1 @@\n-{"a":1}\n+{"a": 1}']


def test_text_is_shown_as_a_unified_diff_and_line_ends_are_visible() -> None:
    assert difference(b"a\nb\n", b"a\r\nb\n", name="a.txt") == ["@@ -1,2 +1,2 @@\n-a\n+a\\x0d\n b"]


def test_a_text_that_was_not_there_begins_at_its_first_line_and_a_missing_line_end_is_told() -> None:
    found = differ(normalise("a.txt", b"", ()), normalise("a.txt", b"one\ntwo\n", ()))
    assert found.hunks == ("@@ -0,0 +1,2 @@\n+one\n+two",)
    found = differ(normalise("a.txt", b"one\n", ()), normalise("a.txt", b"one", ()))
    assert found.hunks == ("@@ -1 +1,2 @@\n one\n+\\ no line end at the end of the file",)


def test_records_of_a_file_that_was_not_there_are_added_and_of_one_that_is_gone_removed() -> None:
    there, gone = normalise("a.jsonl", b'{"id": 1}\n{"id": 2}\n', ()), normalise("a.jsonl", b"", ())
    assert differ(gone, there).summary == "records: 0 matched, 0 of them changed, 2 added, 0 removed"
    assert differ(gone, there).hunks[0] == '@@ record 1 added @@\n+{"id": 1}'
    assert differ(there, gone).summary == "records: 0 matched, 0 of them changed, 0 added, 2 removed"


def test_binary_files_are_told_by_their_sizes() -> None:
    found = differ(normalise("a", b"\0", []), normalise("a", b"\0\0", []))
    assert (found.summary, found.hunks) == ("binary, 1 bytes became 2", ())


@pytest.mark.parametrize("name", ["a.txt", "a.jsonl"])
def test_large_files_without_a_line_in_common_do_not_take_for_ever(name: str) -> None:
    before = lines(*({"n": n} for n in range(30_000)))
    after = lines(*({"m": n} for n in range(30_000)))
    started = time.monotonic()
    assert difference(before, after, name=name)
    assert time.monotonic() - started < 10


def test_a_path_is_written_as_rfc_9535_does() -> None:
    assert show_path(("a", 0, "b-c", "it's", 'say "x"')) == "$.a[0]['b-c']['it\\'s']['say \"x\"']"


@given(VALUES, VALUES)
def test_equal_values_have_no_changes_and_different_ones_have_some(before: object, after: object) -> None:
    assert list(changes(before, before)) == []
    same = json.dumps(before, sort_keys=True) == json.dumps(after, sort_keys=True)
    assert (list(changes(before, after)) == []) is same


@given(st.lists(VALUES, max_size=8), st.lists(VALUES, max_size=8))
def test_pairing_uses_every_record_once(before: list[object], after: list[object]) -> None:
    pairs = pair(before, after)
    assert sorted(old for old, _ in pairs if old is not None) == list(range(len(before)))
    assert sorted(new for _, new in pairs if new is not None) == list(range(len(after)))
