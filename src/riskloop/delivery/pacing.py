"""Who may write when: every request that writes waits for the budget, and for a lease that still holds."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from riskloop.channels import Turn
from riskloop.errors import TryAgain
from riskloop.store import Store, budget, outbox
from riskloop.store.budget import Budget
from riskloop.store.outbox import Claim, Closed

PATIENCE_SECONDS = 60.0
"""The longest a worker waits with a delivery in hand; a longer wait is left to a later run."""


class Overtaken(Exception):
    """A delivery's lease ran out while it was in hand: another worker has it, and this one writes nothing."""


class NoRoom(TryAgain):
    """The budget of a place is used up for longer than a delivery is held."""

    def __init__(self, place: Closed, seconds: float) -> None:
        super().__init__(f"the budget of writes allows no more for {seconds:.0f} s", after=seconds)
        self.place = place


@dataclass(frozen=True, slots=True, kw_only=True)
class Pacer:
    """Lets the writes of a claimed delivery through, each at its time.

    Args:
        budgets: by channel, how often it may be written to; a channel without one as often as it takes.
    """

    store: Store
    budgets: Mapping[str, Budget]
    clock: Callable[[], datetime]
    sleep: Callable[[float], None]

    def turn(self, claim: Claim) -> Turn:
        """Make what a channel calls right before each write of a delivery; it raises NoRoom or Overtaken."""

        def turn() -> None:
            wait = self._take(claim)
            if wait > 0:
                self.sleep(wait)
                # Long enough to have been stopped meanwhile.
                with self.store.writing() as connection:
                    self._hold(outbox.extend(connection, claim, now=self.clock()))

        return turn

    def _take(self, claim: Claim) -> float:
        allowed = self.budgets.get(claim.channel)
        patience = timedelta(seconds=PATIENCE_SECONDS)
        # GitHub counts writes for the whole token, Slack for each channel; a webhook has one channel.
        whole = claim.channel != "slack"
        place = claim.channel if whole else f"{claim.channel}:{claim.target}"
        now = self.clock()
        with self.store.writing() as connection:
            self._hold(outbox.extend(connection, claim, now=now))
            if allowed is None:
                return 0.0
            wait = budget.take(connection, place, claim.owner, allowed, now=now, patience=patience)
        if wait > patience:
            used_up = (
                Closed(channel=claim.channel, owner=claim.owner)
                if whole
                else Closed(channel=claim.channel, target=claim.target)
            )
            raise NoRoom(used_up, wait.total_seconds())
        return wait.total_seconds()

    @staticmethod
    def _hold(held: bool) -> None:  # noqa: FBT001 - what the store answered
        if not held:
            raise Overtaken
