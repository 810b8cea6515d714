"""Says in words why git could not read a repository, and what to do about it."""

import re

from riskloop.commands import Finished
from riskloop.errors import Unmeasurable

# What git, curl and ssh say, in the order in which the more telling comes first.
_WORDS = (
    (
        r"Could not resolve host|Couldn't resolve|Name or service not known|Temporary failure in name",
        "cannot be reached: its host is not known here, or there is no network",
        "see to the network, or correct `upstream` in the register",
    ),
    (
        (
            r"Failed to connect|Connection refused|Connection timed out|Network is unreachable|No route to host"
            r"|Operation timed out|Connection reset|Could not connect|was stopped at its time limit"
        ),
        "cannot be reached",
        "see whether it is up and the network lets us through; the next look tries again",
    ),
    (
        r"Host key verification failed",
        "has a host key that is not known to ssh here",
        "add it to known_hosts of the user the service runs as",
    ),
    (
        r"SSL certificate problem|server certificate verification failed|SSL_ERROR|certificate has expired",
        "has a certificate that is not trusted here",
        "name the authority's file in SSL_CERT_FILE",
    ),
    (
        (
            r"Authentication failed|could not read Username|could not read Password|Permission denied"
            r"|error: 40[13]|Invalid username or (token|password)|access denied"
        ),
        "lets us in only with credentials, or is not there",
        "correct `upstream`, name in `token` the environment variable that holds a token, or give ssh a key",
    ),
    (
        r"error: 404|Repository not found|repository '[^']*' not found|does not exist",
        "is not there, or not for us to read",
        "correct `upstream` in the register",
    ),
    (
        (
            r"does not appear to be a git repository|not a git repository|No such file or directory"
            r"|invalid gitfile format|not valid: is this a git repository"
        ),
        "is no git repository",
        "correct `upstream` in the register",
    ),
    (
        r"transport '[^']*' not allowed",
        "has an address that we do not fetch from",
        "write one of https or ssh, or a path",
    ),
    (
        r"No space left on device|unable to write|write error",
        "does not fit on the disk here",
        "free space where the state directory is",
    ),
)


def complaint(source: str, finished: Finished) -> Unmeasurable:
    """Make the error for a git command that could not read a repository.

    Args:
        source: the repository's address or path.
    """
    said = f"{finished.stderr.decode('utf-8', 'replace')}\n{finished.ended}"
    for pattern, what, remedy in _WORDS:
        if re.search(pattern, said):
            return Unmeasurable(f"{source} {what}", remedy=remedy)
    return Unmeasurable(f"{source} cannot be read by git: {finished.account(lines=3)}")
