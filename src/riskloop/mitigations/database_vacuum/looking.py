"""Looks at a database, holds it against what it should look like, and says whether a vacuum is worth it."""

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from hashlib import sha256

from riskloop.databases import Database, SQLiteFile, locate
from riskloop.errors import Unmeasurable
from riskloop.files import write_whole
from riskloop.measurements import Evidence, Measurement, Observation, Section
from riskloop.mitigations.database_vacuum.schema import (
    Schema,
    differences,
    learnt_file,
    read_expected,
    read_learnt,
    write_schema,
)
from riskloop.mitigations.database_vacuum.settings import Settings
from riskloop.mitigations.database_vacuum.sqlite_looking import look_at_sqlite
from riskloop.mitigations.database_vacuum.standing import Standing
from riskloop.plans import Plan, digest_of
from riskloop.risks import PastLook, Site
from riskloop.wording import figures

RECALLS = ("database_bytes", "reclaimed_bytes")
"""What earlier looks measured, from which the growth is known."""

PLANS = "plans"

_DAY = timedelta(days=1)
_GROWTH = timedelta(days=100)
_SHOWN = 50


def measure(settings: Settings, site: Site) -> Observation:
    """Look at a database, and plan its vacuum if that is worth it; the database is not changed.

    Raises:
        Unmeasurable: it cannot be looked at, or what it should look like cannot be read.
    """
    database = locate(settings.database, site)
    checked = site.receipt is not None and "integrity_errors" in site.receipt.figures
    standing = look_at(database, settings, check=not checked)
    learnt, unlike = compare(settings, site, standing)
    measured = dict(standing.figures) | {"schema_differences": float(len(unlike))}
    if site.receipt is not None:
        measured |= site.receipt.figures
    measured.setdefault("reclaimed_bytes", 0.0)
    since = site.succeeded_at or site.waited_since
    if since is not None and site.receipt is None:
        measured["days_since_success"] = max(0.0, (site.now - since) / _DAY)
    growth = growth_per_day(
        site.past, size=measured["database_bytes"], reclaimed=measured["reclaimed_bytes"], at=site.now
    )
    if growth is not None:
        measured["growth_bytes_per_day"] = growth
    worth = "" if site.receipt is not None else why_vacuum(settings, database, standing, unlike)
    return Observation(
        measurements=tuple(Measurement(name, value) for name, value in measured.items()),
        evidence=_evidence(database, standing, unlike, learnt=learnt, worth=worth),
        plan=_plan(settings, site, worth) if site.receipt is None else None,
    )


def look_at(database: Database, settings: Settings, *, check: bool = True) -> Standing:
    """Look at a database of either sort.

    Args:
        check: read a SQLite file whole, to see whether it is sound.
    """
    if isinstance(database, SQLiteFile):
        return look_at_sqlite(database, wait=settings.lock_timeout, check=check)
    # A look at a SQLite file does not wait for the libraries of PostgreSQL.
    from riskloop.mitigations.database_vacuum.postgres import look_at_postgres  # noqa: PLC0415 - see above

    return look_at_postgres(database, wait=settings.lock_timeout, longest=settings.statement_timeout)


def compare(settings: Settings, site: Site, standing: Standing) -> tuple[bool, tuple[str, ...]]:
    """Hold a database against what it should look like; say whether that was learnt just now.

    Raises:
        Unmeasurable: what it should look like cannot be read, or what was learnt not be kept.
    """
    if standing.schema is None:
        return False, ()
    expected = expected_schema(settings, site)
    if expected is None:
        write_schema(learnt_file(site.state, site.mitigation), standing.schema)
        return True, ()
    return False, differences(expected, standing.schema)


def expected_schema(settings: Settings, site: Site) -> Schema | None:
    """Read what a database should look like; None if that is still to be learnt."""
    if settings.expected == "learn":
        return read_learnt(site.state, site.mitigation)
    return read_expected(site.project / settings.expected, shown=str(settings.expected))


def why_vacuum(settings: Settings, database: Database, standing: Standing, unlike: Sequence[str]) -> str:
    """Say why a vacuum is worth it, one phrase; empty if it is not, or may not be."""
    if settings.vacuum == "off" or standing.damage or unlike:
        return ""
    if not isinstance(database, SQLiteFile):
        return f"{figures.number(100 * standing.figures['dead_ratio'])} % of its rows are dead"
    if settings.vacuum == "analyze":
        return "the planner's statistics are to be renewed"
    free, share = standing.figures["free_bytes"], standing.figures["free_ratio"]
    if free < settings.minimum_free or share < settings.minimum_free_ratio:
        return ""
    return f"{figures.size(free)} of it are free, {figures.number(100 * share)} %"


def growth_per_day(past: Sequence[PastLook], *, size: float, reclaimed: float, at: datetime) -> float | None:
    """Say by how many bytes a day a database grows by itself, without what was given back.

    It is measured from the oldest look of 100 days to this one; None if that is less than an hour ago.
    """
    known = [look for look in past if "database_bytes" in look.values and at - _GROWTH <= look.at < at]
    if not known or at - known[0].at < timedelta(hours=1):
        return None
    given_back = reclaimed + sum(look.values.get("reclaimed_bytes", 0.0) for look in known[1:])
    return (size + given_back - known[0].values["database_bytes"]) / ((at - known[0].at) / _DAY)


def _plan(settings: Settings, site: Site, worth: str) -> Plan:
    if not worth:
        says = "nothing would be vacuumed"
        return Plan(digest="", file=site.state, says=says, settings=digest_of(settings), empty=True)
    content = {
        "mitigation": site.mitigation,
        "made_at": site.now.isoformat(),
        "vacuum": settings.vacuum,
        "why": worth,
        "settings": digest_of(settings),
    }
    written = (json.dumps(content, indent=1) + "\n").encode()
    digest = sha256(written).hexdigest()
    file = site.state / PLANS / f"{digest}.json"
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_whole(file, written)
    except OSError as error:
        raise Unmeasurable(
            f"the plan cannot be written to {file.parent}: {error.strerror}", remedy="free space there"
        ) from error
    return Plan(
        digest=digest,
        file=file,
        says=f"it would be vacuumed ({settings.vacuum}): {worth}",
        summary=worth,
        settings=digest_of(settings),
        destroys=False,
    )


def _evidence(
    database: Database, standing: Standing, unlike: Sequence[str], *, learnt: bool, worth: str
) -> Evidence:
    found = standing.figures
    says = [f"{database.shown} has {figures.size(found['database_bytes'])}"]
    if "free_bytes" in found:
        says.append(f"{figures.size(found['free_bytes'])} of it free")
    sentences = [", ".join(says)]
    if standing.damage:
        sentences.append(
            "It is damaged, and is never vacuumed so. Stop the program that uses it, copy the file with its "
            "-wal and -shm, recover the copy with sqlite3's .recover into a new file, or restore a backup"
        )
    if unlike:
        sentences.append("It is not what is expected, and is not touched")
    if learnt:
        sentences.append("What it is made of was learnt with this look")
    if worth:
        sentences.append(f"A vacuum is worth it: {worth}")
    sections = [
        Section(title=title, body="\n".join(lines[:_SHOWN]))
        for title, lines in (
            ("What is damaged", standing.damage),
            ("What is not as expected", unlike),
            ("The largest", [f"{figures.size(size)}  {name}" for name, size in standing.tables]),
        )
        if lines
    ]
    fingerprint = sha256(repr((standing.damage, tuple(unlike))).encode()).hexdigest()
    return Evidence(
        summary="".join(f"{sentence}. " for sentence in sentences).rstrip(),
        sections=tuple(sections),
        fingerprint=fingerprint,
    )
