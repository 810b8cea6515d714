"""Computes the SHA-256 of many files at once, on every processor there is."""

# This file is also run by its path in a bare interpreter (see hash_files), so it imports nothing of ours.
import hashlib
import os
import stat
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

_CHUNK = 1024 * 1024
_SMALL = 64 * 1024
_WORTH_A_PROCESS = 2000
"""A second interpreter takes about as long to start as hashing a thousand small files."""


def hash_files(paths: Sequence[str], *, folder: Path) -> list[str]:
    """Hash regular files; symbolic links are not followed, and a FIFO is not waited for.

    Args:
        paths: paths below the folder.
        folder: where they are.

    Returns:
        For each path, in order, 64 hexadecimal digits, or `!` and the reason why there are none.
    """
    root = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    workers = min(os.cpu_count() or 1, 8)
    try:
        shares = workers if len(paths) >= _WORTH_A_PROCESS else 1
        found = [""] * len(paths)
        for number, answers in enumerate(
            _hash_shares(root, folder, [paths[n::shares] for n in range(shares)])
        ):
            found[number::shares] = answers
        large = [index for index, answer in enumerate(found) if answer.isdecimal() and len(answer) < 64]  # noqa: PLR2004
        large.sort(key=lambda index: int(found[index]), reverse=True)
        # OpenSSL leaves the interpreter free while it hashes a large block, so threads do; with small files
        # it is the interpreter that is busy, so processes do.
        with ThreadPoolExecutor(max_workers=workers) as pool:
            digests = pool.map(lambda index: _hash_large(root, paths[index]), large)
            for index, digest in zip(large, digests, strict=True):
                found[index] = digest
    finally:
        os.close(root)
    return found


def _hash_shares(root: int, folder: Path, shares: list[Sequence[str]]) -> list[list[str]]:
    """Hash each share in a process of its own, the first in this one."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-I", "-S", __file__],
            cwd=folder,
            env={},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        for _ in shares[1:]
    ]
    with ThreadPoolExecutor(max_workers=max(1, len(processes))) as pool:
        asked = [
            pool.submit(process.communicate, b"\0".join(os.fsencode(path) for path in share))
            for process, share in zip(processes, shares[1:], strict=True)
        ]
        results = [[_hash_small(root, path) for path in shares[0]]]
        for process, share, answer in zip(processes, shares[1:], asked, strict=True):
            answers = answer.result()[0].decode().splitlines()
            if process.returncode != 0 or len(answers) != len(share):
                # Ended from outside (out of memory, a kill): nothing is lost, it only takes longer.
                answers = [_hash_small(root, path) for path in share]
            results.append(answers)
    return results


def _open(root: int, path: str) -> int:
    # O_NONBLOCK: opening a FIFO must not wait for somebody to write to it.
    return os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=root)


def _hash_small(root: int, path: str) -> str:
    """Give the digest; of a large file its size in decimal instead, of anything else `!` and the reason."""
    try:
        file = _open(root, path)
    except OSError as error:
        return f"!{error.strerror}"
    try:
        status = os.fstat(file)
        if not stat.S_ISREG(status.st_mode):
            return "!not a regular file"
        if status.st_size >= _SMALL:
            return str(status.st_size)
        block = os.read(file, _SMALL)
        return hashlib.sha256(block).hexdigest()
    except OSError as error:
        return f"!{error.strerror}"
    finally:
        os.close(file)


def _hash_large(root: int, path: str) -> str:
    try:
        file = _open(root, path)
    except OSError as error:
        return f"!{error.strerror}"
    try:
        digest = hashlib.sha256()
        buffer = bytearray(_CHUNK)
        view = memoryview(buffer)
        while count := os.readv(file, [buffer]):
            digest.update(view[:count])
        return digest.hexdigest()
    except OSError as error:
        return f"!{error.strerror}"
    finally:
        os.close(file)


def _answer() -> None:
    names = sys.stdin.buffer.read()
    here = os.open(".", os.O_RDONLY | os.O_DIRECTORY)
    answers = [_hash_small(here, os.fsdecode(name)) for name in names.split(b"\0")] if names else []
    sys.stdout.write("".join(f"{answer}\n" for answer in answers))


if __name__ == "__main__":
    _answer()
