"""Says in words why git could not read a repository, and what to do about it."""

import re

from riskloop.commands import Ended, Finished
from riskloop.errors import Unmeasurable

_LATER = "see whether it is up and the network lets us through; the next look tries again"
_CORRECT = "correct `upstream` in the register"
_GIVE = "name in `token` the environment variable that holds a token, or give ssh a key"
_CLOSED = "lets us in only with credentials, or is not there"

# What git, curl, ssh and the known hosts say, in the order in which the more telling comes first.
_WORDS = tuple(
    (re.compile(pattern, re.IGNORECASE | re.MULTILINE), what, remedy)
    for pattern, what, remedy in (
        (
            # What begins with `remote:` is said of a disk that is not ours.
            (
                r"^(?!remote:).*(No space left on device|Disk quota exceeded|Read-only file system"
                r"|File too large|unable to write (loose object |sha1 )?file)"
            ),
            "does not fit on the disk here, or cannot be written",
            "free space where the state directory is, and see that it can be written",
        ),
        (
            r"cannot run ssh|ssh: (command )?not found|Unable to find remote helper|is not a git command",
            "needs a part of git, or ssh, that is not installed here",
            "install git with https, and an ssh client",
        ),
        (
            r"transport '[^']*' not allowed|protocol '[^']*' is not supported|strange \w+ blocked",
            "has an address that we do not fetch from",
            "write one of https or ssh, or a path",
        ),
        (
            (
                r"Could not resolve (host|proxy)|Couldn't resolve|Name or service not known"
                r"|Temporary failure in name"
            ),
            "cannot be reached: its host is not known here, or there is no network",
            "see to the network, or correct `upstream` in the register",
        ),
        (
            (
                r"Failed to connect|Couldn't connect|Could not connect|Connection (refused|timed out|reset)"
                r"|Operation timed out|Network is unreachable|No route to host|Proxy CONNECT aborted"
            ),
            "cannot be reached",
            _LATER,
        ),
        (
            r"Host key verification failed|HOST IDENTIFICATION HAS CHANGED",
            "has a host key that is not the one known to ssh here",
            "see that it is the right host, and add its key to known_hosts of the user the service runs as",
        ),
        (
            (
                r"SSL certificate problem|certificate verification failed|certificate has expired"
                r"|certificate subject name|verify the SSL certificate|unable to get local issuer"
            ),
            "has a certificate that is not trusted here",
            "name the authority's file in SSL_CERT_FILE",
        ),
        (
            (
                r"Authentication failed|could not read (Username|Password)|Permission denied|error: 40[13]"
                r"|Invalid username or|access denied|Permission to .* denied|TF401019"
            ),
            _CLOSED,
            f"correct `upstream`, {_GIVE}",
        ),
        (
            (
                r"error: 404|Repository not found|repository '[^']*' not found|could not be found"
                r"|repository does not exist|no longer exists"
            ),
            "is not there, or not for us to read",
            f"{_CORRECT}; if it is not public, {_GIVE}",
        ),
        (
            r"error: 30[12378]|redirect",
            "sends us to another address, to which we do not follow",
            _CORRECT,
        ),
        (r"error: 429", "says that we ask too often", "let it rest; the next look tries again"),
        (r"error: 5\d\d", "answers with an error of its own", _LATER),
        (
            r"dubious ownership|safe\.directory",
            "belongs to another user, and git does not read it",
            "let it belong to the user the service runs as",
        ),
        (
            (
                r"does not appear to be a git repository|not a git repository|No such file or directory"
                r"|invalid gitfile format|not valid: is this a git repository|unsupported repository"
            ),
            "is no git repository",
            _CORRECT,
        ),
        (
            (
                r"early EOF|hung up unexpectedly|RPC failed|unexpected disconnect|invalid index-pack output"
                r"|recv error|Connection closed|expected flush|bytes of body are still expected"
            ),
            "broke off while it was read",
            _LATER,
        ),
    )
)
_MISSING = re.compile(
    r"not our ref|unadvertised object|want [0-9a-f]+ not valid|couldn't find remote ref|TF401035"
)
# Git says it of each reference, and calls it a warning.
_SHALLOW = re.compile(
    r"because shallow roots are not allowed to be updated$|\(shallow update not allowed\)$", re.MULTILINE
)


def complaint(source: str, finished: Finished, *, token: bool = False) -> Unmeasurable:
    """Make the error for a git command that could not read a repository.

    Args:
        source: the repository's address or path.
        token: whether a token was given: then it is what was refused.
    """
    said = _said(source, finished)
    if finished.ended is Ended.TIME:
        return Unmeasurable(f"{source} took longer than we wait for it", remedy=_LATER)
    for pattern, what, remedy in _WORDS:
        if token and what == _CLOSED and pattern.search(said):
            return Unmeasurable(
                f"{source} refuses the token, or is not there", remedy="see that it is valid and may read it"
            )
        if pattern.search(said):
            return Unmeasurable(f"{source} {what}", remedy=remedy)
    return Unmeasurable(f"{source} cannot be read by git: {finished.account(lines=3)}")


def shallow(source: str) -> Unmeasurable:
    """Make the error for a repository whose history is cut off."""
    return Unmeasurable(
        f"{source} is a shallow clone: what is missing in it cannot be counted",
        remedy="run `git fetch --unshallow` in it, or name the repository it was cloned from",
    )


def is_shallow(source: str, finished: Finished) -> bool:
    """Say whether a fetch brought less than it was to bring, because the repository has no more."""
    return _SHALLOW.search(_said(source, finished)) is not None


def is_missing(source: str, finished: Finished) -> bool:
    """Say whether a fetch failed because the repository does not have what was asked for."""
    return _MISSING.search(_said(source, finished)) is not None


def _said(source: str, finished: Finished) -> str:
    # A repository may be named like an error.
    return finished.stderr.decode("utf-8", "replace").replace(source, "it")
