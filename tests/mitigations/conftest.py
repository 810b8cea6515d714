"""A project with golden fixtures, and a directory of staged files, for every test of their kinds."""

import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from riskloop.store import Store
from tests.mitigations.projects import Project
from tests.mitigations.stacks import EVENTS, POSTGRES_EVENTS, VARIABLE, Stack, begin
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


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.server)])
def stack(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stack]:
    """Give 4,000 rows of an hour each: once in a SQLite file, and once in a PostgreSQL database."""
    made = begin(tmp_path)
    if request.param == "sqlite":
        made.run(f"PRAGMA journal_mode = WAL; {EVENTS.format(rows=4000)}")
    else:
        made.address = fresh_database(request)
        monkeypatch.setenv(VARIABLE, made.address)
        made.run(POSTGRES_EVENTS.format(rows=4000))
    yield made
    made.store.close()


@pytest.fixture
def file_stack(tmp_path: Path) -> Iterator[Stack]:
    """Give an empty SQLite file."""
    made = begin(tmp_path)
    made.run("PRAGMA journal_mode = WAL; CREATE TABLE some (id INTEGER PRIMARY KEY)")
    yield made
    made.store.close()


@pytest.fixture
def server_stack(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Stack]:
    """Give an empty PostgreSQL database."""
    made = begin(tmp_path)
    made.address = fresh_database(request)
    monkeypatch.setenv(VARIABLE, made.address)
    yield made
    made.store.close()


def fresh_database(request: pytest.FixtureRequest) -> str:
    """Make an empty database for a test; give its address."""
    server: str = request.getfixturevalue("postgresql")
    name = f"app_{abs(hash(request.node.nodeid))}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    return server.replace("/postgres?", f"/{name}?")
