"""Another repository that branches of ours go to: what a person did there is never overwritten."""

import re
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from riskloop.commands import Finished
from riskloop.errors import Refused, TryAgain, Unmeasurable
from riskloop.files import locked
from riskloop.git.bare import TIMEOUT, Bare, login
from riskloop.git.mirror import COMMITTER, HEAD
from riskloop.redaction import redacted

_NO_BRANCH = b"couldn't find remote ref"
_ATTEMPTS = 2
_LONGEST = 600
_SAID = re.compile(
    r"^(?:remote:|fatal:|error:(?! failed to push)) *(?P<said>\S.*)$|^ ! \[.*\((?P<why>[^()]*)\)$",
    re.MULTILINE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Foreign:
    """A commit on a branch of ours that is not ours.

    Args:
        who: its author's name, from anywhere.
        subject: its first line, from anywhere.
        more: how many others there are.
    """

    commit: str
    who: str
    subject: str
    more: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Remote(Bare):
    """A repository at an address (https, or an absolute path), seen from a bare one of ours.

    Args:
        repository: the bare repository of ours.
        token: a GitHub token, handed over in the environment only.
    """

    repository: Path
    token: str = field(default="", repr=False)

    @property
    def path(self) -> Path:
        return self.repository

    def read(self, branch: str) -> str:
        """Bring a branch here as it is there; give its commit, empty if there is no such branch.

        Raises:
            Unmeasurable: the other repository cannot be read.
        """
        kept = f"refs/riskloop/remote/{branch}"
        fetch = ("fetch", "--quiet", "--no-tags", "--update-shallow", "--no-write-fetch-head")
        reference = f"+refs/heads/{branch}:{kept}"
        with locked(self.path.with_suffix(".lock"), wait=TIMEOUT):
            fetched = self._speak(*fetch, "--no-recurse-submodules", "--", self.source, reference)
            if _NO_BRANCH in fetched.stderr:
                self.git("update-ref", "-d", kept)
                return ""
            if not fetched.succeeded:
                raise Unmeasurable(
                    f"{self.source} cannot be read by git: {_account(fetched)}",
                    remedy="see to the network, and to the token's rights (contents: write)",
                )
            return self.git("rev-parse", "--verify", f"{kept}^{{commit}}").text().strip()

    def leads_to(self, commit: str, *, branch: str) -> bool:
        """Say whether a branch there leads to a commit that we have, or is at it.

        Raises:
            Unmeasurable: the other repository cannot be read.
        """
        there = self.read(branch)
        return bool(there) and not self.git("rev-list", "--max-count=1", commit, f"^{there}").stdout

    def foreign(self, commit: str, *, branch: str, base: str = "") -> Foreign | None:
        """Find the newest commit of a person on a branch of ours as `read` brought it; None if all is ours.

        What is in the history of the base, or of what we pushed there last, is no change of anybody's.

        Args:
            commit: the branch as it is there.
            base: the commit that ours follows; the project's HEAD if empty.
        """
        known = [base or HEAD]
        with suppress(Unmeasurable):
            pushed = self.git("rev-parse", "--verify", "--quiet", f"{_pushed(branch)}^{{commit}}")
            known.append(pushed.text().strip())
        form = "--format=%H%x00%ce%x00%an%x00%s"
        listed = self.git("log", "--no-show-signature", form, commit, "--not", *known, "--")
        # Not `splitlines`: a subject may hold what Unicode calls a line's end.
        rows = [line.split("\0") for line in listed.stdout.decode("utf-8", "replace").split("\n")[:-1]]
        others = [row for row in rows if row[1].lower() != COMMITTER]
        if not others:
            return None
        name, _, who, subject = others[0]
        return Foreign(commit=name, who=who, subject=subject, more=len(others) - 1)

    def replace(
        self, branch: str, commit: str, *, base: str, merged: Collection[str] = ()
    ) -> tuple[str, Foreign | None]:
        """Have a branch there be our commit, unless a person has worked on it.

        It is pushed for what was just read there, and for nothing else; one that moves meanwhile is read and
        judged once more.

        Args:
            base: the commit that ours follows.
            merged: commits with which the branch was merged: where it still stands at one of them, whatever a
                person did on it has arrived, as one commit perhaps that says nothing of theirs.

        Returns:
            The branch's commit there, and the person's commit for which it was left alone, if so.

        Raises:
            Unmeasurable: the other repository cannot be read.
            Refused: it did not take the branch.
            TryAgain: somebody else keeps moving it.
        """
        before: str | None = None
        said = ""
        for attempt in range(_ATTEMPTS + 1):
            there = self.read(branch)
            if there == commit:
                self._remember(branch, commit)
                return commit, None
            if there == before:
                raise Refused(
                    f"{self.source} did not take the branch {branch}: {said}",
                    rule="push",
                    remedy="see to the token's rights (contents: write), or to what protects the branch",
                )
            theirs = there and there not in merged
            if theirs and (found := self.foreign(there, branch=branch, base=base)):
                return there, found
            if attempt < _ATTEMPTS:
                pushed = self.push(branch, commit, there=there)
                if pushed.succeeded:
                    self._remember(branch, commit)
                    return commit, None
                before, said = there, _account(pushed)
        raise TryAgain(
            f"{branch} in {self.source} moves while it is pushed", remedy="the next run looks again"
        )

    def push(self, branch: str, commit: str, *, there: str) -> Finished:
        """Send a commit as a branch, if that still is there what we have seen of it.

        Args:
            there: the commit we have seen; empty for no such branch.
        """
        # https://git-scm.com/docs/git-push: with an empty value the branch must not exist.
        lease = f"--force-with-lease=refs/heads/{branch}:{there}"
        reference = f"{commit}:refs/heads/{branch}"
        return self._speak("push", "--quiet", "--no-verify", lease, "--", self.source, reference)

    def _remember(self, branch: str, commit: str) -> None:
        with locked(self.path.with_suffix(".lock"), wait=TIMEOUT):
            self.git("update-ref", _pushed(branch), commit)

    def _speak(self, *arguments: str) -> Finished:
        return self._run(arguments, variables=login(self.source, self.token))

    def _environment(self, *also: Path) -> dict[str, str]:
        # What follows the project's repository has the plain file of this name, for another source.
        return Bare._environment(self, self.repository, *also)  # noqa: SLF001 - its own, in a class with slots


def _pushed(branch: str) -> str:
    return f"refs/riskloop/pushed/{branch}"


def _account(finished: Finished) -> str:
    """Say why git could not: what the other side said, or git itself, without the commands and addresses."""
    said = redacted(finished.stderr.decode("utf-8", "replace"))
    words = [" ".join((line["said"] or line["why"]).split()).rstrip(".") for line in _SAID.finditer(said)]
    whole = "; ".join(dict.fromkeys(words))[:_LONGEST] or " ".join(finished.account(lines=6).split())
    # It goes into logs, too, and a terminal obeys what it prints.
    return "".join(letter if letter.isprintable() else "?" for letter in whole)
