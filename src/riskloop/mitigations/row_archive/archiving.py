"""Archives one table after the other: what was left over, and what a plan names; each by itself."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from riskloop.databases import Database, SQLiteFile
from riskloop.errors import Refused, RiskloopError, StoreError, Unmeasurable
from riskloop.files import remove_tree
from riskloop.mitigations.row_archive import manifest, planning, telling, verifying
from riskloop.mitigations.row_archive.counting import Tables
from riskloop.mitigations.row_archive.deleting import delete_archived
from riskloop.mitigations.row_archive.exporting import export, place_of
from riskloop.mitigations.row_archive.looking import over_limit
from riskloop.mitigations.row_archive.manifest import Manifest
from riskloop.mitigations.row_archive.planning import Portion, Stored
from riskloop.mitigations.row_archive.settings import Settings, TableRule
from riskloop.mitigations.row_archive.shapes import Shape
from riskloop.plans import Plan, digest_of
from riskloop.receipts import Receipt
from riskloop.risks import Site
from riskloop.store import Store, archives, history
from riskloop.store.archives import Archive
from riskloop.wording import figures

if TYPE_CHECKING:
    from riskloop.mitigations.row_archive.postgres_tables import PostgresTables

DEED = "archived"

_PLANS_KEPT = timedelta(days=60)


@dataclass(slots=True)
class Tally:
    """What was done in one call, all of it together."""

    says: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    rows: int = 0
    made: bool = False

    def rehearse(self, stored: Stored) -> None:
        """Say what a plan would do."""
        self.says.append(telling.would_says(stored.portions))
        self.failed += [f"{one.table}: {one.trouble}" for one in stored.portions if one.trouble]

    def receipt(self) -> Receipt:
        """Give what all of it came to."""
        return Receipt(
            says="; ".join((*self.failed, *self.says)),
            deed=DEED,
            failed=bool(self.failed),
            # One that failed is to be seen by the look that follows, which then is unknown.
            changed=self.made or self.rows > 0 or bool(self.failed),
            figures={"rows_archived": self.rows, "failed_tables": len(self.failed)},
            notes=tuple(self.notes),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """Where the tables of one mitigation are worked on, by nobody else meanwhile."""

    settings: Settings
    site: Site
    store: Store
    database: Database
    tables: Tables
    root: Path
    tally: Tally

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
            elif portion.due or portion.months:
                self._isolated(portion.table, partial(self._months, portion))
                for name in portion.due:
                    if name not in done:
                        self._isolated(name, partial(self._retire, portion, name, digest, warrant=warrant))
            elif portion.rows:
                self._isolated(portion.table, partial(self._rows, portion, digest, warrant=warrant))

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

    def _rows(self, portion: Portion, digest: str, *, warrant: str) -> None:
        shape = self.tables.describe(self._rule(portion.table))
        self._archive(portion, shape, digest, warrant=warrant)

    def _months(self, portion: Portion) -> None:
        shape = self.tables.describe(self._rule(portion.table))
        ahead = self.settings.months_ahead
        made = _retiring().make_ahead(self._server, shape, self.site.now, ahead=ahead)
        if made:
            self.tally.says.append(f"made {', '.join(made)}")
            self.tally.made = True

    def _retire(self, portion: Portion, name: str, digest: str, *, warrant: str) -> None:
        retiring = _retiring()
        shape = self.tables.describe(self._rule(portion.table))
        for one in retiring.still_due(self._server, shape, [name], portion.cutoff):
            if retiring.drop_empty(self._server, one):
                self.tally.says.append(f"dropped {name}, which was empty")
                self.tally.made = True
                return
            about = {"partition": {"of": portion.table, "bound": one.bound, "oid": one.oid}}
            whole = Portion(table=name, cutoff=portion.cutoff, rows=portion.rows)
            self._archive(whole, retiring.shape_of(shape, name), digest, warrant=warrant, more=about)

    @property
    def _server(self) -> "PostgresTables":
        from riskloop.mitigations.row_archive.postgres_tables import PostgresTables  # noqa: PLC0415 - no SQLite

        if not isinstance(self.tables, PostgresTables):
            raise TypeError(self.tables.shown)
        return self.tables

    def _archive(
        self,
        portion: Portion,
        shape: Shape,
        digest: str,
        *,
        warrant: str,
        more: Mapping[str, Any] | None = None,
    ) -> None:
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
            **(more or {}),
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
            rule = self._rule(kept.partition.get("of", archive.table))
        except Refused as refused:
            self._end(number, f"archive {archive.id} stays, and its rows too: {refused.what}")
            return
        shape = self.tables.describe(rule)
        if kept.partition:
            self._drop(number, archive, kept, shape)
            return
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

    def _drop(self, number: int, archive: Archive, kept: Manifest, shape: Shape) -> None:
        came_to = _retiring().drop_archived(self._server, shape, Path(archive.place), kept)
        words = telling.archived_says(archive.table, rows=kept.rows, size=kept.size, name=archive.id)
        if came_to == "changed":
            words = f"{words}, but it stays: it is not what was archived any more, or not past its age"
            self._end(number, words, changed=kept.rows)
            return
        self.tally.rows += kept.rows
        self._end(number, f"{words}, and the partition is dropped", deleted=kept.rows)
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


def _retiring() -> ModuleType:
    """Give what works with partitions; a SQLite file does not wait for the libraries of PostgreSQL."""
    from riskloop.mitigations.row_archive import retiring  # noqa: PLC0415 - see above

    return retiring


def _rows(portions: Iterable[Portion]) -> int:
    return sum(one.rows for one in portions)
