"""What passes through the proxy: requests as they came, answers as they go, and how many came how fast."""

import json
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Self


@dataclass(slots=True, kw_only=True)
class Recorded:
    """One request as it came, and the status it got.

    Args:
        path: without the query.
        sent: the JSON of the body, or the fields of the form, or those of the query.
        at: when it came, in seconds, by the clock of the proxy.
        status: the HTTP status answered; 0 if the connection broke.
        committed: it reached the emulator, which applied it.
    """

    method: str
    path: str
    query: dict[str, str]
    sent: dict[str, Any]
    at: float = 0.0
    status: int = 0
    committed: bool = False


@dataclass(slots=True)
class Answer:
    """A status, headers and a body, on their way to the client."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    @classmethod
    def of(cls, status: int, data: Any, **headers: str) -> Self:
        """Make an answer of JSON; header names are written with `_` for `-`."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return cls(status, {"Content-Type": "application/json", **named}, json.dumps(data).encode())

    def with_data(self, data: Any) -> "Answer":
        """Put other JSON in place of what there is."""
        kept = {name: value for name, value in self.headers.items() if name.lower() != "content-length"}
        return Answer(self.status, kept, json.dumps(data).encode())


def busiest(moments: Iterable[float], window: float) -> int:
    """Count the moments in the window that has the most of them.

    Args:
        window: its length, in the unit of the moments; of its two ends one belongs to it.
    """
    inside: deque[float] = deque()
    most = 0
    for moment in sorted(moments):
        inside.append(moment)
        while inside[0] <= moment - window:
            inside.popleft()
        most = max(most, len(inside))
    return most
