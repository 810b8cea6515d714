"""Looks around in a project for what a first register can speak of: remotes, fixtures, databases."""

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from riskloop.register.words import REPOSITORY

RUN_BY = {".py": "python3", ".sh": "sh", ".js": "node", ".mjs": "node", ".rb": "ruby", ".pl": "perl"}
"""What runs a script, by its suffix."""

_FIXTURE_FOLDERS = frozenset(
    ("fixtures", "__fixtures__", "golden", "goldens", "testdata", "snapshots", "__snapshots__", "cassettes"),
)
_PASSED_OVER = frozenset(("node_modules", "site-packages", "venv", "vendor", "dist", "build", "target"))
_TOOL_FOLDERS = frozenset(("scripts", "script", "tools", "tool", "bin", "dev", "hack"))
_ABOUT_FIXTURES = re.compile(r"fixture|golden|snapshot|cassette|testdata", re.IGNORECASE)
_DATABASE_NAMES = (".db", ".sqlite", ".sqlite3", ".db3")
_SQLITE_MAGIC = b"SQLite format 3\x00"  # https://www.sqlite.org/fileformat.html#the_database_header

_DEEPEST = 6
_MOST_ENTRIES = 50_000
_MOST_BYTES = 1_000_000

_SECTION = re.compile(r'\[\s*(?P<name>[\w.-]+)(?:\s+"(?P<label>(?:[^"\\]|\\.)*)")?\s*\]')
_VALUE = re.compile(r"(?P<key>[A-Za-z][\w-]*)\s*=\s*(?P<value>.*)")
_ADDRESS = re.compile(
    r"(?:[a-z+]+://)?(?:[^@/]*@)?(?P<host>[A-Za-z0-9][\w.-]*)(?::\d+/|[:/])/?(?P<path>[^?#]+?)(?:\.git)?/?"
)
_MAKES = re.compile(r"make|gen|build|create|update|refresh|write", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Remote:
    """A git remote: the host it is on, and the repository there, `owner/name`. Never its user or password."""

    name: str
    host: str
    repository: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a look at a project's files found; paths are relative to the project."""

    remotes: tuple[Remote, ...]
    submodules: tuple[str, ...]
    fixtures: tuple[str, ...]
    generators: tuple[str, ...]
    databases: tuple[str, ...]


def look_around(project: Path) -> Found:
    """Look through a project's files: git's own, and at most 50,000 others in at most 6 levels of folders."""
    fixtures: list[str] = []
    generators: list[str] = []
    databases: list[str] = []
    for path, entry in _walk(project):
        is_folder = entry.is_dir(follow_symlinks=False)
        inside_fixtures = any(path.startswith(f"{folder}/") for folder in fixtures)
        if is_folder and not inside_fixtures and entry.name in _FIXTURE_FOLDERS and _holds_files(entry):
            fixtures.append(path)
        elif is_folder or not entry.is_file(follow_symlinks=False):
            continue
        elif not inside_fixtures and _is_generator(path):
            generators.append(path)
        elif path.lower().endswith(_DATABASE_NAMES) and _read(Path(entry.path), 16) == _SQLITE_MAGIC:
            databases.append(path)
    modules = _sections(_read(project / ".gitmodules", _MOST_BYTES))
    submodules = [values.get("path", "") for name, _label, values in modules if name == "submodule"]
    return Found(
        remotes=tuple(_remotes(project)),
        submodules=tuple(path for path in submodules if path and path.isprintable()),
        fixtures=tuple(fixtures),
        generators=tuple(sorted(generators, key=lambda path: (not makes(path), path))),
        databases=tuple(databases),
    )


def _walk(project: Path) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Go through a project breadth first, never through a symbolic link, and only so deep and so far."""
    waiting = [("", 0)]
    seen = 0
    for folder, depth in waiting:
        try:
            with os.scandir(project / folder) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
        except OSError:
            continue  # a folder we may not read holds nothing we could name
        for entry in entries:
            seen += 1
            if seen > _MOST_ENTRIES:
                return
            if entry.name.startswith((".", "~")) or not entry.name.isprintable():
                continue
            path = f"{folder}/{entry.name}" if folder else entry.name
            yield path, entry
            if depth < _DEEPEST and entry.name not in _PASSED_OVER and entry.is_dir(follow_symlinks=False):
                waiting.append((path, depth + 1))


def _holds_files(entry: os.DirEntry[str]) -> bool:
    try:
        with os.scandir(entry.path) as listing:
            return any(not inner.name.startswith(".") for inner in listing)
    except OSError:
        return False


def _is_generator(path: str) -> bool:
    folder, _, name = path.rpartition("/")
    in_tools = not folder or folder.rpartition("/")[2] in _TOOL_FOLDERS
    is_test = name.startswith("test_") or "_test." in name or ".test." in name
    return in_tools and not is_test and Path(name).suffix in RUN_BY and bool(_ABOUT_FIXTURES.search(name))


def _read(path: Path, limit: int) -> bytes:
    """Read the beginning of a regular file; nothing if there is none, or it is something else."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:  # noqa: PTH123 - a descriptor, opened without blocking
            return file.read(limit) if stat.S_ISREG(os.fstat(descriptor).st_mode) else b""
    except (OSError, ValueError):
        return b""


def _remotes(project: Path) -> Iterator[Remote]:
    """Read the remotes from git's files: running git would trust the project's own configuration."""
    git = project / ".git"
    if not git.is_dir():
        named = _read(git, 4096).decode(errors="replace")
        git = project / named.removeprefix("gitdir:").strip() if named.startswith("gitdir:") else git
        common = _read(git / "commondir", 4096).decode(errors="replace").strip()
        git = git / common
    for name, label, values in _sections(_read(git / "config", _MOST_BYTES)):
        address = _ADDRESS.fullmatch(values.get("url", ""))
        if name == "remote" and address and re.fullmatch(REPOSITORY, address["path"]):
            yield Remote(name=label, host=address["host"].lower(), repository=address["path"])


def _sections(content: bytes) -> Iterator[tuple[str, str, dict[str, str]]]:
    """Read git's configuration format as far as remotes and submodules need it."""
    name, label, values = "", "", dict[str, str]()
    for line in content.decode(errors="replace").splitlines():
        text = line.strip()
        if section := _SECTION.match(text):
            yield name, label, values
            name, label, values = section["name"].lower(), section["label"] or "", {}
            text = text[section.end() :].strip()
        if value := _VALUE.fullmatch(text):
            values.setdefault(value["key"].lower(), value["value"].strip().strip('"'))
    yield name, label, values


def makes(path: str) -> bool:
    """Say whether a script's name tells that it makes something, not only that it is about it."""
    return bool(_MAKES.search(Path(path).stem))
