"""Compares a folder on disk with what git says should be in it, without ever running git's work in it.

The repository, its configuration and its attributes are our mirror's: of the folder only names, contents and
its ignore files are read, so nothing that somebody put there can run. No content is fetched either: git holds
digests against each other.
"""

import hashlib
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from riskloop.commands import MEBIBYTE, Finished
from riskloop.errors import Unmeasurable
from riskloop.files import locked, open_file, open_folder
from riskloop.git import Upstream
from riskloop.git.bare import TIMEOUT

FILE, PROGRAM, LINK, SUBMODULE = "100644", "100755", "120000", "160000"
_ABSENT = "000000"
_RULES = re.compile(r"^warning: unable to access '[^']*\.git(ignore|attributes)'")
_CHUNK = MEBIBYTE
_LARGEST_TEXT = 16 * MEBIBYTE


@dataclass(frozen=True, slots=True)
class Entry:
    """What stands under a name: git's mode, and git's digest of the content.

    Args:
        mode: `100644`, `100755` (may be executed), `120000` (a link), `160000` (a submodule), or what git
            could not keep, in words.
        content: 40 hexadecimal digits; empty where there is none to speak of.
    """

    mode: str
    content: str = ""

    @property
    def is_file(self) -> bool:
        return self.mode in (FILE, PROGRAM)


@dataclass(frozen=True, slots=True, kw_only=True)
class OnDisk:
    """What stands under a name on disk.

    Args:
        entry: as git would keep it; None if nothing is there.
        other_ends: the digests it would have with other line ends; none where that changes nothing.
    """

    entry: Entry | None
    other_ends: tuple[str, ...] = ()


def differing(
    upstream: Upstream, older: str, newer: str, *, beside: tuple[Path, ...] = ()
) -> dict[str, tuple[Entry | None, Entry | None]]:
    """List the paths in which two trees differ, each with what either has there; no content is read."""
    if older == newer:
        return {}
    listed = upstream.git("diff-tree", "-r", "-z", "--raw", "--no-renames", older, newer, beside=beside)
    return dict(_raw(listed))


def compare(upstream: Upstream, tree: str, folder: Path, index: Path) -> tuple[dict[str, Entry], set[str]]:
    """Hold a folder against a tree of the mirror.

    Args:
        upstream: the mirror.
        tree: a tree object.
        folder: the folder; nothing is changed in it.
        index: a file of ours that remembers between looks what was compared already, so that a file that was
            not touched since is not read again.

    Returns:
        The files of the tree that the folder has otherwise or not at all, each with what the tree has; and
        what else is in the folder, but for what its own ignore files name (a repository in it ends with `/`).

    Raises:
        Unmeasurable: a part of the folder cannot be read.
    """
    index.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with locked(index.with_suffix(".held"), wait=TIMEOUT):
        # We hold the lock, so git's own is of a run that was killed.
        index.with_name(f"{index.name}.lock").unlink(missing_ok=True)
        _lay(upstream, tree, index)
        upstream.git("update-index", "-q", "--refresh", index=index, tree=folder)
        how = ("diff-files", "-z", "--raw", "--no-renames", "--ignore-submodules=all", "--abbrev=40")
        changed = upstream.git(*how, index=index, tree=folder)
        others = upstream.git("ls-files", "-z", "--others", "--exclude-standard", index=index, tree=folder)
    for line in (changed.stderr + others.stderr).decode("utf-8", "replace").splitlines():
        # git does not follow a link to such a file, says so, and goes on.
        if not _RULES.search(line):
            raise Unmeasurable(
                f"{folder} cannot be compared: {line[:200]}", remedy="let riskloop read every folder in it"
            )
    before = {path: entry for path, (entry, _) in _raw(changed) if entry is not None}
    return before, set(others.text().split("\0")[:-1])


def _lay(upstream: Upstream, tree: str, index: Path) -> None:
    """Have the index hold a tree, and let it keep what it remembers of the files that are the same in it."""
    if index.exists():
        held = upstream.attempt("write-tree", "--missing-ok", index=index)
        if held.succeeded and held.text().strip() == tree:
            return
        # Without -i git wants a working tree, which the mirror has not; without -m it forgets everything.
        if upstream.attempt("read-tree", "-m", "-i", tree, index=index).succeeded:
            return
        index.unlink()
    upstream.git("read-tree", tree, index=index)


def _raw(listed: Finished) -> Iterator[tuple[str, tuple[Entry | None, Entry | None]]]:
    # https://git-scm.com/docs/git-diff-tree, "Raw output format", with -z.
    words = iter(listed.text().split("\0")[:-1])
    for what, path in zip(words, words, strict=True):
        old_mode, new_mode, old, new, _ = what.removeprefix(":").split(" ")
        yield path, (_entry(old_mode, old), _entry(new_mode, new))


def _entry(mode: str, content: str) -> Entry | None:
    return None if mode == _ABSENT else Entry(mode, content)


def read_entry(folder: Path, path: str) -> OnDisk:
    """Read what stands under a name in a folder, as git would keep it; no link is followed.

    Args:
        path: below the folder, with `/`.
    """
    try:
        above = open_folder(folder, PurePosixPath(path).parent.as_posix())
    except OSError as error:
        missing = isinstance(error, FileNotFoundError | NotADirectoryError)
        return OnDisk(entry=None if missing else Entry("unreadable"))
    try:
        return _read_name(above, PurePosixPath(path).name)
    except FileNotFoundError:
        return OnDisk(entry=None)
    except OSError:
        return OnDisk(entry=Entry("unreadable"))
    finally:
        os.close(above)


def _read_name(above: int, name: str) -> OnDisk:
    status = os.stat(name, dir_fd=above, follow_symlinks=False)
    if stat.S_ISLNK(status.st_mode):
        target = os.fsencode(os.readlink(name, dir_fd=above))
        return OnDisk(entry=Entry(LINK, _digest(target)))
    if not stat.S_ISREG(status.st_mode):
        return OnDisk(entry=Entry("folder" if stat.S_ISDIR(status.st_mode) else "special file"))
    with open_file(name, above) as file:
        status = os.fstat(file.fileno())
        mode = PROGRAM if status.st_mode & stat.S_IXUSR else FILE
        if status.st_size > _LARGEST_TEXT:
            digest = hashlib.sha1(b"blob %d\0" % status.st_size, usedforsecurity=False)
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
            return OnDisk(entry=Entry(mode, digest.hexdigest()))
        content = file.read()
    ends = {content.replace(b"\r\n", b"\n"), content.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")}
    return OnDisk(
        entry=Entry(mode, _digest(content)), other_ends=tuple(_digest(one) for one in ends - {content})
    )


def _digest(content: bytes) -> str:
    """Give git's name for a content: https://git-scm.com/book/en/v2/Git-Internals-Git-Objects."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def read_content(folder: Path, path: str, *, limit: int) -> bytes | None:
    """Read what git would keep of a file or a link; None if it is neither, longer, or cannot be read."""
    try:
        above = open_folder(folder, PurePosixPath(path).parent.as_posix())
    except OSError:
        return None
    name = PurePosixPath(path).name
    try:
        if stat.S_ISLNK(os.stat(name, dir_fd=above, follow_symlinks=False).st_mode):
            return os.fsencode(os.readlink(name, dir_fd=above))
        with open_file(name, above) as file:
            content = file.read(limit + 1)
    except OSError:
        return None
    finally:
        os.close(above)
    return content if len(content) <= limit else None
