"""YAML is read by the core schema of YAML 1.2 and nothing else, in bounded time."""

import math

import pytest

from riskloop.register.reading import read_document, resolve


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes", "yes"),
        ("no", "no"),
        ("on", "on"),
        ("true", True),
        ("False", False),
        ("~", None),
        ("", None),
        ("2026-03-31", "2026-03-31"),
        ("12:30:00", "12:30:00"),
        ("1_000", "1_000"),
        ("007", 7),
        ("0o17", 15),
        ("0x1F", 31),
        ("-3", -3),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("-.inf", -math.inf),
        ("1.2.3", "1.2.3"),
        ("<<", "<<"),
    ],
)
def test_a_plain_word_means_what_yaml_1_2_says(text: str, value: object) -> None:
    assert resolve(text) == value
    assert type(resolve(text)) is type(value)


def test_quotes_and_the_tags_of_the_core_schema_decide_the_type() -> None:
    document = read_document(b"a: '5'\nb: !!str 5\nc: !!int '5'\nd: ! true\ne: |\n  5\nf: !!seq [1]\n")
    assert document.data == {"a": "5", "b": "5", "c": 5, "d": "true", "e": "5\n", "f": [1]}
    assert not document.findings


def test_every_place_has_its_line() -> None:
    document = read_document(b"# a comment\na:\n  - b: 1\n\n  - [x,\n     y]\n")
    assert document.line(("a", 0, "b")) == 3
    assert document.line(("a", 1, 1)) == 6
    assert document.line(("a", 0, "missing")) == 3
    assert document.line(("nowhere",)) == 2


def test_a_byte_order_mark_and_windows_lines_are_read() -> None:
    document = read_document(b"\xef\xbb\xbfa: 1\r\nb: 2\r\n")
    assert document.data == {"a": 1, "b": 2}
    assert document.line(("b",)) == 2


def test_several_findings_are_noted_and_the_rest_is_read() -> None:
    document = read_document(b"a: &x 1\nb: *x\na: 3\nc: !local 4\nd: 5\n")
    assert [finding.line for finding in document.findings] == [1, 2, 3, 4]
    assert document.data == {"a": 1, "b": None, "c": None, "d": 5}


@pytest.mark.timeout(15)
@pytest.mark.parametrize(
    "hostile",
    [
        b"[" * 900_000,
        b"{a: " * 200_000,
        b"- " * 400_000,
        b"? " * 400_000,
        b"[\n" * 400_000,
        b"a: 1\na: " + b"[\n" * 400_000,
        b"a: &a [x]\n" + b"".join(b"b%d: &b%d [*a, *a]\n" % (i, i) for i in range(2_000)),
        b"'" + b"x " * 400_000,
        b'"' + b"\\x41" * 200_000 + b'"',
        b"|\n" + b" x\n" * 200_000,
        b"#" * 900_000,
        b"\n" * 900_000,
        b"a" * 900_000,
        b"!" * 900_000,
        b"%" * 900_000,
        b"a: " + b"9" * 900_000,
    ],
    ids=lambda hostile: hostile[:12].decode("ascii", "backslashreplace").replace("\n", "_"),
)
def test_a_hostile_megabyte_is_read_or_refused_in_seconds(hostile: bytes) -> None:
    read_document(hostile)
