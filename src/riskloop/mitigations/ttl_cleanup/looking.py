"""Looks at a directory of staged files: counts them, and writes down what should go."""

import os
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import compress

from riskloop.errors import Refused
from riskloop.files import matches
from riskloop.measurements import Evidence, Measurement, Observation, Section
from riskloop.mitigations.ttl_cleanup.blocks import Block
from riskloop.mitigations.ttl_cleanup.choosing import EVICT_TO, Cut, choose, find_cut
from riskloop.mitigations.ttl_cleanup.grounds import Ground, refuse_unfit, standing_on
from riskloop.mitigations.ttl_cleanup.marking import marked
from riskloop.mitigations.ttl_cleanup.planning import Head, write
from riskloop.mitigations.ttl_cleanup.quarantine import measure_quarantine
from riskloop.mitigations.ttl_cleanup.scanning import Scan, Watch, scan_directories, scan_files
from riskloop.mitigations.ttl_cleanup.settings import Settings
from riskloop.mitigations.ttl_cleanup.summing import Written
from riskloop.mitigations.ttl_cleanup.telling import plan_listed, plan_summary, staged_says, would_says
from riskloop.plans import Plan, digest_of
from riskloop.risks import PastLook, Site
from riskloop.wording import figures

RECALLS = ("staged_bytes", "deleted_bytes")
"""What earlier looks measured, from which the growth is known."""

RECALLED = timedelta(days=14)
"""How far back the growth is measured: two weeks show what a weekend does."""

_SECOND = 1_000_000_000
_HOUR = timedelta(hours=1)


def measure(settings: Settings, site: Site) -> Observation:
    """Count what is staged, and plan what should go; nothing in the directory is changed.

    The plan is written below the state directory, once for each different one.

    Raises:
        Unmeasurable: the directory, or a part of it, cannot be read.
    """
    now = int(site.now.timestamp() * _SECOND)
    with standing_on(site.project, settings.directory) as ground:
        scan = _scan(settings, ground, now=now)
        cut = _cut(settings, scan, now=now)
        unfit, quarantined = _readiness(settings, site, ground)
        free = os.fstatvfs(ground.descriptor)
        room = free.f_bavail * free.f_frsize
        plans = settings.delete and site.receipt is None
        written = _write(settings, site, ground, scan, cut) if plans else None
    says = " ".join(part for part in (staged_says(scan, settings, now=now), unfit) if part)
    measured = _measured(settings, site, scan, cut, quarantined=quarantined, room=room, now=now)
    if written is None:
        return Observation(measurements=measured, evidence=Evidence(summary=says))
    plan = _plan(settings, written, scan)
    if plan.empty:
        return Observation(measurements=measured, evidence=Evidence(summary=says), plan=plan)
    evidence = Evidence(
        summary=says,
        sections=(Section(title=f"{plan.says[:1].upper()}{plan.says[1:]}", body=plan.summary),),
        document=plan_listed(written),
        fingerprint=plan.digest,
    )
    return Observation(measurements=measured, evidence=evidence, plan=plan)


def over_limit(settings: Settings, *, files: int, staged: int) -> str:
    """Say in which way so many files are more than may go at once; empty if they are not."""
    limit = settings.limit
    if staged and files / staged > limit.fraction:
        share, most = figures.number(100 * files / staged), figures.number(100 * limit.fraction)
        return f"{files} of {staged} files are {share} %, more than the limit of {most} %"
    if files > limit.files:
        return f"{files} files are more than the limit of {limit.files}"
    return ""


def _scan(settings: Settings, ground: Ground, *, now: int) -> Scan:
    expired = now - _nanoseconds(settings.age)
    watch = Watch(
        now=now,
        until=now - _nanoseconds(settings.min_age) if settings.evict else expired,
        old=expired,
        keep=settings.keep_latest,
    )
    every = settings.include == ["**"]
    if settings.unit == "directory":
        return scan_directories(
            ground,
            watch,
            wanted=lambda name: matches(name, settings.include) and not matches(name, settings.exclude),
        )
    return scan_files(
        ground,
        watch,
        wanted=None if every else lambda path: matches(path, settings.include),
        skip=(lambda path: matches(path, settings.exclude)) if settings.exclude else None,
    )


def _cut(settings: Settings, scan: Scan, *, now: int) -> Cut:
    expired = now - _nanoseconds(settings.age)
    kept = scan.newest[0] if scan.newest and len(scan.newest) == settings.keep_latest else None
    if settings.keep_latest and kept is None:
        # There are not more than are to be kept.
        kept = min(scan.newest, default=0)
    over = 0
    if settings.evict and settings.budget is not None:
        left = scan.size - sum(_past(block.sizes, block.changes, expired, kept) for block in scan.blocks)
        if left > settings.budget:
            over = left - int(settings.budget * EVICT_TO)
    return find_cut(scan.blocks, expired=expired, kept=kept, over=over)


def _past(sizes: Sequence[int], changes: Sequence[int], expired: int, kept: int | None) -> int:
    last = expired if kept is None else min(expired, kept - 1)
    return sum(size for size, change in zip(sizes, changes, strict=True) if change <= last)


def _readiness(settings: Settings, site: Site, ground: Ground) -> tuple[str, int]:
    """Say what stands against cleaning up, and how many bytes are in quarantine."""
    try:
        refuse_unfit(ground, project=site.project, state=site.state)
        with marked(ground, state=site.state) as ours:
            return "", measure_quarantine(ground, ours)
    except Refused as refused:
        return (f"Nothing can be removed: {refused}." if settings.delete else ""), 0


def _write(settings: Settings, site: Site, ground: Ground, scan: Scan, cut: Cut) -> Written:
    head = Head(
        mitigation=site.mitigation,
        directory=str(ground.path),
        device=ground.device,
        inode=ground.inode,
        made_at=site.now.isoformat(),
        settings=digest_of(settings),
        unit=settings.unit,
        quarantine=int(settings.quarantine.total_seconds()) if settings.quarantine else 0,
        staged=scan.files,
    )
    return write(head, choose(scan.blocks, cut), state=site.state)


def _plan(settings: Settings, written: Written, scan: Scan) -> Plan:
    asks = ""
    if written.entries and settings.approval != "none":
        asks = over_limit(settings, files=written.files, staged=scan.files)
        if settings.approval == "always":
            asks = asks or "the register asks for an approval always"
    return Plan(
        digest=written.digest,
        file=written.file,
        says=would_says(written, settings),
        summary=plan_summary(written, staged=scan.files) if written.entries else "",
        settings=digest_of(settings),
        empty=not written.entries,
        asks=asks,
        decide_within=settings.decide_within,
    )


def _measured(
    settings: Settings, site: Site, scan: Scan, cut: Cut, *, quarantined: int, room: int, now: int
) -> tuple[Measurement, ...]:
    done = site.receipt.figures if site.receipt else {}
    expired_files, expired_bytes = _expired(scan.blocks, cut)
    found = {
        "staged_bytes": scan.size,
        "staged_files": scan.files,
        "expired_bytes": expired_bytes,
        "expired_files": expired_files,
        "oldest_age_hours": max(0, now - scan.oldest) / _nanoseconds(_HOUR) if scan.oldest is not None else 0,
        "deleted_bytes": done.get("deleted_bytes", 0),
        "deleted_files": done.get("deleted_files", 0),
        "quarantined_bytes": quarantined,
        "skipped_files": scan.linked + scan.special + done.get("skipped_files", 0),
    }
    if settings.budget:
        found["budget_used"] = scan.size / settings.budget
        room = min(room, settings.budget - scan.size)
    growth = growth_per_hour(site.past, staged=scan.size, deleted=found["deleted_bytes"], at=site.now)
    if growth is not None and growth > 0:
        found["hours_until_full"] = max(0, room) / growth
    return tuple(Measurement(name, float(value)) for name, value in found.items())


def _expired(blocks: Sequence[Block], cut: Cut) -> tuple[int, int]:
    """Count the files past their time, and their bytes."""
    count = size = 0
    for block in blocks:
        old = [change <= cut.expired for change in block.changes]
        count += sum(compress(block.files, old)) if block.whole else sum(old)
        size += sum(compress(block.sizes, old))
    return count, size


def growth_per_hour(past: Sequence[PastLook], *, staged: float, deleted: float, at: datetime) -> float | None:
    """Say by how many bytes an hour the directory grows by itself, without what was removed from it.

    It is measured from the oldest look of two weeks to this one; None if that is less than an hour ago.

    Args:
        past: earlier looks, the oldest first, with `staged_bytes` and `deleted_bytes`: what was there when
            each was over, and what had been removed just before.
        staged: the bytes there are now.
        deleted: the bytes that were removed a moment ago.
    """
    known = [look for look in past if "staged_bytes" in look.values and at - RECALLED <= look.at < at]
    if not known or at - known[0].at < _HOUR:
        return None
    removed = deleted + sum(look.values.get("deleted_bytes", 0.0) for look in known[1:])
    return (staged + removed - known[0].values["staged_bytes"]) / ((at - known[0].at) / _HOUR)


def _nanoseconds(length: timedelta) -> int:
    return int(length / timedelta(microseconds=1)) * 1000
