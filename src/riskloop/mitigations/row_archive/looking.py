"""Looks at tables: counts the rows past their age, and writes down which should be archived."""

import os
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from riskloop.databases import Database, locate
from riskloop.errors import RiskloopError, Unmeasurable
from riskloop.measurements import Evidence, Measurement, Observation, Section
from riskloop.mitigations.row_archive import planning, telling
from riskloop.mitigations.row_archive.counting import Count, Tables
from riskloop.mitigations.row_archive.months import missing_months, months_ahead
from riskloop.mitigations.row_archive.opening import opened
from riskloop.mitigations.row_archive.planning import Portion, Stored
from riskloop.mitigations.row_archive.settings import Settings, TableRule
from riskloop.mitigations.row_archive.shapes import Shape
from riskloop.plans import Plan, digest_of
from riskloop.risks import Site

RECALLS = ("rows_over_age",)
"""What earlier looks measured: whether what the last run left is still there."""

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What was found in one table.

    Args:
        shape: None where it could not be looked at.
        trouble: why it could not be looked at; empty if it could.
    """

    rule: TableRule
    cutoff: datetime
    shape: Shape | None = None
    count: Count = field(default_factory=Count)
    trouble: str = ""


def measure(settings: Settings, site: Site) -> Observation:
    """Count what is past its age, and plan what should be archived; nothing in the database is changed.

    A table that cannot be looked at is counted and named, and the others are planned for all the same. Where
    it is looked whether acting helped, such a table makes the whole look unknown, as does one that failed
    while it was acted on.

    Raises:
        Unmeasurable: the database cannot be opened; none of its tables can be looked at; or see above.
    """
    database = locate(settings.database, site)
    with opened(database, write=False) as tables:
        seen = [_look(tables, database, rule, site) for rule in settings.tables]
    _require_known(seen, site)
    size = archived_size(settings, site)
    says = telling.looked_says(seen, site=site, database=database.shown)
    measured = _measured(seen, site, size=size)
    if site.receipt is not None:
        return Observation(measurements=measured, evidence=Evidence(summary=says))
    plan = _plan(settings, site, seen, database.shown)
    sections = (Section(title="The tables", body=telling.listed(seen)),)
    evidence = Evidence(summary=says, sections=sections, fingerprint=plan.digest)
    return Observation(measurements=measured, evidence=evidence, plan=plan)


def cutoff_of(rule: TableRule, now: datetime) -> datetime:
    """Say from before which moment rows are past their age, in whole seconds."""
    return (now - rule.older_than).replace(microsecond=0)


def over_limit(settings: Settings, portions: tuple[Portion, ...]) -> str:
    """Say in which way a plan is over the limit; empty if it is not."""
    limit = settings.limit
    for one in portions:
        if one.total and one.rows / one.total > limit.fraction:
            return telling.share_says(one, limit.fraction)
    rows = sum(one.rows for one in portions)
    return f"{rows} rows are more than the limit of {limit.rows}" if rows > limit.rows else ""


def archived_size(settings: Settings, site: Site) -> int:
    """Give the bytes of everything in the directory of the archives; links are not followed."""
    size = 0
    for folder, _, names in os.walk(site.project / settings.to):
        for name in names:
            size += Path(folder, name).stat(follow_symlinks=False).st_size
    return size


def _look(tables: Tables, database: Database, rule: TableRule, site: Site) -> Seen:
    cutoff = cutoff_of(rule, site.now)
    try:
        with database.said():
            shape = tables.describe(rule)
            count = tables.count(shape, cutoff, now=site.now)
    except RiskloopError as error:
        return Seen(rule=rule, cutoff=cutoff, trouble=str(error))
    return Seen(rule=rule, cutoff=cutoff, shape=shape, count=count)


def _require_known(seen: list[Seen], site: Site) -> None:
    troubles = [f"{one.rule.table}: {one.trouble}" for one in seen if one.trouble]
    if site.receipt is not None and site.receipt.figures.get("failed_tables"):
        raise Unmeasurable(f"not every table could be archived: {site.receipt.says}")
    if troubles and (site.receipt is not None or len(troubles) == len(seen)):
        raise Unmeasurable("; ".join(troubles))


def _plan(settings: Settings, site: Site, seen: list[Seen], database: str) -> Plan:
    portions = tuple(
        Portion(
            table=one.rule.table,
            cutoff=one.cutoff,
            rows=one.count.rows,
            total=one.count.total,
            first=one.count.first,
            last=one.count.last,
            due=tuple(partition.name for partition in one.count.due),
            months=len(_missing(one, settings, site)),
            trouble=one.trouble,
        )
        for one in seen
    )
    stored = Stored(
        mitigation=site.mitigation,
        database=database,
        made_at=site.now,
        settings=digest_of(settings),
        portions=portions,
    )
    digest, file = planning.write(stored, state=site.state)
    rows = sum(one.rows for one in portions)
    asks = ""
    if rows and settings.approval != "none":
        asks = over_limit(settings, portions)
        if settings.approval == "always":
            asks = asks or "the register asks for an approval always"
    return Plan(
        digest=digest,
        file=file,
        says=telling.would_says(portions),
        summary=telling.listed(seen),
        settings=stored.settings,
        empty=not any(one.rows or one.due or one.months or one.trouble for one in portions),
        asks=asks,
        decide_within=settings.decide_within,
    )


def _missing(one: Seen, settings: Settings, site: Site) -> tuple[tuple[datetime, datetime], ...]:
    if one.rule.partitions == "none" or one.trouble:
        return ()
    return missing_months(one.count.partitions, site.now, ahead=settings.months_ahead)


def _measured(seen: list[Seen], site: Site, *, size: int) -> tuple[Measurement, ...]:
    done = site.receipt.figures if site.receipt else {}
    since = site.succeeded_at or site.waited_since
    succeeded = site.receipt is not None and not site.receipt.failed
    oldest = [one.count.oldest for one in seen if one.count.oldest is not None]
    found = {
        "rows_over_age": sum(one.count.rows for one in seen),
        "rows_archived": done.get("rows_archived", 0),
        "archive_bytes": size,
        "oldest_row_days": max((site.now.timestamp() - at) / 86_400 for at in oldest) if oldest else 0,
        "days_since_success": 0 if succeeded or since is None else max(0.0, (site.now - since) / _DAY),
        "failed_tables": sum(bool(one.trouble) for one in seen),
    }
    ahead = [
        months_ahead(one.count.partitions, site.now)
        for one in seen
        if one.rule.partitions != "none" and not one.trouble
    ]
    if ahead:
        found["partitions_ahead"] = min(ahead)
    return tuple(Measurement(name, float(value)) for name, value in found.items())
