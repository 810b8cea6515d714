"""Loads 500 damaged registers while Python itself reports every file that is opened or changed.

Run as a process of its own, because an audit hook cannot be taken away again:
`python -m tests.register.watched_loading <project directory> <how many>`. Prints what happened as JSON.
"""

import json
import os
import random
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import ruamel.yaml

from riskloop.errors import RegisterError
from riskloop.register import load
from tests.register.conftest import GOOD, OTHER, TOY

_WATCHED = ("open", "os.", "shutil.", "subprocess.", "socket.", "tempfile.", "ctypes.")
_PARSER = str(Path(ruamel.yaml.__file__).parent)
_HOSTILE = (
    *(b"../../../../etc/passwd", b"/etc/passwd", b"~/x", b"*a", b"&a ", b"<<: ", b"!!python/name:os.system "),
    *(b"\x00", b"\xff\xfe", b"\xed\xa0\x80", b"\xe2\x80\xa8", b'"\\ud800"', b'"\\UFFFFFFFF"', b"\\"),
    *(b"---\n", b"...\n", b"%YAML 9.9\n", b"[", b"]", b"{", b"}", b": ", b"- ", b"? ", b"|\n", b">\n", b"#"),
    *(b"'", b'"', b"\t", b"\r", b".inf", b".nan", b"null", b"true", b"-1", b"1e999", b"9" * 400, b"0x"),
    *(b"2026-02-30", b"[" * 22, b"{}", b"[]"),
)


def damaged(original: bytes, chance: random.Random) -> bytes:
    """Damage a register in one to four places: bytes, lines, values, indentation."""
    content = bytearray(original)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(content) + 1)
        lines = bytes(content).split(b"\n")
        line = chance.randrange(len(lines))
        match chance.randrange(8):
            case 0:
                content[at:at] = chance.choice(_HOSTILE)
            case 1:
                del content[at : at + chance.randint(1, 40)]
            case 2:
                content[at : at + 1] = bytes([chance.randrange(256)])
            case 3:
                lines[line:line] = [lines[chance.randrange(len(lines))]]
                content = bytearray(b"\n".join(lines))
            case 4:
                del lines[line]
                content = bytearray(b"\n".join(lines))
            case 5:
                lines[line] = b" " * chance.randint(0, 9) + lines[line].lstrip()
                content = bytearray(b"\n".join(lines))
            case 6:
                key, colon, _value = lines[line].partition(b":")
                lines[line] = key + colon + b" " + chance.choice(_HOSTILE)
                content = bytearray(b"\n".join(lines))
            case _:
                words = bytes(content).split(b" ")
                first, second = chance.randrange(len(words)), chance.randrange(len(words))
                words[first], words[second] = words[second], words[first]
                content = bytearray(b" ".join(words))
    return bytes(content)


def main(project: Path, count: int) -> dict[str, Any]:
    path = project / "riskloop.yaml"
    kinds = {TOY.name: TOY, OTHER.name: OTHER}
    ended: Counter[str] = Counter()
    touched: list[str] = []
    watching = False

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        if watching and event.startswith(_WATCHED):
            reads_register = (
                event == "open" and str(arguments[0]) == str(path) and not arguments[2] & os.O_ACCMODE
            )
            wraps_descriptor = event == "open" and isinstance(arguments[0], int)
            # ruamel looks for plug-ins of its own in its own package, each time.
            lists_parser = event == "os.scandir" and str(arguments[0]).startswith(_PARSER)
            if not (reads_register or wraps_descriptor or lists_parser):
                touched.append(f"{event} {arguments!r}"[:200])

    path.write_text(GOOD)
    load(path, kinds)  # whatever is imported on first use, is imported now
    "\x07".encode("unicode_escape")
    sys.addaudithook(watch)
    for seed in range(count):
        path.write_bytes(damaged(GOOD.encode(), random.Random(seed)))
        watching = True
        try:
            load(path, kinds)
            ended["loaded"] += 1
        except RegisterError as error:
            lines = path.read_bytes().count(b"\n") + 2
            whole = all(0 < m.line <= lines and m.says for m in error.mistakes) and bool(str(error))
            ended["refused" if whole else "refused without a place"] += 1
        finally:
            watching = False
    return {"ended": ended, "touched": touched}


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), int(sys.argv[2]))))  # noqa: T201 - its parent reads it
