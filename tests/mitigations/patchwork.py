"""An upstream that moves on, patches written on an older state of it, and git's own opinion of them."""

import base64
import quopri
from collections.abc import Mapping, Sequence
from pathlib import Path

from riskloop.mitigations.upstream_drift.patches.patching import Applied, Outcome, Verdict, apply_series
from riskloop.mitigations.upstream_drift.patches.refreshing import refresh
from riskloop.mitigations.upstream_drift.patches.series import Series, read_series
from tests.mitigations.vendoring import FOLDER, PATCHES, Content, Repository, Vendoring

MAIL = ("format-patch", "-1", "--stdout", "--binary", "-M")
PLAIN = ("diff-tree", "-p", "--binary", "-M", "HEAD^", "HEAD")

FRONTS = {
    "from the vendored folder": ("diff-tree", "-p", "HEAD^", "HEAD"),
    "without prefixes": ("diff-tree", "-p", "--no-prefix", "HEAD^", "HEAD"),
    "from the project's top": (
        "diff-tree",
        "-p",
        "--src-prefix=a/vendor/lib/",
        "--dst-prefix=b/vendor/lib/",
        "HEAD^",
        "HEAD",
    ),
    "from the project's top, without prefixes": (
        "diff-tree",
        "-p",
        "--src-prefix=vendor/lib/",
        "--dst-prefix=vendor/lib/",
        "HEAD^",
        "HEAD",
    ),
}
"""Ways to write the names in a diff."""


def encoded(mail: bytes, how: str) -> bytes:
    """Encode the body of a mail."""
    head, _, body = mail.partition(b"\n\n")
    written = quopri.encodestring(body) if how == "quoted-printable" else base64.encodebytes(body)
    more = f"\nMIME-Version: 1.0\nContent-Type: text/plain; charset=UTF-8\nContent-Transfer-Encoding: {how}"
    return head + more.encode() + b"\n\n" + written


class Patchwork:
    """A vendored library: `author` is where patches are written, `upstream` where others work."""

    def __init__(self, room: Path) -> None:
        self.room = room
        self.vendoring = Vendoring(room)
        self.vendoring.settings["patches"] = PATCHES
        (self.vendoring.project.path / PATCHES).mkdir(parents=True)
        self.upstream = self.vendoring.upstream
        self.strip = ""
        self.clones = 0

    def pin(self, files: Mapping[str, Content] | None = None) -> None:
        """Add files upstream and make that commit the pin; patches are written on it."""
        if files:
            self.upstream.commit(files, message="Add what is needed")
        self.vendoring.pin = self.upstream.head
        self.author = self.clone(self.vendoring.pin)

    def clone(self, commit: str) -> Repository:
        self.clones += 1
        path = self.room / f"clone-{self.clones}"
        self.upstream.git("clone", "--quiet", "--no-local", "--", str(self.upstream.path), str(path))
        made = Repository(path)
        made.git("checkout", "--quiet", "-B", "patched", commit)
        return made

    def patch(
        self,
        name: str,
        files: Mapping[str, Content] | None = None,
        *,
        how: Sequence[str] = MAIL,
        message: str = "Change what we need",
    ) -> bytes:
        """Commit what was changed in the author's clone, and write that as a patch; give its content."""
        self.author.commit(files, message=message)
        return self.put(name, self.author.raw(*how))

    def put(self, name: str, content: bytes) -> bytes:
        self.vendoring.project.write({f"{PATCHES}/{name}": content})
        return content

    def take(self) -> None:
        """Put the pin's files, without patches, into the project."""
        self.vendoring.vendor(self.vendoring.pin, strip=self.strip)

    def series(self) -> Series:
        return read_series(self.vendoring.read_settings(), self.vendoring.site)

    def apply(self, commit: str = "", *, at: str = "") -> Applied:
        """Try the patches on an upstream commit, its newest if not given, as a look does."""
        mirror = self.vendoring.mirror()
        commit = commit or self.upstream.head
        pin = at or self.vendoring.pin
        series = self.series()
        tree = {one: mirror.folder(one, self.strip or None) for one in (pin, commit)}
        room = self.room / "bench"
        at_pin = apply_series(mirror, series, onto=tree[pin], room=room)
        return apply_series(mirror, series, onto=tree[commit], room=room, at_pin=at_pin, since=(pin, commit))

    def outcome(self, commit: str = "") -> Outcome:
        """Try the only patch."""
        (outcome,) = self.apply(commit).outcomes
        return outcome

    def verdicts(self, commit: str = "") -> list[Verdict]:
        return [outcome.verdict for outcome in self.apply(commit).outcomes]

    def refreshed(self, outcome: Outcome) -> bytes:
        """Put the refreshed patch in the place of the old one; give its content."""
        (content,) = refresh(self.vendoring.mirror(), [outcome], self.vendoring.read_settings())
        return self.put(outcome.patch.name, content)

    def what_am_makes(self, *names: str, commit: str = "", how: Sequence[str] = ("-3",)) -> str:
        """Give the tree that `git am` makes of these patches on a commit, in a clone of its own."""
        clone = self.clone(commit or self.upstream.head)
        files = (str(self.vendoring.project.path / PATCHES / name) for name in names)
        clone.git("am", "--quiet", *how, "--", *files)
        return clone.tree()

    def what_apply_makes(self, *names: str, commit: str = "", how: Sequence[str] = ()) -> str:
        """Give the tree that `git apply --index` makes of these patches, in a clone of its own."""
        clone = self.clone(commit or self.upstream.head)
        for name in names:
            clone.git("apply", "--index", *how, "--", str(self.vendoring.project.path / PATCHES / name))
        return clone.git("write-tree")

    def text(self, tree: str, path: str) -> str:
        """Read a file of a tree in the mirror."""
        mirror = self.vendoring.mirror()
        return mirror.git("cat-file", "blob", f"{tree}:{path}").text()

    @property
    def folder(self) -> Path:
        return self.vendoring.project.path / FOLDER
