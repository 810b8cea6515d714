"""What the tests of sweeping ask for: a little service of their own."""

from pathlib import Path

import pytest

from riskloop.identity import read_identity
from riskloop.store import Store
from tests.emulator.rig import Rig
from tests.sweeping.sweeps import SweptService


@pytest.fixture
def service(rig: Rig, store: Store, tmp_path: Path, repository: str, slack_channel: str) -> SweptService:
    return SweptService(rig, store, read_identity(tmp_path / "state"), tmp_path, (repository, slack_channel))
