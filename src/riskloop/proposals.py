"""A change to the project's repository that a look made ready."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A commit that may be proposed as the one pull request of its branch, or word that there is none now.

    Args:
        branch: its name, on our side and on the other: `riskloop/<mitigation>`.
        repository: the bare repository of ours that holds the commit.
        commit: the commit; empty if nothing is proposed now, so that a pull request still open is overtaken.
        stands: nothing is proposed now, and a pull request still open is not overtaken: it stays as it is.
        base: the commit it follows; empty if nothing is proposed.
        proposes: what it brings, so that one which a person closed is not proposed again: an upstream commit,
            or a fingerprint.
        title: one line of plain text.
        body: Markdown, everything foreign in it escaped; at most 60,000 characters.
        ready: it may be reviewed as it stands; a draft otherwise.
        reason: why nothing is proposed now, one sentence without a full stop; or why it is a draft.
    """

    branch: str
    repository: Path
    commit: str = ""
    stands: bool = False
    base: str = ""
    proposes: str = ""
    title: str = ""
    body: str = ""
    ready: bool = False
    reason: str = ""

    @property
    def says(self) -> str:
        """Say what would be done with it, one sentence without a full stop."""
        if not self.commit:
            return f"nothing would be proposed: {self.reason}" if self.reason else "nothing would be proposed"
        draft = "" if self.ready else f", as a draft: {self.reason}" if self.reason else ", as a draft"
        return f"'{self.title}' would be proposed{draft}"
