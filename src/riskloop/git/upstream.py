"""Our mirror of somebody else's repository: its history at first, and of its files only what is needed."""

import hashlib
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from riskloop.commands import Finished
from riskloop.errors import Unmeasurable
from riskloop.files import remove_tree, scratch
from riskloop.git.bare import LONGEST, Bare, login
from riskloop.git.complaints import complaint, is_missing, is_shallow, shallow
from riskloop.git.listing import Followed, branch_names, read_listing
from riskloop.git.seals import read_seal, seal

_ASKING = 120.0
_NOWHERE = Path(os.devnull)
_COMMIT = re.compile(r"[0-9a-f]{40}")
_DIGITS = re.compile(r"[0-9a-f]{7,40}")
_MISSING = " missing"
_ARGUMENTS = 60_000
_CORRECT = "correct `upstream` in the register"
_NAMED = 5
# Given with each command that may fetch, and standing in no file: nothing else that reads the mirror can
# make git fetch what it misses, one file at a time.
_PARTIAL = ("-c", "remote.upstream.promisor=true", "-c", "remote.upstream.partialclonefilter=blob:none")
_FETCH = ("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules")
# Whoever says which commits it has is not sent the files of those: it is taken to have them.
_SAYING_NOTHING = ("-c", "fetch.negotiationAlgorithm=noop")


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream(Bare):
    """A mirror that has all commits and folders of a branch, and files only once they were asked for.

    Git calls this a partial clone. Nothing is fetched behind our back: outside `follow` and the verbs that
    bring something, the mirror does not know where it came from.

    A verb that finds the mirror broken raises Unmeasurable; `repair` tells whether that was why, and after it
    the next `follow` has everything again.

    Args:
        branch: the branch to follow; upstream's HEAD if empty.
        token: for an address of https; handed over in the environment only.
    """

    branch: str = ""
    token: str = field(default="", repr=False)

    @property
    def path(self) -> Path:
        return self.state / "upstreams" / hashlib.sha256(os.fsencode(self.source)).hexdigest()[:16]

    def follow(self) -> Followed:
        """Bring what the branch has and we do not; heal or rebuild the mirror where it is broken.

        Nothing is fetched, and nothing of the mirror read, as long as the branch has not moved.

        Raises:
            Unmeasurable: upstream cannot be reached or read, or has no such branch; in words.
        """
        with self.held():
            followed = self._ask()
            known = read_seal(self._sealed)
            unbroken = known.is_unbroken(self.path)
            if unbroken and known.heads.get(self.branch) == followed.head:
                return followed
            if not unbroken and self.path.exists():
                self._mend()
            for _ in range(2):
                self._catch_up(followed.head)
                if self.has(followed.head):
                    self._finish(head=followed.head)
                    return followed
                followed = self._ask()
        raise Unmeasurable(
            f"{self.source} is being rewritten while it is read", remedy="the next look tries again"
        )

    def bring(self, commit: str, *, beside: Path | None = None) -> bool:
        """Have a commit with its history, for good: it is here, or upstream gives it, or another one does.

        Args:
            commit: 40 hexadecimal digits.
            beside: the git directory of a repository on this machine that may have it, such as a submodule's
                own. Its objects are read, nothing else of it is, and no git runs in it.

        Returns:
            Whether it is here now.

        Raises:
            Unmeasurable: it is not here, and upstream could not be asked.
        """
        if not _COMMIT.fullmatch(commit):
            return False
        if self.has(commit):
            self.keep(commit)
            return True
        with self.held():
            fetched = self._fetch(f"+{commit}:{_pin(commit)}")
            here = self.has(commit) or (beside is not None and self._take(commit, beside))
            if here:
                self._finish()
        if not (here or fetched.succeeded or is_missing(self.source, fetched)):
            raise self._complaint(fetched)
        return here

    def resolve(self, name: str, followed: Followed) -> str | None:
        """Find the commit that a person means by a tag, the branch, or a commit's digits (seven at least).

        Returns:
            The commit; None if there is none of that name here, or more than one. A tag's may not be here.
        """
        if name == followed.branch:
            return followed.head
        if name in followed.tags:
            return followed.tags[name]
        if not _DIGITS.fullmatch(name.lower()):
            return None
        said = self._run(("rev-parse", "--quiet", "--verify", f"{name}^{{commit}}"))
        return said.text().strip() if said.succeeded else None

    def has(self, commit: str) -> bool:
        """Say whether a commit, of 40 hexadecimal digits, is here, and is one."""
        if not _COMMIT.fullmatch(commit):
            return False
        return self._run(("cat-file", "-e", f"{commit}^{{commit}}")).succeeded

    def keep(self, commit: str) -> None:
        """Keep a commit that is here, though no branch of upstream leads to it any more."""
        if not (self.path / _pin(commit)).exists():
            with self.held():
                self.git("update-ref", _pin(commit), commit)

    def folder(self, commit: str, below: str | None = None) -> str:
        """Give the tree object of a commit, or of a folder in it.

        Raises:
            Unmeasurable: it has no such folder, or is not here.
        """
        if not below:
            return self.git("rev-parse", "--verify", f"{commit}^{{tree}}").text().strip()
        listed = self.git("ls-tree", "-d", "-z", "--full-tree", commit, "--", below.strip("/")).text()
        _, sort, tree = listed.partition("\t")[0].split(" ") if listed else ("", "", "")
        if sort != "tree":
            raise Unmeasurable(
                f"{self.source} has no folder {below} at {commit[:12]}",
                remedy="correct `strip` in the register",
            )
        return tree

    def bring_files(self, tree: str, paths: Sequence[str] | None = None) -> None:
        """Have the content of files of a tree: those of the paths, or all; a folder's path means all in it.

        Raises:
            Unmeasurable: upstream cannot be reached, or does not give them.
        """
        wanted = None if paths is None else {path.strip("/") for path in paths} - {""}
        if wanted is not None and not wanted:
            return
        few: Sequence[str] = ()
        if wanted and sum(len(os.fsencode(path)) + 1 for path in wanted) < _ARGUMENTS:
            few = ("--", *(path for path in wanted if "\0" not in path))
        listed = self.git("ls-tree", "-r", "-z", "--full-tree", tree, *few).text()
        blobs = []
        for line in listed.split("\0")[:-1]:
            what, _, path = line.partition("\t")
            _, sort, name = what.split(" ")
            if sort == "blob" and (few or wanted is None or _is_among(path, wanted)):
                blobs.append(name)
        self.bring_blobs(blobs)

    def bring_blobs(self, blobs: Iterable[str]) -> None:
        """Have these file contents, with one request for all that are missing.

        Raises:
            Unmeasurable: upstream cannot be reached, or does not give them.
        """
        wanted = "".join(f"{name}\n" for name in dict.fromkeys(blobs))
        if not wanted or not (missing := self._missing(wanted)):
            return
        with self.held():
            fetched = self._fetch("--stdin", given="".join(f"{name}\n" for name in missing))
            self._finish()
        if is_missing(self.source, fetched) or (fetched.succeeded and self._missing(wanted)):
            raise Unmeasurable(f"{self.source} no longer has the content of files that are asked of it")
        if not fetched.succeeded:
            raise self._complaint(fetched)

    def _missing(self, wanted: str) -> list[str]:
        said = self.git("cat-file", "--batch-check", "--buffer", stdin=wanted.encode()).text()
        return [line.removesuffix(_MISSING) for line in said.splitlines() if line.endswith(_MISSING)]

    def repair(self) -> bool:
        """Take away what is broken of the mirror, for `follow` to make it anew; say whether anything was.

        All of the mirror is read for that: call it when a verb failed, not before.
        """
        with self.held():
            return not self.path.exists() or self._mend()

    def _mend(self) -> bool:
        """Take away the index of commits if that is what is broken, else the mirror; say if anything was."""
        if self.path.is_dir():
            if self._is_whole():
                return False
            for name in ("commit-graph", "commit-graphs"):
                remove_tree(self.path / "objects" / "info" / name)
            # Even of a sound mirror the next `follow` must see that something is gone.
            self._sealed.unlink(missing_ok=True)
        if not self.path.is_dir() or not self._is_whole():
            remove_tree(self.path)
        return True

    def _is_whole(self) -> bool:
        # To the first of the two, whatever is missing may still be fetched; to the second only files may.
        walk = (
            "-c",
            "core.commitGraph=false",
            "rev-list",
            "--objects",
            "--filter=blob:none",
            "--all",
            "--quiet",
        )
        return self._sound(*_PARTIAL) and self._run(walk).succeeded

    @property
    def _sealed(self) -> Path:
        """The file that tells what the mirror held when it was last brought up to date."""
        return self.path.with_suffix(".seal")

    def _finish(self, *, head: str = "") -> None:
        """Index the commits that are new, and write down what is here now; the lock must be held.

        Args:
            head: where the branch stands, if it was just brought.
        """
        # https://git-scm.com/docs/commit-graph: with it, counting commits reads no commit objects.
        self._run(("commit-graph", "write", "--reachable", "--split", "--no-progress"))
        heads = dict(read_seal(self._sealed).heads)
        seal(self.path, self._sealed, heads | ({self.branch: head} if head else {}))

    def _ask(self) -> Followed:
        """Ask upstream for its HEAD, the branch and the tags."""
        if self.source.startswith("/") and not Path(self.source).exists():
            raise Unmeasurable(
                f"there is no folder {self.source}", remedy="correct `upstream` in the register"
            )
        branch = (f"refs/heads/{self.branch}",) if self.branch else ()
        listed = self._list("--symref", "--", self.source, "HEAD", *branch, "refs/tags/*")
        followed = read_listing(listed, self.branch)
        if followed is not None:
            return followed
        names = branch_names(self._list("--heads", "--", self.source))
        if not names:
            raise Unmeasurable(
                f"{self.source} has no commit yet", remedy="correct `upstream` in the register"
            )
        known = f"it has {', '.join(names[:_NAMED])}{' and more' if len(names) > _NAMED else ''}"
        if not self.branch:
            raise Unmeasurable(f"{self.source} has no HEAD; {known}", remedy="name one of them in `branch`")
        raise Unmeasurable(
            f"{self.source} has no branch {self.branch}; {known}", remedy="correct `branch` in the register"
        )

    def _list(self, *how: str) -> bytes:
        asked = ("ls-remote", *how)
        listed = self._run(asked, variables=login(self.source, self.token), at=_NOWHERE, timeout=_ASKING)
        if not listed.succeeded:
            raise self._complaint(listed)
        return listed.stdout

    def _complaint(self, finished: Finished) -> Unmeasurable:
        return complaint(self.source, finished, token=bool(login(self.source, self.token)))

    def _catch_up(self, head: str) -> None:
        """Fetch the branch, as it is by now; once more into a new mirror if this one is broken."""
        # Of two branches one may be named like a folder of the other: what we call them must not.
        ours = hashlib.sha256(self.branch.encode()).hexdigest()[:16]
        refspec = f"+{f'refs/heads/{self.branch}' if self.branch else 'HEAD'}:refs/riskloop/heads/{ours}"
        fetched = self._fetch(refspec)
        if not (fetched.succeeded and self.has(head)) and self._mend():
            fetched = self._fetch(refspec)
        if not fetched.succeeded:
            raise self._complaint(fetched)

    def _fetch(self, *how: str, given: str = "") -> Finished:
        """Fetch references, or with `--stdin` the objects that are given; the lock must be held."""
        self._prepare()
        fetch = (*_PARTIAL, "-c", f"remote.upstream.url={self.source}", *_FETCH, "--filter=blob:none")
        arguments = (*_SAYING_NOTHING, *fetch, *how, "upstream") if given else (*fetch, "upstream", *how)
        fetched = self._run(
            arguments, stdin=given.encode(), variables=login(self.source, self.token), timeout=LONGEST
        )
        if is_shallow(self.source, fetched) or (self.path / "shallow").exists():
            # It has commits now whose history it lacks, and they would be believed.
            remove_tree(self.path)
            raise shallow(self.source)
        return fetched

    def _take(self, commit: str, beside: Path) -> bool:
        """Copy a commit, and what of its history is not here, out of another repository's objects."""
        known = self.git("for-each-ref", "--format=%(objectname)").text()
        with scratch(self.state, "pack") as aside:
            asked = f"{commit}\n--not\n{known}".encode()
            pack = ("pack-objects", "--revs", "--quiet", "--missing=allow-any", "--delta-base-offset")
            self.attempt(*pack, str(aside / "pack"), stdin=asked, beside=(beside,))
            packed = next(aside.glob("pack-*.pack"), None)
            if packed is None:
                return False
            # Objects are named anew by their content: another repository may call them what it likes.
            packs = aside / "objects" / "pack"
            packs.mkdir(parents=True)
            packed = packed.rename(packs / packed.name)
            self.git("index-pack", str(packed))
            whole = ("rev-list", "--objects", "--filter=blob:none", "--quiet", commit, "--not", "--stdin")
            if not self.attempt(*whole, stdin=known.encode(), beside=(aside,)).succeeded:
                return False
            # It may leave out files that upstream has: https://git-scm.com/docs/partial-clone
            packed.with_suffix(".promisor").touch()
            for name in sorted(packs.iterdir(), key=lambda file: file.suffix == ".idx"):
                name.rename(self.path / "objects" / "pack" / name.name)
        self.git("update-ref", _pin(commit), commit)
        return True


def _pin(commit: str) -> str:
    return f"refs/riskloop/pins/{commit}"


def _is_among(path: str, wanted: set[str]) -> bool:
    return path in wanted or any(str(folder) in wanted for folder in PurePosixPath(path).parents)
