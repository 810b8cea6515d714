"""Our mirror of somebody else's repository: its history at first, and of its files only what is needed."""

import base64
import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from riskloop.commands import Finished
from riskloop.errors import Unmeasurable
from riskloop.files import locked, remove_tree, write_whole
from riskloop.git.bare import TIMEOUT, Bare
from riskloop.git.complaints import complaint

_MISSING = " missing"
_PEELED = "^{}"
# Given with each command that may fetch, and standing in no file: nothing else that reads the mirror can
# make git fetch what it misses, one file at a time.
_PARTIAL = ("-c", "remote.upstream.promisor=true", "-c", "remote.upstream.partialclonefilter=blob:none")


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """Where the followed branch stands.

    Args:
        head: its newest commit.
        branch: its name; `HEAD` where upstream's HEAD is on no branch.
        tags: the commit of each tag, by the tag's name.
    """

    head: str
    branch: str
    tags: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream(Bare):
    """A mirror that has all commits and folders of a branch, and files only once they were asked for.

    Git calls this a partial clone. Nothing is fetched behind our back: outside `follow` and the verbs that
    bring something, the mirror does not know where it came from.

    Args:
        branch: the branch to follow; upstream's HEAD if empty.
        token: for an address of https; handed over in the environment only.
    """

    branch: str = ""
    token: str = field(default="", repr=False)

    @property
    def path(self) -> Path:
        return self.state / "upstreams" / hashlib.sha256(self.source.encode()).hexdigest()[:16]

    def follow(self) -> Followed:
        """Bring what the branch has and we do not; heal or rebuild the mirror where it is broken.

        Raises:
            Unmeasurable: upstream cannot be reached or read, or has no such branch; in words.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self._held():
            listed = self._listed()
            followed = self._read(listed)
            if not self._is_known(followed, listed):
                self._bring_head(followed)
                write_whole(self._known, listed)
        return followed

    def bring(self, commit: str, *, beside: Path | None = None) -> bool:
        """Have a commit with its history: it is here, or upstream gives it, or another repository does.

        Args:
            commit: 40 hexadecimal digits.
            beside: a repository on this machine that may have it, such as a submodule's own.

        Returns:
            Whether it is here now.
        """
        if self.has(commit):
            return True
        kept = f"+{commit}:refs/riskloop/pins/{commit}"
        with self._held():
            self._fetch(kept)
            if not self.has(commit) and beside is not None:
                self._fetch(kept, source=beside)
        return self.has(commit)

    def resolve(self, name: str, followed: Followed) -> str | None:
        """Find the commit that a person means by a tag, the branch, or a commit's digits (seven at least)."""
        if name == followed.branch:
            return followed.head
        if name in followed.tags:
            return followed.tags[name]
        if not re.fullmatch(r"[0-9a-f]{7,40}", name):
            return None
        said = self._run(("rev-parse", "--quiet", "--verify", f"{name}^{{commit}}"))
        return said.text().strip() if said.succeeded else None

    def has(self, commit: str) -> bool:
        """Say whether a commit is here, and is one."""
        return self._run(("cat-file", "-e", f"{commit}^{{commit}}")).succeeded

    def keep(self, commit: str) -> None:
        """Keep a commit that is here, though no branch of upstream leads to it any more."""
        self.git("update-ref", f"refs/riskloop/pins/{commit}", commit)

    def folder(self, commit: str, below: str | None = None) -> str:
        """Give the tree object of a commit, or of a folder in it.

        Raises:
            Unmeasurable: it has no such folder.
        """
        name = f"{commit}:{below}" if below else f"{commit}^{{tree}}"
        said = self.git("cat-file", "--batch-check", stdin=f"{name}\n".encode()).text().split()
        if len(said) < 2 or said[1] != "tree":  # noqa: PLR2004 - name, sort, size
            raise Unmeasurable(
                f"{self.source} has no folder {below} at {commit[:12]}",
                remedy="correct `strip` in the register",
            )
        return said[0]

    def bring_files(self, tree: str, paths: Sequence[str] | None = None) -> None:
        """Have the content of files of a tree: those of the paths, or all."""
        if paths is not None and not paths:
            return
        listed = self.git("ls-tree", "-r", "-z", "--full-tree", tree, *(("--", *paths) if paths else ()))
        entries = (line.partition("\t")[0].split(" ") for line in listed.text().split("\0")[:-1])
        self.bring_blobs(name for _, sort, name in entries if sort == "blob")

    def bring_blobs(self, blobs: Iterable[str]) -> None:
        """Have these file contents, with one request for all that are missing.

        Raises:
            Unmeasurable: upstream cannot be reached, or does not give them.
        """
        wanted = "".join(f"{name}\n" for name in dict.fromkeys(blobs))
        if not wanted or not (missing := self._missing(wanted)):
            return
        with self._held():
            fetched = self._fetch("--stdin", given="".join(f"{name}\n" for name in missing))
        if not fetched.succeeded or self._missing(wanted):
            raise complaint(self.source, fetched)

    def _missing(self, wanted: str) -> list[str]:
        said = self.git("cat-file", "--batch-check", "--buffer", stdin=wanted.encode()).text()
        return [line.removesuffix(_MISSING) for line in said.splitlines() if line.endswith(_MISSING)]

    def repair(self) -> bool:
        """Take a broken mirror away, so that the next `follow` makes it anew; say whether it was broken."""
        with self._held():
            if not self.path.exists() or self._sound():
                return False
            remove_tree(self.path)
            return True

    @contextmanager
    def _held(self) -> Iterator[None]:
        with locked(self.path.with_suffix(".lock"), wait=TIMEOUT):
            yield

    @property
    def _known(self) -> Path:
        """The file that holds what upstream listed when the branch was last brought here."""
        named = hashlib.sha256(self.branch.encode()).hexdigest()[:8]
        return self.path.with_suffix(f".{named}.listed")

    def _listed(self) -> bytes:
        """Ask upstream for its HEAD, the branch and the tags."""
        wanted = ("HEAD", *((f"refs/heads/{self.branch}",) if self.branch else ()), "refs/tags/*")
        asked = ("ls-remote", "--symref", "--", self.source, *wanted)
        listed = self._run(asked, variables=self._login(), here=False)
        if not listed.succeeded:
            raise complaint(self.source, listed)
        return listed.stdout

    def _read(self, listed: bytes) -> Followed:
        found: dict[str, str] = {}
        branch = "HEAD"
        for line in listed.decode("utf-8", "surrogateescape").splitlines():
            what, _, name = line.partition("\t")
            if what.startswith("ref: ") and name == "HEAD":
                branch = what.removeprefix("ref: refs/heads/")
            else:
                found[name] = what
        name = f"refs/heads/{self.branch}" if self.branch else "HEAD"
        if name not in found:
            said = f"no branch {self.branch}" if self.branch else "no commit yet"
            raise Unmeasurable(f"{self.source} has {said}", remedy="correct `branch` in the register")
        tags = {name: what for name, what in found.items() if name.startswith("refs/tags/")}
        return Followed(
            head=found[name],
            branch=self.branch or branch,
            # An annotated tag is listed twice: itself, and then the commit it is of.
            tags={
                name.removeprefix("refs/tags/"): tags.get(name + _PEELED, what)
                for name, what in tags.items()
                if not name.endswith(_PEELED)
            },
        )

    def _is_known(self, followed: Followed, listed: bytes) -> bool:
        try:
            return self._known.read_bytes() == listed and self.has(followed.head)
        except FileNotFoundError:
            return False

    def _bring_head(self, followed: Followed) -> None:
        where = f"refs/heads/{self.branch}" if self.branch else "HEAD"
        refspec = f"+{where}:refs/riskloop/heads/{self.branch or 'HEAD'}"
        fetched = self._fetch(refspec)
        if not (fetched.succeeded and self.has(followed.head)) and not self._sound():
            remove_tree(self.path)
            fetched = self._fetch(refspec)
        if (self.path / "shallow").exists() or b"shallow" in fetched.stderr:
            raise Unmeasurable(
                f"{self.source} is a shallow clone: what is missing in it cannot be counted",
                remedy="run `git fetch --unshallow` in it, or name the repository it was cloned from",
            )
        if not fetched.succeeded:
            raise complaint(self.source, fetched)
        # https://git-scm.com/docs/commit-graph: with it, counting commits reads no commit objects.
        self._run((*_PARTIAL, "commit-graph", "write", "--reachable", "--split", "--no-progress"))

    def _fetch(self, *how: str, source: Path | None = None, given: str = "") -> Finished:
        """Fetch from upstream, or from another repository on this machine; the lock must be held."""
        self._prepare()
        fetch = ("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules")
        if source is not None:
            beside = self._environment(source)
            return self._run(
                (*fetch, "--", str(source), *how), variables=beside | {"GIT_ALLOW_PROTOCOL": "file"}
            )
        address = ("-c", f"remote.upstream.url={self.source}")
        arguments = (*_PARTIAL, *address, *fetch, "--filter=blob:none")
        if given:
            return self._run((*arguments, *how, "upstream"), stdin=given.encode(), variables=self._login())
        return self._run((*arguments, "upstream", *how), variables=self._login())

    def _sound(self) -> bool:
        return self._run((*_PARTIAL, "fsck", "--no-dangling", "--no-progress")).succeeded

    def _login(self) -> dict[str, str]:
        """Hand the token over as git wants it: in the environment, for this one address."""
        if not self.token or not self.source.startswith("https://"):
            return {}
        login = base64.b64encode(f"x-access-token:{self.token}".encode()).decode()
        return {
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": f"http.{self.source}.extraHeader",
            "GIT_CONFIG_VALUE_0": f"Authorization: Basic {login}",
        }
