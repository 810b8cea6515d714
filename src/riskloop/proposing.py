"""Proposes to the owner's repository what a look made ready: one pull request per branch, kept current."""

from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from riskloop.channels import Turn
from riskloop.channels.github.pulls import Pull, Pulls, Said
from riskloop.errors import Ambiguous, Refused
from riskloop.git import Foreign, Remote
from riskloop.looking import Trouble, isolated
from riskloop.measurements import Look
from riskloop.proposals import Proposal
from riskloop.receipts import Receipt
from riskloop.redaction import without_secrets
from riskloop.risks import Mitigation
from riskloop.services import Services
from riskloop.settings import Settings
from riskloop.speaking import open_github, turn_for
from riskloop.wording import figures
from riskloop.wording import pulls as wording
from riskloop.wording.escaping import plain


def carry_out(services: Services, mitigation: Mitigation, look: Look) -> Look:
    """Propose what a look made ready, if it did; give the look with what came of it.

    A failure of any sort is in the receipt; running it again finishes or repeats it, and doubles nothing.
    """
    proposal = look.observation.proposal if look.observation else None
    if proposal is None:
        return look
    receipt = isolated(mitigation, lambda: propose(services, mitigation, proposal))
    if isinstance(receipt, Trouble):
        receipt = Receipt(says=receipt.words, failed=True, failure=receipt.failure)
    return replace(look, receipt=receipt)


def propose(
    services: Services, mitigation: Mitigation, proposal: Proposal, *, again: bool = False
) -> Receipt:
    """Bring the branch and its one pull request in the owner's repository to what is proposed.

    What a person did stays: their commits are not overwritten, what they closed is not opened again.

    Args:
        again: propose also what a person closed without merging: somebody has decided it anew.

    Raises:
        Unmeasurable: the repository cannot be read by git.
        Refused: it did not take the branch.
        TryAgain, Ambiguous, GaveUp: GitHub did not do what it was asked.
    """
    repository = mitigation.risk.owners[0].repository
    github, token = open_github(services), services.settings.github_token
    if repository is None or github is None or token is None:
        if not proposal.commit:
            return Receipt()
        lacking = "a token for GitHub" if repository else "a repository of its owner"
        return Receipt(says=f"nothing is proposed without {lacking}; the evidence shows what would be")
    proposal = replace(
        proposal,
        title=without_secrets(proposal.title),
        body=without_secrets(proposal.body),
        reason=without_secrets(proposal.reason),
    )
    pulls = github.pulls(repository, services.identity)
    try:
        # Git with a token follows no redirection: a repository that was renamed is asked by its new name.
        remote = Remote(
            state=services.settings.state,
            source=f"{git_address(services.settings)}/{pulls.name()}.git",
            repository=proposal.repository,
            token=token.get_secret_value(),
        )
        turn = turn_for(services, "github", repository)
        desk = _Desk(proposal=proposal, remote=remote, pulls=pulls, turn=turn)
        if proposal.commit:
            return desk.propose(again=again)
        return desk.leave_standing() if proposal.stands else desk.withdraw()
    except Ambiguous as error:
        remedy = "the next run looks again before it sends anything"
        raise Ambiguous(error.what, remedy=remedy) from error


def git_address(settings: Settings) -> str:
    """Say where git is: GitHub Enterprise has its API on https://host/api/v3 and its git on https://host."""
    if settings.github_git_url:
        return settings.github_git_url
    address = urlsplit(settings.github_url)
    return f"https://{(address.hostname or '').removeprefix('api.')}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Desk:
    """Where one proposal is worked on."""

    proposal: Proposal
    remote: Remote
    pulls: Pulls
    turn: Turn

    def propose(self, *, again: bool) -> Receipt:
        proposal, branch = self.proposal, self.proposal.branch
        known = self.pulls.of(branch)
        pull = next((one for one in known if one.ended_at is None), None)
        for ended in known if pull is None else ():
            if _was_decided(ended, proposal, again=again):
                return Receipt(says=f"{_ended(ended)}, proposed the same", url=ended.url)
        self._refuse_unpublished()
        merged = {one.head for one in known if one.merged}
        there, found = self.remote.replace(branch, proposal.commit, base=proposal.base, merged=merged)
        if found:
            return self._leave(pull, there, found)
        if pull is None:
            opened = self.pulls.open(proposal, turn=self.turn)
            return Receipt(says=f"#{opened.number} proposes it{self._if_draft()}", url=opened.url)
        if not pull.ours:
            return Receipt(
                says=f"#{pull.number} is a person's own from our branch, which was pushed", url=pull.url
            )
        changed = self.pulls.update(pull, proposal, turn=self.turn)
        did = "was brought up to date" if changed else "is up to date"
        return Receipt(says=f"#{pull.number} {did}{self._if_draft()}", url=pull.url)

    def _refuse_unpublished(self) -> None:
        """Let nothing be pushed with the branch but our own commit: what it follows must be there already."""
        default, base = self.pulls.default_branch(), self.proposal.base
        if not self.remote.leads_to(base, branch=default):
            place = f"{default} of {self.remote.source}"
            raise Refused(
                f"the project stands at {base[:12]} here, which {place} does not have",
                rule="unpublished",
                remedy=f"check out {default} where the service runs, or push what is on it",
            )

    def leave_standing(self) -> Receipt:
        """Name the pull request that is open, and change nothing."""
        pull = self._open()
        if pull is None:
            return Receipt(says=f"nothing is proposed: {self.proposal.reason}")
        return Receipt(says=f"#{pull.number} stays as it was: {self.proposal.reason}", url=pull.url)

    def withdraw(self) -> Receipt:
        """Close what is overtaken, unless it is not ours to close."""
        proposal = self.proposal
        pull = self._open()
        if pull is None:
            return Receipt()
        if pull.said is Said.OVERTAKEN:
            return Receipt(says=f"#{pull.number} is overtaken, and a person opened it again", url=pull.url)
        head = self.remote.read(proposal.branch)
        found = self.remote.foreign(head, branch=proposal.branch, base=proposal.base) if head else None
        if found:
            text = wording.left_open(reason=proposal.reason, whose=_in_markdown(found))
            self.pulls.tell(pull, Said.LEFT_OPEN, text, head=head, turn=self.turn)
            return Receipt(says=f"#{pull.number} is overtaken, and left open: {_whose(found)}", url=pull.url)
        text = wording.overtaken(reason=proposal.reason)
        self.pulls.tell(pull, Said.OVERTAKEN, text, head=head, turn=self.turn)
        self.pulls.close(pull, turn=self.turn)
        return Receipt(says=f"#{pull.number} was closed as overtaken: {proposal.reason}", url=pull.url)

    def _open(self) -> Pull | None:
        known = self.pulls.of(self.proposal.branch)
        return next((one for one in known if one.ended_at is None and one.ours), None)

    def _leave(self, pull: Pull | None, head: str, found: Foreign) -> Receipt:
        branch = self.proposal.branch
        if pull is None:
            says = f"nothing is proposed, as the branch {branch} is not overwritten: {_whose(found)}"
            return Receipt(says=says)
        if pull.ours:
            text = wording.left_to_people(
                branch=branch, whose=_in_markdown(found), newest=self.proposal.title
            )
            self.pulls.tell(pull, Said.LEFT, text, head=head, turn=self.turn)
        return Receipt(says=f"#{pull.number} is no longer updated: {_whose(found)}", url=pull.url)

    def _if_draft(self) -> str:
        return "" if self.proposal.ready else ", not ready for review"


def _was_decided(pull: Pull, proposal: Proposal, *, again: bool) -> bool:
    """Say whether a person has merged or closed just this, so that it is not to be proposed once more."""
    if not pull.proposed(proposal.proposes) or pull.said is Said.OVERTAKEN:
        return False
    return pull.merged or not again


def _ended(pull: Pull) -> str:
    how = "merged" if pull.merged else "closed"
    return f"#{pull.number}, {how} on {figures.moment(pull.ended_at)}" if pull.ended_at else f"#{pull.number}"


def _in_markdown(found: Foreign) -> str:
    # Before it is cut: half a secret is no longer known as one.
    who, subject = without_secrets(found.who), without_secrets(found.subject)
    return wording.theirs(commit=found.commit, who=who, subject=subject, more=found.more)


def _whose(found: Foreign) -> str:
    who = plain(without_secrets(found.who), limit=80)
    return f"commit {found.commit[:12]} by {who} is not riskloop's"
