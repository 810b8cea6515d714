"""Reads and writes the list of adopted fixtures in the format of `sha256sum`."""

import re
from collections.abc import Mapping
from pathlib import PurePosixPath

from riskloop.errors import Unmeasurable

LIMIT = 64 * 1024 * 1024
_LINE = re.compile(r"(?P<odd>\\?)(?P<digest>[0-9a-fA-F]{64}) (?P<mode>[ *])(?P<name>.+)", re.DOTALL)
_ESCAPES = {"\\": "\\\\", "\n": "\\n", "\r": "\\r"}
_PLAIN = {escape: letter for letter, escape in _ESCAPES.items()}


def parse(content: bytes, *, name: str) -> dict[str, str]:
    """Read a manifest: path to lower-case digest.

    The format is that of GNU coreutils, "sha2 utilities": a line that begins with a backslash has backslashes
    and line ends escaped in its name; a line that begins with `#` is a comment.

    Args:
        content: the file's bytes.
        name: what to call the file in a message.

    Raises:
        Unmeasurable: a line is malformed, or its path absolute, outside the folder or there twice; by number.
    """
    found: dict[str, str] = {}
    lines = content.decode("utf-8", "surrogateescape").split("\n")
    if lines[-1] == "":
        lines.pop()
    for number, line in enumerate(lines, start=1):
        if line.startswith("#"):
            continue
        wrong = ""
        match = _LINE.fullmatch(line)
        if match is None:
            wrong = "is not 64 hexadecimal digits, two spaces and a path, as sha256sum writes it"
        else:
            path = match["name"]
            if match["odd"]:
                path = re.sub(r"\\[\\nr]", lambda escape: _PLAIN[escape[0]], path)
            path = path.removeprefix("./")
            wrong = _objection(path, found) or _objection_to_end(line)
            found[path] = match["digest"].lower()
        if wrong:
            raise Unmeasurable(
                f"{name}, line {number}, {wrong}", remedy="correct the line, or adopt the fixtures anew"
            )
    return found


def _objection(path: str, known: Mapping[str, str]) -> str:
    shown = path.encode("unicode_escape", "backslashreplace").decode()[:100]
    if path.startswith("/"):
        return f"names the absolute path {shown}"
    if ".." in PurePosixPath(path).parts or "\0" in path:
        return f"names {shown}, which is outside its folder"
    return f"names {shown} a second time" if path in known else ""


def _objection_to_end(line: str) -> str:
    # A name that does end so is written with a backslash and an r.
    return "ends in a carriage return: the file was saved with Windows line ends" * line.endswith("\r")


def write(digests: Mapping[str, str]) -> bytes:
    """Write a manifest, sorted by path, that `sha256sum -c` accepts in the fixtures' folder."""
    lines = []
    for path, digest in sorted(digests.items()):
        escaped = re.sub(r"[\\\n\r]", lambda letter: _ESCAPES[letter[0]], path)
        lines.append(f"{'' if escaped == path else chr(92)}{digest}  {escaped}\n")
    return "".join(lines).encode("utf-8", "surrogateescape")
