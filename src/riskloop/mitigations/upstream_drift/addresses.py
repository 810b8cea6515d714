"""Reads where an upstream is: an address of https or ssh, or a folder; never one that runs a program."""

import re
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import BeforeValidator, ValidationInfo, WithJsonSchema

from riskloop.register.values import read_project_path, shown

ADDRESS_PATTERN = r"^(https://|ssh://|[A-Za-z0-9_.][\w.-]*@[A-Za-z0-9]|(?![~-])[^:@]+$)"
_SHORT = re.compile(
    r"(?P<who>[A-Za-z0-9_.][\w.-]*)@(?P<host>[A-Za-z0-9][\w.-]*):(?P<path>(?!//)[^\s:][^\s]*)"
)
_HOST = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]*|\[[0-9a-fA-F:.]+\]")
_USER = re.compile(r"[A-Za-z0-9_.][\w.-]*")
_ADVICE = "write https://host/owner/name, ssh://git@host/owner/name, or the path of a folder"


def is_remote(address: str) -> bool:
    """Say whether an address, as `read_address` gives it, is of another machine."""
    return address.startswith(("https://", "ssh://"))


def without_credentials(address: str) -> str:
    """Take a name and a password out of an address of https, and a password out of any other."""
    parts = urlsplit(address)
    if not parts.scheme or "@" not in parts.netloc:
        return address
    credentials, _, host = parts.netloc.rpartition("@")
    user = "" if parts.scheme == "https" else credentials.partition(":")[0] + "@"
    return parts._replace(netloc=user + host).geturl()


def read_remote(value: str) -> str:
    """Read an address of https or ssh; the short form `git@host:path` becomes one of ssh.

    Raises:
        ValueError: with the reason and how to write it; a password in the address is not repeated.
    """
    short = _SHORT.fullmatch(value)
    if short:
        value = f"ssh://{short['who']}@{short['host']}/{short['path'].lstrip('/')}"
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError as error:
        raise ValueError(f"it is no address: {error}; {_ADVICE}") from error
    if parts.password or (parts.scheme != "ssh" and parts.username):
        raise ValueError(
            "the address holds a user name or a password, which stays readable for ever; take it out, and "
            "name in `token` the environment variable that holds a token"
        )
    bare = parts.netloc.rpartition("@")[2].removesuffix(f":{port}" if port is not None else "")
    sound = all(
        (
            parts.scheme in ("https", "ssh"),
            _HOST.fullmatch(bare),
            not parts.username or _USER.fullmatch(parts.username),
            value.isprintable() and " " not in value,
            not parts.query and not parts.fragment,
            parts.path.strip("/"),
        )
    )
    if not sound:
        raise ValueError(f"{shown(value)} is not an address we fetch from; {_ADVICE}")
    return value


def read_address(value: object, info: ValidationInfo) -> str:
    """Read an address of https or ssh, or a path inside the project or below an allowed root.

    Raises:
        ValueError: with the reason and how to write it.
    """
    if not isinstance(value, str) or not value:
        raise ValueError(f"{shown(value)} is not an address; {_ADVICE}")
    if "::" in value or "://" in value or "@" in value.partition("/")[0]:
        return read_remote(value)
    if value.startswith("-"):
        raise ValueError(f"{shown(value)} begins with '-'; {_ADVICE}")
    return str(read_project_path(value, info))


Address = Annotated[
    str,
    BeforeValidator(read_address),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": ADDRESS_PATTERN,
            "examples": ["https://github.com/acme/codex", "ssh://git@host/acme/codex", "third_party/codex"],
        }
    ),
]
"""Where an upstream is: https, ssh, or a folder inside the project or below an allowed root."""
