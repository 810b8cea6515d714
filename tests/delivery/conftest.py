"""What the tests of delivering ask for: a little service of their own."""

from pathlib import Path

import pytest

from riskloop.identity import read_identity
from riskloop.store import Store
from tests.delivering import Service
from tests.emulator.rig import Rig


@pytest.fixture
def service(rig: Rig, store: Store, tmp_path: Path, repository: str, slack_channel: str) -> Service:
    return Service(rig, store, read_identity(tmp_path / "state"), tmp_path, (repository, slack_channel))
