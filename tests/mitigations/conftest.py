"""A project with golden fixtures for every test of the kind."""

import sys
from pathlib import Path

import pytest

from tests.mitigations.projects import Project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    path = tmp_path / "project"
    path.mkdir()
    (path / "fixtures").mkdir()
    settings = {"directory": "fixtures", "regenerate": [sys.executable, "tools/make.py"]}
    return Project(path=path, state=tmp_path / "state", settings=settings)
