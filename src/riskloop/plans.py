"""What a look made ready to be done: stored with a hash first, so that nothing else is done."""

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from pydantic import BaseModel


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A change that a look made ready, stored as a file; nothing but what stands in it is carried out.

    Args:
        digest: the SHA-256 of the plan, 64 hexadecimal digits: an approval is bound to it.
        file: where it is stored, below the state directory.
        says: what would be done, one sentence without a full stop.
        summary: what a person needs to see to decide about it: lines of plain text that may come from
            anywhere.
        settings: the digest of the mitigation's settings it was made under, by `digest_of`; an approval given
            under others is void.
        empty: there is nothing to do.
        asks: why a person must approve it first, one sentence without a full stop; empty if nobody need.
        destroys: what it does cannot be taken back for ever, so that nobody's silence may stand for a yes.
        proceeds: it is carried out even if nobody decides in time; only for what destroys nothing.
        decide_within: how long a person has to decide before the default is applied; ten minutes at least, 30
            days at most.
    """

    digest: str
    file: Path
    says: str
    summary: str = ""
    settings: str
    empty: bool = False
    asks: str = ""
    destroys: bool = True
    proceeds: bool = False
    decide_within: timedelta = timedelta(hours=24)


def digest_of(settings: BaseModel) -> str:
    """Make the digest of a mitigation's settings by which it is known whether they have changed."""
    return hashlib.sha256(settings.model_dump_json().encode()).hexdigest()
