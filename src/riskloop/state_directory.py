"""Our own directory: for us alone, kept out of version control, and never somebody else's."""

import os
import tempfile
from pathlib import Path

from riskloop.errors import Refused

IGNORE = "# riskloop keeps its state here: nothing of it belongs into version control.\n*\n"
"""The directory's `.gitignore`, by which we also know it again: the key that signs our markers is in it."""

_MAY_BE_THERE = {"demo", "lost+found"}


def prepare(state: Path) -> None:
    """Make the directory, or see that it is ours; a directory with other things in it is left alone.

    Raises:
        Refused: it is somebody else's, or cannot be made or written.
    """
    try:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        if _is_ours(state):
            return
        others = sorted(
            entry.name
            for entry in state.iterdir()
            if entry.name not in _MAY_BE_THERE and not entry.name.startswith(".gitignore")
        )
        # Looked at again: another of our own processes may have been making it while we listed it.
        if others and not _is_ours(state):
            raise Refused(
                f"{state} is not a state directory of riskloop: it holds {others[0]!r}",
                rule="state-directory",
                remedy="name an empty or a new directory with --state or RISKLOOP_STATE",
            )
        state.chmod(0o700)
        _mark(state)
    except OSError as error:
        raise Refused(
            f"the state directory {state} cannot be made or written ({error.strerror})",
            rule="state-directory",
            remedy="give the user that runs riskloop the right to write it, or name another: RISKLOOP_STATE",
        ) from error


def _is_ours(state: Path) -> bool:
    ignore = state / ".gitignore"
    return ignore.is_file() and ignore.read_text(encoding="utf-8", errors="replace") == IGNORE


def _mark(state: Path) -> None:
    descriptor, aside = tempfile.mkstemp(dir=state, prefix=".gitignore-")
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(IGNORE)
    Path(aside).replace(state / ".gitignore")
