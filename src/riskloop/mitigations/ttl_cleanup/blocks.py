"""Keeps what proves of each of many files that it is still the same, without taking much room."""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress

BLOCK = 5_000
"""Files noted together: so many at most are removed between two entries in the journal."""


@dataclass(frozen=True, slots=True)
class Block:
    """Files of one folder, column by column: a million of them take 60 MB, and not a gigabyte.

    Args:
        folder: from the directory, with `/`; empty for the directory itself.
        joined: their names, with `/` between them.
        inodes, sizes, mtimes: as the file system has them; sizes in bytes, times in ns since 1970.
        changes: the later of mtime and ctime, in ns since 1970: a file's age counts from then.
        files: of whole directories, how many files each holds; empty where each is a file.
        prints: of whole directories, a digest of all that is in each; empty where each is a file.
    """

    folder: str
    joined: str
    inodes: "array[int]"
    sizes: "array[int]"
    mtimes: "array[int]"
    changes: "array[int]"
    files: "array[int]"
    prints: tuple[str, ...] = ()

    @property
    def names(self) -> list[str]:
        return self.joined.split("/") if self.inodes else []

    @property
    def path(self) -> str:
        """What stands before a name to make it a path."""
        return f"{self.folder}/" if self.folder else ""

    @property
    def count(self) -> int:
        """How many files it stands for."""
        return sum(self.files) if self.prints else len(self.inodes)

    def __len__(self) -> int:
        return len(self.inodes)

    def only(self, chosen: Sequence[bool]) -> "Block":
        """Give the same block with only those that are chosen, one word for each."""
        if all(chosen):
            return self
        return Block(
            self.folder,
            "/".join(compress(self.names, chosen)),
            inodes=array("q", compress(self.inodes, chosen)),
            sizes=array("q", compress(self.sizes, chosen)),
            mtimes=array("q", compress(self.mtimes, chosen)),
            changes=array("q", compress(self.changes, chosen)),
            files=array("q", compress(self.files, chosen)),
            prints=tuple(compress(self.prints, chosen)),
        )


class Columns:
    """A block that is being filled."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._names: list[str] = []
        self._inodes, self._sizes, self._mtimes = array("q"), array("q"), array("q")
        self._changes, self._files = array("q"), array("q")
        self._prints: list[str] = []

    def __len__(self) -> int:
        return len(self._names)

    def add(self, name: str, inode: int, size: int, mtime: int, change: int) -> None:
        self._names.append(name)
        # An inode number may use all 64 bits.
        self._inodes.append(inode if inode < 1 << 63 else inode - (1 << 64))
        self._sizes.append(size)
        self._mtimes.append(mtime)
        self._changes.append(change)

    def add_whole(self, files: int, fingerprint: str) -> None:
        """Add to what was added last how many files it holds, and the digest of them."""
        self._files.append(files)
        self._prints.append(fingerprint)

    def close(self) -> Block:
        return Block(
            self._folder,
            "/".join(self._names),
            inodes=self._inodes,
            sizes=self._sizes,
            mtimes=self._mtimes,
            changes=self._changes,
            files=self._files,
            prints=tuple(self._prints),
        )
