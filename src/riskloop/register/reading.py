"""Reads the register's text: YAML without its dangerous or surprising parts, each value with its line."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)
from ruamel.yaml.reader import ReaderError

from riskloop.register.mistakes import Finding, Place
from riskloop.register.values import shown

MAX_BYTES = 1_000_000
MAX_DEPTH = 20
_MAX_DIGITS = 300

_NO_CHARACTER = re.compile("[\x00\ud800-\udfff]")

# The core schema of YAML 1.2.2, section 10.3.2: no dates, no `yes` and `no`, no numbers with underscores.
_NULL = re.compile(r"null|Null|NULL|~|")
_TRUE = re.compile(r"true|True|TRUE")
_FALSE = re.compile(r"false|False|FALSE")
_DECIMAL = re.compile(r"[-+]?[0-9]+")
_OCTAL = re.compile(r"0o[0-7]+")
_HEXADECIMAL = re.compile(r"0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_SPECIAL_FLOAT = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")

_CORE_TAGS: Mapping[str, tuple[type, ...]] = {
    "tag:yaml.org,2002:str": (str,),
    "tag:yaml.org,2002:int": (int,),
    "tag:yaml.org,2002:float": (float, int),
    "tag:yaml.org,2002:bool": (bool,),
    "tag:yaml.org,2002:null": (type(None),),
    "tag:yaml.org,2002:seq": (list,),
    "tag:yaml.org,2002:map": (dict,),
    "!": (str, list, dict),
}

# What the scanner says, and what a person needs to hear.
_SYNTAX = (
    ("'\\t' that cannot start", "a tab begins this text; YAML is indented with spaces"),
    ("'@' that cannot start", "text that begins with @ needs quotes around it"),
    ("'`' that cannot start", "text that begins with ` needs quotes around it"),
    ("'%' that cannot start", "text that begins with % needs quotes around it"),
    (
        "mapping values are not allowed",
        "no ': ' is expected here; put the text in quotes, or mend the line above",
    ),
    ("found unexpected end of stream", "a quotation mark is opened here and never closed; close it"),
    ("found unexpected document separator", "a quotation mark is opened here and never closed; close it"),
    ("could not find expected ':'", "this line is neither 'key: value' nor a list entry '- value'"),
    ("expected <block end>", "the indentation fits none of the lines above; align it with its neighbours"),
    ("expected ',' or", "a [ or { is opened here and not closed, or a comma is missing; close it"),
    ("expected the node content", "a value is missing here, or a [ or { is not closed"),
    ("unknown escape character", "a backslash in double quotes begins an escape; use single quotes"),
    ("expected escape sequence", "a backslash in double quotes begins an escape; use single quotes"),
)
_SAID_WHERE_IT_OPENS = ("found unexpected", "expected ',' or")


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A register as plain data, the line of each place in it, and what was wrong with its YAML."""

    data: Any
    lines: Mapping[Place, int]
    findings: tuple[Finding, ...]

    def line(self, place: Place) -> int:
        """Give the line of a place, or of the nearest thing around it that exists."""
        while place and place not in self.lines:
            place = place[:-1]
        return self.lines.get(place, 1)


def read_document(content: bytes) -> Document:
    """Read one YAML 1.2 document in UTF-8: no anchors, aliases, merge keys or tags, no key twice.

    At most 1 MB and 20 levels deep. What cannot be read at all stands among the findings, with data None.
    """
    try:
        if len(content) > MAX_BYTES:
            _give_up(
                1, "the file is larger than 1 MB; a register is a few kilobytes, move the rest elsewhere"
            )
        return _Builder(_decoded(content)).document()
    except _Unreadable as stop:
        return Document(data=None, lines={}, findings=(*stop.before, stop.finding))


class _Unreadable(Exception):
    """Nothing after this point of the file can be understood."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.says)
        self.finding = finding
        self.before: tuple[Finding, ...] = ()


def _give_up(line: int, says: str) -> NoReturn:
    raise _Unreadable(Finding(place=(), says=says, line=line))


def _decoded(content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        _give_up(line, "this line is not UTF-8; save the file in UTF-8")


@dataclass(slots=True)
class _Builder:
    text: str
    lines: dict[Place, int] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    line: int = 1

    def document(self) -> Document:
        data: Any = None
        documents = 0
        try:
            events = self._events()
            for event in events:
                if isinstance(event, DocumentStartEvent):
                    documents += 1
                    self._check_start(event, documents)
                elif isinstance(event, NodeEvent):
                    data = self._node(event, events, ())
        except _Unreadable as stop:
            stop.before = tuple(self.findings)
            raise
        return Document(data=data, lines=self.lines, findings=tuple(self.findings))

    def _events(self) -> Iterator[Event]:
        # The parser is used as far as events only: nothing is constructed, no tag is ever looked up.
        depth = 0
        try:
            for event in YAML(typ="safe", pure=True).parse(self.text):
                self.line = event.start_mark.line + 1
                depth += _deeper(event)
                if depth > MAX_DEPTH:
                    _give_up(self.line, f"lists and mappings go deeper than {MAX_DEPTH} levels; flatten them")
                yield event
        except MarkedYAMLError as error:
            problem = str(error.problem or error.context or "")
            at_opening = problem.startswith(_SAID_WHERE_IT_OPENS) and error.context_mark is not None
            mark = error.context_mark if at_opening else error.problem_mark
            says = next((says for part, says in _SYNTAX if part in problem), None)
            cleaned = problem.replace("\x00", "end of file").partition("\n")[0]
            _give_up(mark.line + 1 if mark else self.line, says or f"this is not YAML: {cleaned}")
        except ReaderError as error:
            line = self.text.count("\n", 0, error.position) + 1
            _give_up(line, "a control character stands in this line; remove it")
        except (YAMLError, ValueError, OverflowError):
            # ruamel lets chr() and int() fail unmarked on impossible escapes and version numbers.
            _give_up(
                self.line, "near this line stands an escape or a directive YAML does not know; remove it"
            )

    def _check_start(self, event: DocumentStartEvent, documents: int) -> None:
        if documents > 1:
            _give_up(self.line, "a second document begins here with ---; a register is one document")
        if event.version or event.tags:
            self._note((), "a %YAML or %TAG directive stands before the document; remove it")

    def _note(self, place: Place, says: str) -> None:
        self.findings.append(Finding(place=place, says=says, line=self.line))

    def _node(self, event: NodeEvent, events: Iterator[Event], place: Place) -> Any:
        self.lines[place] = self.lines.get(place, self.line)
        if isinstance(event, AliasEvent):
            self._note(place, f"the alias *{event.anchor} stands here; write the value out instead")
            return None
        start = self.line
        self._check_anchor(event, place)
        match event:
            case ScalarEvent():
                value = self._scalar(event, place)
            case SequenceStartEvent():
                value = list(self._items(events, place))
            case _:
                value = self._mapping(events, place)
        return self._tagged(event, value, place, start)

    def _items(self, events: Iterator[Event], place: Place) -> Iterator[Any]:
        for number, event in enumerate(events):
            if not isinstance(event, NodeEvent):
                return
            yield self._node(event, events, (*place, number))

    def _mapping(self, events: Iterator[Event], place: Place) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for event in events:
            if not isinstance(event, NodeEvent):
                break
            line = self.line
            key = self._key(event, events, place)
            value = next(events)
            inner = (*place, key or "")
            if key is not None and key not in found and isinstance(value, NodeEvent):
                self.lines[inner] = line
                found[key] = self._node(value, events, inner)
                continue
            if key is not None:
                says = f"the key {shown(key)} stands here twice (first in line {self.lines[inner]}); keep one"
                self.findings.append(Finding(place=inner, says=says, line=line))
            _skip(value, events)
        return found

    def _key(self, event: NodeEvent, events: Iterator[Event], place: Place) -> str | None:
        """Read a key; None, with the reason noted, if it cannot be one."""
        if not isinstance(event, ScalarEvent):
            self._note(place, "a key must be plain text, not a list, a mapping or an alias")
            _skip(event, events)
            return None
        self._check_anchor(event, place)
        if event.value == "<<" and event.implicit[0]:
            self._note(place, "the merge key << stands here; write the values out instead")
            return None
        before = len(self.findings)
        key = self._tagged(event, self._scalar(event, place), place, self.line)
        if isinstance(key, str):
            return key
        if len(self.findings) == before:
            self._note(place, f"the key {shown(key)} is not text; put it in quotes")
        return None

    def _scalar(self, event: ScalarEvent, place: Place) -> Any:
        text: str = event.value
        tag = str(event.ctag) if event.ctag else ""
        if _NO_CHARACTER.search(text):
            self._note(place, "an escape here stands for no character; write the character itself")
            return None
        if tag in {"!", "tag:yaml.org,2002:str"} or not (tag or event.implicit[0]):
            return text
        try:
            return resolve(text)
        except ValueError:
            self._note(place, f"the number {shown(text)} is too long; write a shorter one")
            return None

    def _check_anchor(self, event: NodeEvent, place: Place) -> None:
        if event.anchor is not None:
            self._note(place, f"the anchor &{event.anchor} stands here; remove it")

    def _tagged(self, event: Any, value: Any, place: Place, line: int) -> Any:
        tag = str(event.ctag) if event.ctag else ""
        if not tag or isinstance(value, _CORE_TAGS.get(tag, ())):
            return value
        says = f"the tag {shown(tag.replace('tag:yaml.org,2002:', '!!'))} does not belong here; remove it"
        self.findings.append(Finding(place=place, says=says, line=line))
        return None


def _skip(event: Event, events: Iterator[Event]) -> None:
    """Read past a value that is not kept."""
    depth = _deeper(event)
    while depth:
        depth += _deeper(next(events))


def _deeper(event: Event) -> int:
    match event:
        case SequenceStartEvent() | MappingStartEvent():
            return 1
        case SequenceEndEvent() | MappingEndEvent():
            return -1
        case _:
            return 0


def resolve(text: str) -> str | int | float | bool | None:
    """Resolve a plain scalar by the core schema of YAML 1.2.2 (section 10.3.2).

    Raises:
        ValueError: a number of more than 300 digits.
    """
    if _NULL.fullmatch(text):
        return None
    if _TRUE.fullmatch(text) or _FALSE.fullmatch(text):
        return bool(_TRUE.fullmatch(text))
    number = next((p for p in (_DECIMAL, _OCTAL, _HEXADECIMAL, _FLOAT) if p.fullmatch(text)), None)
    if number is not None and len(text) > _MAX_DIGITS:
        raise ValueError(text)
    if number is _DECIMAL:
        return int(text)
    if number in {_OCTAL, _HEXADECIMAL}:
        return int(text, 0)
    if number is _FLOAT:
        return float(text)
    if _SPECIAL_FLOAT.fullmatch(text):
        return float(text.replace(".", ""))
    return text
