"""The signed line by which we know our own issues and messages again, and no copied or forged one."""

import hashlib
import hmac
import re
from dataclasses import dataclass

_SHAPE = re.compile(
    r"riskloop:1 installation=(?P<installation>[0-9a-z]+) incident=(?P<incident>[0-9a-z]+)"
    r" delivery=(?P<delivery>[0-9a-z]+) signature=(?P<signature>[0-9a-f]{32})"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Marker:
    """Which installation, incident and delivery a posting belongs to."""

    installation: str
    incident: str
    delivery: str

    def signed(self, key: bytes) -> str:
        """Write the marker as one line, signed with HMAC-SHA-256 cut to 128 bits (RFC 2104, section 5)."""
        return f"{self._text()} signature={self._signature(key)}"

    def _text(self) -> str:
        return (
            f"riskloop:1 installation={self.installation} incident={self.incident} delivery={self.delivery}"
        )

    def _signature(self, key: bytes) -> str:
        return hmac.new(key, self._text().encode(), hashlib.sha256).hexdigest()[:32]


def read_marker(text: str, key: bytes) -> Marker | None:
    """Find our marker in a text; None if there is none or its signature is not ours."""
    match = _SHAPE.search(text)
    if match is None:
        return None
    marker = Marker(
        installation=match["installation"], incident=match["incident"], delivery=match["delivery"]
    )
    return marker if hmac.compare_digest(match["signature"], marker._signature(key)) else None  # noqa: SLF001
