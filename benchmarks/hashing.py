"""How fast we hash fixtures, large ones and many small ones, against the usual programs side by side."""

import hashlib
import os
import subprocess
import tempfile
from pathlib import Path

from timing import HEADER, compare, print_row

from riskloop.hashing import hash_files

MEBIBYTE = 1024 * 1024


def make_large(folder: Path, *, count: int, size: int) -> list[str]:
    """Write files of bytes that look random and are the same every time."""
    block = hashlib.shake_256(b"large").digest(MEBIBYTE)
    for number in range(count):
        with (folder / f"{number}.bin").open("wb") as file:
            for _ in range(size // MEBIBYTE):
                file.write(block)
    return [f"{number}.bin" for number in range(count)]


def make_small(folder: Path, *, count: int, size: int) -> list[str]:
    """Write small files over a hundred folders."""
    names = []
    for number in range(count):
        name = f"{number % 100:02d}/{number}.json"
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(hashlib.shake_256(str(number).encode()).digest(size))
        names.append(name)
    return names


def peer(command: list[str], names: list[str], folder: Path) -> None:
    """Give the names to two processes at a time."""
    given = b"\0".join(map(os.fsencode, names))
    subprocess.run(command, input=given, cwd=folder, stdout=subprocess.DEVNULL, check=True)


def main() -> None:
    """Print one row for each kind of input."""
    print(HEADER)
    with tempfile.TemporaryDirectory() as made:
        large, small = Path(made, "large"), Path(made, "small")
        large.mkdir()
        small.mkdir()
        names = make_large(large, count=8, size=256 * MEBIBYTE)
        digests = ["xargs", "-0", "-P2", "-n1", "openssl", "dgst", "-sha256"]
        print_row(
            compare(
                "SHA-256 of 2 GiB in 8 files, against `xargs -P2 openssl dgst -sha256`",
                lambda: hash_files(names, folder=large),
                lambda: peer(digests, names, large),
                goal=1.0,
            )
        )
        many = make_small(small, count=20_000, size=4096)
        sums = ["xargs", "-0", "-P2", "-n1000", "sha256sum"]
        print_row(
            compare(
                "SHA-256 of 20,000 files of 4 KiB, against `xargs -P2 sha256sum`",
                lambda: hash_files(many, folder=small),
                lambda: peer(sums, many, small),
                goal=0.9,
            )
        )


if __name__ == "__main__":
    main()
