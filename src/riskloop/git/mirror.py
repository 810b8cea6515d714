"""Our mirror of the project's own repository: what stands in its last commit, and commits of ours on top."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from riskloop.commands import Finished
from riskloop.errors import Refused, Unmeasurable
from riskloop.files import locked, remove_tree, scratch, stays_inside
from riskloop.git.bare import TIMEOUT, Bare
from riskloop.git.listing import read_listing

HEAD = "refs/riskloop/head"
"""Where the project's HEAD is kept in the mirror."""
COMMITTER = "riskloop@users.noreply.github.com"
"""By whom our commits are: a commit of another committer is a person's."""
_NO_HEAD = b"couldn't find remote ref HEAD"
_LINK, _SUBMODULE = "120000", "160000"


def find_top(project: Path) -> Path | None:
    """Find the top folder of the working copy a folder is in; None if it is in none. Runs nothing."""
    return next((folder for folder in (project, *project.parents) if (folder / ".git").exists()), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mirror(Bare):
    """A mirror of the repository that the project is in."""

    def fetch_head(self) -> str | None:
        """Bring the source's HEAD here, with its history; heal or rebuild the mirror where it is broken.

        Returns:
            The commit; None if the source has no commit yet.

        Raises:
            Unmeasurable: the source cannot be read.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with locked(self.path.with_suffix(".lock"), wait=TIMEOUT):
            self._prepare()
            known = self._head()
            # To ask is half the work of a fetch, and mostly nothing is new.
            if known.succeeded and known.text().strip() == self._ask():
                return known.text().strip()
            fetched = self._fetch()
            if not fetched.succeeded and not self._sound():
                remove_tree(self.path)
                fetched = self._fetch()
            if not fetched.succeeded and _NO_HEAD not in fetched.stderr:
                # A partial clone lacks most of its history, and has all of its HEAD.
                fetched = self._fetch("--depth=1")
            if not fetched.succeeded:
                if _NO_HEAD in fetched.stderr:
                    return None
                raise Unmeasurable(f"{self.source} cannot be read by git: {fetched.account(lines=3)}")
            return self._must(self._head()).text().strip()

    def _ask(self) -> str | None:
        """Ask the source for its HEAD; None if it does not say, or has none."""
        followed = read_listing(self._run(("ls-remote", "--", self.source, "HEAD")).stdout, "")
        return followed.head if followed is not None else None

    def _head(self) -> Finished:
        return self._run(("rev-parse", "--verify", f"{HEAD}^{{commit}}"))

    def _fetch(self, *how: str) -> Finished:
        self._prepare()
        fetch = ("fetch", "--quiet", "--no-tags", "--update-shallow", "--no-write-fetch-head")
        return self._run((*fetch, *how, "--no-recurse-submodules", "--", self.source, f"+HEAD:{HEAD}"))

    def entries(self, commit: str) -> dict[str, tuple[str, str]]:
        """List a commit's files: path to mode (`100644`, `100755`, `120000`, `160000`) and object."""
        listed = self.git("ls-tree", "-r", "-z", "--full-tree", commit).text()
        entries = {}
        for line in listed.split("\0")[:-1]:
            what, _, path = line.partition("\t")
            mode, _, name = what.split(" ")
            entries[path] = (mode, name)
        return entries

    def export(self, commit: str, to: Path, *, skip: Callable[[str], bool] | None = None) -> list[str]:
        """Write a commit's files into an empty folder: no filter runs, submodules are empty folders.

        Args:
            commit: which.
            to: the folder.
            skip: told a file's path, says whether to leave it out.

        Returns:
            What could not be given as it is, a phrase each: links that lead out of the tree, which become
            text files that hold their target.
        """
        try:
            entries = self._check_out(commit, to, skip)
        except Unmeasurable:
            with locked(self.path.with_suffix(".lock"), wait=TIMEOUT):
                if self._sound():
                    raise
                remove_tree(self.path)
                self._must(self._fetch())
            remove_tree(to)
            to.mkdir()
            entries = self._check_out(commit, to, skip)
        left = []
        for path, (mode, _) in entries.items():
            if mode == _LINK:
                target = (to / path).read_bytes().decode("utf-8", "surrogateescape")
                if stays_inside(path, target):
                    (to / path).unlink()
                    (to / path).symlink_to(target)
                else:
                    left.append(f"{path} (symbolic link that leads out of the tree)")
            elif mode == _SUBMODULE:
                (to / path).mkdir(parents=True, exist_ok=True)
        return left

    def _check_out(
        self, commit: str, to: Path, skip: Callable[[str], bool] | None
    ) -> dict[str, tuple[str, str]]:
        entries = {
            path: entry for path, entry in self.entries(commit).items() if skip is None or not skip(path)
        }
        given = "".join(f"{mode} {name}\t{path}\0" for path, (mode, name) in entries.items())
        with scratch(self.state, "index") as aside:
            index = aside / "index"
            self.git("read-tree", "--empty", index=index)
            if given:
                listed = given.encode("utf-8", "surrogateescape")
                self.git("update-index", "-z", "--index-info", stdin=listed, index=index)
            self.git("-c", "core.symlinks=false", "checkout-index", "--all", "--force", index=index, tree=to)
        return entries

    def content(self, commit: str, path: str) -> bytes | None:
        """Give a file's content at a commit; None if it is not there."""
        with suppress(Unmeasurable):
            return self.git("cat-file", "blob", f"{commit}:{path}").stdout
        return None

    def has_folder(self, commit: str, path: str) -> bool:
        """Say whether a commit holds a folder of that path."""
        return self._run(("cat-file", "-t", f"{commit}:{path}")).text().strip() == "tree"

    def last_changed(self, commit: str, path: str) -> int | None:
        """Say when a path last changed in a commit's history, in seconds since 1970; None if never."""
        said = self.git("log", "-1", "--format=%ct", commit, "--", path).text().strip()
        return int(said) if said else None

    def commit_files(
        self,
        parent: str,
        *,
        branch: str,
        message: str,
        written: Mapping[str, tuple[Path, bool]],
        removed: Sequence[str],
    ) -> str:
        """Make a commit with some files changed on a branch of the mirror; no working copy is involved.

        The same parent, files and message give the same commit: its date is the parent's.

        Args:
            parent: the commit it follows.
            branch: the branch's name, replaced if it is there.
            message: what the commit says.
            written: path to the file with the new content, and whether it is executable.
            removed: paths that are no more.

        Returns:
            The commit's object name.
        """
        with scratch(self.state, "index") as aside:
            index = aside / "index"
            self.git("read-tree", parent, index=index)
            lines = [f"0 {'0' * 40}\t{path}" for path in removed]
            for (path, (_, executable)), blob in zip(
                written.items(), self._keep(written.values()), strict=True
            ):
                lines.append(f"{'100755' if executable else '100644'} {blob}\t{path}")
            given = "".join(f"{line}\0" for line in lines).encode("utf-8", "surrogateescape")
            if given:
                self.git("update-index", "-z", "--index-info", stdin=given, index=index)
            tree = self.git("write-tree", index=index).text().strip()
        date = self.git("show", "--no-patch", "--format=%ct +0000", parent).text().strip()
        author = {"NAME": "riskloop", "EMAIL": COMMITTER, "DATE": f"@{date}"}
        people = {
            f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER") for what, value in author.items()
        }
        made = self.git("commit-tree", tree, "-p", parent, stdin=message.encode(), variables=people)
        commit = made.text().strip()
        self.git("update-ref", f"refs/heads/{branch}", commit)
        return commit

    def _keep(self, files: Iterable[tuple[Path, bool]]) -> list[str]:
        """Store files as objects, without any filter; git reads their names a line each."""
        names = [str(file) for file, _ in files]
        odd = next((name for name in names if "\n" in name), None)
        if odd is not None:
            raise Refused(f"{odd!r} has a line break in its name", rule="file-name", remedy="rename it")
        given = "".join(f"{name}\n" for name in names).encode("utf-8", "surrogateescape")
        return self.git("hash-object", "-w", "--no-filters", "--stdin-paths", stdin=given).text().split()
