"""Archives what a look planned to archive: first what was left over, then the plan, table by table."""

import os
from pathlib import Path

from riskloop.databases import locate
from riskloop.errors import Unmeasurable
from riskloop.files import locked, open_folder
from riskloop.mitigations.row_archive import planning
from riskloop.mitigations.row_archive.archiving import Desk, Tally
from riskloop.mitigations.row_archive.opening import opened
from riskloop.mitigations.row_archive.settings import Settings
from riskloop.plans import Plan
from riskloop.receipts import Receipt
from riskloop.risks import Site
from riskloop.store import Store

_WAIT = 60.0


def mitigate(
    settings: Settings,
    site: Site,
    plan: Plan | None,
    store: Store,
    *,
    warrant: str,
    approved: bool,
    dry_run: bool,
) -> Receipt:
    """Finish what was broken off, then archive and delete what the plan names, nothing else.

    A table that fails is said, fails the whole, and keeps no other from being archived.

    Args:
        plan: what to archive; None, or an empty one, to do only what is left over.
        warrant: the run or the approval; each archives each table once, however often it is called.
        approved: a person approved just this plan, so that no limit stands against it.
        dry_run: do all the same but the changes.

    Raises:
        Refused: a rule stands against it; nothing was archived.
        Unmeasurable: the database or the directory cannot be opened, or another run is at work there.
        StoreError: what is to be archived cannot be written down, so it is not archived.
    """
    stored = planning.read(plan.file, plan.digest) if plan is not None and not plan.empty else None
    database = locate(settings.database, site)
    tally = Tally()
    if dry_run:
        if stored is not None:
            tally.rehearse(stored)
        return tally.receipt()
    root = _root(settings, site)
    with locked(root / ".lock", wait=_WAIT), opened(database, write=True) as tables:
        desk = Desk(
            settings=settings,
            site=site,
            store=store,
            database=database,
            tables=tables,
            root=root,
            tally=tally,
        )
        desk.finish_broken_off()
        if stored is not None and plan is not None:
            desk.require_allowed(stored, approved=approved)
            desk.carry_out(stored, plan.digest, warrant=warrant)
        desk.discard_plans(needed=plan)
    return tally.receipt()


def _root(settings: Settings, site: Site) -> Path:
    """Make the directory of the archives, no step through a symbolic link."""
    root = site.project / settings.to
    try:
        given = settings.to if not settings.to.is_absolute() else settings.to.relative_to("/")
        above = site.project if not settings.to.is_absolute() else Path("/")
        descriptor = open_folder(above, given.as_posix(), create=True)
    except OSError as error:
        raise Unmeasurable(
            f"the directory of the archives {settings.to} cannot be used: {error.strerror}",
            remedy="let the service's user write there; it may not be a symbolic link",
        ) from error
    os.close(descriptor)
    return root
