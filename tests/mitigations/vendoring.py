"""An upstream, and a project that vendors it as a submodule or as a plain folder, with patches and hacks."""

import os
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from riskloop.git import Upstream
from riskloop.mitigations.upstream_drift import Settings
from riskloop.risks import Decision, Site

NOW = datetime(2026, 3, 11, 2, 20, tzinfo=UTC)
FOLDER = "vendor/lib"
PIN_FILE = "vendor/lib.pin"
PATCHES = "patches/lib"
MITIGATION = "vendored-lib.upstream_drift"

Content = str | bytes | None
"""A file's content; None takes the file away."""


@dataclass
class Repository:
    """A git repository with a working copy, used as its owner would.

    Args:
        days_ago: the age of the next commit at NOW; each commit makes the next one a day younger.
    """

    path: Path
    days_ago: float = 90.0

    def __post_init__(self) -> None:
        if not self.path.exists():
            self.path.mkdir(parents=True)
            self.git("init", "--quiet", "--initial-branch=main")

    def git(self, *arguments: str, stdin: bytes = b"") -> str:
        return self.raw(*arguments, stdin=stdin).decode("utf-8", "surrogateescape").strip()

    def raw(self, *arguments: str, stdin: bytes = b"") -> bytes:
        """Run git, and give what it printed untouched."""
        at = f"@{int((NOW - timedelta(days=self.days_ago)).timestamp())} +0000"
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.path),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_ALLOW_PROTOCOL": "file",
            "GIT_AUTHOR_NAME": "Ann Author",
            "GIT_AUTHOR_EMAIL": "ann@example.com",
            "GIT_AUTHOR_DATE": at,
            "GIT_COMMITTER_NAME": "Ann Author",
            "GIT_COMMITTER_EMAIL": "ann@example.com",
            "GIT_COMMITTER_DATE": at,
        }
        done = subprocess.run(
            ["git", *arguments],
            cwd=self.path,
            env=environment,
            input=stdin,
            check=False,
            capture_output=True,
        )
        assert done.returncode == 0, done.stderr.decode("utf-8", "replace")
        return done.stdout

    def write(self, files: Mapping[str, Content]) -> None:
        for name, content in files.items():
            path = self.path / name
            if content is None:
                path.unlink()
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)

    def commit(
        self, files: Mapping[str, Content] | None = None, *, message: str = "Change", days_ago: float = -1
    ) -> str:
        """Commit everything in the working copy, after writing some files; give the commit.

        Args:
            days_ago: its age at NOW; a day younger than the last one's if not given.
        """
        self.write(files or {})
        if days_ago >= 0:
            self.days_ago = days_ago
        self.git("add", "--all", "--force")
        self.git("commit", "--quiet", "--allow-empty", "--message", message)
        self.days_ago = max(self.days_ago - 1, 0.0)
        return self.head

    @property
    def head(self) -> str:
        return self.git("rev-parse", "HEAD")

    def tree(self, commit: str = "HEAD", below: str = "") -> str:
        return self.git("rev-parse", f"{commit}:{below}")

    def read(self, path: str, commit: str = "HEAD") -> bytes:
        """Give a file's content at a commit."""
        return self.raw("cat-file", "blob", f"{commit}:{path}")


def numbered(*, changed: Mapping[int, str] | None = None, lines: int = 40) -> str:
    """Give a text of numbered lines, long enough that changes in it can be near or far from each other."""
    return "".join(f"{(changed or {}).get(number, f'line {number}')}\n" for number in range(1, lines + 1))


@dataclass
class Vendoring:
    """An upstream, a project that vendors it, and what the project's register says of it.

    Nothing is vendored until `vendor` or `submodule` is called; upstream has a first commit already.
    """

    room: Path
    settings: dict[str, Any] = field(default_factory=dict)
    decisions: tuple[Decision, ...] = ()
    pin: str = ""

    def __post_init__(self) -> None:
        self.upstream = Repository(self.room / "upstream")
        self.project = Repository(self.room / "project", days_ago=30)
        self.state = self.room / "state"
        self.state.mkdir(exist_ok=True)
        self.settings = {"path": FOLDER, "upstream": str(self.upstream.path), **self.settings}
        first = {
            "README.md": "# The library\n",
            "src/a.txt": numbered(),
            "src/b.txt": numbered(lines=30),
            "tools/run.sh": "#!/bin/sh\necho run\n",
        }
        (self.upstream.path / "tools").mkdir()
        self.upstream.write(first)
        (self.upstream.path / "tools/run.sh").chmod(0o755)
        self.pin = self.upstream.commit(message="Begin")
        self.project.commit({"README.md": "# The project\n"}, message="Begin")

    @property
    def folder(self) -> Path:
        """The vendored folder on disk."""
        return self.project.path / FOLDER

    @property
    def site(self) -> Site:
        return Site(
            project=self.project.path,
            state=self.state,
            now=NOW,
            mitigation=MITIGATION,
            decisions=self.decisions,
        )

    def read_settings(self) -> Settings:
        return Settings.model_validate(
            self.settings, context={"project": self.project.path, "allowed_roots": (self.room,)}
        )

    def vendor(self, commit: str = "", *, strip: str = "", patched: bool = False) -> str:
        """Copy upstream's files into the project, with a file that holds the pin; give the project's commit.

        Args:
            commit: of upstream; its HEAD if empty.
            strip: the folder of upstream that is copied.
            patched: with the patches made so far in it.
        """
        self.pin = commit or self.upstream.head
        source = self.author if patched else self.upstream
        listed = source.raw("archive", "--format=tar", source.head if patched else self.pin)
        spread = self.room / "spread"
        spread.mkdir()
        subprocess.run(["tar", "-x", "-C", str(spread)], input=listed, check=True)
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(spread / strip, self.folder)
        shutil.rmtree(spread, ignore_errors=True)
        self.settings["pin"] = PIN_FILE
        if strip:
            self.settings["strip"] = strip
        return self.project.commit({PIN_FILE: f"{self.pin}\n"}, message="Vendor the library")

    def submodule(self, commit: str = "") -> str:
        """Make upstream a submodule of the project at a commit (its HEAD if empty); give the project's."""
        self.pin = commit or self.upstream.head
        address = str(self.upstream.path)
        self.project.git("submodule", "--quiet", "add", "--name", "lib", "--", address, FOLDER)
        self.inside.git("checkout", "--quiet", "--detach", self.pin)
        return self.project.commit(message="Vendor the library")

    @property
    def inside(self) -> Repository:
        """The submodule, as the repository it is."""
        return Repository(self.folder)

    @property
    def author(self) -> Repository:
        """A clone of upstream in which patches are written, each a commit on the pin."""
        path = self.room / "author"
        if not path.exists():
            self.upstream.git("clone", "--quiet", "--no-local", "--", str(self.upstream.path), str(path))
            Repository(path).git("checkout", "--quiet", "-B", "patched", self.pin)
        return Repository(path)

    def patch(self, name: str, files: Mapping[str, Content], *, message: str = "") -> bytes:
        """Write a patch that makes these changes on the pin and the patches before it; give its content.

        The first one decides on which commit they stand: the pin of that moment. Nothing is committed in the
        project.
        """
        self.author.commit(files, message=message or f"Patch {name}")
        content = self.author.raw("format-patch", "-1", "--stdout", "--full-index", "--no-signature")
        self.project.write({f"{PATCHES}/{name}": content})
        self.settings["patches"] = PATCHES
        return content

    def series(self, names: Iterable[str]) -> None:
        """Write the file that lists the patches in their order; lines may be comments."""
        self.project.write({f"{PATCHES}/series": "".join(f"{name}\n" for name in names)})

    def rewrite(self) -> str:
        """Rewrite upstream's history, so that no commit of it so far is reachable any more; give its HEAD."""
        self.upstream.git("checkout", "--quiet", "--orphan", "anew")
        head = self.upstream.commit(message="Begin again")
        self.upstream.git("branch", "--quiet", "--force", "main", head)
        self.upstream.git("checkout", "--quiet", "main")
        self.upstream.git("branch", "--quiet", "-D", "anew")
        return head

    def diverge(self, files: Mapping[str, Content]) -> str:
        """Commit something in the submodule that upstream does not have, and pin it; give that commit."""
        inside = self.inside
        inside.days_ago = 20
        self.pin = inside.commit(files, message="Ours alone")
        self.project.commit(message="Pin our own commit")
        return self.pin

    def mirror(self) -> Upstream:
        """Give our mirror of upstream, up to date and with the pin."""
        upstream = Upstream(state=self.state, source=str(self.upstream.path))
        upstream.follow()
        git_dir = self.project.path / ".git/modules/lib"
        assert upstream.bring(self.pin, beside=git_dir if git_dir.exists() else None)
        return upstream
