"""Writes a bump into the project's changelog, where the changes of the next release stand."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_ATX = re.compile(r" {0,3}(?P<level>#{1,6})(?:[ \t]+(?P<text>.*?))??(?:[ \t]+#+)?[ \t]*")
_RULE = re.compile(r"(?P<letter>[=\-~^\"':.+*#_])(?P=letter){2,}[ \t]*")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_BULLET = re.compile(r"(?P<bullet>[-*+])[ \t]")
_RELEASE = re.compile(r"\d+\.\d+|\d{4}-\d{2}-\d{2}|^\W*v\d", re.IGNORECASE)
_UNRELEASED = re.compile(r"\bunreleased\b", re.IGNORECASE)
_CHANGED = re.compile(r"\W*changed\W*", re.IGNORECASE)
_SHORT = 12
_BOM = "\N{ZERO WIDTH NO-BREAK SPACE}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Heading:
    """A heading of Markdown or reStructuredText.

    Args:
        first: its first line, counted from 0.
        after: the first line that is not of it any more.
        level: 1 is the highest.
        letter: what it is underlined with; empty if `#` stands before it.
        overlined: there is a line above it too.
    """

    first: int
    after: int
    level: int
    text: str
    letter: str = ""
    overlined: bool = False

    def like(self, text: str) -> list[str]:
        """Write another heading in the way of this one."""
        if not self.letter:
            return [f"{'#' * self.level} {text}"]
        rule = self.letter * len(text)
        return [*([rule] if self.overlined else []), text, rule]


def add_entry(content: bytes, *, name: str, path: str, old: str, new: str, commits: int) -> bytes:
    """Add the entry of a bump to a changelog: once, and instead of an unreleased one of the same code.

    It stands under the first heading that says Unreleased, under `Changed` in there if that is a heading; a
    new heading stands above the first release, or after the title. An unreleased bump that this one follows
    is continued: one entry then brings both.

    Args:
        content: the changelog; Markdown or reStructuredText, in UTF-8.
        name: the changelog's file name, which tells the two apart where nothing in it does.
        path: the vendored code.
        old: the commit it was at.
        new: the commit it is at now.
        commits: how many lie between.

    Returns:
        The changelog with the entry; line ends and the end of its last line are as they were.

    Raises:
        UnicodeDecodeError: it is not UTF-8.
    """
    text = content.decode("utf-8")
    ends = "\r\n" if "\r\n" in text else "\n"
    front = _BOM if text.startswith(_BOM) else ""
    whole = text.removeprefix(_BOM).replace("\r\n", "\n")
    lines = whole.split("\n")
    finished = whole.endswith("\n") or not whole
    if finished:
        lines.pop()
    entry = _Entry(path=path, old=old[:_SHORT], new=new[:_SHORT], commits=commits)
    underlined = name.lower().endswith((".rst", ".rest"))
    written = _replaced(lines, entry) or _added(lines, entry.text, underlined=underlined)
    joined = "\n".join(written) + ("\n" if finished else "")
    return (front + joined.replace("\n", ends)).encode("utf-8")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    path: str
    old: str
    new: str
    commits: int

    @property
    def text(self) -> str:
        plural = "" if self.commits == 1 else "s"
        return f"Bump {self.path} from {self.old} to {self.new} ({self.commits} upstream commit{plural})."


def _replaced(lines: list[str], entry: _Entry) -> list[str]:
    """Put the entry where an unreleased one of the same code is; give nothing if there is none."""
    section = _unreleased(_headings(lines), len(lines))
    known = re.compile(
        rf"(?P<bullet>[-*+]) Bump {re.escape(entry.path)} from (?P<old>[0-9a-f]{{12}}) "
        r"to (?P<new>[0-9a-f]{12}) \((?P<commits>\d+) upstream commits?\)\.[ \t]*"
    )
    for at in section or ():
        if not (found := known.fullmatch(lines[at])):
            continue
        if found["new"] == entry.old:
            total = int(found["commits"]) + entry.commits
            entry = _Entry(path=entry.path, old=found["old"], new=entry.new, commits=total)
        return [*lines[:at], f"{found['bullet']} {entry.text}", *lines[at + 1 :]]
    return []


def _unreleased(headings: Sequence[_Heading], end: int) -> range | None:
    """Give the lines under the first heading that says Unreleased."""
    for at, heading in enumerate(headings):
        if _UNRELEASED.search(heading.text):
            following = (one.first for one in headings[at + 1 :] if one.level <= heading.level)
            return range(heading.after, next(following, end))
    return None


def _added(lines: list[str], entry: str, *, underlined: bool) -> list[str]:
    headings = _headings(lines)
    section = _unreleased(headings, len(lines))
    if section is not None:
        inside = [heading for heading in headings if heading.first in section]
        changed = next((one for one in inside if _CHANGED.fullmatch(one.text)), None)
        start = changed.after if changed is not None else section.start
        end = next((one.first for one in inside if one.first >= start), section.stop)
        return _with_item(lines, start, end, entry)
    release = next((heading for heading in headings if _RELEASE.search(heading.text)), None)
    if release is not None:
        return [
            *lines[: release.first],
            *release.like("Unreleased"),
            "",
            f"- {entry}",
            "",
            *lines[release.first :],
        ]
    title = next((one for one in headings if not any(line.strip() for line in lines[: one.first])), None)
    after = title.after if title is not None else 0
    letter = (title.letter if title is not None else "=" * underlined) and _other(title)
    heading = _Heading(first=0, after=0, level=2, text="", letter=letter).like("Unreleased")
    rest = lines[after:]
    while rest and not rest[0].strip():
        rest.pop(0)
    return [
        *lines[:after],
        *([""] if after else []),
        *heading,
        "",
        f"- {entry}",
        *(["", *rest] if rest else []),
    ]


def _other(title: _Heading | None) -> str:
    """Give the letter that a heading below the title is underlined with."""
    return "=" if title is not None and title.letter == "-" else "-"


def _with_item(lines: list[str], start: int, end: int, entry: str) -> list[str]:
    """Add an item at the end of what stands between two lines."""
    body = lines[start:end]
    while body and not body[-1].strip():
        body.pop()
    bullets = [found["bullet"] for line in body if (found := _BULLET.match(line))]
    item = f"{bullets[0] if bullets else '-'} {entry}"
    after = lines[end:]
    if bullets:
        return [*lines[:start], *body, item, *([""] if after else []), *after]
    return [*lines[:start], *body, "", item, *([""] if after else []), *after]


def _headings(lines: Sequence[str]) -> list[_Heading]:
    found: list[_Heading] = []
    styles: list[tuple[str, bool]] = []
    for at in _outside_fences(lines):
        line = lines[at]
        atx = _ATX.fullmatch(line)
        if atx:
            found.append(_Heading(first=at, after=at + 1, level=len(atx["level"]), text=atx["text"] or ""))
            continue
        rule = _RULE.fullmatch(lines[at + 1]) if at + 1 < len(lines) else None
        if rule is None or not _may_be_a_title(line, lines[at + 1].rstrip()):
            continue
        above = _RULE.fullmatch(lines[at - 1]) if at else None
        overlined = above is not None and above["letter"] == rule["letter"]
        style = (rule["letter"], overlined)
        if style not in styles:
            styles.append(style)
        found.append(
            _Heading(
                first=at - overlined,
                after=at + 2,
                level=styles.index(style) + 1,
                text=line.strip(),
                letter=rule["letter"],
                overlined=overlined,
            )
        )
    return found


def _may_be_a_title(line: str, rule: str) -> bool:
    if not line.strip() or _RULE.fullmatch(line) or _BULLET.match(line) or line[0] in " \t|>":
        return False
    # Markdown knows only these two, of any length; reStructuredText any, as long as the title.
    return rule[0] in "=-" or len(rule) >= len(line.rstrip())


def _outside_fences(lines: Sequence[str]) -> Iterator[int]:
    """Count the lines that are not of a fenced piece of code."""
    fence = ""
    for at, line in enumerate(lines):
        mark = _FENCE.match(line)
        if fence:
            if mark and mark[1].startswith(fence) and not line[mark.end() :].strip():
                fence = ""
        elif mark and (mark[1][0] == "`" or not at or not lines[at - 1].strip()):
            fence = mark[1]
        else:
            yield at
