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


class Accounts:
    """The accounts we have written as, remembered in the state directory: a new token knows its old issues.

    A file of lines, `github 1234567`; only ever added to.
    """

    def __init__(self, state: Path) -> None:
        self._file = state / "accounts"

    def known(self, service: str) -> frozenset[str]:
        """List the accounts of one service (`github`, or `slack:<workspace>`)."""
        pairs = (line.partition(" ") for line in self._lines())
        return frozenset(account for name, _, account in pairs if name == service)

    def remember(self, service: str, account: str) -> None:
        """Add an account, if it is new.

        Raises:
            Refused: the state directory cannot be written.
        """
        line = f"{service} {account}"
        if line in self._lines():
            return
        try:
            descriptor = os.open(self._file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.write(descriptor, f"{line}\n".encode())
            finally:
                os.close(descriptor)
        except OSError as error:
            raise Refused(
                f"the account {line} cannot be remembered in {self._file} ({error.strerror})",
                rule="identity",
                remedy="give the user that runs riskloop the right to write that directory",
            ) from error

    def _lines(self) -> list[str]:
        try:
            return self._file.read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return []


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
