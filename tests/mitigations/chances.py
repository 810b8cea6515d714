"""Upstreams, patches and changes by hand as chance makes them, and what git itself makes of each."""

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from tests.mitigations.patchwork import PATCHES, Patchwork
from tests.mitigations.vendoring import Repository

NAMES = ("a.txt", "b.c", "src/a.txt", "src/deep/c.py", "src/ü.txt", "docs/long name.md", "tools/run.sh")
WORDS = ("alpha", "beta", "}", "", "return 0;", "gamma", "delta", "  indented", "the same")
BINARY = bytes(range(256))


@dataclass
class Hand:
    """Somebody who changes files at random, the same ones for the same chance."""

    chance: Random
    count: int = field(default=0)

    def text(self, lines: int) -> bytes:
        return b"".join(self.line() for _ in range(lines))

    def line(self) -> bytes:
        self.count += 1
        word = self.chance.choice(WORDS)
        unique = self.chance.random() < 0.6
        return (f"{word} {self.count}\n" if unique else f"{word}\n").encode()

    def begin(self, repository: Repository) -> None:
        """Write some files to begin with."""
        for name in self.chance.sample(NAMES, self.chance.randint(2, len(NAMES))):
            content = self.text(self.chance.randint(0, 40))
            if self.chance.random() < 0.1:
                content = content.removesuffix(b"\n")
            if self.chance.random() < 0.1:
                content = content.replace(b"\n", b"\r\n")
            if self.chance.random() < 0.05:
                content = BINARY * 3
            self.put(repository, name, content)

    def put(self, repository: Repository, name: str, content: bytes) -> None:
        path = repository.path / name
        if any(parent.is_file() or parent.is_symlink() for parent in path.relative_to(repository.path).parents if False):
            return
        for parent in [repository.path / one for one in Path(name).parents][:-1]:
            if parent.is_symlink() or parent.is_file():
                return
        if path.is_dir():
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.write_bytes(content)

    def change(self, repository: Repository) -> None:
        """Change one thing in a working copy."""
        listed = repository.git("ls-files", "-z").split("\0")
        files = sorted(one for one in listed if one and (repository.path / one).is_file())
        what = self.chance.random()
        if not files or what < 0.1:
            self.put(repository, self.chance.choice((*NAMES, "new/x.txt", "new")), self.text(self.chance.randint(0, 12)))
            return
        name = self.chance.choice(files)
        path = repository.path / name
        if what < 0.15:
            path.unlink()
        elif what < 0.24 and not path.is_symlink():
            content = path.read_bytes()
            path.unlink()
            self.put(repository, self.chance.choice((*NAMES, f"{name}.moved", "moved/to.txt")), content)
        elif what < 0.26:
            path.unlink()
            path.symlink_to(self.chance.choice(("a.txt", "nowhere")))
        elif not path.is_symlink():
            self.edit(path)

    def edit(self, path: Path) -> None:
        lines = path.read_bytes().split(b"\n")
        for _ in range(self.chance.randint(1, 2)):
            at = self.chance.randint(0, max(0, len(lines) - 1))
            how = self.chance.random()
            if how < 0.5:
                lines[at : at + 1] = [self.line().rstrip(b"\n")]
            elif how < 0.8:
                lines[at:at] = [self.line().rstrip(b"\n") for _ in range(self.chance.randint(1, 4))]
            else:
                del lines[at : at + self.chance.randint(1, 3)]
        path.write_bytes(b"\n".join(lines))


def write(hand: Hand, work: Patchwork, *, patches: int) -> list[str]:
    """Write a series on the pin; give its names."""
    names = []
    for number in range(patches):
        before = work.author.tree()
        for _ in range(hand.chance.randint(1, 3)):
            hand.change(work.author)
        work.author.commit(message=f"Patch {number}")
        if work.author.tree() == before:
            continue
        name = f"{number:02}.patch"
        how = ["format-patch", "-1", "--stdout", "--binary", "--full-index", "--no-signature"]
        how += ["-M"] if hand.chance.random() < 0.6 else ["--no-renames"]
        work.put(name, work.author.raw(*how))
        names.append(name)
    return names


def move_on(hand: Hand, work: Patchwork) -> None:
    """Let upstream take over some of the patches, and go on with its own work."""
    for _ in range(hand.chance.randint(1, 5)):
        if hand.chance.random() < 0.3:
            commits = work.author.git("rev-list", "--reverse", f"{work.vendoring.pin}..HEAD").split()
            if commits:
                work.upstream.git("fetch", "--quiet", str(work.author.path), "HEAD")
                taken = call(work.upstream, "cherry-pick", "--keep-redundant-commits", hand.chance.choice(commits))
                if taken:
                    call(work.upstream, "cherry-pick", "--abort")
            continue
        for _ in range(hand.chance.randint(1, 2)):
            hand.change(work.upstream)
        work.upstream.commit(message="Upstream's own")


def call(repository: Repository, *arguments: str) -> int:
    try:
        repository.git(*arguments)
    except AssertionError:
        return 1
    return 0


def what_am_takes(work: Patchwork, names: Sequence[str], *, onto: str) -> tuple[str, dict[str, str]]:
    """Apply with `git am -3`, and skip what it refuses; give the tree and what it did with each patch."""
    clone = work.clone(onto)
    clone.git("fetch", "--quiet", str(work.author.path), "HEAD")
    did = {}
    for name in names:
        head, tree = clone.head, clone.tree()
        if call(clone, "am", "--quiet", "-3", "--keep-cr", "--", str(work.vendoring.project.path / PATCHES / name)):
            clone.git("am", "--skip", "--quiet")
            clone.git("reset", "--hard", "--quiet", head)
            clone.git("clean", "-ffdxq")
            did[name] = "refused"
        else:
            did[name] = "nothing" if clone.tree() == tree else "taken"
    return clone.tree(), did
