"""Reads what a project records of a submodule: its name, its address, and where its own repository is."""

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from riskloop.errors import Unmeasurable
from riskloop.files import open_folder, read_file
from riskloop.git import Mirror
from riskloop.mitigations.upstream_drift.addresses import read_remote, without_credentials

_MODULES = ".gitmodules"
_LARGEST_POINTER = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """What `.gitmodules` says of a submodule; empty where it says nothing."""

    name: str = ""
    address: str = ""


def read_recorded(project: Mirror, commit: str, path: str) -> Recorded:
    """Read name and address of a submodule from a commit; parsed by git, and nothing is included.

    Args:
        path: the submodule's, below the repository's top.

    Raises:
        Unmeasurable: `.gitmodules` is not as git writes it.
    """
    if project.content(commit, _MODULES) is None:
        return Recorded()
    try:
        # Includes are on by default for a blob: an absolute one would be read.
        blob = f"--blob={commit}:{_MODULES}"
        listed = project.git("config", "--no-includes", blob, "--null", "--list").text()
    except Unmeasurable as error:
        raise Unmeasurable(
            f"{_MODULES} of the project's last commit cannot be read by git", remedy="correct it, and commit"
        ) from error
    said = dict(_values(listed))
    names = [name for (name, key), value in said.items() if key == "path" and value.rstrip("/") == path]
    return Recorded(name=names[-1], address=said.get((names[-1], "url"), "")) if names else Recorded()


def _values(listed: str) -> Iterator[tuple[tuple[str, str], str]]:
    for line in listed.split("\0")[:-1]:
        whole, _, value = line.partition("\n")
        section, _, rest = whole.partition(".")
        name, _, key = rest.rpartition(".")
        if section == "submodule":
            yield (name, key), value


def read_recorded_address(recorded: Recorded, path: str) -> tuple[str, str]:
    """Read a submodule's address, without the credentials that may be in it.

    Returns:
        The address, and a note if there were any: a sentence without a full stop.

    Raises:
        Unmeasurable: it is not one of https or ssh. It is not repeated: what it holds may be a secret, in a
            place we do not know.
    """
    what = f"the address of the submodule {path} in {_MODULES}"
    if recorded.address.startswith(("./", "../")):
        raise Unmeasurable(
            f"{what} is relative to where the project was cloned from", remedy="name it in `upstream`"
        )
    try:
        plain = without_credentials(recorded.address)
        address = read_remote(plain)
    except ValueError as error:
        raise Unmeasurable(
            f"{what} is not one of https or ssh, or holds what an address should not",
            remedy="correct it, or name another in `upstream`",
        ) from error
    if plain == recorded.address:
        return address, ""
    return address, f"{what} holds credentials, which stay readable for ever; they were left out"


def find_git_directory(top: Path, path: str, name: str) -> Path | None:
    """Find a submodule's own git directory, if it is where git puts it; no link is followed.

    Args:
        top: the top folder of the repository it is in.
        path: the submodule's, below the top.
        name: the submodule's, as `.gitmodules` has it; empty if not known.
    """
    with suppress(OSError):
        os.close(open_folder(top, f"{path}/.git"))
        return top / path / ".git"
    modules = (_read_pointer(top) or top / ".git").resolve()
    found = _read_pointer(top / path)
    if found is None and name:
        found = modules / "modules" / name
    if found is None:
        return None
    real = found.resolve()
    return real if real.is_dir() and real != modules and real.is_relative_to(modules) else None


def _read_pointer(folder: Path) -> Path | None:
    """Read where a file `.git` says the git directory is: of a submodule, or of a linked working copy."""
    with suppress(Unmeasurable, UnicodeDecodeError):
        said = read_file(folder, ".git", limit=_LARGEST_POINTER).decode()
        if said.startswith("gitdir:") and "\0" not in said:
            return folder / said.removeprefix("gitdir:").strip()
    return None
