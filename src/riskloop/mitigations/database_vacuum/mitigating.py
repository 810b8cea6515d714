"""Vacuums a database in the order of safety: is it the one, is there room, is there a sound way back."""

import json
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from riskloop.databases import SQLiteFile, locate
from riskloop.errors import Refused
from riskloop.files import locked
from riskloop.mitigations.database_vacuum.looking import compare, look_at
from riskloop.mitigations.database_vacuum.settings import Settings
from riskloop.mitigations.database_vacuum.sqlite_vacuuming import (
    Vacuumed,
    back_up,
    backup_name,
    choose_mode,
    require_room,
    vacuum,
)
from riskloop.plans import Plan, digest_of
from riskloop.receipts import Receipt
from riskloop.risks import Site
from riskloop.wording import figures

DEED = "vacuumed"

BACKUPS = "backups"
"""Where copies from before a vacuum are kept, below the state directory, a folder for each mitigation."""

_WAIT = 60.0


def mitigate(
    settings: Settings,
    site: Site,
    plan: Plan | None,
    store: Any,
    *,
    warrant: str,
    approved: bool,
    dry_run: bool,
) -> Receipt:
    """Vacuum a database if its look found that worth it; what a killed run left is as it was, or done.

    Vacuuming again what is vacuumed gives nothing back, and does no harm: no warrant needs to be remembered.

    Raises:
        Refused: it is not the database that is expected, is damaged, or there is no room or no way back;
            nothing was changed.
        Unmeasurable: it cannot be opened, or somebody holds a lock for too long.
    """
    del store, warrant, approved
    if plan is None or plan.empty or settings.vacuum == "off":
        return Receipt(deed=DEED)
    _require_current(settings, site, plan)
    if not settings.may_begin(site.now):
        return Receipt(says=f"not begun: it is outside of {settings.window} UTC", deed=DEED)
    database = locate(settings.database, site)
    if isinstance(database, SQLiteFile):
        return _vacuum_sqlite(settings, site, database, dry_run=dry_run)
    return _vacuum_postgres(settings, site, database, dry_run=dry_run)


def _require_current(settings: Settings, site: Site, plan: Plan) -> None:
    try:
        content = plan.file.read_bytes()
        head = json.loads(content) if sha256(content).hexdigest() == plan.digest else {}
    except (OSError, ValueError):
        head = {}
    if head.get("mitigation") != site.mitigation or head.get("settings") != digest_of(settings):
        raise Refused(
            f"the plan {plan.file.name} is gone, damaged, or was made under other settings",
            rule="plan",
            remedy="run the mitigation again, which makes a new one",
        )


def require_expected(settings: Settings, site: Site, *, shown: str) -> None:
    """Look once more, right before, whether it is the database that is expected.

    Raises:
        Refused: it is not; it was not touched.
    """
    database = locate(settings.database, site)
    _, unlike = compare(settings, site, look_at(database, settings, check=False))
    if unlike:
        raise Refused(
            f"{shown} is not the database that is expected: {unlike[0]}",
            rule="schema",
            remedy="correct `database` or `schema`; if it was changed on purpose: riskloop database learn "
            f"{site.mitigation}",
        )


def _vacuum_sqlite(settings: Settings, site: Site, database: SQLiteFile, *, dry_run: bool) -> Receipt:
    require_expected(settings, site, shown=database.shown)
    backups = site.state / BACKUPS / sha256(site.mitigation.encode()).hexdigest()[:16]
    backups.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (
        locked(backups / "lock", wait=_WAIT),
        database.opened(wait=settings.lock_timeout, write=True) as connection,
    ):
        mode = choose_mode(settings.vacuum, connection)
        require_room(database, backups=backups)
        if dry_run:
            return Receipt(says=f"it would be vacuumed ({mode}), after a checked backup", deed=DEED)
        kept = back_up(connection, to=backups, name=backup_name(site.now), keep=settings.backups)
        done = vacuum(database, connection, mode=mode)
    return _receipt(done, mode, kept)


def _receipt(done: Vacuumed, mode: str, kept: Path) -> Receipt:
    reclaimed = done.before - done.after
    measured = {"reclaimed_bytes": float(reclaimed), "integrity_errors": float(len(done.damage))}
    backup = f"the backup from before is {kept}"
    if done.damage:
        return Receipt(
            says=f"after the vacuum the check failed: {done.damage[0]}; {backup}",
            deed=DEED,
            failed=True,
            changed=True,
            figures=measured,
            notes=tuple(done.damage[1:10]),
        )
    sizes = f"{figures.size(done.before)} before, {figures.size(done.after)} after"
    says = f"{mode} vacuum gave back {figures.size(max(0, reclaimed))}: {sizes}; sound before and after"
    return Receipt(says=says, deed=DEED, changed=True, figures=measured, notes=(*done.notes, backup))


def _vacuum_postgres(settings: Settings, site: Site, database: Any, *, dry_run: bool) -> Receipt:
    from riskloop.mitigations.database_vacuum.postgres import vacuum_postgres  # noqa: PLC0415 - as looking.py

    require_expected(settings, site, shown=database.shown)
    if dry_run:
        return Receipt(says="each table would be vacuumed and analyzed", deed=DEED)
    done = vacuum_postgres(
        database,
        analyze_only=settings.vacuum == "analyze",
        wait=settings.lock_timeout,
        longest=settings.statement_timeout,
        may_go_on=lambda: settings.may_begin(datetime.now(UTC)),
    )
    reclaimed = float(done.before - done.after)
    sizes = f"{figures.size(done.before)} before, {figures.size(done.after)} after"
    says = f"vacuumed {figures.quantity(done.tables, 'tables')}: {sizes}"
    if done.failed:
        says += f"; {figures.quantity(len(done.failed), 'tables')} could not be: {done.failed[0]}"
    return Receipt(
        says=says,
        deed=DEED,
        failed=bool(done.failed),
        changed=done.tables > 0,
        figures={"reclaimed_bytes": reclaimed},
        notes=tuple(done.failed[1:10]),
    )
