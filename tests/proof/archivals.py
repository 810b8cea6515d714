"""One run that archives old rows, in a process of its own that may be killed."""

import json
import resource
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

# Imported before the run begins, so that a kill meets its work and not its start.
import riskloop.mitigations.row_archive.mitigating
import riskloop.mitigations.row_archive.retiring  # noqa: F401 - see above
from riskloop.errors import RiskloopError
from riskloop.mitigations.row_archive import measure, mitigate
from riskloop.store import open_store
from tests.mitigations.stacks import Stack


def main(project: Path, settings: dict[str, Any], *, address: str, warrant: str, largest: int) -> str:
    """Look, archive, look again; say what came of it.

    Args:
        largest: no file may become larger than so many bytes; 0 for no such limit.
    """
    store = open_store(f"sqlite:///{project.parent / 'store.sqlite'}")
    stack = Stack(
        project=project, state=project.parent / "state", store=store, settings=settings, address=address
    )
    sys.stdout.write("begun\n")
    sys.stdout.flush()
    if largest:
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest))
    try:
        plan = measure(stack.read(), stack.site).plan
        receipt = mitigate(
            stack.read(), stack.site, plan, store, warrant=warrant, approved=False, dry_run=False
        )
        measure(stack.read(), replace(stack.site, receipt=receipt))
    except RiskloopError as error:
        return f"{type(error).__name__}: {error}"
    return receipt.sentence


if __name__ == "__main__":
    given = json.loads(sys.argv[1])
    sys.stdout.write(main(Path(given.pop("project")), given.pop("settings"), **given) + "\n")
