"""A project with a register of its own, and the command line run on it in this process."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from riskloop.cli import main
from tests.papers import MAKE

REGISTER = """
project: Paper
github: {repository: acme/paper}
slack: {channel: C0123456789}
owners:
  QA: {github: octo-qa, slack: U024BE7LH}
risks:
  - id: stale
    title: Fixtures are stale
    likelihood: medium
    impact: high
    owner: QA
    mitigations:
      - kind: fixture_drift
        directory: fixtures
        regenerate: [python3, make.py]
        thresholds:
          fixtures_changed: {warning: 1}
"""


@dataclass(frozen=True, slots=True)
class Ended:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        return json.loads(self.out)


class Shell:
    """Runs commands in a project."""

    def __init__(
        self, project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.project = project
        self._capsys = capsys
        self._monkeypatch = monkeypatch

    def __call__(self, *arguments: str) -> Ended:
        self._monkeypatch.setattr(sys, "argv", ["riskloop", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        printed = self._capsys.readouterr()
        code = ended.value.code
        return Ended(code if isinstance(code, int) else 0, printed.out, printed.err)

    def outside(self, *arguments: str, script: str = 'exec "$@"') -> Ended:
        """Run a command as a process of its own, by way of a script that is given it as `$@`."""
        command = [sys.executable, "-P", "-c", "from riskloop.cli import main; main()", *arguments]
        done = subprocess.run(
            ["sh", "-c", script, "sh", *command],
            cwd=self.project,
            check=False,
            capture_output=True,
            text=True,
        )
        return Ended(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def shell(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Shell:
    """Give a command line in a project of one unchanged fixture, without git and without a token."""
    for name in ("RISKLOOP_REGISTER", "RISKLOOP_STATE", "RISKLOOP_GITHUB_TOKEN", "RISKLOOP_SLACK_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    project = tmp_path / "paper"
    (project / "fixtures").mkdir(parents=True)
    (project / "riskloop.yaml").write_text(REGISTER, encoding="utf-8")
    (project / "make.py").write_text(MAKE, encoding="utf-8")
    (project / "source.txt").write_text("one\n", encoding="utf-8")
    (project / "fixtures" / "a.txt").write_text("one\n", encoding="utf-8")
    monkeypatch.chdir(project)
    return Shell(project, capsys, monkeypatch)
