"""Who we are: the name and the signing key by which this installation knows its own things again."""

import os
import secrets
import string
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from riskloop.errors import Refused
from riskloop.state_directory import prepare

_ALPHABET = string.digits + string.ascii_lowercase
_NAME_LENGTH = 10
_KEY_LENGTH = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """An installation: ten characters `[0-9a-z]`, and the 32 random bytes that sign its markers (secret)."""

    installation: str
    key: bytes = field(repr=False)


def read_identity(state: Path) -> Identity:
    """Read the installation's name and key, made at first sight; of two makers at once, one wins for both.

    Raises:
        Refused: a file is there and is not one of ours, or the directory cannot be written.
    """
    prepare(state)
    try:
        name = "".join(secrets.choice(_ALPHABET) for _ in range(_NAME_LENGTH))
        installation = _read_or_make(state / "installation", name.encode()).decode("ascii", "replace")
        key = _read_or_make(state / "key", secrets.token_bytes(_KEY_LENGTH))
    except OSError as error:
        raise Refused(
            f"the installation's name and key in {state} cannot be read or made ({error.strerror})",
            rule="identity",
            remedy="give the user that runs riskloop the right to read and write that directory",
        ) from error
    if len(installation) != _NAME_LENGTH or not set(installation) <= set(_ALPHABET):
        raise _not_ours(state / "installation")
    if len(key) != _KEY_LENGTH:
        raise _not_ours(state / "key")
    return Identity(installation=installation, key=key)


def _not_ours(path: Path) -> Refused:
    return Refused(
        f"{path} is damaged: it is not what riskloop wrote",
        rule="identity",
        remedy="restore it from a backup; without it our open issues and messages are not known again",
    )


def _read_or_make(path: Path, content: bytes) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        pass
    # Written aside and linked: the name appears with its whole content, or not at all, and never twice.
    descriptor, aside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(aside, path)
        except FileExistsError:
            return path.read_bytes()
    finally:
        Path(aside).unlink()
    return content
