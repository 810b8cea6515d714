"""Leaves what a run found in the Prefect UI: a page for each mitigation, and a table for the run."""

import hashlib
from collections.abc import Sequence

from prefect import runtime, task
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.cache_policies import NO_CACHE
from slugify import slugify

from riskloop.assessing import Assessed
from riskloop.services import open_services
from riskloop.settings import read_settings
from riskloop.wording.artifact import page


@task(name="report", cache_policy=NO_CACHE, persist_result=False, retries=0)
def report(assessed: Sequence[Assessed]) -> None:
    """Write each mitigation's page under its own key, whose versions are its history, and the run's table."""
    with open_services(read_settings()) as services:
        installation = services.identity.installation
    for one in assessed:
        create_markdown_artifact(
            page(one.mitigation, one.look, one.assessment, changes=_changes(one)),
            key=artifact_key(installation, one.mitigation.id),
            description=one.mitigation.id,
        )
    rows = [
        {
            "mitigation": one.mitigation.id,
            "verdict": str(one.assessment.verdict),
            "over the threshold": ", ".join(reading.metric for reading in one.assessment.breaches),
            "owner": one.mitigation.risk.owners[0].name,
            "why": one.assessment.reason,
        }
        for one in assessed
    ]
    create_table_artifact(rows, key=artifact_key(installation, str(runtime.flow_run.flow_name)))


def _changes(one: Assessed) -> tuple[str, ...]:
    return tuple(
        f"{incident.concern} {transition.change}: {transition.reason}"
        for incident, transition in one.transitions
    )


def artifact_key(installation: str, name: str) -> str:
    """Make a key Prefect accepts (lowercase, digits, dashes), different for each name and installation."""
    digest = hashlib.sha256(f"{installation} {name}".encode()).hexdigest()[:8]
    return f"{slugify(name, max_length=60)}-{digest}"
