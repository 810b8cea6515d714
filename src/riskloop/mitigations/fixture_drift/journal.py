"""Changes many files of a folder so that all of it happens, even if we are killed in the middle."""

import hashlib
import json
import os
import shutil
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from riskloop.errors import Refused, Unmeasurable
from riskloop.files import open_folder, wait_for_lock
from riskloop.mitigations.fixture_drift.comparing import STAGE

_JOURNAL, _UNFINISHED = "journal.json", "unfinished"
_FOLDER = "a folder"
_WAIT = 60.0
_LARGEST_JOURNAL = 256 * 1024 * 1024
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One file to replace, make or remove.

    Args:
        path: below the folder.
        before: the SHA-256 it must have for the step to be taken; None if it must not be there.
        after: the SHA-256 it has afterwards; None if it is removed.
        staged: the name its new content waits under; empty if it is removed.
    """

    path: str
    before: str | None
    after: str | None
    staged: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a step's new content comes from: a file or bytes, and the permission bits it gets."""

    content: Path | bytes
    mode: int = 0o644


@dataclass(frozen=True, slots=True, kw_only=True)
class Resumed:
    """What was left of an interrupted change: the steps that hold now, and what to know about it."""

    steps: tuple[Step, ...] = ()
    notes: tuple[str, ...] = ()


@contextmanager
def holding(project: Path, directory: Path) -> Iterator[int]:
    """Open a folder of a project, no link, and be the only one at work on it; gives its descriptor.

    Raises:
        Unmeasurable: it is missing, no folder or not inside the project, or another run is at work on it for
            a minute.
    """
    folder, top = project / directory, project.resolve()
    # Links on the way are followed here, to be judged; what is opened afterwards has none.
    place = (top / directory.parent).resolve() / directory.name
    if not place.is_relative_to(top):
        raise Unmeasurable(
            f"{folder} leads out of the project through a symbolic link", remedy="name the real folder"
        )
    try:
        root = open_folder(top, place.relative_to(top).as_posix())
    except OSError as error:
        raise Unmeasurable(
            f"{folder} cannot be opened: {error.strerror}",
            remedy="make the folder, or correct `directory`; it may not be a symbolic link",
        ) from error
    try:
        wait_for_lock(root, str(folder), wait=_WAIT)
        yield root
    finally:
        os.close(root)


def carry_out(root: int, steps: Sequence[tuple[Step, Source | None]]) -> None:
    """Take all steps, in order; from the moment the journal is written they are taken whatever happens.

    Args:
        root: the folder's descriptor, from `holding`.
        steps: each with its new content, or None where a file is removed.

    Raises:
        Refused: a file is not what the step expects, or there is no room; nothing was changed.
    """
    try:
        os.mkdir(STAGE, 0o700, dir_fd=root)
        stage = open_folder(root, STAGE)
    except OSError as error:
        raise _no_room(error) from error
    try:
        staged = [_stage(stage, number, *step) for number, step in enumerate(steps)]
        _require_unchanged(root, staged)
        _write_journal(stage, staged)
    except (OSError, Refused) as error:
        os.close(stage)
        _discard(root)
        if isinstance(error, Refused):
            raise
        raise _no_room(error) from error
    os.close(stage)
    resumed = finish_interrupted(root)
    if len(resumed.steps) != len(staged):
        raise Unmeasurable("; ".join(resumed.notes), remedy="look again")


def _require_unchanged(root: int, steps: Sequence[Step]) -> None:
    removed = frozenset(step.path for step in steps if step.after is None)
    for step in steps:
        obstacle = _obstacle(root, step.path, removed) if step.before is None else None
        if obstacle is not None:
            raise Refused(
                f"{obstacle} stands where {step.path} is to be written",
                rule="in-the-way",
                remedy="move it away, and decide again",
            )
        found = _digest(root, step.path)
        if found != step.before and not (step.before is None and found == _FOLDER):
            raise Refused(
                f"{step.path} was changed while it was being looked at",
                rule="changed-since",
                remedy="look again",
            )


def _obstacle(root: int, path: str, removed: frozenset[str]) -> str | None:
    """Find what keeps a new file from its place and is not about to be removed: a file above, a folder."""
    for above in reversed(PurePosixPath(path).parents[:-1]):
        try:
            status = os.stat(above, dir_fd=root, follow_symlinks=False)
        except FileNotFoundError:
            return None
        if not stat.S_ISDIR(status.st_mode):
            return None if above.as_posix() in removed else above.as_posix()
    if _digest(root, path) == _FOLDER:
        for folder, folders, files, _ in os.fwalk(path, dir_fd=root, follow_symlinks=False):
            kept = [name for name in files if f"{folder}/{name}" not in removed]
            if kept or not (folders or files):
                return "/".join((folder, *kept[:1]))
    return None


def finish_interrupted(root: int) -> Resumed:
    """Finish a change whose journal is there, and throw away one that had not got so far.

    A file that is by now neither what it was nor what it was to become is left as it is, and named.

    Args:
        root: the folder's descriptor, from `holding`.

    Raises:
        Unmeasurable: what is there was not left by us, or a step cannot be taken.
    """
    try:
        stage = open_folder(root, STAGE)
    except FileNotFoundError:
        return Resumed()
    except OSError as error:
        raise Unmeasurable(f"{STAGE} is no folder of ours", remedy="remove it") from error
    try:
        steps = _read_journal(stage)
        taken = [step for step in steps if _take(root, stage, step)]
        # Once for each folder, before the journal goes: until then the journal is what survives a power cut.
        for folder in {above for step in steps for above in PurePosixPath(step.path).parents}:
            _sync(root, folder.as_posix())
    except OSError as error:
        raise Unmeasurable(
            f"the fixtures are half adopted: {error.filename or 'a file'}: {error.strerror}",
            remedy="free space or correct the permissions, and look again: the rest follows by itself",
        ) from error
    finally:
        os.close(stage)
    _discard(root)
    done = frozenset(step.path for step in taken)
    left = [step.path for step in steps if step.path not in done]
    notes = ["an adoption that was interrupted has been finished"] if taken else []
    notes += [f"{path} was changed by somebody during an adoption, and left as it is" for path in left]
    return Resumed(steps=tuple(taken), notes=tuple(notes))


def _stage(stage: int, number: int, step: Step, source: Source | None) -> Step:
    """Put a step's new content beside the others, and make sure that it is what was looked at."""
    if source is None:
        return step
    name = f"{number:06d}"
    descriptor = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=stage)
    with os.fdopen(descriptor, "wb") as file:
        if isinstance(source.content, bytes):
            file.write(source.content)
        else:
            with os.fdopen(os.open(source.content, _READ), "rb") as reader:
                shutil.copyfileobj(reader, file, 1024 * 1024)
        file.flush()
        os.fchmod(descriptor, source.mode & 0o777)
        os.fsync(descriptor)
    if _digest(stage, name) != step.after:
        raise Refused(f"{step.path} changed while it was copied", rule="changed-since", remedy="look again")
    return Step(path=step.path, before=step.before, after=step.after, staged=name)


def _write_journal(stage: int, steps: Sequence[Step]) -> None:
    content = json.dumps([asdict(step) for step in steps]).encode()
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    with os.fdopen(os.open(_UNFINISHED, flags, 0o600, dir_fd=stage), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.fsync(stage)
    os.rename(_UNFINISHED, _JOURNAL, src_dir_fd=stage, dst_dir_fd=stage)
    os.fsync(stage)


def _read_journal(stage: int) -> list[Step]:
    try:
        with os.fdopen(os.open(_JOURNAL, _READ, dir_fd=stage), "rb") as file:
            written: Any = json.loads(file.read(_LARGEST_JOURNAL))
        return [_checked(Step(**step)) for step in written]
    except FileNotFoundError:
        return []
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise Unmeasurable(f"{STAGE}/{_JOURNAL} was not written by us", remedy=f"remove {STAGE}") from error


def _checked(step: Step) -> Step:
    """Let no journal, whoever wrote it, lead out of the folder."""
    parts = PurePosixPath(step.path).parts
    staged_well = step.staged.isdecimal() if step.after is not None else step.staged == ""
    leads_out = step.path.startswith("/") or ".." in parts or ".git" in parts or "\0" in step.path
    if not parts or leads_out or not staged_well:
        raise ValueError(step.path)
    return step


def _take(root: int, stage: int, step: Step) -> bool:
    """Take a step unless it is taken already; False if the file is by now something else."""
    found = _digest(root, step.path)
    if found == step.after or (step.after is None and found == _FOLDER):
        return True
    if found != step.before:
        return False
    path = PurePosixPath(step.path)
    folder = open_folder(root, path.parent.as_posix(), create=step.after is not None)
    try:
        if step.after is None:
            os.unlink(path.name, dir_fd=folder)
        else:
            os.rename(step.staged, path.name, src_dir_fd=stage, dst_dir_fd=folder)
    finally:
        os.close(folder)
    if step.after is None:
        _remove_empty(root, path.parent)
    return True


def _sync(root: int, path: str) -> None:
    with suppress(FileNotFoundError, NotADirectoryError):
        descriptor = open_folder(root, path)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _remove_empty(root: int, folder: PurePosixPath) -> None:
    with suppress(OSError):
        while folder.parts:
            above = open_folder(root, folder.parent.as_posix())
            try:
                os.rmdir(folder.name, dir_fd=above)
            finally:
                os.close(above)
            folder = folder.parent


def _digest(root: int, path: str) -> str | None:
    """Hash a file below a descriptor; None if it is not there, a word for what is no regular file."""
    place = PurePosixPath(path)
    try:
        folder = open_folder(root, place.parent.as_posix())
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        status = os.stat(place.name, dir_fd=folder, follow_symlinks=False)
        if stat.S_ISDIR(status.st_mode):
            return _FOLDER
        if not stat.S_ISREG(status.st_mode):
            return "not a regular file"
        with os.fdopen(os.open(place.name, _READ, dir_fd=folder), "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return None
    finally:
        os.close(folder)


def _discard(root: int) -> None:
    """Remove the stage, its journal first: without it nothing of the rest would be taken up again."""
    stage = open_folder(root, STAGE)
    try:
        with os.scandir(stage) as entries:
            names = [entry.name for entry in entries]
        if not all(name in (_JOURNAL, _UNFINISHED) or name.isdecimal() for name in names):
            raise Unmeasurable(f"{STAGE} holds files that are not ours", remedy="remove it")
        for name in sorted(names, key=lambda name: name != _JOURNAL):
            os.unlink(name, dir_fd=stage)
        os.rmdir(STAGE, dir_fd=root)
    except OSError as error:
        raise Unmeasurable(f"{STAGE} cannot be removed: {error.strerror}", remedy="remove it") from error
    finally:
        os.close(stage)


def _no_room(error: OSError) -> Refused:
    return Refused(
        f"the new fixtures cannot be written: {error.strerror}; nothing was changed",
        rule="no-room",
        remedy="free space, or correct the permissions of the fixtures' folder",
    )
