"""A PostgreSQL database is measured, and vacuumed table by table; one that is held is named and left."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from riskloop.errors import Refused, Unmeasurable
from riskloop.mitigations.database_vacuum import Settings, measure, mitigate
from riskloop.mitigations.database_vacuum.schema import read_expected
from riskloop.receipts import Receipt
from riskloop.risks import Site
from tests.mitigations.shelter import Shelter, values

pytestmark = pytest.mark.server


class Server:
    """A database of this test's own, of which half the rows are dead."""

    def __init__(self, address: str, site: Site) -> None:
        self.address, self.site = address, site

    @contextmanager
    def opened(self) -> Iterator[psycopg.Connection[Any]]:
        with psycopg.connect(self.address, autocommit=True) as connection:
            yield connection

    def read(self, **more: Any) -> Settings:
        return Settings.model_validate({"database": "APP_DATABASE_URL", "lock_timeout": "1s", **more})

    def act(self, **more: Any) -> Receipt:
        settings = self.read(**more)
        plan = measure(settings, self.site).plan
        return mitigate(settings, self.site, plan, None, warrant="run", approved=False, dry_run=False)


@pytest.fixture
def server(
    postgresql: str, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Server:
    name = f"vacuumed_{abs(hash(request.node.nodeid))}"
    with psycopg.connect(postgresql, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    address = postgresql.replace("/postgres?", f"/{name}?")
    monkeypatch.setenv("APP_DATABASE_URL", address)
    (tmp_path / "state").mkdir()
    shelter = Shelter(project=tmp_path / "project", state=tmp_path / "state")
    made = Server(address, shelter.site)
    with made.opened() as connection:
        connection.execute(
            "CREATE TABLE sessions (id int PRIMARY KEY, name text NOT NULL DEFAULT 'x', "
            "twice int GENERATED ALWAYS AS (id * 2) STORED) WITH (autovacuum_enabled = off)"
        )
        connection.execute('CREATE TABLE "odd "" name" (id int) WITH (autovacuum_enabled = off)')
        connection.execute("CREATE VIEW names AS SELECT name FROM sessions")
        connection.execute("INSERT INTO sessions SELECT n, 'name' FROM generate_series(1, 2000) n")
        connection.execute("DELETE FROM sessions WHERE id % 2 = 0")
        connection.execute("SELECT pg_stat_force_next_flush()")
    return made


def test_dead_rows_are_measured_and_vacuumed(server: Server) -> None:
    seen = measure(server.read(), server.site)
    found = values(seen)
    assert found["dead_ratio"] == pytest.approx(0.5)
    assert found["database_bytes"] > found["largest_table_bytes"] > 0
    assert found["xid_age"] > 0
    assert found["schema_differences"] == 0
    assert "free_bytes" not in found
    receipt = server.act()
    assert receipt.says.startswith("vacuumed 2 tables: ")
    assert not receipt.failed
    with server.opened() as connection:
        connection.execute("SELECT pg_stat_force_next_flush()")
        rows = connection.execute("SELECT vacuum_count, n_dead_tup FROM pg_stat_user_tables").fetchall()
    assert rows == [(1, 0), (1, 0)]
    after = values(measure(server.read(), replace(server.site, receipt=receipt)))
    assert after["dead_ratio"] == 0


def test_a_table_that_is_held_is_named_and_the_others_are_vacuumed(server: Server) -> None:
    with server.opened() as holding, holding.transaction():
        holding.execute("LOCK TABLE sessions IN SHARE ROW EXCLUSIVE MODE")
        receipt = server.act()
    assert receipt.failed
    assert "vacuumed 1 table: " in receipt.says
    assert "1 table could not be: public.sessions: canceling statement due to lock timeout" in receipt.says


def test_of_two_runs_one_is_refused(server: Server) -> None:
    with server.opened() as other:
        other.execute(
            "SELECT pg_advisory_lock(7275006, oid::int) FROM pg_database WHERE datname = current_database()"
        )
        with pytest.raises(Refused, match="another run vacuums APP_DATABASE_URL") as refused:
            server.act()
    assert refused.value.rule == "in-use"


def test_a_database_that_is_not_the_expected_one_is_not_touched(server: Server, tmp_path: Path) -> None:
    settings = server.read()
    plan = measure(settings, server.site).plan
    with server.opened() as connection:
        connection.execute("ALTER TABLE sessions ADD CHECK (id > 0)")
        connection.execute("ALTER TABLE sessions ALTER name DROP NOT NULL")
        connection.execute("CREATE INDEX by_name ON sessions (name)")
        connection.execute("SELECT pg_stat_force_next_flush()")
    seen = measure(settings, server.site)
    assert values(seen)["schema_differences"] == 3
    told = seen.evidence.sections[0].body
    assert "index public.by_name is not expected" in told
    assert "constraint public.sessions.sessions_id_check is not expected" in told
    assert "table public.sessions differs: without column name text, not null" in told
    with pytest.raises(Refused) as refused:
        mitigate(settings, server.site, plan, None, warrant="run", approved=False, dry_run=False)
    assert refused.value.rule == "schema"
    (learnt,) = (tmp_path / "state/schemas").iterdir()
    assert "view public.names" in read_expected(learnt, shown="learnt")


def test_analyze_alone_vacuums_nothing(server: Server) -> None:
    assert server.act(vacuum="analyze").says.startswith("vacuumed 2 tables")
    with server.opened() as connection:
        connection.execute("SELECT pg_stat_force_next_flush()")
        rows = connection.execute("SELECT vacuum_count, analyze_count FROM pg_stat_user_tables").fetchall()
    assert rows == [(0, 1), (0, 1)]


def test_a_database_that_cannot_be_reached_is_no_look_and_its_password_is_not_said(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("APP_DATABASE_URL", "postgresql://me:hunter22@127.0.0.1:1/none")
    with pytest.raises(Unmeasurable, match="APP_DATABASE_URL: ") as raised:
        measure(server.read(), server.site)
    assert "hunter22" not in str(raised.value)
