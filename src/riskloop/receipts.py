"""What acting on a look came to."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What acting on a look came to.

    Args:
        says: in words, one sentence without a full stop; empty if there was nothing to do.
        url: the pull request; empty if there is none.
        failed: it could not be done, and the run fails for it.
        failure: the unexpected exception behind that, if it was one: a bug, to be raised at the end.
        deed: what should have been done, as it completes `it could not be …`.
        changed: something was changed that another look would see.
        figures: what acting measured, by metric; the look that follows reports them.
        notes: what a person should know of it, a sentence each, the most telling first.
    """

    says: str = ""
    url: str = ""
    failed: bool = False
    failure: Exception | None = None
    deed: str = "proposed"
    changed: bool = False
    figures: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        """Say what it came to, one sentence without a full stop; empty if there was nothing to do."""
        return f"it could not be {self.deed}: {self.says}" if self.failed else self.says
