"""Archives what a look planned to archive: first what was left over, then the plan, table by table."""

import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from riskloop.databases import Database, SQLiteFile, locate
from riskloop.errors import Refused, RiskloopError, StoreError, Unmeasurable
from riskloop.files import locked, open_folder, remove_tree
from riskloop.mitigations.row_archive import manifest, planning, telling, verifying
from riskloop.mitigations.row_archive.counting import Tables
from riskloop.mitigations.row_archive.deleting import delete_archived
from riskloop.mitigations.row_archive.exporting import export, place_of
from riskloop.mitigations.row_archive.looking import over_limit
from riskloop.mitigations.row_archive.manifest import Manifest
from riskloop.mitigations.row_archive.opening import opened
from riskloop.mitigations.row_archive.planning import Portion, Stored
from riskloop.mitigations.row_archive.settings import Settings, TableRule
from riskloop.plans import Plan, digest_of
from riskloop.receipts import Receipt
from riskloop.risks import Site
from riskloop.store import Store, archives, history
from riskloop.store.archives import Archive
from riskloop.wording import figures

DEED = "archived"

_WAIT = 60.0
_PLANS_KEPT = timedelta(days=60)


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
    tally = _Tally()
    if dry_run:
        if stored is not None:
            tally.rehearse(stored)
        return tally.receipt()
    root = _root(settings, site)
    with locked(root / ".lock", wait=_WAIT), opened(database, write=True) as tables:
        desk = _Desk(
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


@dataclass(slots=True)
class _Tally:
    """What was done in one call, all of it together."""

    says: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    rows: int = 0

    def rehearse(self, stored: Stored) -> None:
        self.says.append(telling.would_says(stored.portions))
        self.failed += [f"{one.table}: {one.trouble}" for one in stored.portions if one.trouble]

    def receipt(self) -> Receipt:
        return Receipt(
            says="; ".join((*self.failed, *self.says)),
            deed=DEED,
            failed=bool(self.failed),
            # One that failed is to be seen by the look that follows, which then is unknown.
            changed=self.rows > 0 or bool(self.failed),
            figures={"rows_archived": self.rows, "failed_tables": len(self.failed)},
            notes=tuple(self.notes),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Desk:
    """Where the tables of one mitigation are worked on, by nobody else meanwhile."""

    settings: Settings
    site: Site
    store: Store
    database: Database
    tables: Tables
    root: Path
    tally: _Tally

    def require_allowed(self, stored: Stored, *, approved: bool) -> None:
        """Refuse a plan of another mitigation or other settings, and one over the limit.

        Raises:
            Refused: with the rule `plan` or `limit`.
        """
        mine = (stored.mitigation, stored.database) == (self.site.mitigation, self.tables.shown)
        if not mine or stored.settings != digest_of(self.settings):
            raise Refused(
                f"the plan was made for {stored.mitigation}, or under other settings",
                rule="plan",
                remedy="run the mitigation again, which makes a new one",
            )
        over = "" if approved else over_limit(self.settings, stored.portions)
        if not over and not approved and self.settings.approval == "always" and _rows(stored.portions):
            over = "the register asks for an approval always"
        if over:
            raise Refused(
                f"{over}; nothing was archived",
                rule="limit",
                remedy="let a person approve it (approval: over_limit), or raise `limit` if that is usual",
            )

    def finish_broken_off(self) -> None:
        """Delete what was archived and verified; discard what was not."""
        with self.store.reading() as connection:
            broken_off = archives.unfinished(connection, self.site.mitigation)
        for archive in broken_off:
            self._isolated(archive.table, partial(self._finish, archive))

    def carry_out(self, stored: Stored, digest: str, *, warrant: str) -> None:
        """Archive each table of a plan, unless this warrant has done so already."""
        with self.store.reading() as connection:
            done = {one.table: one for one in archives.by_warrant(connection, stored.mitigation, warrant)}
        for portion in stored.portions:
            before = done.get(portion.table)
            if before is not None:
                self.tally.says.append(before.outcome)
            elif portion.trouble:
                self.tally.failed.append(f"{portion.table}: {portion.trouble}")
            elif portion.rows:
                self._isolated(portion.table, partial(self._archive, portion, digest, warrant=warrant))

    def discard_plans(self, *, needed: Plan | None) -> None:
        """Remove the files of plans that nobody needs any more."""
        planning.discard_old(
            self.site.state,
            needed=(needed.digest if needed else "",),
            before=(self.site.now - _PLANS_KEPT).timestamp(),
        )

    def _isolated(self, table: str, do: Callable[[], None]) -> None:
        try:
            with self.database.said():
                do()
        except StoreError:
            raise
        except RiskloopError as error:
            self.tally.failed.append(f"{table}: {error}")

    def _archive(self, portion: Portion, digest: str, *, warrant: str) -> None:
        shape = self.tables.describe(self._rule(portion.table))
        name = history.new_id()
        folder = place_of(self.root, portion.table, at=self.site.now, name=name)
        archive = Archive(
            id=name,
            mitigation=self.site.mitigation,
            warrant=warrant,
            plan=digest,
            table=portion.table,
            place=str(folder),
            begun_at=datetime.now(UTC),
        )
        with self.store.writing() as connection:
            number = archives.begin(connection, archive)
        about = {
            "id": name,
            "mitigation": self.site.mitigation,
            "database": self.tables.shown,
            "dialect": "sqlite" if isinstance(self.database, SQLiteFile) else "postgresql",
            "made_at": self.site.now,
        }
        try:
            made = export(self.tables, shape, portion, folder, about=about)
        except RiskloopError:
            self._discard(number, folder)
            raise
        if made is None:
            self._discard(number, folder)
            return
        self._verify(number, *made)
        self._delete(number, archive, made[0], fresh=True)

    def _finish(self, archive: Archive) -> None:
        folder = Path(archive.place)
        number = archive.number
        try:
            kept, digest = manifest.read(folder)
        except Unmeasurable:
            if archive.verified_at is not None:
                raise
            self._discard(number, folder)
            return
        if archive.manifest and digest != archive.manifest:
            raise Unmeasurable(
                f"the manifest of archive {archive.id} in {folder} was changed since it was written",
                remedy="restore it from a backup; nothing more is deleted until it is as it was",
            )
        if trouble := verifying.trouble_with(folder, kept):
            raise Unmeasurable(
                f"archive {archive.id} is damaged: {'; '.join(trouble)}",
                remedy="restore it from a backup; nothing more is deleted until it is as it was",
            )
        if archive.verified_at is None:
            self._verify(number, kept, digest)
        self._delete(number, archive, kept, fresh=False)

    def _verify(self, number: int, kept: Manifest, digest: str) -> None:
        now = datetime.now(UTC)
        with self.store.writing() as connection:
            archives.verify(connection, number, manifest=digest, rows=kept.rows, size=kept.size, now=now)

    def _delete(self, number: int, archive: Archive, kept: Manifest, *, fresh: bool) -> None:
        try:
            rule = self._rule(archive.table)
        except Refused as refused:
            self._end(number, f"archive {archive.id} stays, and its rows too: {refused.what}")
            return
        shape = self.tables.describe(rule)
        if not kept.fits(shape):
            words = f"the columns of {archive.table} were changed since archive {archive.id} was made"
            self._end(number, f"{words}; its rows stay in the table")
            return
        emptied = delete_archived(
            self.tables,
            shape,
            Path(archive.place),
            kept,
            batch=self.settings.batch,
            pause=self.settings.pause,
            fresh=fresh,
        )
        self.tally.rows += emptied.rows
        words = telling.archived_says(archive.table, rows=kept.rows, size=kept.size, name=archive.id)
        parts = [words]
        if emptied.changed:
            parts.append(f"{figures.quantity(emptied.changed, 'rows')} of them stay: changed since")
        if emptied.gone:
            parts.append(f"{figures.quantity(emptied.gone, 'rows')} of them were gone already")
        outcome = ", ".join(parts)
        self._end(number, outcome, deleted=emptied.rows, changed=emptied.changed)
        self.tally.notes.append(f"to bring them back: riskloop archive restore {archive.id}")

    def _end(self, number: int, outcome: str, *, deleted: int = 0, changed: int = 0) -> None:
        with self.store.writing() as connection:
            archives.end(
                connection, number, deleted=deleted, changed=changed, outcome=outcome, now=datetime.now(UTC)
            )
        self.tally.says.append(outcome)

    def _discard(self, number: int, folder: Path) -> None:
        """Remove a folder of ours from which nothing was ever deleted; then forget it."""
        with suppress(OSError):
            remove_tree(folder)
        with self.store.writing() as connection:
            archives.forget(connection, number)

    def _rule(self, table: str) -> TableRule:
        for rule in self.settings.tables:
            if rule.table == table:
                return rule
        raise Refused(f"{table} is no longer in the register", rule="plan", remedy="run the mitigation again")


def _rows(portions: Iterable[Portion]) -> int:
    return sum(one.rows for one in portions)
