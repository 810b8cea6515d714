"""The seed of whatever a proof leaves to chance, and which tenth of it every run takes."""

import os
from random import Random

SEED = int(os.environ.get("RISKLOOP_SEED", "1"))
"""Another seed is another course of things: `RISKLOOP_SEED=7 make test`."""


def in_the_tenth(name: str) -> bool:
    """Say whether one case of many is in the tenth that `make test` runs; `make soak` runs the others."""
    return Random(f"{SEED} {name}").random() < 0.1
