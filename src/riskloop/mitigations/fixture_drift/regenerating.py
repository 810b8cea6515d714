"""Makes the fixtures anew, twice, in clean copies of the project that differ in what should not matter."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

from riskloop.commands import MEBIBYTE, clean_environment, run
from riskloop.errors import Unmeasurable
from riskloop.files import copy_tree, list_tree, scratch
from riskloop.git import Mirror, find_top
from riskloop.mitigations.fixture_drift.comparing import Entry, is_fixture, read_fixtures
from riskloop.mitigations.fixture_drift.settings import Settings
from riskloop.risks import Site

_OUTPUT = 16 * MEBIBYTE
_LARGEST_FILE = 16 * 1024 * MEBIBYTE
# POSIX time zones, which need no database; 13 hours and 45 minutes are east of every coast.
_RUNS = (
    ("a", "project", "UTC0", "1"),
    ("b", "another/place for the same project", "<+1345>-13:45", "2"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where the generator's inputs come from.

    Args:
        mirror: our mirror of the project's repository; None where there is no commit to take them from.
        commit: the commit; empty if there is none.
        below: the project's folder inside the repository.
    """

    mirror: Mirror | None = None
    commit: str = ""
    below: str = "."


@dataclass(frozen=True, slots=True, kw_only=True)
class Regenerated:
    """What the two runs made; the first run's files can be read while the scratch folder lives.

    Args:
        folder: the fixtures of the first run.
        other: the fixtures of the second run.
        notes: what to know about the copy of the project, a sentence each.
    """

    origin: Origin
    folder: Path
    other: Path
    fresh: dict[str, Entry]
    again: dict[str, Entry]
    notes: tuple[str, ...]


def find_origin(site: Site) -> Origin:
    """Find the commit the project stands on, and bring it into our mirror.

    Raises:
        Unmeasurable: there is a repository, but it cannot be read.
    """
    top = find_top(site.project)
    if top is None:
        return Origin()
    mirror = Mirror(state=site.state, source=str(top))
    commit = mirror.fetch_head()
    below = site.project.relative_to(top).as_posix()
    if commit is None or (below != "." and not mirror.has_folder(commit, below)):
        return Origin()
    return Origin(mirror=mirror, commit=commit, below=below)


@contextmanager
def regenerated(settings: Settings, site: Site, *, golden: Mapping[str, Entry]) -> Iterator[Regenerated]:
    """Run the generator twice, and give what it made until the caller is done with it.

    Args:
        settings: the command.
        site: where the project is.
        golden: the fixtures in the project, which most of what is made will be equal to.

    Raises:
        Unmeasurable: the generator failed, hung, or wrote nothing, or the project cannot be copied.
    """
    origin = find_origin(site)
    with scratch(site.state, "fixtures") as room:
        try:
            made = _run_twice(settings, site, origin, room, golden)
        except Unmeasurable as error:
            # Where our copies stood is of no use to the reader, and different each time.
            raise Unmeasurable(_without_places(error.what, room), remedy=error.remedy) from error
        yield made


def _run_twice(
    settings: Settings, site: Site, origin: Origin, room: Path, golden: Mapping[str, Entry]
) -> Regenerated:
    folders: list[Path] = []
    notes: list[str] = []
    for name, place, zone, seed in _RUNS:
        top = room / name / place
        top.mkdir(parents=True)
        notes = _copy_project(settings, site, origin, top)
        project = top / origin.below
        folder = project / settings.directory
        variables = {"TZ": zone, "PYTHONHASHSEED": seed, "GIT_CEILING_DIRECTORIES": str(top.parent)}
        folder.mkdir(parents=True, exist_ok=True)
        if not folder.resolve().is_relative_to(project.resolve()):
            raise Unmeasurable(
                f"{settings.directory} leads out of the project", remedy="name the real folder"
            )
        _regenerate(settings, project, room / name, variables)
        if folder.is_symlink() or not folder.is_dir():
            raise Unmeasurable(
                f"{_command(settings)} left no folder {settings.directory}",
                remedy="see that it writes below the folder it is started in",
            )
        folders.append(folder)
    fresh = read_fixtures(folders[0], settings, known=golden)
    if not fresh:
        raise Unmeasurable(
            f"{_command(settings)} wrote nothing into {settings.directory}",
            remedy="see that it writes below the folder it is started in",
        )
    return Regenerated(
        origin=origin,
        folder=folders[0],
        other=folders[1],
        fresh=fresh,
        again=read_fixtures(folders[1], settings, known=fresh),
        notes=tuple(notes),
    )


def _command(settings: Settings) -> str:
    return " ".join(settings.regenerate)


def _without_places(text: str, room: Path) -> str:
    for name, place, _, _ in _RUNS:
        text = text.replace(str(room / name / place), ".")
    return text.replace(str(room), "scratch")


def _copy_project(settings: Settings, site: Site, origin: Origin, top: Path) -> list[str]:
    """Put the project's files at a place, and what it carries; says what was left out."""
    if origin.mirror is not None:
        left_out = origin.mirror.export(origin.commit, top, skip=partial(_is_golden, settings, origin))
    else:
        top.rmdir()
        left_out = copy_tree(site.project, top, skip=partial(_stays_behind, settings, site, Path()))
    for carried in settings.carry:
        source, to = site.project / carried, top / origin.below / carried
        to.parent.mkdir(parents=True, exist_ok=True)
        skip = partial(_stays_behind, settings, site, carried)
        left_out += copy_tree(source, to, skip=skip, read_only=True)
    return [f"not copied for the generator: {phrase}" for phrase in left_out]


def committed_fixtures(settings: Settings, site: Site, origin: Origin) -> dict[str, Entry]:
    """Read the fixtures as they are in the commit; none without one."""
    if origin.mirror is None:
        return {}
    with scratch(site.state, "committed") as top:
        origin.mirror.export(origin.commit, top, skip=lambda path: not _is_golden(settings, origin, path))
        folder = top / origin.below / settings.directory
        return read_fixtures(folder, settings) if folder.is_dir() else {}


def _is_golden(settings: Settings, origin: Origin, path: str) -> bool:
    """Say whether a file of the commit is a fixture."""
    folder = PurePosixPath(origin.below) / settings.directory
    inside = PurePosixPath(path)
    return inside.is_relative_to(folder) and is_fixture(settings, inside.relative_to(folder).as_posix())


def _stays_behind(settings: Settings, site: Site, folder: Path, path: str) -> bool:
    """Say what of a project's folder is not copied by us: git's folders, our own, and the fixtures."""
    whole = site.project / folder / path
    if whole.name == ".git":
        return True
    if whole.name == site.state.name and whole.resolve() == site.state.resolve():
        return True
    if not whole.is_relative_to(site.project / settings.directory):
        return False
    below = whole.relative_to(site.project / settings.directory).as_posix()
    return is_fixture(settings, below) and not (whole.is_dir() and not whole.is_symlink())


def _regenerate(settings: Settings, project: Path, room: Path, variables: dict[str, str]) -> None:
    """Set up, take the old fixtures away, and make new ones."""
    home, temporary = room / "home", room / "tmp"
    home.mkdir()
    temporary.mkdir()
    extra = {**variables, "TMPDIR": str(temporary)}
    environment = clean_environment(home=home, allowed=settings.environment, extra=extra)
    for argv in settings.setup:
        _run(settings, argv, project, environment)
    folder = project / settings.directory
    for found in list_tree(folder):
        if is_fixture(settings, found.path):
            (folder / found.path).unlink()
    _run(settings, settings.regenerate, project, environment)


def _run(settings: Settings, argv: list[str], project: Path, environment: dict[str, str]) -> None:
    finished = run(
        argv,
        cwd=project,
        environment=environment,
        timeout=settings.timeout.total_seconds(),
        output_limit=_OUTPUT,
        memory_limit=settings.memory,
        file_limit=_LARGEST_FILE,
    )
    if not finished.succeeded:
        # What was let through may be a secret, and this goes into an issue.
        told = finished.hiding({name: environment.get(name, "") for name in settings.environment})
        raise Unmeasurable(f"the fixtures cannot be made anew: {told.account()}")
