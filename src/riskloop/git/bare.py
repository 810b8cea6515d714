"""A bare repository of ours that follows another one, never trusting that one's configuration."""

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from riskloop.commands import MEBIBYTE, Finished, clean_environment, run
from riskloop.errors import Unmeasurable
from riskloop.files import read_file, remove_tree, write_whole

TIMEOUT = 600.0
"""Seconds one git command may take."""

_LISTING_LIMIT = 256 * MEBIBYTE
_NETWORK = (
    "https_proxy",
    "HTTPS_PROXY",
    "no_proxy",
    "NO_PROXY",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "SSH_AUTH_SOCK",
)
# No program of a repository may run: its attributes are overruled here, by the file git asks first.
_ATTRIBUTES = b"* -filter -text -eol -ident -working-tree-encoding -diff -merge -export-subst\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bare:
    """A bare repository under our state directory that follows one other repository.

    Args:
        state: our state directory.
        source: the repository followed: an absolute path, or an address of https or ssh.
    """

    state: Path
    source: str

    @property
    def path(self) -> Path:
        return self.state / "mirrors" / hashlib.sha256(self.source.encode()).hexdigest()[:16]

    def _prepare(self) -> None:
        """Make the mirror if it is missing; remove the locks a killed run left, as we hold the only one."""
        if self.path.exists():
            stale = [*self.path.glob("*.lock"), *(self.path / "refs").rglob("*.lock")]
            for file in (*stale, *(self.path / "objects").glob("pack/tmp_*")):
                file.unlink(missing_ok=True)
        else:
            unready = self.path.with_suffix(".new")
            remove_tree(unready)
            self._must(
                self._run(("init", "--quiet", "--bare", "--template=", "--", str(unready)), here=False)
            )
            (unready / "info").mkdir(exist_ok=True)
            write_whole(unready / "info" / "attributes", _ATTRIBUTES)
            unready.rename(self.path)
        write_whole(self.path / "info" / "attributes", _ATTRIBUTES)

    def _sound(self) -> bool:
        return self._run(("fsck", "--no-dangling", "--no-progress")).succeeded

    def git(
        self,
        *arguments: str,
        stdin: bytes = b"",
        index: Path | None = None,
        tree: Path | None = None,
        beside: Sequence[Path] = (),
        variables: Mapping[str, str] | None = None,
    ) -> Finished:
        """Run git on the mirror, which must exist.

        Args:
            arguments: the subcommand and what follows.
            stdin: what it reads.
            index: a scratch file to use as index.
            tree: a folder to use as working tree.
            beside: other bare repositories whose objects may be read as well.
            variables: further environment.

        Raises:
            Unmeasurable: it failed; with its last words.
        """
        given = dict(variables or {})
        if index is not None:
            given["GIT_INDEX_FILE"] = str(index)
        if tree is not None:
            given["GIT_WORK_TREE"] = str(tree)
        if beside:
            given["GIT_ALTERNATE_OBJECT_DIRECTORIES"] = ":".join(
                f'"{_escaped(str(place / "objects"))}"' for place in beside
            )
        return self._must(self._run(arguments, stdin=stdin, variables=given))

    def _must(self, finished: Finished) -> Finished:
        if not finished.succeeded:
            raise Unmeasurable(f"the mirror of {self.source}: {finished.account(lines=3)}")
        return finished

    def _run(
        self,
        arguments: Sequence[str],
        *,
        stdin: bytes = b"",
        variables: Mapping[str, str] | None = None,
        here: bool = True,
    ) -> Finished:
        environment = self._environment() | (dict(variables) if variables else {})
        if here:
            environment["GIT_DIR"] = str(self.path)
        return run(
            ["git", *arguments],
            cwd=self.path.parent,
            environment=environment,
            timeout=TIMEOUT,
            output_limit=_LISTING_LIMIT,
            stdin=stdin,
        )

    def _environment(self, *also: Path) -> dict[str, str]:
        """Build git's environment: no configuration but ours, no prompt, no protocol but those named.

        Args:
            also: further repositories on this machine to be read.
        """
        settings = self.path.with_suffix(".beside.gitconfig" if also else ".gitconfig")
        # `-c safe.directory` is not heard by the other side of a fetch; a file named here is.
        places = [*([self.source] if self.source.startswith("/") else []), *map(str, also)]
        safe = [*(name for place in places for name in _places(place)), str(self.path)]
        lines = [f'\tdirectory = "{_escaped(place)}"' for place in safe]
        # The other side of a fetch from a folder reads this file too: it may leave files out.
        serves = ("[uploadpack]", "\tallowFilter = true", "\tallowAnySHA1InWant = true")
        content = "\n".join(("[safe]", *lines, "[gc]", "\tautoDetach = false", *serves, ""))
        if not settings.exists() or settings.read_bytes() != content.encode("utf-8", "surrogateescape"):
            write_whole(settings, content.encode("utf-8", "surrogateescape"))
        return clean_environment(
            home=self.path.parent,
            allowed=_NETWORK,
            extra={
                "LC_ALL": "C",
                "GIT_CONFIG_NOSYSTEM": "1",
                "GIT_CONFIG_GLOBAL": str(settings),
                "GIT_ATTR_NOSYSTEM": "1",
                "GIT_TERMINAL_PROMPT": "0",
                "GIT_ASKPASS": "/bin/false",
                "GIT_SSH_COMMAND": "ssh -oBatchMode=yes",
                "GIT_ALLOW_PROTOCOL": "file" if self.source.startswith("/") else "https:ssh",
                "GIT_LITERAL_PATHSPECS": "1",
                "GIT_NO_LAZY_FETCH": "1",
                "GIT_NO_REPLACE_OBJECTS": "1",
            },
        )


def _places(source: str) -> tuple[str, ...]:
    """Name every folder git may ask about when it checks who owns a local repository."""
    top = Path(source)
    places = [top, top / ".git"]
    with suppress(Unmeasurable, OSError, ValueError):
        pointer = read_file(top, ".git", limit=4096).decode().strip()
        folder = (top / pointer.removeprefix("gitdir:").strip()).resolve()
        places += [folder, *folder.parents[:2]]
    return tuple(str(place) for place in places)


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
