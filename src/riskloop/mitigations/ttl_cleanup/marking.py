"""Marks a directory as one that this installation may clean up, and proves that it is marked."""

import hmac
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path

from riskloop.errors import Refused
from riskloop.files import open_folder
from riskloop.identity import read_identity
from riskloop.mitigations.ttl_cleanup import clock
from riskloop.mitigations.ttl_cleanup.grounds import Ground
from riskloop.mitigations.ttl_cleanup.notes import read_note, write_note
from riskloop.mitigations.ttl_cleanup.walking import OURS

MARKER = "marker"


def mark(ground: Ground, *, state: Path) -> bool:
    """Mark a directory as one that this installation may clean up; say whether it was not marked before.

    A marker of ours that is there already is written anew: it also says that the clock is right now.

    Raises:
        Refused: the marker of another installation is there, or it cannot be written.
    """
    try:
        with suppress(FileExistsError):
            os.mkdir(OURS, 0o700, dir_fd=ground.descriptor)
        ours = open_folder(ground.descriptor, OURS)
        try:
            before = read_note(ours, MARKER)
            if before is not None and not _is_signed(before, ground, state):
                raise Refused(
                    f"{ground.path} is marked by another installation of riskloop, or was copied from there",
                    rule="foreign-marker",
                    remedy="make sure that nobody else cleans it up, then remove its marker: "
                    f"{ground.path / OURS / MARKER}",
                )
            write_note(ours, MARKER, _signed(ground, state))
            clock.forget(ours)
        finally:
            os.close(ours)
    except OSError as error:
        raise Refused(
            f"{ground.path} cannot be marked: {error.strerror}",
            rule="not-marked",
            remedy="let the service's user write there, and see that nothing else has its name",
        ) from error
    return before is None


@contextmanager
def marked(ground: Ground, *, state: Path) -> Iterator[int]:
    """Open our folder in a directory, once its marker proves that it is this directory's and ours.

    Raises:
        Refused: with the rule `not-marked` or `foreign-marker`.
    """
    try:
        ours = open_folder(ground.descriptor, OURS)
    except OSError as error:
        raise _not_marked(ground) from error
    try:
        found = read_note(ours, MARKER)
        if found is None:
            raise _not_marked(ground)
        if os.fstat(ours).st_uid != os.geteuid() or not _is_signed(found, ground, state):
            raise Refused(
                f"the marker in {ground.path} is not one that this installation made for this directory",
                rule="foreign-marker",
                remedy=f"if it is yours to clean up, remove {ground.path / OURS / MARKER}, then run: "
                f"riskloop cleanup init {ground.path}",
            )
        yield ours
    finally:
        os.close(ours)


def _not_marked(ground: Ground) -> Refused:
    return Refused(
        f"{ground.path} is not marked as a directory that may be cleaned up",
        rule="not-marked",
        remedy=f"if everything in it may go, run: riskloop cleanup init {ground.path}",
    )


def _signed(ground: Ground, state: Path) -> str:
    """Sign for this directory by its inode: a copy of it, or a marker carried elsewhere, is not signed."""
    identity = read_identity(state)
    says = f"riskloop cleanup 1 {identity.installation} {ground.inode}"
    return f"{says} {hmac.new(identity.key, says.encode(), sha256).hexdigest()}"


def _is_signed(marker: str, ground: Ground, state: Path) -> bool:
    return hmac.compare_digest(marker.encode(), _signed(ground, state).encode())
