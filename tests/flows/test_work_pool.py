"""The other way of running: `prefect deploy --all` to a process pool, and a worker with our settings."""

import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import pytest

from deployments.api import Api
from deployments.environment import clean_environment
from deployments.offers import packaged_list, read_offers
from tests.flows.looping import MITIGATION, Team

pytestmark = pytest.mark.server


def prefect(team: Team, directory: Path, *arguments: str) -> None:
    """Run Prefect's own command line, in a home of its own, anywhere but in the repository."""
    done = subprocess.run(
        [sys.executable, "-P", "-m", "prefect", "--no-prompt", *arguments],
        cwd=directory,
        env=clean_environment(os.environ, state=directory, api_url=team.api_url),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_deployment_can_be_sent_to_a_pool_and_a_worker_takes_a_drift_to_the_same_end(
    team: Team, tmp_path: Path
) -> None:
    directory = tmp_path / "elsewhere"
    directory.mkdir()
    offers = read_offers(packaged_list())
    prefect(team, directory, "work-pool", "create", "riskloop", "--type", "process")
    prefect(team, directory, "deploy", "--all", "--prefect-file", str(packaged_list()))
    body = {"work_pools": {"name": {"any_": ["riskloop"]}}, "limit": 200}
    deployed = {row["name"]: row for row in team.ask("/deployments/filter", body)}
    assert set(deployed) == {offer.name for offer in offers}
    for offer in offers:
        row = deployed[offer.name]
        assert row["entrypoint"] == offer.entrypoint
        assert row["description"] == offer.description
        assert [(s["schedule"]["cron"], s["schedule"]["timezone"]) for s in row["schedules"]] == [
            (schedule.cron, schedule.timezone) for schedule in offer.schedules
        ]
        assert row["global_concurrency_limit"]["limit"] == offer.limit == 1
        assert row["concurrency_options"]["collision_strategy"] == offer.collision
        for name, parameter in row["parameter_openapi_schema"]["properties"].items():
            assert parameter.get("description"), f"the form of {offer.name} does not explain {name}"

    team.record(a="2")
    with Api(team.api_url) as api:
        run = api.start(deployed["fixture-drift"]["id"], {})
        prefect(team, directory, "worker", "start", "--pool", "riskloop", "--run-once")
        ended = api.run(run.id)
    assert (ended.type, ended.state, ended.name) == ("COMPLETED", "Breached", "fixture-drift: all")
    assert team.told() == (["open"], 0, 1, 0)
    form = "/deployments/deployment/{}/run?parameters="
    (issue,) = team.issues()
    adopting = form.format(deployed["adopt-fixtures"]["id"])
    assert adopting + quote(f'{{"mitigation":"{MITIGATION}"}}') in issue["body"]
    assert form.format(deployed["accept-incident"]["id"]) + quote('{"incident":"') in issue["body"]
    assert f"/runs/flow-run/{run.id}" in issue["body"]
