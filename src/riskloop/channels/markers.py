"""The signed line by which we know our own issues and messages again, and no copied or forged one."""

import hashlib
import hmac
import re
from dataclasses import dataclass

_SHAPE = re.compile(
    r"riskloop:1 installation=(?P<installation>[0-9a-z]+) incident=(?P<incident>[0-9a-z]+)"
    r" delivery=(?P<delivery>[0-9a-z]+) about=(?P<about>[0-9a-f]{16}) signature=(?P<signature>[0-9a-f]{32})"
)
_PULL_SHAPE = re.compile(
    r"riskloop:1 installation=(?P<installation>[0-9a-z]+) pull=(?P<pull>[0-9a-f]{32})"
    r" of=(?P<of>[0-9a-f]{32}) said=(?P<said>[a-z]+) signature=[0-9a-f]{32}"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Marker:
    """Which installation, incident and delivery a posting belongs to, and what it is about.

    Args:
        about: the subject and concern, as `about` shortens them: by it an open issue is known again whose
            incident the store has lost.
    """

    installation: str
    incident: str
    delivery: str
    about: str

    def signed(self, key: bytes) -> str:
        """Write the marker as one line, signed with HMAC-SHA-256 cut to 128 bits (RFC 2104, section 5)."""
        return f"{self._text()} signature={_signature(self._text(), key)}"

    def _text(self) -> str:
        return (
            f"riskloop:1 installation={self.installation} incident={self.incident}"
            f" delivery={self.delivery} about={self.about}"
        )


def about(subject: str, concern: str) -> str:
    """Shorten a subject and a concern to 16 characters that differ for each pair: SHA-256, cut."""
    return hashlib.sha256(f"{concern} {subject}".encode()).hexdigest()[:16]


def read_marker(text: str, key: bytes) -> Marker | None:
    """Find our marker in a text; None if there is none or its signature is not ours."""
    match = _SHAPE.search(text)
    if match is None:
        return None
    marker = Marker(
        installation=match["installation"],
        incident=match["incident"],
        delivery=match["delivery"],
        about=match["about"],
    )
    return marker if hmac.compare_digest(marker.signed(key), match[0]) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class PullMarker:
    """What a pull request of ours, or our comment on one, said last and of what.

    Args:
        pull: the branch it is from, as `digest` shortens it: copied to another it is no marker.
        of: what the pull request proposes, or the commit that the comment is about, shortened likewise.
        said: one word of lower-case letters.
    """

    installation: str
    pull: str
    of: str
    said: str

    def signed(self, key: bytes) -> str:
        """Write the marker as one line, signed as an incident's is."""
        return f"{self._text()} signature={_signature(self._text(), key)}"

    def _text(self) -> str:
        return f"riskloop:1 installation={self.installation} pull={self.pull} of={self.of} said={self.said}"


def digest(text: str) -> str:
    """Shorten any text to 32 characters of SHA-256."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:32]


def read_pull_marker(text: str, key: bytes) -> PullMarker | None:
    """Find our pull request's marker in a text; None if there is none or its signature is not ours."""
    match = _PULL_SHAPE.search(text)
    if match is None:
        return None
    marker = PullMarker(
        installation=match["installation"], pull=match["pull"], of=match["of"], said=match["said"]
    )
    return marker if hmac.compare_digest(marker.signed(key), match[0]) else None


def _signature(text: str, key: bytes) -> str:
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()[:32]
