"""Where people hear: GitHub issues, Slack threads, and a preview of both; one small protocol for all."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from riskloop.notifications import Facts, Posting

__all__ = ["Channel", "Parcel", "Posting"]


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


class Channel(Protocol):
    """A place to be heard. Both verbs raise TryAgain, Ambiguous or GaveUp, and nothing else of their own."""

    def send(self, parcel: Parcel, *, found: Posting | None = None) -> Posting:
        """Bring the channel to the parcel's state with at most one POST; everything else is idempotent.

        Args:
            parcel: what to tell.
            found: what `find` found: the POST has happened, only the idempotent rest is done.
        """

    def find(self, parcel: Parcel) -> Posting | None:
        """Look whether this very delivery's POST is there already: by its marker and by our authorship."""
