"""A commit in the making, which nobody sees until it is whole."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from riskloop.commands import Finished
from riskloop.files import locked
from riskloop.git import COMMITTER, Mirror, Upstream
from riskloop.git.bare import TIMEOUT
from riskloop.mitigations.upstream_drift.patches.grafting import object_name
from riskloop.mitigations.upstream_drift.project.disk import FILE, SUBMODULE, Entry, differing

_LISTING = ("ls-tree", "-r", "-z", "--full-tree")


def list_entries(project: Mirror, commit: str, paths: list[str]) -> dict[str, Entry]:
    """List what a commit has of some files and folders, by path from its top."""
    if not paths:
        return {}
    return _entries(project.git(*_LISTING, commit, "--", *paths))


def _entries(listed: Finished) -> dict[str, Entry]:
    found = {}
    for line in listed.text().split("\0")[:-1]:
        what, _, path = line.partition("\t")
        mode, _, content = what.split(" ")
        found[path] = Entry(mode, content)
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A commit in the making: an index and objects in a scratch folder, on top of both mirrors.

    Args:
        room: the scratch folder.
        parent: the project's commit.
        entries: what the project's commit has of the files that the bump may write, by path below the top.
        changes: what is to be different in the index, in this order; None takes a file away.
        contents: what was written, by its digest.
    """

    project: Mirror
    upstream: Upstream
    room: Path
    parent: str
    entries: dict[str, Entry]
    changes: list[tuple[str, Entry | None]] = field(default_factory=list)
    contents: dict[str, bytes] = field(default_factory=dict)

    @classmethod
    def begin(
        cls, project: Mirror, upstream: Upstream, room: Path, *, parent: str, entries: dict[str, Entry]
    ) -> Self:
        """Begin with everything as the project's commit has it."""
        (room / "objects").mkdir()
        draft = cls(project=project, upstream=upstream, room=room, parent=parent, entries=entries)
        draft.git("read-tree", parent)
        return draft

    def git(self, *arguments: str, stdin: bytes = b"") -> Finished:
        """Run git on the draft; it must succeed."""
        return self.project.git(
            *arguments,
            stdin=stdin,
            index=self.room / "draft",
            beside=(self.project.path, self.upstream.path),
            variables={"GIT_OBJECT_DIRECTORY": str(self.room / "objects")},
        )

    def content(self, path: str) -> bytes | None:
        """Give a file as the project's commit has it; None if it has none, or no plain file."""
        entry = self.entries.get(path)
        if entry is None or not entry.is_file:
            return None
        return self.git("cat-file", "blob", entry.content).stdout

    def write(self, path: str, content: bytes) -> None:
        """Give a file new content; one that is there stays executable if it was."""
        blob = object_name("blob", content)
        self.contents[blob] = content
        entry = self.entries.get(path)
        self.put({path: Entry(entry.mode if entry is not None else FILE, blob)})

    def put(self, entries: dict[str, Entry]) -> None:
        """Set what stands under some names."""
        self.changes.extend(entries.items())

    def remove(self, paths: Iterable[str]) -> None:
        """Take files away; none need be there."""
        self.changes.extend((path, None) for path in paths)

    def replace_folder(self, path: str, old: str, new: str, *, stays: Callable[[str], bool]) -> None:
        """Put a tree where a folder is.

        Args:
            path: the folder.
            old: the tree that it is in the project's commit.
            new: a tree of either mirror; upstream's files in it that are missing are fetched, in one go.
            stays: told a path below the folder, says whether what the project's commit has there stays, be it
                nothing.

        Raises:
            Unmeasurable: upstream cannot be reached, or does not give the files.
        """
        pairs = differing(self.upstream, old, new, beside=(self.project.path,))
        after = {name: entry for name, (_, entry) in pairs.items() if entry is not None and not stays(name)}
        names = dict.fromkeys(entry.content for entry in after.values() if entry.mode != SUBMODULE)
        if names:
            asked = "".join(f"{name}\n" for name in names).encode()
            said = self.git("cat-file", "--batch-check", "--buffer", stdin=asked).text().splitlines()
            self.upstream.bring_blobs(line.split(" ")[0] for line in said if line.endswith(" missing"))
        self.remove(f"{path}/{name}" for name in pairs)
        self.put({f"{path}/{name}": entry for name, entry in after.items()})
        kept = {name: entry for name, (entry, _) in pairs.items() if entry is not None and stays(name)}
        self.put({f"{path}/{name}": entry for name, entry in kept.items()})

    def commit(self, message: str, *, branch: str) -> str:
        """Make the commit, move it with all that is new in it into our mirror of the project, and name it.

        The same files, parent and message give the same commit: its date is the parent's.

        Args:
            message: what it says.
            branch: the branch there, replaced if it is there.

        Returns:
            The commit.
        """
        self._apply()
        tree = self.git("write-tree").text().strip()
        date = self.git("show", "--no-patch", "--format=%ct", self.parent).text().strip()
        person = f"riskloop <{COMMITTER}> {date} +0000"
        lines = (
            f"tree {tree}",
            f"parent {self.parent}",
            f"author {person}",
            f"committer {person}",
            "",
            message,
        )
        content = "\n".join(lines).encode()
        commit = self.git("hash-object", "-t", "commit", "-w", "--stdin", stdin=content).text().strip()
        with locked(self.project.path.with_suffix(".lock"), wait=TIMEOUT):
            if not self.project.attempt("cat-file", "-e", commit).succeeded:
                # Written where git looks for packs, and renamed into place when it is whole.
                where = str(self.project.path / "objects/pack/pack")
                wanted = f"{commit}\n^{self.parent}\n".encode()
                self.git("pack-objects", "-q", "--revs", "--delta-base-offset", where, stdin=wanted)
            self.project.git("update-ref", f"refs/heads/{branch}", commit)
        return commit

    def _apply(self) -> None:
        """Store what was written, and change the index: each with one command."""
        files = [self.room / f"content-{number}" for number in range(len(self.contents))]
        for file, content in zip(files, self.contents.values(), strict=True):
            file.write_bytes(content)
        if files:
            given = "".join(f"{file}\n" for file in files).encode("utf-8", "surrogateescape")
            self.git("hash-object", "-w", "--no-filters", "--stdin-paths", stdin=given)
        lines = (
            f"{entry.mode} {entry.content}\t{path}\0" if entry is not None else f"0 {'0' * 40}\t{path}\0"
            for path, entry in self.changes
        )
        if given := "".join(lines).encode("utf-8", "surrogateescape"):
            self.git("update-index", "-z", "--index-info", stdin=given)
