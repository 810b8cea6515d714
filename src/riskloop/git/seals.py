"""Notices, without reading them, whether the files of a mirror are still those that git left there."""

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from riskloop.files import write_whole

_SEALED = (
    "HEAD",
    "config",
    "packed-refs",
    "info/attributes",
    "refs/riskloop/heads/*",
    "objects/info/commit-graph*",
    "objects/info/commit-graphs/*",
    "objects/pack/pack-*",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seal:
    """What a mirror held when it was last brought up to date.

    Args:
        heads: the commit of each followed branch, by the branch's name.
        files: bytes, and the moment of the last change in nanoseconds, of each file that matters.
    """

    heads: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    def is_unbroken(self, mirror: Path) -> bool:
        """Say whether each file is still as it was; there may be more of them by now."""
        with suppress(OSError):
            return all(_look(mirror / name) == seen for name, seen in self.files.items())
        return False


def seal(mirror: Path, at: Path, heads: Mapping[str, str]) -> None:
    """Write down what a mirror holds now.

    Args:
        mirror: the repository.
        at: the file to write to.
        heads: the commit of each followed branch.
    """
    files = {str(path.relative_to(mirror)): _look(path) for path in _files(mirror)}
    write_whole(at, json.dumps({"heads": dict(heads), "files": files}).encode())


def read_seal(at: Path) -> Seal:
    """Read what was written down; nothing if there is nothing, or nothing that makes sense."""
    try:
        said = json.loads(at.read_bytes())
        files = {str(name): (int(size), int(changed)) for name, (size, changed) in said["files"].items()}
        heads = {str(branch): str(commit) for branch, commit in said["heads"].items()}
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return Seal()
    return Seal(heads=heads, files=files)


def _files(mirror: Path) -> Iterator[Path]:
    return (path for pattern in _SEALED for path in mirror.glob(pattern) if path.is_file())


def _look(path: Path) -> tuple[int, int]:
    found = path.stat()
    # Git sets the time of a pack anew whenever it is about to write what is in it already.
    return found.st_size, 0 if path.suffix == ".pack" else found.st_mtime_ns
