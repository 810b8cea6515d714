"""Runs the team's own tests on a bump before anybody is asked to look at it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from riskloop.commands import MEBIBYTE, Finished, clean_environment, run
from riskloop.errors import Unmeasurable
from riskloop.files import scratch, stays_inside
from riskloop.git import Upstream
from riskloop.mitigations.upstream_drift.bump.bumping import Bump
from riskloop.mitigations.upstream_drift.project.disk import LINK, SUBMODULE
from riskloop.mitigations.upstream_drift.project.vendored import Vendored
from riskloop.mitigations.upstream_drift.settings import Settings
from riskloop.redaction import redacted
from riskloop.risks import Site

_OUTPUT = 16 * MEBIBYTE
_LARGEST_FILE = 16 * 1024 * MEBIBYTE
_NAMED = 5
_NO_REPOSITORY = "not a git repository"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One command of the gate that was run.

    Args:
        command: as the register has it, in one line.
        account: how it failed and what it last printed, in words; empty if it passed.
    """

    command: str
    passed: bool
    account: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Copy:
    """A copy of the project that has the bump.

    Args:
        room: the scratch folder it is in.
        top: where the repository's top is.
        project: where the project is.
        left_out: what is not in it as it should be, a phrase each.
    """

    room: Path
    top: Path
    project: Path
    left_out: tuple[str, ...]


def run_gate(
    vendored: Vendored, upstream: Upstream, settings: Settings, site: Site, bump: Bump
) -> tuple[Check, ...]:
    """Run the gate's commands on a copy of the project that has the bump, until one fails.

    Returns:
        The commands that ran: fewer than the register has if one failed; none without a commit.

    Raises:
        Unmeasurable: the copy cannot be made.
    """
    if vendored.project is None or not bump.commit or not settings.gate:
        return ()
    with scratch(site.state, "gate") as room:
        top = room / "project"
        top.mkdir()
        left_out = vendored.project.export(bump.commit, top)
        if vendored.submodule:
            left_out += _fill_submodule(vendored, upstream, bump.candidate, room, top)
        copy = _Copy(room=room, top=top, project=top / vendored.below, left_out=tuple(left_out))
        checks: list[Check] = []
        for argv in settings.gate:
            checks.append(_check(argv, settings, copy))
            if not checks[-1].passed:
                break
        return tuple(checks)


def _fill_submodule(
    vendored: Vendored, upstream: Upstream, candidate: str, room: Path, top: Path
) -> list[str]:
    """Put upstream's files into the submodule's empty folder; nothing of theirs runs."""
    tree = upstream.folder(candidate)
    upstream.bring_files(tree)
    folder, index = top / vendored.path, room / "index"
    upstream.git("read-tree", tree, index=index)
    upstream.git("-c", "core.symlinks=false", "checkout-index", "--all", "--force", index=index, tree=folder)
    index.unlink()
    left = []
    for line in upstream.git("ls-tree", "-r", "-z", "--full-tree", tree).text().split("\0")[:-1]:
        mode, path = line.split(" ", 1)[0], line.partition("\t")[2]
        if mode == LINK:
            target = (folder / path).read_bytes().decode("utf-8", "surrogateescape")
            if stays_inside(f"{vendored.path}/{path}", target):
                (folder / path).unlink()
                (folder / path).symlink_to(target)
            else:
                left.append(f"{path} (symbolic link that leads out of the tree)")
        elif mode == SUBMODULE:
            (folder / path).mkdir(parents=True, exist_ok=True)
    return left


def _check(argv: list[str], settings: Settings, copy: _Copy) -> Check:
    command = redacted(" ".join(argv))
    home, temporary = copy.room / "home", copy.room / "tmp"
    home.mkdir(exist_ok=True)
    temporary.mkdir(exist_ok=True)
    # A program that looks for a repository must not find the one our state may be in.
    extra = {"TMPDIR": str(temporary), "GIT_CEILING_DIRECTORIES": str(copy.room)}
    environment = clean_environment(home=home, allowed=settings.environment, extra=extra)
    try:
        finished = run(
            argv,
            cwd=copy.project,
            environment=environment,
            timeout=settings.timeout.total_seconds(),
            output_limit=_OUTPUT,
            memory_limit=settings.memory,
            file_limit=_LARGEST_FILE,
        )
    except Unmeasurable as error:
        said = _without_places(str(error).encode("utf-8", "replace"), copy)
        return Check(
            command=command, passed=False, account=_with_lacks(said.decode("utf-8", "replace"), copy)
        )
    if finished.succeeded:
        return Check(command=command, passed=True)
    account = _tellable(finished, settings, environment, copy).account()
    return Check(command=command, passed=False, account=_with_lacks(account, copy))


def _with_lacks(account: str, copy: _Copy) -> str:
    """Add to how a command failed what the copy lacks, which may be why."""
    lacks = [*(["its git repository"] if _NO_REPOSITORY in account else []), *copy.left_out]
    if not lacks:
        return account
    more = len(lacks) - _NAMED
    named = [*lacks[:_NAMED], *([f"{more} more"] if more > 0 else [])]
    return f"{account}\nThe copy it ran in is without {', '.join(named)}."


def _tellable(
    finished: Finished, settings: Settings, environment: Mapping[str, str], copy: _Copy
) -> Finished:
    """Take secrets and our own places out of what a command printed, before any of it is cut."""
    # What was let through may be a secret, and this goes into an issue.
    told = finished.hiding({name: environment.get(name, "") for name in settings.environment})
    stdout, stderr = (_without_places(printed, copy) for printed in (told.stdout, told.stderr))
    return replace(told, stdout=stdout, stderr=stderr)


def _without_places(text: bytes, copy: _Copy) -> bytes:
    for room in dict.fromkeys((copy.room, copy.room.resolve())):
        for place, word in ((room / "project", b"."), (room, b"scratch")):
            text = text.replace(str(place).encode("utf-8", "surrogateescape"), word)
    return text
