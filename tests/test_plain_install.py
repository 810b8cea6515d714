"""What a stranger gets: the newest versions our pins allow, our wheel, and nothing else."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from deployments.directory import Service, running_service
from tests.waiting import wait_until

pytestmark = pytest.mark.server

RISKLOOP = Path(__file__).parents[1] / ".cache" / "plain" / "bin" / "riskloop"


@pytest.fixture
def running(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], Service]]:
    """Start `riskloop up` of the plain install in an empty directory; give it once the demo has run."""
    assert RISKLOOP.exists(), "make test builds the plain install that this is about"
    environment = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    log = tmp_path / "up.log"
    place = tmp_path / "empty"
    place.mkdir()
    with (
        log.open("w", encoding="utf-8") as output,
        subprocess.Popen(
            [str(RISKLOOP), "up"],
            cwd=place,
            env={**environment, "HOME": str(tmp_path)},
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process,
    ):
        try:
            wait_until(
                lambda: "told in" in log.read_text(encoding="utf-8") or process.poll() is not None,
                within=120,
                what="the demo is told",
            )
            service = running_service(place / ".riskloop" / "demo")
            assert service is not None, log.read_text(encoding="utf-8")
            yield process, service
        finally:
            process.kill()


def test_the_server_starts_the_demo_is_told_and_its_cron_gets_scheduled_runs(
    running: tuple[subprocess.Popen[str], Service], tmp_path: Path
) -> None:
    process, service = running
    outbox = tmp_path / "empty" / ".riskloop" / "demo" / "outbox"
    assert len(list(outbox.glob("github/**/*.md"))) == 1
    assert len(list(outbox.glob("slack/**/*.json"))) == 1
    wanted = {
        "deployments": {"id": {"any_": [service.deployments["fixture-drift"]]}},
        "flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}},
    }

    def scheduled() -> bool:
        answer = httpx.post(f"{service.api_url}/flow_runs/filter", json=wanted, trust_env=False)
        return any(run["auto_scheduled"] for run in answer.raise_for_status().json())

    wait_until(scheduled, within=90, what="the scheduler makes runs")
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=25) == 0
