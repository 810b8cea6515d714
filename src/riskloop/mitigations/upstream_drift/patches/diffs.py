"""Reads a patch: which files it touches, and which lines it takes away and adds."""

import email
import email.policy
import re
from collections.abc import Iterator
from dataclasses import dataclass

NOWHERE = "/dev/null"
_HUNK = re.compile(rb"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")
_GIT = b"diff --git "
_MAIL = re.compile(rb"From [^\n]*\n|[A-Za-z-]+:[ \t]")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
_ESCAPE = re.compile(r"\\([0-7]{3}|.)")
_ESCAPES = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_ENCODED = re.compile(
    rb"(?im)^content-transfer-encoding:\s*(?:quoted-printable|base64)|^content-type:\s*multipart/"
)
_CHANGING = (
    *(b"old mode ", b"new mode ", b"deleted file mode ", b"new file mode "),
    *(b"rename ", b"copy ", b"GIT binary patch", b"Binary files "),
)
_HEADER = (*_CHANGING, b"similarity index ", b"dissimilarity index ", b"index ", b"--- ", b"+++ ")


class Unreadable(ValueError):
    """A file is no patch; with the reason, as a phrase."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """One hunk: what stands from a line on, and what is to stand there.

    Args:
        line: where it begins in the old file, from 1.
        old: the lines before, without their signs.
        new: the lines after.
        lines: how many are added or removed.
    """

    line: int
    old: tuple[bytes, ...]
    new: tuple[bytes, ...]
    lines: int


@dataclass(slots=True, kw_only=True)
class Change:
    """What a patch does to one file.

    Args:
        old: its name before, as written, with the prefix; NOWHERE if it is new.
        new: its name after; NOWHERE if it is removed.
        prefixed: whether the first folder of a name is only a prefix, such as `a/` and `b/`.
        pieces: the hunks.
        alters: whether anything changes at all.
    """

    old: str
    new: str
    prefixed: bool
    pieces: tuple[Piece, ...] = ()
    alters: bool = False

    def names(self, level: int) -> tuple[str, ...]:
        """Give its names with so many folders taken off the front."""
        names = (name for name in (self.old, self.new) if name != NOWHERE)
        return tuple(dict.fromkeys("/".join(name.split("/")[level:]) for name in names))


@dataclass(frozen=True, slots=True, kw_only=True)
class Diff:
    """A patch that was read: the bytes git is given, and what they say."""

    content: bytes
    changes: tuple[Change, ...]

    @property
    def lines(self) -> int:
        return sum(piece.lines for change in self.changes for piece in change.pieces)


def is_mail(content: bytes) -> bool:
    """Say whether a patch begins as mails do, which is what `git am` takes."""
    return _MAIL.match(content) is not None


def decode_mail(content: bytes) -> bytes:
    """Give a mail with a patch as plain text, where it is quoted-printable, base64 or attached.

    Its other headers stay as they are; everything that is no such mail is given back unchanged.
    """
    header, mark, _ = content.replace(b"\r\n", b"\n").partition(b"\n\n")
    if not (mark and is_mail(content) and _ENCODED.search(header)):
        return content
    start = content.index(b"\n") + 1 if content.startswith(b"From ") else 0
    mail = email.message_from_bytes(content[start:], policy=email.policy.compat32)
    parts = (part.get_payload(decode=True) for part in mail.walk() if not part.is_multipart())
    kept = re.sub(rb"(?im)^(?:content-|mime-version:)[^\n]*\n(?:[ \t][^\n]*\n)*", b"", header + b"\n")
    return kept + b"\n" + b"\n".join(part for part in parts if isinstance(part, bytes))


def read_diff(content: bytes) -> Diff:
    """Read a patch as git reads it: text around the changes is skipped, what is broken is not.

    Raises:
        Unreadable: it is damaged, or holds no change though it is not empty and no mail.
    """
    lines = content.split(b"\n")
    changes = tuple(_changes(lines))
    if not changes and content.strip() and not is_mail(content):
        raise Unreadable("it holds no diff")
    return Diff(content=content, changes=changes)


def _changes(lines: list[bytes]) -> Iterator[Change]:
    at = 0
    while at < len(lines):
        line = lines[at]
        if line.startswith(_GIT):
            change, at = _read_git(lines, at)
        elif _is_plain(lines, at):
            old, new = _name(lines[at][4:]), _name(lines[at + 1][4:])
            change, at = Change(old=old, new=new, prefixed=_has_prefix(old, new)), at + 2
        elif _HUNK.match(line):
            raise Unreadable(f"line {at + 1} is a hunk that belongs to no file")
        else:
            at += 1
            continue
        pieces = []
        while at < len(lines) and (found := _HUNK.match(lines[at])):
            piece, at = _read_piece(lines, at, found)
            pieces.append(piece)
        change.pieces = tuple(pieces)
        change.alters = change.alters or bool(pieces)
        yield change


def _is_plain(lines: list[bytes], at: int) -> bool:
    """Say whether a change begins here that has no header of git's."""
    return (
        at + 2 < len(lines)
        and lines[at].startswith(b"--- ")
        and lines[at + 1].startswith(b"+++ ")
        and _HUNK.match(lines[at + 2]) is not None
    )


def _read_git(lines: list[bytes], at: int) -> tuple[Change, int]:
    """Read git's header of a change; give the change and the line after it."""
    first, last = _git_names(lines[at][len(_GIT) :])
    header = list[bytes]()
    for line in lines[at + 1 :]:
        if not line.startswith(_HEADER):
            break
        header.append(line)

    def said(*words: bytes) -> str | None:
        found = (line[len(word) :] for line in header for word in words if line.startswith(word))
        return next(map(_name, found), None)

    old, new = said(b"rename from ", b"copy from "), said(b"rename to ", b"copy to ")
    if old and new:
        prefixed = first != old
        # These names come without a prefix; everything else here counts on there being one.
        old, new = (f"a/{old}", f"b/{new}") if prefixed else (old, new)
    else:
        prefixed = _has_prefix(first, last)
        old = said(b"--- ") or (NOWHERE if said(b"new file mode ") else first)
        new = said(b"+++ ") or (NOWHERE if said(b"deleted file mode ") else last)
    alters = any(line.startswith(_CHANGING) for line in header)
    if NOWHERE == old == new or not (old and new):
        raise Unreadable(f"line {at + 1} names no file")
    return Change(old=old, new=new, prefixed=prefixed, alters=alters), at + 1 + len(header)


def _git_names(rest: bytes) -> tuple[str, str]:
    """Read the two names of git's first line; they are told apart by being the same, but for the prefix."""
    text = rest.decode("utf-8", "surrogateescape").rstrip("\r")
    if text.startswith('"') or text.endswith('"'):
        quoted = _QUOTED.match(text)
        first = _unquoted(quoted[1]) if quoted else text.split(" ", 1)[0]
        tail = text[quoted.end() :].strip(" ") if quoted else text.partition(" ")[2]
        other = _QUOTED.fullmatch(tail)
        return first, _unquoted(other[1]) if other else tail
    for cut in (found.start() for found in re.finditer(" ", text)):
        first, last = text[:cut], text[cut + 1 :]
        if first == last or first.partition("/")[2] == last.partition("/")[2] != "":
            return first, last
    first, _, last = text.partition(" ")
    return first, last


def _name(written: bytes) -> str:
    """Read a name as it stands after `---` or `+++`: perhaps quoted, perhaps followed by a date."""
    text = written.decode("utf-8", "surrogateescape").rstrip("\r")
    quoted = _QUOTED.match(text)
    return _unquoted(quoted[1]) if quoted else text.partition("\t")[0]


def _unquoted(text: str) -> str:
    def plain(found: re.Match[str]) -> str:
        what = found[1]
        if what.isdigit():
            return chr(int(what, 8) & 0xFF)
        return _ESCAPES.get(what, what)

    # Octal digits stand for bytes, of which several may make a letter.
    octets = _ESCAPE.sub(plain, text.encode("utf-8", "surrogateescape").decode("latin-1"))
    return octets.encode("latin-1").decode("utf-8", "surrogateescape")


def _has_prefix(old: str, new: str) -> bool:
    if NOWHERE in (old, new):
        return (new if old == NOWHERE else old).startswith(("a/", "b/", "i/", "w/", "c/", "o/"))
    return old != new and old.partition("/")[2] == new.partition("/")[2] != ""


def _read_piece(lines: list[bytes], at: int, found: re.Match[bytes]) -> tuple[Piece, int]:
    """Read one hunk by the counts in its first line; give it and the line after it."""
    before, after = (int(found[group] or b"1") for group in (2, 4))
    old, new, count = list[bytes](), list[bytes](), 0
    at += 1
    while len(old) < before or len(new) < after:
        line = lines[at] if at < len(lines) else b"?"
        sign, text = line[:1], line[1:]
        if sign not in (b"", b" ", b"-", b"+", b"\\", b"\r") or (sign == b"" and at == len(lines) - 1):
            raise Unreadable(f"it is damaged at line {at + 1}")
        if sign in (b"", b" ", b"-", b"\r"):
            old.append(text)
        if sign in (b"", b" ", b"+", b"\r"):
            new.append(text)
        count += sign in (b"-", b"+")
        at += 1
    if len(old) != before or len(new) != after:
        raise Unreadable(f"it is damaged at line {at}")
    if at < len(lines) and lines[at].startswith(b"\\"):
        at += 1
    return Piece(line=int(found[1]), old=tuple(old), new=tuple(new), lines=count), at


def leaves_the_tree(name: str) -> bool:
    """Say whether a path is none inside a tree, or is one of git's own files, as git itself judges it."""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    return not parts or name.startswith("/") or ".." in parts or any(map(_is_gits, parts))


def _is_gits(part: str) -> bool:
    # As path.c does: HFS+ ignores some invisible letters, NTFS what follows, and has short names.
    seen = part.translate(_IGNORED).lower()
    return seen.partition(":")[0].partition("\\")[0].rstrip(". ") in (".git", "git~1")


_IGNORED = dict.fromkeys((*range(0x200C, 0x2010), *range(0x202A, 0x202F), *range(0x206A, 0x2070), 0xFEFF))
