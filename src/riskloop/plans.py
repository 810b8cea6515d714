"""What a look made ready to be done: stored with a hash first, so that nothing else is done."""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A change that a look made ready, stored as a file; nothing but what stands in it is carried out.

    Args:
        digest: the SHA-256 of the plan, 64 hexadecimal digits: an approval is bound to it.
        file: where it is stored, below the state directory.
        says: what would be done, one sentence without a full stop.
        summary: what a person needs to see to decide about it: lines of plain text that may come from
            anywhere.
        settings: a digest of the mitigation's settings it was made under; an approval given under others is
            void.
        empty: there is nothing to do.
        asks: why a person must approve it first, one sentence without a full stop; empty if nobody need.
        destroys: what it does cannot be taken back for ever, so that nobody's silence may stand for a yes.
        decide_within: how long a person has to decide before the default is applied.
    """

    digest: str
    file: Path
    says: str
    summary: str = ""
    settings: str
    empty: bool = False
    asks: str = ""
    destroys: bool = True
    decide_within: timedelta = timedelta(hours=24)
