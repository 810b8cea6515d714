"""A bare repository of ours that follows another one, never trusting that one's configuration."""

import base64
import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from riskloop.commands import MEBIBYTE, Ended, Finished, clean_environment, run
from riskloop.errors import Unmeasurable
from riskloop.files import locked, read_file, remove_tree, write_whole

TIMEOUT = 600.0
"""Seconds one git command may take."""
LONGEST = 3_600.0
"""Seconds the first fetch of a large repository may take, and that others wait for it."""

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
# Curl built with GnuTLS reads no variable of its own: git has to name the authorities to it.
_AUTHORITIES = (("SSL_CERT_FILE", "GIT_SSL_CAINFO"), ("SSL_CERT_DIR", "GIT_SSL_CAPATH"))
# What git says of an object that is in a wrong form; its exit codes for objects, and for packs with such.
_MALFORMED = (b"error in ", b"warning in ", b"notice: ")
_OBJECTS = (1, 4, 5)
# No program of a repository may run: its attributes are overruled here, by the file git asks first. What is
# text and what is binary git finds out itself, to tell differences and to merge.
_ATTRIBUTES = b"* -filter -text -eol -ident -working-tree-encoding !diff merge -export-subst\n"


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
        return self.state / "mirrors" / hashlib.sha256(os.fsencode(self.source)).hexdigest()[:16]

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the mirror's lock; the verbs that change the mirror hold it themselves, so not around them.

        Raises:
            Unmeasurable: another run held it for an hour, or our state directory cannot be written.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with locked(self.path.with_suffix(".lock"), wait=LONGEST):
                yield
        except OSError as error:
            raise Unmeasurable(
                f"the mirror of {self.source} cannot be written: {error.strerror or error}",
                remedy="free space where the state directory is, and see that it can be written",
            ) from error

    def _prepare(self) -> None:
        """Make the mirror if it is missing; remove the locks a killed run left, as we hold the only one."""
        if self.path.exists():
            for folder, pattern in (("", "*.lock"), ("refs", "**/*.lock"), ("objects/info", "**/*.lock")):
                for file in (self.path / folder).glob(pattern):
                    file.unlink(missing_ok=True)
            for file in (self.path / "objects" / "pack").glob("tmp_*"):
                file.unlink(missing_ok=True)
        else:
            unready = self.path.with_suffix(".new")
            remove_tree(unready)
            self._must(self._run(("init", "--quiet", "--bare", "--template="), at=unready))
            unready.rename(self.path)
        attributes = self.path / "info" / "attributes"
        attributes.parent.mkdir(exist_ok=True)
        if not attributes.is_file() or attributes.read_bytes() != _ATTRIBUTES:
            write_whole(attributes, _ATTRIBUTES)

    def _sound(self, *how: str) -> bool:
        """Say whether all is here and unharmed, as far as it was fetched; it takes a while."""
        checked = self._run((*how, "fsck", "--no-dangling", "--no-progress"))
        if checked.exit_code not in _OBJECTS or checked.ended is not Ended.ITSELF:
            return checked.succeeded
        # An object that somebody's git once wrote in a wrong form is as wrong wherever it is fetched from.
        return all(line.startswith(_MALFORMED) for line in checked.stderr.splitlines())

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
            beside: git directories whose objects may be read as well, and nothing else of them; not for
                commands that fetch.
            variables: further environment.

        Raises:
            Unmeasurable: it failed; with its last words.
        """
        return self._must(
            self.attempt(*arguments, stdin=stdin, index=index, tree=tree, beside=beside, variables=variables)
        )

    def attempt(
        self,
        *arguments: str,
        stdin: bytes = b"",
        index: Path | None = None,
        tree: Path | None = None,
        beside: Sequence[Path] = (),
        variables: Mapping[str, str] | None = None,
    ) -> Finished:
        """Run git as `git` does, where failing is an answer too: the exit code tells."""
        given = dict(variables or {})
        if index is not None:
            given["GIT_INDEX_FILE"] = str(index)
        if tree is not None:
            given["GIT_WORK_TREE"] = str(tree)
        if beside:
            given["GIT_ALTERNATE_OBJECT_DIRECTORIES"] = ":".join(
                f'"{_escaped(str(place / "objects"))}"' for place in beside
            )
            # What an index of commits says is believed, and somebody else's may say anything.
            arguments = ("-c", "core.commitGraph=false", *arguments)
        return self._run(arguments, stdin=stdin, variables=given)

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
        at: Path | None = None,
        timeout: float = TIMEOUT,
    ) -> Finished:
        # Always named: our state may lie in somebody's repository, which git must not find by itself.
        environment = self._environment() | (dict(variables) if variables else {})
        environment["GIT_DIR"] = str(at or self.path)
        return run(
            ["git", *arguments],
            cwd=self.path.parent,
            environment=environment,
            timeout=timeout,
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
            settings.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            write_whole(settings, content.encode("utf-8", "surrogateescape"))
        clean = clean_environment(home=self.path.parent, allowed=_NETWORK)
        authorities = {ours: clean[name] for name, ours in _AUTHORITIES if name in clean}
        return (
            clean
            | authorities
            | {
                "LC_ALL": "C",
                "GIT_CONFIG_NOSYSTEM": "1",
                "GIT_CONFIG_GLOBAL": str(settings),
                "GIT_ATTR_NOSYSTEM": "1",
                "GIT_TERMINAL_PROMPT": "0",
                "GIT_ASKPASS": "/bin/false",
                "GIT_SSH_COMMAND": "ssh -oBatchMode=yes -oConnectTimeout=60",
                "GIT_ALLOW_PROTOCOL": "file" if self.source.startswith("/") else "https:ssh",
                "GIT_LITERAL_PATHSPECS": "1",
                "GIT_NO_LAZY_FETCH": "1",
                "GIT_NO_REPLACE_OBJECTS": "1",
            }
        )


def login(address: str, token: str) -> dict[str, str]:
    """Hand a token over as git wants it: in the environment, for this one address of https.

    With a token git follows no redirection: it would hand the token on.
    """
    if not token or not address.startswith("https://"):
        return {}
    basic = base64.b64encode(f"x-access-token:{token}".encode()).decode()
    # https://git-scm.com/docs/git-config#Documentation/git-config.txt-GITCONFIGCOUNT
    return {
        "GIT_CONFIG_COUNT": "2",
        "GIT_CONFIG_KEY_0": f"http.{address}.extraHeader",
        "GIT_CONFIG_VALUE_0": f"Authorization: Basic {basic}",
        "GIT_CONFIG_KEY_1": "http.followRedirects",
        "GIT_CONFIG_VALUE_1": "false",
    }


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
