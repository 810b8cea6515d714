"""A leaking toy through many days, on SQLite and on PostgreSQL."""

from pathlib import Path

import pytest

from riskloop.store import Store
from tests.assessing.days import Days
from tests.toys import Clock


@pytest.fixture
def days(store: Store, clock: Clock, tmp_path: Path) -> Days:
    return Days(store=store, clock=clock, directory=tmp_path)
