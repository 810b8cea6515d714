"""A project with golden fixtures, and a directory of staged files, for every test of their kinds."""

import sys
from pathlib import Path

import pytest

from riskloop.store import Store
from tests.mitigations.projects import Project
from tests.mitigations.stacks import EVENTS, Stack
from tests.mitigations.staging import Staging


@pytest.fixture
def project(tmp_path: Path) -> Project:
    path = tmp_path / "project"
    path.mkdir()
    (path / "fixtures").mkdir()
    settings = {"directory": "fixtures", "regenerate": [sys.executable, "tools/make.py"]}
    return Project(path=path, state=tmp_path / "state", settings=settings)


@pytest.fixture
def staging(tmp_path: Path, store: Store) -> Staging:
    """Give a marked, empty directory, and a store: once on SQLite and once on PostgreSQL."""
    made = Staging(project=tmp_path / "project", state=tmp_path / "state", store=store)
    made.root.mkdir(parents=True)
    made.mark()
    return made


@pytest.fixture
def stack(tmp_path: Path, store: Store) -> Stack:
    """Give a SQLite file with 4,000 rows of an hour each, and a store: on SQLite and on PostgreSQL."""
    made = Stack(project=tmp_path / "project", state=tmp_path / "state", store=store)
    made.project.mkdir()
    made.state.mkdir(exist_ok=True)
    made.run(f"PRAGMA journal_mode = WAL; {EVENTS.format(rows=4000)}")
    return made
