"""A small project with golden fixtures and a generator, to drift, break and adopt."""

import hashlib
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from riskloop.measurements import Observation
from riskloop.mitigations.fixture_drift import Adoption, Settings, adopt, measure
from riskloop.risks import Site

NOW = datetime(2026, 3, 11, 2, 20, tzinfo=UTC)
COMMITTED = datetime(2026, 3, 1, 2, 20, tzinfo=UTC)


@dataclass
class Project:
    """A project's folder, and what its register would say of its fixtures."""

    path: Path
    state: Path
    settings: dict[str, Any]

    @property
    def fixtures(self) -> Path:
        return self.path / "fixtures"

    @property
    def site(self) -> Site:
        return Site(project=self.path, state=self.state, now=NOW)

    def read_settings(self) -> Settings:
        return Settings.model_validate(self.settings)

    def write(self, files: Mapping[str, str | bytes]) -> None:
        for name, content in files.items():
            path = self.path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())

    def generate(self, script: str) -> None:
        """Set the generator: a Python script, run in the project's folder, with `put(name, content)`."""
        put = (
            "import os, sys, pathlib\n"
            "def put(name, content):\n"
            "    path = pathlib.Path('fixtures') / name\n"
            "    path.parent.mkdir(parents=True, exist_ok=True)\n"
            "    path.write_bytes(content if isinstance(content, bytes) else content.encode())\n"
        )
        self.write({"tools/make.py": put + script})

    def golden(self, files: Mapping[str, str | bytes], *, manifest: bool = True) -> None:
        """Write golden fixtures, and the manifest that fits them."""
        self.write({f"fixtures/{name}": content for name, content in files.items()})
        if manifest:
            lines = [
                f"{hashlib.sha256(content if isinstance(content, bytes) else content.encode()).hexdigest()}"
                f"  {name}\n"
                for name, content in sorted(files.items())
            ]
            self.write({"fixtures/MANIFEST.sha256": "".join(lines)})

    def git(self, *arguments: str) -> str:
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.path),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_AUTHOR_NAME": "A",
            "GIT_AUTHOR_EMAIL": "a@example.com",
            "GIT_COMMITTER_NAME": "A",
            "GIT_COMMITTER_EMAIL": "a@example.com",
            "GIT_COMMITTER_DATE": f"@{int(COMMITTED.timestamp())} +0000",
        }
        done = subprocess.run(
            ["git", *arguments], cwd=self.path, env=environment, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    def commit(self) -> None:
        if not (self.path / ".git").exists():
            self.git("init", "--quiet")
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", "change")

    def measure(self) -> Observation:
        return measure(self.read_settings(), self.site)

    def figures(self) -> dict[str, float]:
        return {one.metric: one.value for one in self.measure().measurements}

    def adopt(self, expected: str | None = None, *, to_branch: bool = False) -> Adoption:
        return adopt(
            self.read_settings(), self.site, expected=expected, to_branch=to_branch, who="QA", reason="right"
        )

    def drift(self) -> dict[str, float]:
        """Give the metrics of drift that are not zero."""
        return {
            name: value for name, value in self.figures().items() if value and name != "days_since_adopted"
        }

    def contents(self) -> dict[str, bytes]:
        return {
            path.relative_to(self.fixtures).as_posix(): path.read_bytes()
            for path in sorted(self.fixtures.rglob("*"))
            if path.is_file()
        }

    def leftovers(self) -> list[str]:
        """Name what a look or an adoption should have taken away again."""
        scratch = self.state / "scratch"
        left = [path.name for path in scratch.iterdir()] if scratch.exists() else []
        return left + [path.name for path in self.fixtures.glob(".riskloop*")]
