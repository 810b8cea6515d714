"""Leaves what a run found in the Prefect UI: a page for each mitigation, and a table for the run."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import cast

from prefect import runtime, task
from prefect.artifacts import Artifact, create_markdown_artifact, create_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.utilities.urls import url_for
from slugify import slugify

from riskloop.assessing import Assessed
from riskloop.notifications import name_realm
from riskloop.redaction import without_secrets
from riskloop.services import Services, open_services
from riskloop.settings import read_settings
from riskloop.store import circuits, history, letters, postings
from riskloop.story import circuit_says
from riskloop.wording.artifact import page, undelivered

_LISTED = 50


@task(name="report", cache_policy=NO_CACHE, persist_result=False, retries=0)
def report(assessed: Sequence[Assessed], *, dry_run: bool = False) -> None:
    """Write each mitigation's page under its own key, whose versions are its history, and the run's table.

    Args:
        dry_run: leave them with the run alone, outside of any history.
    """
    with open_services(read_settings()) as services:
        installation = services.identity.installation
        told = _told(services, assessed)
    run_url = url_for("flow-run", runtime.flow_run.id) or ""
    for one in assessed:
        create_markdown_artifact(
            without_secrets(
                page(
                    one.mitigation,
                    one.look,
                    one.assessment,
                    changes=_changes(one),
                    told=told[one.mitigation.id],
                    run_url=run_url,
                )
            ),
            key=None if dry_run else artifact_key(installation, one.mitigation.id),
            description=one.mitigation.id,
        )
    rows = [
        {
            "mitigation": one.mitigation.id,
            "verdict": str(one.assessment.verdict),
            "over the threshold": ", ".join(reading.metric for reading in one.assessment.breaches),
            "owner": one.mitigation.risk.owners[0].name,
            "why": one.assessment.reason,
            "told in": " ".join(told[one.mitigation.id]),
            **_receipt(one),
        }
        for one in assessed
    ]
    key = None if dry_run else artifact_key(installation, str(runtime.flow_run.flow_name))
    create_table_artifact(rows, key=key)


def show_undelivered() -> None:
    """Write the page of what could not be delivered, in this run or before, if it says something new."""
    with open_services(read_settings()) as services:
        failed = without_secrets(_undelivered(services))
        key = artifact_key(services.identity.installation, "undelivered")
    # Inside a run without an event loop of its own it answers at once; its type allows for an awaitable.
    shown = cast("Artifact | None", Artifact.get(key)) if failed else None
    if failed and (shown is None or shown.data != failed):
        create_markdown_artifact(failed, key=key, description="what could not be delivered")


def _told(services: Services, assessed: Sequence[Assessed]) -> Mapping[str, tuple[str, ...]]:
    """Find where each mitigation's incidents can be read: those that are open, or changed with this look."""
    told = {}
    with services.store.reading() as connection:
        is_open = history.open_incidents_of(connection, [one.mitigation.id for one in assessed])
        for one in assessed:
            ids = [incident.id for incident, _ in one.transitions]
            ids += [incident.id for incident in is_open[one.mitigation.id].values()]
            told[one.mitigation.id] = tuple(
                posting.url or posting.reference
                for incident in dict.fromkeys(ids)
                for route, posting in postings.list_postings(connection, incident).items()
                if route.channel != "events"
            )
    return told


def _undelivered(services: Services) -> str:
    """Write what needs a person before its owners hear of it; empty if nothing does."""
    with services.store.reading() as connection:
        dead = letters.count_deliveries(connection)["dead"]
        newest = letters.list_deliveries(connection, states={"dead"}, limit=_LISTED)
        broken = [(name_realm(one.realm), circuit_says(one)) for one in circuits.list_circuits(connection)]
    if not dead and not broken:
        return ""
    rows = [
        {
            "id": one.id,
            "subject": one.subject,
            "change": one.change,
            "where": f"{one.channel} {one.target}",
            "why": one.last_error,
        }
        for one in newest
    ]
    return undelivered(rows, dead=dead, circuits=broken)


def _receipt(one: Assessed) -> dict[str, str]:
    """Say what was done about it; nothing where nobody acted, so that a run that only looks has no column."""
    receipt = one.look.receipt
    if receipt is None:
        return {}
    said = " ".join(part for part in (receipt.sentence, receipt.url) if part)
    return {"done": without_secrets("; ".join(part for part in (said, *receipt.notes) if part))}


def _changes(one: Assessed) -> tuple[str, ...]:
    return tuple(
        f"{incident.concern} {transition.change}: {transition.reason}"
        for incident, transition in one.transitions
    )


def artifact_key(installation: str, name: str) -> str:
    """Make a key Prefect accepts (lowercase, digits, dashes), different for each name and installation."""
    digest = hashlib.sha256(f"{installation} {name}".encode()).hexdigest()[:8]
    return f"{slugify(name, max_length=60)}-{digest}"
