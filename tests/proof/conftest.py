"""What the proofs ask for: an emulator of a test's own, where it asks more than one gives in an hour."""

from collections.abc import Iterator

import pytest

from tests.emulator.fixtures import hold_to_the_description
from tests.emulator.rig import Rig


@pytest.fixture
def own_rig() -> Iterator[Rig]:
    """Start an emulator for one test: as GitHub does, it takes 5,000 requests an hour."""
    with Rig() as rig:
        yield rig
        hold_to_the_description(rig)
