"""Where people hear: GitHub issues, Slack threads, and a preview of both; one small protocol for all."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from riskloop.channels.markers import Marker
from riskloop.notifications import Facts, Posting

__all__ = ["Channel", "Kept", "Parcel", "Posting", "Standing", "Turn"]

Turn = Callable[[], None]
"""Called right before each request that writes: it waits until that may go out, or raises TryAgain.

Whatever else it raises goes through to its caller: whoever holds the delivery no longer does.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """One delivery as a channel sees it.

    Args:
        target: the place in the channel, as its route names it.
        marker: one signed line that proves a posting is ours, and says of which delivery.
        opening_marker: the marker of the delivery that opened the posting: an edited body keeps it.
        posting: what the incident has become here so far; None if nothing yet, so that sending opens it.
        previous_url: the last resolved posting of the same subject and concern; empty if there is none.
        issue_url: the incident's GitHub issue, for the other channels; empty if not known.
        attempted_at: when a delivery whose outcome is unknown was first tried; None if never.
        reopen: a posting that a person closed is opened again with this; else it is left closed.
    """

    delivery: str
    target: str
    facts: Facts
    marker: str
    opening_marker: str
    posting: Posting | None = None
    previous_url: str = ""
    issue_url: str = ""
    attempted_at: datetime | None = None
    reopen: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A posting of ours that a look around in a place came upon.

    Args:
        made_at: when it was posted.
    """

    posting: Posting
    marker: Marker
    made_at: datetime


class Standing(StrEnum):
    """What a posting is now: open, closed by whomever, or gone, which is deleted or moved away."""

    OPEN = "open"
    CLOSED = "closed"
    GONE = "gone"


class Channel(Protocol):
    """A place to be heard; its verbs raise TryAgain, Ambiguous, Gone or GaveUp, and nothing else."""

    def send(self, parcel: Parcel, *, turn: Turn, found: Posting | None = None) -> Posting:
        """Bring the channel to the parcel's state with at most one POST; everything else is idempotent.

        Args:
            parcel: what to tell.
            turn: called before each write.
            found: what `find` found: the POST has happened, only the idempotent rest is done.

        Raises:
            Gone: the posting is no longer there; nothing was posted.
        """

    def find(self, parcel: Parcel) -> Posting | None:
        """Look whether this very delivery's POST is there already: by its marker and by our authorship."""

    def look_around(self, target: str, *, since: datetime | None) -> Iterable[Kept]:
        """List the postings of ours in a place that tell of an incident not yet over.

        Args:
            since: only those made or changed since then; None for all that can still be seen.

        A channel that cannot look gives none.
        """

    def prove(self, realm: str) -> None:
        """Make sure that a realm's token works; GaveUp says why not."""
