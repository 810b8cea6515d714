"""Applies patches to an index of our own in upstream's mirror: no working copy, nothing of a user's."""

import hashlib
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

from riskloop.commands import Finished
from riskloop.errors import Unmeasurable
from riskloop.git import Upstream
from riskloop.mitigations.upstream_drift.patches.diffs import Diff
from riskloop.mitigations.upstream_drift.patches.grafting import TREE, Entry, graft, parents
from riskloop.mitigations.upstream_drift.patches.verdicts import Outcome, Step

# https://git-scm.com/docs/git-config#Documentation/git-config.txt-coreprotectNTFS
_AT_ONCE = 500
_NOTHING = f"0 {'0' * 40}"
SUBMODULE = b"160000"
_STRICT = ("-c", "core.protectHFS=true", "-c", "core.protectNTFS=true")
_CHECKING = re.compile(r"^Checking patch .*\.\.\.$")
_SHIFTED = re.compile(r"^Hunk #\d+ succeeded at \d+ \(offset (-?\d+) lines?\)\.$")
_AMISS = re.compile(r"^error: |^warning: .* has type \d+, expected \d+$")
_UNREADABLE = re.compile(
    r"corrupt|No valid patches|unrecognized input|without header|header lacks", re.IGNORECASE
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """How far git came with some patches in a row.

    Args:
        done: whether all of them apply; if not, the index is as it was.
        shifts: how many lines away each was found at most, of those that apply; None where something other
            than its place was not as the patch expects.
        words: what git said.
        told: whether that leaves no doubt about which patch is the first that does not apply.
    """

    done: bool
    shifts: tuple[int | None, ...]
    words: str
    told: bool = False

    @property
    def exact(self) -> int:
        """How many, from the first, apply at the very lines they name."""
        return next((at for at, shift in enumerate(self.shifts) if shift != 0), len(self.shifts))


@dataclass(slots=True, kw_only=True)
class Workbench:
    """An index in a scratch folder, and patches in files beside it whose names are ours.

    Args:
        room: the scratch folder.
        paths: the files that may be touched: of a tree only these stand in the index. All if not given.
        beside: other repositories whose objects may be read.
    """

    upstream: Upstream
    room: Path
    paths: tuple[str, ...] | None = None
    beside: tuple[Path, ...] = ()
    _top: str = ""
    _laid: dict[str, Entry] = field(default_factory=dict)
    _folders: dict[str, str] = field(default_factory=dict)
    _stored: dict[str, bytes] = field(default_factory=dict)

    @property
    def _index(self) -> Path:
        return self.room / "index"

    def lay(self, tree: str) -> None:
        """Begin with a tree; where it is said which files may be touched, their content is fetched.

        Raises:
            Unmeasurable: content that is needed cannot be fetched.
        """
        self.room.mkdir(parents=True, exist_ok=True)
        if self.paths is None:
            self.git("read-tree", tree)
            return
        self._top = tree
        self._folders, self._laid = self.entries(tree, self.paths)
        self._read_folders([entry.name for entry in self._laid.values() if entry.mode != SUBMODULE])
        self._index.unlink(missing_ok=True)
        self.put(self._laid)

    def put(self, entries: Mapping[str, Entry | None]) -> None:
        """Set files of the index; None takes one away."""
        # What is gone goes first: a folder may stand where a file was.
        ordered = sorted(entries.items(), key=lambda item: item[1] is not None)
        lines = (
            f"{entry.mode.decode()} {entry.name}\t{path}\0" if entry is not None else f"{_NOTHING}\t{path}\0"
            for path, entry in ordered
        )
        given = "".join(lines).encode("utf-8", "surrogateescape")
        self.git("update-index", "-z", "--index-info", stdin=given)

    def entries(self, tree: str, paths: Sequence[str]) -> tuple[dict[str, str], dict[str, Entry]]:
        """List what stands in a tree at some paths, or in their way.

        Returns:
            The folders they are in, with their trees; and the files, which include what stands where a path
            needs a folder, and what is inside a folder that stands where a path needs a file.
        """
        found = self._listed(tree, paths)
        above = dict.fromkeys(folder for path in paths for folder in parents(path))
        between = [path for path in above if path not in found]
        found |= self._listed(tree, between) if between else {}
        folders = {path: entry.name for path, entry in found.items() if entry.mode == TREE}
        inside = [path for path in paths if path in folders and path not in above]
        found |= self._listed(tree, inside, "-r") if inside else {}
        return folders, {path: entry for path, entry in found.items() if entry.mode != TREE}

    def _listed(self, tree: str, paths: Sequence[str], *how: str) -> dict[str, Entry]:
        """List what stands under some paths of a tree, with the folders they are in."""
        found = {}
        for start in range(0, len(paths), _AT_ONCE):
            names = paths[start : start + _AT_ONCE]
            listed = self.git("ls-tree", "-t", "-z", "--full-tree", *how, tree, "--", *names)
            for line in listed.text().split("\0")[:-1]:
                what, _, path = line.partition("\t")
                mode, _, name = what.split(" ")
                found[path] = Entry(mode.lstrip("0").encode(), name)
        return found

    def differs(self, tree: str, paths: Sequence[str]) -> bool:
        """Say whether files are other ones in the index than in a tree."""
        return self.attempt("diff-index", "--cached", "--quiet", tree, "--", *paths).exit_code != 0

    def tree(self) -> str:
        """Store the tree that was laid, with what the index has become, and give its name."""
        if self.paths is None:
            return self.part()
        present = {}
        for line in self.git("ls-files", "--stage", "-z").text().split("\0")[:-1]:
            what, _, path = line.partition("\t")
            mode, name, _ = what.split(" ")
            present[path] = Entry(mode.encode(), name)
        changes: dict[str, Entry | None] = {path: None for path in self._laid if path not in present}
        changes |= {path: entry for path, entry in present.items() if self._laid.get(path) != entry}
        if not changes:
            return self._top
        name, made = graft(self._top, self._stored, changes)
        self.store("tree", made)
        return name

    def part(self) -> str:
        """Store what stands in the index, and nothing else of the tree that was laid, as a tree."""
        # The mirror lacks the content of most files; what is not touched need not be here.
        return self.git("write-tree", "--missing-ok").text().strip()

    def _read_folders(self, blobs: Sequence[str]) -> None:
        """Read the folders that may change, as git stores them, and fetch the content that is not here."""
        folders = list(dict.fromkeys((self._top, *self._folders.values())))
        asked = [*(f"contents {name}\n" for name in folders), *(f"info {name}\n" for name in blobs)]
        said = self.git("cat-file", "--batch-command", "--buffer", stdin="".join(asked).encode())
        content, at = said.stdout, 0
        self._stored = {}
        for name in folders:
            end = content.index(b"\n", at)
            size = int(content[at:end].split(b" ")[2])
            self._stored[name] = content[end + 1 : end + 1 + size]
            at = end + size + 2
        if b" missing\n" in content[at:]:
            self.upstream.bring_blobs(blobs)

    def store(self, sort: str, contents: Sequence[bytes]) -> None:
        """Store objects of one sort."""
        files = "".join(f"{self.write(content)}\n" for content in contents)
        self.git("hash-object", "-t", sort, "-w", "--literally", "--stdin-paths", stdin=files.encode())

    def git(self, *arguments: str, stdin: bytes = b"") -> Finished:
        """Run git on the index; it must succeed."""
        return self.upstream.git(*arguments, stdin=stdin, index=self._index, beside=self.beside)

    def attempt(self, *arguments: str, stdin: bytes = b"") -> Finished:
        """Run git on the index; it may fail."""
        return self.upstream.attempt(*arguments, stdin=stdin, index=self._index, beside=self.beside)

    def keep(self) -> None:
        """Remember the index as it is."""
        _copy(self._index, self._kept)

    def restore(self) -> None:
        """Go back to the index that was remembered last."""
        _copy(self._kept, self._index)

    @property
    def _kept(self) -> Path:
        return self.room / "index.kept"

    def apply(
        self, diffs: Sequence[Diff], level: int, *, reverse: bool = False, check: bool = False
    ) -> Attempt:
        """Apply patches one after the other: all of them, or none.

        Args:
            diffs: the patches.
            level: how many folders are taken off the front of their names.
            reverse: take them away instead.
            check: only say whether it would work; of more than one patch each is held against the index as
                it is.
        """
        if not diffs:
            return Attempt(done=True, shifts=(), words="")
        how = ["--cached", "--verbose", "--whitespace=nowarn", f"-p{level}"]
        how += ["--reverse"] if reverse else []
        how += ["--check"] if check else []
        said = self.attempt(*_STRICT, "apply", *how, "--", *(self.write(diff.content) for diff in diffs))
        words = said.stderr.decode("utf-8", "surrogateescape")
        if not said.succeeded and said.exit_code not in (1, 128):
            raise Unmeasurable(f"patches cannot be tried: {said.account(lines=3)}")
        shifts = _shifts(words, diffs, done=said.succeeded)
        looked_at = diffs[: len(shifts) + (not _UNREADABLE.search(words))]
        told = len(_by_file(words)) == sum(len(diff.changes) for diff in looked_at)
        return Attempt(done=said.succeeded, shifts=shifts, words=words, told=told)

    def taken(self, diffs: Sequence[Diff], level: int) -> list[int | None] | None:
        """Say of each patch whether it could be taken away from the index as it is: it is in it already.

        Returns:
            How far from the lines it names it stands; None for one that is not there, or not quite. None
            instead of a list where git's answer does not say which patch is meant.
        """
        how = ("--cached", "--check", "--reject", "--reverse", "--verbose", f"-p{level}")
        files = (self.write(diff.content) for diff in diffs)
        said = self.attempt(*_STRICT, "apply", *how, "--", *files)
        words = said.stderr.decode("utf-8", "surrogateescape")
        found = _by_file(words)
        if len(found) != sum(len(diff.changes) for diff in diffs):
            return None
        rest = iter(found)
        return [_most([next(rest) for _ in diff.changes]) for diff in diffs]

    def replay(self, steps: Sequence[Step]) -> None:
        """Apply again what did apply, with as few commands as possible."""
        for (level, merged), group in groupby(steps, key=lambda step: (step.level, step.merged)):
            diffs = [step.diff for step in group]
            if merged:
                done = all(self.merge_by_name(diff, level) for diff in diffs)
            else:
                done = self.apply(diffs, level).done
            if not done:
                raise Unmeasurable("a patch that applied does not apply again: the mirror has changed")

    def trees_around(self, outcome: Outcome) -> tuple[str, str]:
        """Give the trees before and after a patch that applies; the index is the latter then."""
        if outcome.step is None:
            return outcome.before, outcome.after
        self.lay(outcome.before)
        self.replay(outcome.earlier)
        before = self.tree() if outcome.earlier else outcome.before
        self.replay([outcome.step])
        return before, self.tree()

    def merge_by_name(self, diff: Diff, level: int) -> bool:
        """Apply a patch to the files it names as its base, if they are here, and merge; say if that worked.

        If not, the index is in no state to be used.
        """
        how = ("--cached", "--3way", "--whitespace=nowarn", f"-p{level}")
        merging = ("-c", "merge.renormalize=false")
        return self.attempt(*_STRICT, *merging, "apply", *how, "--", self.write(diff.content)).succeeded

    def write(self, content: bytes) -> str:
        """Put something into a file whose name is ours, and give that."""
        path = self.room / hashlib.sha256(content).hexdigest()[:16]
        if not path.exists():
            path.write_bytes(content)
        return str(path)


def _copy(file: Path, to: Path) -> None:
    """Copy an index; git makes no file for an empty one."""
    to.unlink(missing_ok=True)
    if file.exists():
        shutil.copyfile(file, to)


def _by_file(words: str) -> list[int | None]:
    """Read for each file git looked at how far from its place the change was found; None if it was not."""
    files: list[int | None] = []
    for line in words.split("\n"):
        if _CHECKING.match(line):
            files.append(0)
        elif not files or files[-1] is None:
            continue
        elif found := _SHIFTED.match(line):
            files[-1] = max(files[-1], abs(int(found[1])))
        elif _AMISS.match(line):
            files[-1] = None
    return files


def _shifts(words: str, diffs: Sequence[Diff], *, done: bool) -> tuple[int | None, ...]:
    """Read for each patch that applies how far it was moved; git names files, and the patches follow.

    What git prints of a patch that does not apply may hold anything: nobody may rely on the number of
    patches given here before these have been applied.
    """
    files = _by_file(words)
    if done and len(diffs) == 1:
        return (_most(files),)
    shifts = []
    at = 0
    for diff in diffs:
        own = files[at : at + len(diff.changes)]
        at += len(diff.changes)
        # The last patch git looked at is the one that failed, unless it could not even be read.
        if len(own) < len(diff.changes) or (not done and at >= len(files) and not _UNREADABLE.search(words)):
            break
        shifts.append(_most(own))
    if done and (len(shifts) < len(diffs) or at != len(files)):
        return (None,) * len(diffs)
    return tuple(shifts)


def _most(files: Sequence[int | None]) -> int | None:
    return None if None in files else max((shift for shift in files if shift), default=0)
