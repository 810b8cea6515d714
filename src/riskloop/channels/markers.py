"""The signed line by which we know our own issues and messages again, and no copied or forged one."""

import hashlib
import hmac
import re
from dataclasses import dataclass

_SHAPE = re.compile(
    r"riskloop:1 installation=(?P<installation>[0-9a-z]+) incident=(?P<incident>[0-9a-z]+)"
    r" delivery=(?P<delivery>[0-9a-z]+) about=(?P<about>[0-9a-f]{16}) signature=(?P<signature>[0-9a-f]{32})"
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
        return f"{self._text()} signature={self._signature(key)}"

    def _text(self) -> str:
        return (
            f"riskloop:1 installation={self.installation} incident={self.incident}"
            f" delivery={self.delivery} about={self.about}"
        )

    def _signature(self, key: bytes) -> str:
        return hmac.new(key, self._text().encode(), hashlib.sha256).hexdigest()[:32]


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
    return marker if hmac.compare_digest(match["signature"], marker._signature(key)) else None  # noqa: SLF001
