"""Keeps what proves of each of many files that it is still the same, without taking much room."""

import zlib
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import compress

BLOCK = 2_500
"""Files noted together, in whatever folders they are."""

PRINT = 16
"""Bytes of the digest of a whole directory."""

_LIMIT = 1 << 63


@dataclass(frozen=True, slots=True)
class Block:
    """Files, or whole directories, column by column: a million of them take 50 MB, and not a gigabyte.

    Args:
        packed: their paths from the directory, with `/`; those in one folder stand together.
        inodes, sizes, mtimes: as the file system has them, by `as_held`; sizes in bytes, times in ns since
            1970.
        changes: the later of mtime and ctime, in ns since 1970: a file's age counts from then.
        files: of whole directories, how many files each holds; empty where each is a file.
        prints: of whole directories, digests of all that is in each, PRINT bytes after PRINT bytes; empty
            where each is a file.
    """

    packed: bytes
    inodes: "array[int]"
    sizes: "array[int]"
    mtimes: "array[int]"
    changes: "array[int]"
    files: "array[int]"
    prints: bytes = b""

    @property
    def paths(self) -> list[str]:
        return unpacked(self.packed)

    @property
    def whole(self) -> bool:
        """Whether each is a whole directory."""
        return bool(self.prints)

    @property
    def count(self) -> int:
        """How many files it stands for."""
        return sum(self.files) if self.whole else len(self.inodes)

    def __len__(self) -> int:
        return len(self.inodes)

    def folders(self) -> Iterator[tuple[str, list[tuple[int, str]]]]:
        """Give each folder with what of it is in the block: its place here, and its name there."""
        at, held = "", list[tuple[int, str]]()
        for index, path in enumerate(self.paths):
            folder, _, name = path.rpartition("/")
            if folder != at:
                if held:
                    yield at, held
                at, held = folder, []
            held.append((index, name))
        if held:
            yield at, held

    def print_of(self, index: int) -> bytes:
        """Give the digest of one whole directory."""
        return self.prints[index * PRINT : (index + 1) * PRINT]

    def only(self, chosen: Sequence[bool]) -> "Block":
        """Give the same block with only those that are chosen, one word for each."""
        if all(chosen):
            return self
        return Block(
            packed(compress(self.paths, chosen)),
            inodes=array("q", compress(self.inodes, chosen)),
            sizes=array("q", compress(self.sizes, chosen)),
            mtimes=array("q", compress(self.mtimes, chosen)),
            changes=array("q", compress(self.changes, chosen)),
            files=array("q", compress(self.files, chosen)),
            prints=b"".join(self.print_of(index) for index, one in enumerate(chosen) if one and self.whole),
        )


class Columns:
    """A block that is being filled."""

    def __init__(self) -> None:
        self._paths: list[str] = []
        self._inodes, self._sizes, self._mtimes = array("q"), array("q"), array("q")
        self._changes, self._files = array("q"), array("q")
        self._prints = bytearray()

    def __len__(self) -> int:
        return len(self._paths)

    def add(self, path: str, inode: int, size: int, mtime: int, change: int) -> None:
        self._paths.append(path)
        self._inodes.append(as_held(inode))
        self._sizes.append(size)
        self._mtimes.append(as_held(mtime))
        self._changes.append(as_held(change))

    def add_whole(self, files: int, fingerprint: bytes) -> None:
        """Add to what was added last how many files it holds, and the digest of them."""
        self._files.append(files)
        self._prints += fingerprint

    def close(self) -> Block:
        return Block(
            packed(self._paths),
            inodes=self._inodes,
            sizes=self._sizes,
            mtimes=self._mtimes,
            changes=self._changes,
            files=self._files,
            prints=bytes(self._prints),
        )


def as_held(number: int) -> int:
    """Give a number as a column of 64 bits with a sign holds it.

    An inode may use all 64 bits, and some file systems take times that are longer still.
    """
    return number if -_LIMIT <= number < _LIMIT else (number + _LIMIT) % (2 * _LIMIT) - _LIMIT


def packed(names: Iterable[str]) -> bytes:
    """Pack names or paths together: what is alike in them takes no room."""
    # Names that are no UTF-8 are surrogates here, and come back as they are.
    return zlib.compress("\0".join(names).encode("utf-8", "surrogatepass"), 1)


def unpacked(names: bytes) -> list[str]:
    """Give the names or paths that were packed together; never an empty one."""
    joined = zlib.decompress(names).decode("utf-8", "surrogatepass")
    return joined.split("\0") if joined else []
