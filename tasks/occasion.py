"""What the looks of the flow run at work have in common: its identity, its links, its register."""

from collections.abc import Collection

from prefect import runtime
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterTags
from prefect.client.schemas.sorting import DeploymentSort
from prefect.utilities.urls import url_for

from riskloop.assessing import Occasion
from riskloop.notifications import Links
from riskloop.project import now
from riskloop.register import Register
from riskloop.services import Services

_INSTALLATION = "riskloop:"


def occasion(services: Services, register: Register, *, because: str = "", record: str = "") -> Occasion:
    """Describe the flow run at work.

    Args:
        because: what a person decided before the look; empty if nobody did.
        record: what was done about it, as Markdown.
    """
    return Occasion(
        project=register.project,
        run=str(runtime.flow_run.id),
        register_digest=register.digest,
        reach=services.reach(events=True),
        links=_links(runtime.flow_run.tags),
        evidence=services.settings.state / "evidence",
        now=now(),
        phase="after" if because else "look",
        because=because,
        record=record,
    )


def name_run() -> str:
    """Name a run by what it looks at: `fixture-drift: all`, or the ids."""
    chosen = runtime.flow_run.parameters.get("mitigations")
    return f"{runtime.flow_run.flow_name}: {', '.join(chosen) if chosen else 'all'}"


def _links(flow_run_tags: Collection[str]) -> Links:
    """Find the run's own address, and those of the forms that our decisions are taken in.

    The forms are deployments of the same installation: those with the same `riskloop:` tag as the run, or,
    where a work pool is used and none has one, without.
    """
    ours = sorted(tag for tag in flow_run_tags if tag.startswith(_INSTALLATION))
    decisions = DeploymentFilter(tags=DeploymentFilterTags(all_=["decision", "riskloop", *ours]))
    forms = {}
    with get_client(sync_client=True) as client:
        # Limit and order are spelled out: left out, they go as nulls, which a newer FastAPI refuses.
        found = client.read_deployments(deployment_filter=decisions, limit=200, sort=DeploymentSort.NAME_ASC)
        for deployment in found:
            theirs = sorted(tag for tag in deployment.tags if tag.startswith(_INSTALLATION))
            address = url_for("deployment", deployment.id)
            if address and theirs == ours:
                flow = client.read_flow(deployment.flow_id)
                forms[flow.name.replace("-", "_")] = f"{address}/run"
    return Links(run=url_for("flow-run", runtime.flow_run.id) or "", forms=forms)
