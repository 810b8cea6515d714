"""Finds what a project has of its upstream: which commit, where on disk, and where upstream is."""

import os
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from riskloop.commands import MEBIBYTE
from riskloop.errors import Unmeasurable
from riskloop.files import open_folder, read_file
from riskloop.git import Mirror, find_top
from riskloop.mitigations.upstream_drift.addresses import is_remote
from riskloop.mitigations.upstream_drift.project.submodules import (
    Recorded,
    find_git_directory,
    read_recorded,
    read_recorded_address,
)
from riskloop.mitigations.upstream_drift.settings import COMMIT, Settings
from riskloop.risks import Site

PIN = re.compile(rb"(?<![0-9A-Za-z_])[0-9a-fA-F]{40}(?![0-9A-Za-z_])")
"""A commit in a file, as a word of its own: not a piece of a longer digest."""

_FOLDER, _SUBMODULE = "040000", "160000"
_LARGEST_PIN_FILE = MEBIBYTE


@dataclass(frozen=True, slots=True, kw_only=True)
class Vendored:
    """Vendored code as it stands in the project.

    Args:
        top: the top folder of the repository the project is in; the project itself if it is in none.
        below: the project's folder below it, with `/`; `.` if they are the same.
        path: the vendored folder below the top, with `/`.
        submodule: it is a submodule; else a folder that upstream was copied into.
        address: where upstream is, without credentials.
        pin: the upstream commit that is vendored, 40 hexadecimal digits; perhaps no commit of upstream.
        pin_file: the file that holds it, below the top; empty if there is none.
        own: what belongs to the project even inside the vendored folder, below the top: the patches' folder,
            the pin's file, the changelog.
        git_dir: a submodule's own git directory, which may hold commits upstream does not have.
        project: our mirror of the project's repository; None where it is in none.
        commit: the project's HEAD; empty if it has no commit.
        tree: of a plain folder its tree object in that commit; empty if it is not in it.
        notes: what a reader should know of how it was found, a sentence each without a full stop.
    """

    top: Path
    below: str
    path: str
    submodule: bool
    address: str
    pin: str
    pin_file: str
    own: tuple[str, ...]
    git_dir: Path | None
    project: Mirror | None
    commit: str
    tree: str
    notes: tuple[str, ...]

    @property
    def folder(self) -> Path:
        """The vendored folder on disk; a submodule's may be missing or empty."""
        return self.top / self.path

    def is_own(self, path: str) -> bool:
        """Say whether a path below the vendored folder belongs to the project by what the register says."""
        whole = f"{self.path}/{path}"
        return any(whole == one or whole.startswith(f"{one}/") for one in self.own)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """Where the vendored folder is, before anything was read of it."""

    settings: Settings
    site: Site
    top: Path
    below: str
    project: Mirror | None
    commit: str

    @property
    def path(self) -> str:
        return self.of(self.settings.path)

    @property
    def folder(self) -> Path:
        return self.top / self.path

    def of(self, path: Path | str) -> str:
        """Give a path of the register as one below the top."""
        return (PurePosixPath(self.below) / PurePosixPath(path)).as_posix()


def read_vendored(settings: Settings, site: Site) -> Vendored:
    """Read what the project has of its upstream; fetches nothing but the project's own HEAD.

    Raises:
        Unmeasurable: there is no such folder, or nothing says where upstream is or which commit it is.
    """
    place = _find_place(settings, site)
    notes: list[str] = []
    recorded, pin_file = Recorded(), ""
    mode, committed = _read_committed(place)
    submodule = mode == _SUBMODULE
    if submodule:
        pin = committed
        _require_submodule_settings(place)
        recorded = read_recorded(place.project, place.commit, place.path) if place.project else Recorded()
        if not _has_files(place):
            notes.append(f"the submodule {place.path} is not checked out here: its files were not compared")
    else:
        if not _has_files(place):
            raise Unmeasurable(
                f"there is no folder {place.path} with anything in it",
                remedy="correct `path` in the register",
            )
        pin, pin_file = _read_pin(place)
    own = [place.of(path) for path in (settings.patches, settings.changelog) if path is not None]
    return Vendored(
        top=place.top,
        below=place.below,
        path=place.path,
        submodule=submodule,
        address=_read_address(place, recorded, notes),
        pin=pin,
        pin_file=pin_file,
        own=(*own, *((pin_file,) if pin_file else ())),
        git_dir=find_git_directory(place.top, place.path, recorded.name) if submodule else None,
        project=place.project,
        commit=place.commit,
        tree=committed if mode == _FOLDER else "",
        notes=tuple(notes),
    )


def _find_place(settings: Settings, site: Site) -> _Place:
    if not settings.path.parts:
        raise Unmeasurable("the vendored folder is the whole project", remedy="name a folder in `path`")
    top = find_top(site.project)
    project = Mirror(state=site.state, source=str(top)) if top is not None else None
    commit = project.fetch_head() if project is not None else None
    return _Place(
        settings=settings,
        site=site,
        top=top or site.project,
        below=site.project.relative_to(top).as_posix() if top is not None else ".",
        project=project,
        commit=commit or "",
    )


def _read_committed(place: _Place) -> tuple[str, str]:
    """Give the mode and the object that the project's HEAD has at the path; both empty if it has none."""
    if place.project is None or not place.commit:
        return "", ""
    listed = place.project.git("ls-tree", "-z", "--full-tree", place.commit, "--", place.path).text()
    mode, _, name = listed.partition("\t")[0].split(" ") if listed else ("", "", "")
    return mode, name


def _require_submodule_settings(place: _Place) -> None:
    if place.settings.pin is not None:
        raise Unmeasurable(
            f"{place.path} is a submodule, and the project itself says which commit that is",
            remedy="leave `pin` out of the register",
        )
    if place.settings.strip is not None:
        raise Unmeasurable(
            f"{place.path} is a submodule, which is always all of upstream",
            remedy="leave `strip` out of the register; `watch` says which folders of upstream count",
        )


def _has_files(place: _Place) -> bool:
    """Say whether the vendored folder is there with anything in it; no link is followed on the way."""
    try:
        descriptor = open_folder(place.top, place.path)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise Unmeasurable(
            f"{place.path} is not a folder that can be read: {error.strerror}",
            remedy="name the real folder in `path`; a link is not followed",
        ) from error
    try:
        with os.scandir(descriptor) as entries:
            return next(entries, None) is not None
    finally:
        os.close(descriptor)


def _read_pin(place: _Place) -> tuple[str, str]:
    """Give the commit the register or a file names, and that file below the top (empty if none)."""
    given = place.settings.pin
    if given is None:
        raise Unmeasurable(
            f"nothing says which upstream commit stands in {place.path}, and it is no submodule of the "
            "project's last commit",
            remedy="write the commit into `pin`, or a file that holds it; commit a submodule that is new",
        )
    if COMMIT.fullmatch(given):
        return given, ""
    if not os.path.lexists(place.site.project / given):
        raise Unmeasurable(
            f"there is no file {given}, which `pin` names",
            remedy="name the file that holds the commit, or write the commit itself, all 40 digits of it",
        )
    content = read_file(place.site.project, given, limit=_LARGEST_PIN_FILE)
    pins = {found.decode().lower() for found in PIN.findall(content)}
    if len(pins) != 1:
        says = f"{len(pins)} different commits" if pins else "no commit of 40 hexadecimal digits"
        raise Unmeasurable(
            f"the pin's file {given} holds {says}",
            remedy="let it hold the one upstream commit that is vendored, in full",
        )
    return pins.pop(), place.of(given)


def _read_address(place: _Place, recorded: Recorded, notes: list[str]) -> str:
    given = place.settings.upstream
    if given is not None:
        return given if is_remote(given) else str(place.site.project / given)
    if not recorded.address:
        where = "nor does .gitmodules" if place.commit else "and the project has no commit"
        raise Unmeasurable(
            f"the register does not say where {place.path} comes from, {where}",
            remedy="name it in `upstream`",
        )
    address, redacted = read_recorded_address(recorded, place.path)
    if redacted:
        notes.append(redacted)
    return address
