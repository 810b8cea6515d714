"""What can go wrong, sorted by who must act.

RiskloopError
├── RegisterError      a person must edit the register; nothing starts
├── Unmeasurable       we could not look; the assessment is unknown and nothing closes
├── Refused            a safety rule stopped us; nothing was changed
├── StoreError         the store cannot be read or written; nothing is lost, nothing goes on
└── Undelivered        a channel did not take a delivery
    ├── TryAgain       surely not applied: wait, then send again
    ├── Ambiguous      perhaps applied: look before sending again
    ├── Gone           what was to be edited or answered is no longer there
    └── GaveUp         a person must mend the channel: dead letter
"""

from dataclasses import dataclass


class RiskloopError(Exception):
    """A failure a person can act on: what happened, and the remedy.

    Args:
        what: what happened and where, one sentence without a full stop.
        remedy: what to do about it, one sentence without a full stop.
    """

    def __init__(self, what: str, *, remedy: str = "") -> None:
        super().__init__(what, remedy)
        self.what = what
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.what}; {self.remedy}" if self.remedy else self.what


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake:
    """One thing to fix in a register: its line (from 1), its path such as `risks[0].id`, and the remedy."""

    line: int
    path: str
    says: str


class RegisterError(RiskloopError):
    """The register cannot be used as it stands; every mistake in it is listed, each with line and remedy."""

    def __init__(self, file: str, mistakes: tuple[Mistake, ...]) -> None:
        things = "1 thing" if len(mistakes) == 1 else f"{len(mistakes)} things"
        super().__init__(f"{things} to fix in {file}")
        self.file = file
        self.mistakes = mistakes

    def __str__(self) -> str:
        where = max((len(mistake.path) for mistake in self.mistakes), default=0)
        number = max((len(str(mistake.line)) for mistake in self.mistakes), default=0)
        rows = (f"  line {m.line:<{number}}  {m.path:<{where}}  {m.says}".rstrip() for m in self.mistakes)
        return "\n".join((f"{self.what}:", *rows))


class Unmeasurable(RiskloopError):
    """We could not look, so nothing is known: never the same as ok."""


class Refused(RiskloopError):
    """A safety rule stopped a change; nothing was changed.

    Args:
        rule: the rule's short name, as the documentation lists it.
    """

    def __init__(self, what: str, *, rule: str, remedy: str = "") -> None:
        super().__init__(what, remedy=remedy)
        self.rule = rule


class StoreError(RiskloopError):
    """The store cannot be read or written: newer than this program, read-only, full, or not reachable."""


class Undelivered(RiskloopError):
    """A channel did not take a delivery."""


class TryAgain(Undelivered):
    """Surely not applied (refused or rate limited): wait, then send again.

    Args:
        after: seconds the other side asked us to wait, if it said.
    """

    def __init__(self, what: str, *, remedy: str = "", after: float | None = None) -> None:
        super().__init__(what, remedy=remedy)
        self.after = after


class Ambiguous(Undelivered):
    """Perhaps applied (lost answer, server error, timeout): look for it before sending again."""


class Gone(Undelivered):
    """The issue or message is no longer there: deleted, or moved away. What stands may be opened anew."""


class GaveUp(Undelivered):
    """A person must mend the channel or the address: the delivery becomes a dead letter.

    Args:
        authentication: the token itself was refused, so every delivery of the channel would be.
    """

    def __init__(self, what: str, *, remedy: str = "", authentication: bool = False) -> None:
        super().__init__(what, remedy=remedy)
        self.authentication = authentication
