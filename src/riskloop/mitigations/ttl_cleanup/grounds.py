"""Opens a directory, and says whether it is one of those that nobody ever means to be cleaned up."""

import os
import pwd
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from riskloop.errors import Refused, Unmeasurable
from riskloop.files import open_folder

_VERSION_CONTROL = (".git", ".hg", ".svn", ".jj", ".bzr", "_darcs", ".fslckout")
_BARE_GIT = ("HEAD", "objects", "refs")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """An open directory.

    Args:
        path: as it is named in messages.
        descriptor: of it; the way to it led through no symbolic link below the project.
        device: the number of its file system.
        inode: its own.
        mount: the mount it is on, where the system tells; 0 otherwise.
    """

    path: Path
    descriptor: int
    device: int
    inode: int
    mount: int

    def holds(self, folder: int) -> bool:
        """Say whether an open folder below is on the same file system and the same mount."""
        return os.fstat(folder).st_dev == self.device and mount_of(folder) == self.mount


@contextmanager
def standing_on(project: Path, directory: Path) -> Iterator[Ground]:
    """Open a directory of a project, or an absolute one; the last step may be no symbolic link.

    Raises:
        Unmeasurable: it is missing, no directory, a symbolic link, or outside of the project; or the system
            refuses something in the meantime.
    """
    top = Path("/") if directory.is_absolute() else Path(os.path.realpath(project))
    path = project / directory
    # Links on the way are followed here, to be judged; what is opened afterwards has none.
    place = Path(os.path.realpath((top / directory).parent), directory.name)
    if not place.is_relative_to(top):
        raise Unmeasurable(f"{path} leads out of the project", remedy="name the real directory")
    if os.path.islink(path):  # noqa: PTH114 - a path too long to exist is no link, and no error here
        raise Unmeasurable(
            f"{path} is a symbolic link, which is not followed", remedy="write where it leads as `directory`"
        )
    try:
        descriptor = open_folder(top, place.relative_to(top).as_posix())
    except OSError as error:
        raise Unmeasurable(
            f"{path} cannot be opened: {error.strerror}",
            remedy="make the directory, correct `directory`, or let the service's user read it",
        ) from error
    try:
        status = os.fstat(descriptor)
        yield Ground(
            path=path,
            descriptor=descriptor,
            device=status.st_dev,
            inode=status.st_ino,
            mount=mount_of(descriptor),
        )
    except OSError as error:
        raise Unmeasurable(
            f"{path} cannot be worked on: {error.strerror or error}",
            remedy="see to what the system says; nothing is lost, and the next run goes on",
        ) from error
    finally:
        os.close(descriptor)


def mount_of(descriptor: int) -> int:
    """Read which mount an open folder is on, by Linux's /proc; 0 where the system does not tell.

    Raises:
        OSError: it cannot be read just now, for instance because too many files are open.
    """
    try:
        information = os.open(f"/proc/self/fdinfo/{descriptor}", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return 0
    try:
        _, found, rest = os.read(information, 4096).partition(b"mnt_id:")
    finally:
        os.close(information)
    return int(rest.split(maxsplit=1)[0]) if found else 0


def refuse_unfit(ground: Ground, *, project: Path, state: Path) -> None:
    """Refuse a directory that nobody means to be cleaned up, by what it is and not by how it is written.

    Raises:
        Refused: with the rule: `root`, `top-level`, `home`, `mount-point`, `version-controlled`, `project`,
            `own-state`, `installed-program`.
    """
    if ground.inode == _identity(Path("/"))[1] and ground.device == _identity(Path("/"))[0]:
        raise _unfit(ground, "the root of the file system", "root")
    if _same(_above(ground.descriptor), _identity(Path("/"))):
        raise _unfit(ground, "one of the system's own directories", "top-level")
    for rule, whose, path in _kept(project, state):
        if _is_or_is_above(ground, path):
            raise _unfit(ground, f"{whose}, or above it", rule)
    if _is_below(ground, state):
        raise _unfit(ground, "inside riskloop's own state directory", "own-state")
    if _is_mount_point(ground):
        raise _unfit(ground, "where a file system is mounted", "mount-point")
    held = _names(ground.descriptor)
    if control := next((name for name in _VERSION_CONTROL if name in held), None):
        raise _unfit(ground, f"under version control ({control})", "version-controlled")
    if held.issuperset(_BARE_GIT):
        raise _unfit(ground, "a git repository", "version-controlled")


def _unfit(ground: Ground, what: str, rule: str) -> Refused:
    return Refused(
        f"{ground.path} is {what}: it is never cleaned up",
        rule=rule,
        remedy="stage files in a directory of their own, and name that as `directory`",
    )


def _kept(project: Path, state: Path) -> Iterator[tuple[str, str, Path]]:
    homes = {Path(os.environ.get("HOME") or "/")}
    with suppress(KeyError):
        homes.add(Path(pwd.getpwuid(os.getuid()).pw_dir))
    yield from (("home", "a home directory", home) for home in sorted(homes))
    yield "project", "the project's directory", project
    yield "own-state", "riskloop's own state directory", state
    yield from (
        ("installed-program", "where programs are installed", Path(prefix))
        for prefix in sorted({sys.prefix, sys.base_prefix, str(Path(__file__).parents[3])})
    )


def _identity(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_dev, status.st_ino


def _same(one: os.stat_result | None, identity: tuple[int, int]) -> bool:
    return one is not None and (one.st_dev, one.st_ino) == identity


def _above(descriptor: int) -> os.stat_result | None:
    try:
        return os.stat("..", dir_fd=descriptor)
    except OSError:
        return None


def _is_or_is_above(ground: Ground, path: Path) -> bool:
    """Say whether a directory is some path or above it, following where that path really leads."""
    real = Path(os.path.realpath(path))
    for one in (real, *real.parents):
        with suppress(OSError):
            if _identity(one) == (ground.device, ground.inode):
                return True
    return False


def _is_below(ground: Ground, path: Path) -> bool:
    real = Path(os.path.realpath(ground.path))
    for one in real.parents:
        with suppress(OSError):
            if _identity(one) == _identity(path):
                return True
    return False


def _is_mount_point(ground: Ground) -> bool:
    # O_PATH, because what is above need not be readable for us.
    above = os.open("..", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=ground.descriptor)
    try:
        return not ground.holds(above)
    finally:
        os.close(above)


def _names(descriptor: int) -> frozenset[str]:
    wanted = {*_VERSION_CONTROL, *_BARE_GIT}
    found = set()
    for name in wanted:
        with suppress(OSError):
            os.stat(name, dir_fd=descriptor, follow_symlinks=False)
            found.add(name)
    return frozenset(found)
