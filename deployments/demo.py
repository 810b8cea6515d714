"""Builds the demo: a small real project with a history, whose golden fixtures have drifted."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from importlib import resources
from pathlib import Path

from deployments.directory import prepare, writing
from riskloop.errors import RiskloopError
from riskloop.settings import Settings, read_settings

_PLACE = Path(".riskloop", "demo")
_SECONDS = 60


def demo_settings(directory: Path) -> Settings | None:
    """Give the settings of the demo below a directory; None if it was not built there."""
    state = directory.absolute() / _PLACE
    register = state / "project" / "riskloop.yaml"
    return read_settings(register=register, state=state) if register.exists() else None


def build_demo(directory: Path) -> Path:
    """Build the demo at `.riskloop/demo/project` below a directory; one that is there is left as it is.

    Its state directory is `.riskloop/demo`, so previews appear in `.riskloop/demo/outbox`.

    Returns:
        The path of its register.

    Raises:
        RiskloopError: it cannot be built, for instance because git is missing.
    """
    state = directory.absolute() / _PLACE
    project = state / "project"
    prepare(state)
    if not project.exists():
        # Built aside and renamed: the project is there whole, or not at all.
        with writing(state):
            aside = Path(tempfile.mkdtemp(dir=state, prefix=".project-"))
        try:
            _build(aside)
            aside.rename(project)
        except OSError as error:
            if not project.exists():  # Otherwise somebody else was first, which is as good.
                raise RiskloopError(f"the demo cannot be built in {state} ({error.strerror})") from error
        finally:
            shutil.rmtree(aside, ignore_errors=True)
    return project / "riskloop.yaml"


def _build(project: Path) -> None:
    with resources.as_file(resources.files("deployments").joinpath("demo_project")) as template:
        for name in ("README.md", "riskloop.yaml", "sdk/events.json", "tools/make_fixtures.py"):
            (project / name).parent.mkdir(exist_ok=True)
            shutil.copyfile(template / name, project / name)
    _run(project, sys.executable, "-I", "tools/make_fixtures.py")
    _write_manifest(project / "fixtures")
    _run(project, "git", "init", "--quiet", "--initial-branch=main", "--template=", ".")
    first = _commit(project, "Record the fixtures with SDK 1.4.0", at="2026-01-12T09:30:00+00:00")
    _release(project / "sdk" / "events.json")
    _commit(project, "Take SDK 1.5.0", at="2026-02-02T16:05:00+00:00", parent=first)
    usage = project / "fixtures" / "usage.txt"
    usage.write_text(usage.read_text(encoding="utf-8").replace("318", "320"), encoding="utf-8")


def _release(sdk: Path) -> None:
    """Let the SDK change as releases do: another text, and a tool that was not there before."""
    content = json.loads(sdk.read_text(encoding="utf-8"))
    content["version"] = "1.5.0"
    content["thread"][2]["text"] = "Two tests fail: the fixture is older than the parser."
    content["tools"]["search"] = [{"type": "search.completed", "query": "fixture", "hits": 3}]
    sdk.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _write_manifest(fixtures: Path) -> None:
    lines = [
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n"
        for path in sorted(fixtures.iterdir())
    ]
    (fixtures / "MANIFEST.sha256").write_text("".join(lines), encoding="utf-8")


def _commit(project: Path, message: str, *, at: str, parent: str = "") -> str:
    """Commit everything by plumbing commands, so that no hook, template or signature has a say."""
    _run(project, "git", "add", "--all")
    tree = _run(project, "git", "write-tree")
    above = ["-p", parent] if parent else []
    commit = _run(project, "git", "commit-tree", tree, *above, "-m", message, at=at)
    _run(project, "git", "update-ref", "refs/heads/main", commit)
    return commit


def _run(project: Path, *command: str, at: str = "") -> str:
    name, address = "Demo", "demo@example.invalid"
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(project),
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_AUTHOR_NAME": name,
        "GIT_AUTHOR_EMAIL": address,
        "GIT_COMMITTER_NAME": name,
        "GIT_COMMITTER_EMAIL": address,
        **({"GIT_AUTHOR_DATE": at, "GIT_COMMITTER_DATE": at} if at else {}),
    }
    try:
        done = subprocess.run(
            command,
            cwd=project,
            env=environment,
            check=True,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
        )
    except FileNotFoundError as error:
        raise RiskloopError(f"{command[0]} is missing", remedy="install it, and start again") from error
    except subprocess.CalledProcessError as error:
        last = (error.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise RiskloopError(f"{' '.join(command[:2])} failed while the demo was built: {last}") from error
    except subprocess.TimeoutExpired as error:
        raise RiskloopError(f"{' '.join(command[:2])} hung while the demo was built") from error
    return done.stdout.strip()
