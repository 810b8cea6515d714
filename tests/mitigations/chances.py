"""Upstreams, patches and changes by hand as chance makes them, and what git itself makes of each."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from tests.mitigations.patchwork import Patchwork
from tests.mitigations.vendoring import PATCHES, Repository

NAMES = ("a.txt", "b.c", "src/a.txt", "src/deep/c.py", "src/ü.txt", "docs/long name.md", "tools/run.sh")
WORDS = ("alpha", "beta", "}", "", "return 0;", "gamma", "delta", "  indented", "the same")
BINARY = bytes(range(256)) * 3
SERIES = ("format-patch", "-1", "--stdout", "--binary", "--full-index", "--no-signature")


@dataclass
class Hand:
    """Somebody who changes files at random, the same ones for the same chance.

    Args:
        wild: files are removed, moved and replaced by links too, and lines repeat themselves.
    """

    chance: Random
    wild: bool = False
    count: int = 0

    def begin(self, repository: Repository) -> None:
        """Write some files to begin with."""
        for name in self.chance.sample(NAMES, self.chance.randint(3, len(NAMES))):
            content = self._text(self.chance.randint(0, 40))
            if self.chance.random() < 0.1:
                content = content.removesuffix(b"\n")
            if self.chance.random() < 0.1:
                content = content.replace(b"\n", b"\r\n")
            if self.chance.random() < 0.05:
                content = BINARY
            self._put(repository, name, content)

    def change(self, repository: Repository) -> None:
        """Change one thing in a working copy."""
        listed = sorted(filter(None, repository.git("ls-files", "-z").split("\0")))
        files = [name for name in listed if (repository.path / name).is_file()]
        what = self.chance.random()
        if not files or what < 0.1:
            self._put(repository, self.chance.choice((*NAMES, "new/x.txt", "new")), self._text(8))
            return
        path = repository.path / self.chance.choice(files)
        if self.wild and what < 0.3:
            content = path.read_bytes()
            path.unlink()
            if what < 0.2:
                self._put(repository, self.chance.choice((*NAMES, "moved/to.txt")), content)
            elif what < 0.23:
                path.symlink_to(self.chance.choice(("a.txt", "nowhere")))
        elif not path.is_symlink():
            self._edit(path)

    def _edit(self, path: Path) -> None:
        lines = path.read_bytes().split(b"\n")
        for _ in range(self.chance.randint(1, 2)):
            at, how = self.chance.randrange(len(lines)), self.chance.random()
            if how < 0.5:
                lines[at : at + 1] = self._lines(1)
            elif how < 0.8 or len(lines) < 5:
                lines[at:at] = self._lines(self.chance.randint(1, 4))
            else:
                del lines[at : at + self.chance.randint(1, 3)]
        path.write_bytes(b"\n".join(lines))

    def _put(self, repository: Repository, name: str, content: bytes) -> None:
        path = repository.path / name
        above = [folder for folder in path.parents if folder.is_relative_to(repository.path)]
        if path.is_dir() or any(folder.is_symlink() or folder.is_file() for folder in above):
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.write_bytes(content)

    def _text(self, lines: int) -> bytes:
        return b"".join(line + b"\n" for line in self._lines(lines))

    def _lines(self, count: int) -> list[bytes]:
        return [self._line() for _ in range(count)]

    def _line(self) -> bytes:
        self.count += 1
        word = self.chance.choice(WORDS)
        repeats = self.wild and self.chance.random() < 0.4
        return (word if repeats else f"{word} {self.count}").encode()

    def write_patches(self, work: Patchwork, count: int) -> list[str]:
        """Write a series on the pin; give the names of the patches."""
        names = []
        for number in range(count):
            for _ in range(self.chance.randint(1, 3)):
                self.change(work.author)
            before = work.author.tree()
            work.author.commit(message=f"Patch {number}")
            if work.author.tree() != before:
                names.append(f"{number:02}.patch")
                how = "-M" if self.chance.random() < 0.5 else "--no-renames"
                work.put(names[-1], work.author.raw(*SERIES, how))
        return names

    def move_on(self, work: Patchwork) -> None:
        """Let upstream take over some of the patches, and go on with work of its own."""
        work.upstream.git("fetch", "--quiet", str(work.author.path), "HEAD")
        ours = work.author.git("rev-list", f"{work.vendoring.pin}..HEAD").split()
        for _ in range(self.chance.randint(1, 5)):
            if ours and self.chance.random() < 0.25:
                if not succeeds(work.upstream, "cherry-pick", self.chance.choice(ours)):
                    work.upstream.git("reset", "--hard", "--quiet")
                continue
            self.change(work.upstream)
            work.upstream.commit(message="Upstream's own")


def succeeds(repository: Repository, *arguments: str) -> bool:
    """Run git, and say whether it was content."""
    try:
        repository.git(*arguments)
    except AssertionError:
        return False
    return True


def what_am_takes(work: Patchwork, names: Sequence[str], *how: str) -> tuple[str, dict[str, str]]:
    """Apply patches with `git am` on upstream's head, leaving out what it refuses.

    Returns:
        The tree; and what it did with each patch: `taken`, `refused`, or `nothing` if that changed nothing.
    """
    clone = work.clone(work.upstream.head)
    clone.git("fetch", "--quiet", str(work.author.path), "HEAD")
    did = {}
    for name in names:
        before = clone.head, clone.tree()
        file = work.vendoring.project.path / PATCHES / name
        if succeeds(clone, "am", "--quiet", "--keep-cr", *how, "--", str(file)):
            did[name] = "nothing" if clone.tree() == before[1] else "taken"
        else:
            clone.git("am", "--skip", "--quiet")
            clone.git("reset", "--hard", "--quiet", before[0])
            clone.git("clean", "-ffdxq")
            did[name] = "refused"
    return clone.tree(), did
