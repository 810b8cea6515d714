"""Removes what a look planned to remove: first the rules, then what was left over, then the plan."""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from riskloop.errors import Refused, StoreError
from riskloop.files import wait_for_lock
from riskloop.mitigations.ttl_cleanup import clock, planning
from riskloop.mitigations.ttl_cleanup.carrying import Carrier
from riskloop.mitigations.ttl_cleanup.clearing import Reason
from riskloop.mitigations.ttl_cleanup.grounds import Ground, refuse_unfit, standing_on
from riskloop.mitigations.ttl_cleanup.looking import over_limit
from riskloop.mitigations.ttl_cleanup.marking import marked
from riskloop.mitigations.ttl_cleanup.planning import Stored
from riskloop.mitigations.ttl_cleanup.quarantine import QUARANTINE
from riskloop.mitigations.ttl_cleanup.settings import Settings
from riskloop.mitigations.ttl_cleanup.telling import removed_says, skipped_says
from riskloop.mitigations.ttl_cleanup.walking import OURS
from riskloop.plans import Plan, digest_of
from riskloop.receipts import Receipt
from riskloop.risks import Site
from riskloop.store import Store, history, removals
from riskloop.store.removals import Removal
from riskloop.wording import figures

DEED = "cleaned up"

_WAIT = 60.0
_PLANS_KEPT = timedelta(days=60)
_HALVES_KEPT = timedelta(days=1)


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
    """Finish what was broken off, purge what is due, and remove what the plan names, nothing else.

    Args:
        plan: what to remove; None, or an empty one, to do only what is left over.
        warrant: the run or the approval; each carries out a plan once, however often it is called.
        approved: a person approved just this plan, so that no limit stands against it.
        dry_run: do all the same but the changes.

    Raises:
        Refused: a rule stands against it; nothing was removed.
        Unmeasurable: the directory cannot be opened, or another run is at work on it for a minute.
        StoreError: what is to be removed cannot be written down, so it is not removed.
    """
    planned = plan if plan is not None and not plan.empty else None
    if not settings.delete:
        return Receipt(deed=DEED)
    with _admitted(settings, site, planned, dry_run=dry_run) as (ground, ours):
        desk = _Desk(settings=settings, site=site, store=store, ground=ground, ours=ours)
        if not dry_run:
            finished = desk.finish_broken_off()
            if desk.recall(warrant, finished=finished):
                return desk.tally.receipt()
            desk.purge_due(needed=planned)
            if finished and planned is not None and not approved:
                desk.tally.says.append("what else is to go waits for the next run")
                planned = None
        if planned is not None:
            stored = planning.read(planned.file, planned.digest)
            desk.require_made_for_this(stored)
            if dry_run:
                # What an approval would be asked for is rehearsed as if it had been given.
                _require_within_limit(settings, stored, approved=approved or bool(planned.asks))
                desk.rehearse(stored)
            else:
                _require_within_limit(settings, stored, approved=approved)
                desk.carry_out(stored, warrant=warrant)
        return desk.tally.receipt()


@contextmanager
def _admitted(
    settings: Settings, site: Site, plan: Plan | None, *, dry_run: bool
) -> Iterator[tuple[Ground, int]]:
    """Open the directory and our folder in it, once every rule about the directory itself allows it."""
    with standing_on(site.project, settings.directory) as ground:
        refuse_unfit(ground, project=site.project, state=site.state)
        with marked(ground, state=site.state) as ours:
            wait_for_lock(ours, str(ground.path), wait=_WAIT)
            stored = planning.read(plan.file, plan.digest) if plan else None
            made_at = datetime.fromisoformat(stored.head.made_at) if stored else site.now
            clock.require_steady(ground, ours, clock.tick(), ahead=made_at - site.now, note=not dry_run)
            yield ground, ours


def _require_within_limit(settings: Settings, stored: Stored, *, approved: bool) -> None:
    files = sum(block.count for _, block in stored.blocks())
    over = "" if approved else over_limit(settings, files=files, staged=stored.head.staged)
    if not over and not approved and settings.approval == "always":
        over = "the register asks for an approval always"
    if over:
        raise Refused(
            f"{over}; nothing was removed",
            rule="limit",
            remedy="let a person approve it (approval: over_limit), or raise `limit` if that much is usual",
        )


@dataclass(slots=True)
class _Tally:
    """What was done in one call, all of it together."""

    says: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    files: int = 0
    size: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    errors: set[str] = field(default_factory=set)
    changed: bool = False

    def add(self, *, files: int, size: int, skipped: Mapping[str, int]) -> None:
        self.files += files
        self.size += size
        self.skipped.update(skipped)
        self.changed |= files > 0

    def receipt(self) -> Receipt:
        counted = sum(count for reason, count in self.skipped.items() if reason != Reason.GONE)
        measured = {"deleted_files": self.files, "deleted_bytes": self.size, "skipped_files": counted}
        said = [*self.says, skipped_says(self.skipped)]
        errors = "; ".join(sorted(self.errors))
        return Receipt(
            says="; ".join(part for part in (*said, errors and f"the system says: {errors}") if part),
            deed=DEED,
            failed=bool(self.errors) and not self.files,
            changed=self.changed,
            figures=measured,
            notes=tuple(self.notes),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Desk:
    """Where one mitigation's directory is worked on, by nobody else meanwhile."""

    settings: Settings
    site: Site
    store: Store
    ground: Ground
    ours: int
    tally: _Tally = field(default_factory=_Tally)

    def finish_broken_off(self) -> frozenset[str]:
        """Go on with what was broken off, if the settings are still the same; give the warrants."""
        with self.store.reading() as connection:
            broken_off = removals.unfinished(connection, self.site.mitigation)
        for removal in broken_off:
            try:
                stored = planning.read(planning.place(self.site.state, removal.plan), removal.plan)
            except Refused as refused:
                self._end(removal, f"removal {removal.id} was broken off and cannot go on: {refused.what}")
                continue
            if stored.head.inode != self.ground.inode:
                self._end(
                    removal, f"removal {removal.id} was broken off, and its directory is another one now"
                )
                continue
            same = stored.head.settings == digest_of(self.settings)
            self._carry(removal, stored, go_on=same)
            self.tally.notes.append(f"removal {removal.id} had been broken off, and was finished")
        return frozenset(removal.warrant for removal in broken_off)

    def recall(self, warrant: str, *, finished: frozenset[str]) -> bool:
        """Say whether the warrant has been carried out already, and if that was earlier, what it came to."""
        with self.store.reading() as connection:
            before = removals.by_warrant(connection, self.site.mitigation, warrant)
        if before is None:
            return False
        if warrant not in finished:
            self.tally.add(files=before.files, size=before.size, skipped=before.skipped)
            self.tally.says.append(self._removed(before))
        return True

    def purge_due(self, *, needed: Plan | None) -> None:
        """Delete for good what was in quarantine for its time; then the plans that nobody needs any more."""
        with self.store.reading() as connection:
            kept = removals.unpurged(connection)
            pending = removals.unfinished(connection, self.site.mitigation)
        for removal in kept:
            if removal.mitigation == self.site.mitigation and self._is_due(removal):
                self._purge(removal)
        planning.discard_old(
            self.site.state,
            kept=frozenset(
                (*(removal.plan for removal in (*kept, *pending)), needed.digest if needed else "")
            ),
            before=(self.site.now - _PLANS_KEPT).timestamp(),
            half_before=(self.site.now - _HALVES_KEPT).timestamp(),
        )

    def _is_due(self, removal: Removal) -> bool:
        """Say whether all of a removal was in quarantine for its time, even what was moved there late."""
        if removal.purge_at is None or removal.ended_at is None:
            return False
        late = removal.ended_at + (removal.purge_at - removal.begun_at)
        return max(removal.purge_at, late) <= self.site.now

    def require_made_for_this(self, stored: Stored) -> None:
        """Make sure that a plan was made for this mitigation, this directory, and under these settings.

        Raises:
            Refused: it was not.
        """
        head = stored.head
        mine = (head.mitigation, head.inode) == (self.site.mitigation, self.ground.inode)
        if not mine or head.settings != digest_of(self.settings):
            raise Refused(
                f"the plan was made for {head.mitigation}, or for another directory, or under other settings",
                rule="plan",
                remedy="run the mitigation again, which makes a new one",
            )

    def rehearse(self, stored: Stored) -> None:
        """Do all of it but the changes."""
        removal = self._removal("rehearsal", stored, name="")
        carrier = Carrier(ground=self.ground, ours=self.ours, plan=stored, removal=removal, store=None)
        came = carrier.carry_out()
        self.tally.errors |= came.errors
        self.tally.skipped.update(came.skipped)
        what = f"{figures.quantity(came.files, 'files')} of {figures.size(came.size)}"
        self.tally.says.append(f"{what} would be removed")

    def carry_out(self, stored: Stored, *, warrant: str) -> None:
        """Carry out a plan under a warrant that has carried out nothing yet."""
        name = history.new_id()
        removal = self._removal(warrant, stored, name=name)
        with self.store.writing() as connection:
            number = removals.begin(connection, removal)
        self._carry(replace(removal, number=number), stored, go_on=True)

    def _removal(self, warrant: str, stored: Stored, *, name: str) -> Removal:
        seconds = stored.head.quarantine
        # Whole directories are moved away first even to be deleted, to be looked at once more by themselves.
        kept = bool(name) and (seconds > 0 or stored.head.unit == "directory")
        return Removal(
            id=name,
            mitigation=self.site.mitigation,
            warrant=warrant,
            plan=stored.digest,
            directory=str(self.ground.path),
            quarantine=f"{self.site.now:%Y%m%dT%H%M%SZ}-{name}" if kept else "",
            begun_at=self.site.now,
            purge_at=self.site.now + timedelta(seconds=seconds) if kept else None,
        )

    def _carry(self, removal: Removal, stored: Stored, *, go_on: bool) -> None:
        carrier = self._carrier(removal, stored)
        self.tally.errors |= carrier.carry_out(go_on=go_on).errors
        with self.store.writing() as connection:
            removals.end(connection, removal.number, now=datetime.now(UTC))
            ended = removals.by_warrant(connection, removal.mitigation, removal.warrant)
        if ended is None:
            raise StoreError(f"the removal {removal.id} is no longer in the store", remedy="run it again")
        self.tally.add(files=ended.files, size=ended.size, skipped=ended.skipped)
        if ended.purge_at is not None and ended.purge_at <= ended.begun_at:
            self._purge(ended)
        self.tally.says.append(self._removed(ended))
        if ended.quarantine and ended.purge_at != ended.begun_at:
            self.tally.notes.append(f"to bring it back: riskloop cleanup restore {ended.id}")

    def _purge(self, removal: Removal) -> None:
        try:
            stored = planning.read(planning.place(self.site.state, removal.plan), removal.plan)
        except Refused as refused:
            place = self.ground.path / OURS / QUARANTINE / removal.quarantine
            self.tally.notes.append(f"{place} stays: {refused.what}")
            return
        if stored.head.inode != self.ground.inode:
            self.tally.notes.append(
                f"what removal {removal.id} took out stays in quarantine: its directory is another one now"
            )
            return
        came, nothing_left = self._carrier(removal, stored).purge()
        self.tally.changed |= came.files > 0
        if came.files and removal.purge_at != removal.begun_at:
            self.tally.notes.append(
                f"{figures.quantity(came.files, 'files')} of removal {removal.id} were deleted for good"
            )
        if nothing_left:
            with self.store.writing() as connection:
                removals.end_purge(connection, removal.number, now=datetime.now(UTC))
            return
        place = self.ground.path / OURS / QUARANTINE / removal.quarantine
        self.tally.notes.append(
            f"{place} is not empty: {skipped_says(came.skipped) or 'somebody put something there'}"
        )

    def _carrier(self, removal: Removal, stored: Stored) -> Carrier:
        return Carrier(ground=self.ground, ours=self.ours, plan=stored, removal=removal, store=self.store)

    def _end(self, removal: Removal, note: str) -> None:
        with self.store.writing() as connection:
            removals.end(connection, removal.number, now=datetime.now(UTC))
        self.tally.notes.append(note)

    def _removed(self, removal: Removal) -> str:
        kept = removal.quarantine and removal.purge_at and removal.purge_at != removal.begun_at
        until = figures.moment(removal.purge_at) if kept and removal.purge_at else ""
        return removed_says(removal.files, removal.size, run=removal.id, kept=until)
