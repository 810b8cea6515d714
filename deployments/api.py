"""What we ask of the Prefect server, in its own REST words: so that asking costs no import of Prefect."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import urlsplit
from uuid import uuid4

import httpx

from riskloop.errors import RiskloopError

FINAL = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")
UNFINISHED = ("PENDING", "RUNNING", "CANCELLING")
_PAGE = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """A deployment of ours: its id, its flow's name and its own, its tags, and if a schedule is active.

    Args:
        held: the id of its concurrency limit while slots of it are taken; empty otherwise.
    """

    id: str
    flow: str
    name: str
    tags: tuple[str, ...]
    scheduled: bool
    paused: bool
    held: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A flow run: its state's type (`COMPLETED`, …), the state's name (`Breached`, …) and its message."""

    id: str
    name: str
    deployment: str
    type: str
    state: str
    message: str
    auto_scheduled: bool
    expected_start: str

    @property
    def final(self) -> bool:
        return self.type in FINAL


class Api:
    """A client of the Prefect REST API (docs.prefect.io, "REST API"); every failure is a RiskloopError."""

    def __init__(self, url: str, *, timeout: float = 15.0) -> None:
        """Connect to the API at `url`; `timeout`: seconds for an answer, and for a busy server."""
        self.url = url
        local = urlsplit(url).hostname in {"127.0.0.1", "localhost", "::1"}
        # A proxy of the person's must not stand between us and our own machine.
        self._timeout = timeout
        self._client = httpx.Client(base_url=url, timeout=timeout, trust_env=not local)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def deployments(self, tag: str) -> tuple[Deployment, ...]:
        """Read every deployment that carries the tag."""
        rows = list(self._pages("/deployments/filter", {"deployments": {"tags": {"all_": [tag]}}}))
        flows = self._flow_names({row["flow_id"] for row in rows})
        return tuple(
            Deployment(
                id=row["id"],
                flow=flows[row["flow_id"]],
                name=row["name"],
                tags=tuple(row["tags"]),
                scheduled=any(schedule["active"] for schedule in row["schedules"]),
                paused=row["paused"],
                held=_held(row.get("global_concurrency_limit")),
            )
            for row in rows
        )

    def runs(
        self,
        deployments: Sequence[str],
        *,
        types: Sequence[str] = (),
        expected_before: str = "",
    ) -> tuple[Run, ...]:
        """Read runs of these deployments: of any state or these types, expected to start before a moment."""
        if not deployments:
            return ()
        wanted: dict[str, Any] = {}
        if types:
            wanted["state"] = {"type": {"any_": list(types)}}
        if expected_before:
            wanted["expected_start_time"] = {"before_": expected_before}
        body = {"deployments": {"id": {"any_": list(deployments)}}, "flow_runs": wanted, "sort": "ID_DESC"}
        return tuple(_run(row) for row in self._pages("/flow_runs/filter", body))

    def latest(self, deployments: Sequence[str], *, types: Sequence[str] = FINAL) -> Run | None:
        """Read the run of these deployments that ended last; None if none did."""
        body = {
            "deployments": {"id": {"any_": list(deployments)}},
            "flow_runs": {"state": {"type": {"any_": list(types)}}},
            "sort": "END_TIME_DESC",
            "limit": 1,
        }
        rows = self._send("POST", "/flow_runs/filter", body)
        return _run(rows[0]) if rows else None

    def ready(self) -> None:
        """Ask whether it is there at all.

        Raises:
            RiskloopError: it is not, or it is something else than a Prefect server.
        """
        if self._send("GET", "/health") is not True:
            raise RiskloopError(
                f"what answers at {self.url} is no Prefect server", remedy="correct the address"
            )

    def run(self, run: str) -> Run:
        """Read one run by its id."""
        return _run(self._send("GET", f"/flow_runs/{run}"))

    def start(self, deployment: str, parameters: Mapping[str, Any]) -> Run:
        """Ask for a run of a deployment, now."""
        body = {
            "parameters": dict(parameters),
            "state": {"type": "SCHEDULED"},
            "idempotency_key": str(uuid4()),
        }
        return _run(self._send("POST", f"/deployments/{deployment}/create_flow_run", body))

    def set_state(self, run: str, *, type: str, name: str, message: str) -> None:  # noqa: A002 - Prefect's word
        """Put a run into a state by force: no rule of orchestration may keep an orphan alive."""
        state = {"type": type, "name": name, "message": message}
        self._send("POST", f"/flow_runs/{run}/set_state", {"state": state, "force": True})

    def delete_deployment(self, deployment: str) -> None:
        """Delete a deployment and its schedules; the runs it had stay."""
        self._send("DELETE", f"/deployments/{deployment}")

    def free_slots(self, limit: str) -> None:
        """Give back every slot of a concurrency limit."""
        self._send("PATCH", f"/v2/concurrency_limits/{limit}", {"active_slots": 0})

    def automations(self) -> tuple[dict[str, Any], ...]:
        """Read every automation, as the server keeps them."""
        return tuple(self._pages("/automations/filter", {}))

    def create_automation(self, automation: Mapping[str, Any]) -> dict[str, Any]:
        """Create an automation and return it as the server keeps it."""
        created: dict[str, Any] = self._send("POST", "/automations/", automation)
        return created

    def replace_automation(self, automation: str, content: Mapping[str, Any]) -> dict[str, Any]:
        """Replace an automation's content and return it as the server keeps it."""
        self._send("PUT", f"/automations/{automation}", content)
        replaced: dict[str, Any] = self._send("GET", f"/automations/{automation}")
        return replaced

    def _flow_names(self, flows: set[str]) -> dict[str, str]:
        body = {"flows": {"id": {"any_": sorted(flows)}}}
        return {row["id"]: row["name"] for row in self._pages("/flows/filter", body)} if flows else {}

    def _pages(self, path: str, body: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        offset = 0
        while True:
            page = self._send("POST", path, {**body, "limit": _PAGE, "offset": offset})
            yield from page
            if len(page) < _PAGE:
                return
            offset += _PAGE

    def _send(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        deadline = time.monotonic() + self._timeout
        try:
            answer = self._client.request(method, path, json=body)
            # So Prefect says that its SQLite was locked for too long: nothing was applied.
            while answer.status_code == httpx.codes.SERVICE_UNAVAILABLE and time.monotonic() < deadline:
                time.sleep(0.2)
                answer = self._client.request(method, path, json=body)
        except httpx.HTTPError as error:
            raise RiskloopError(
                f"the Prefect server at {self.url} did not answer ({type(error).__name__})",
                remedy="see that it runs and can be reached from here",
            ) from error
        if not answer.is_success:
            raise RiskloopError(
                f"the Prefect server at {self.url} refused {method} {path} with {answer.status_code}: "
                f"{answer.text[:300]}",
            )
        try:
            return answer.json() if answer.content else None
        except ValueError as error:
            raise RiskloopError(
                f"what answers at {self.url} does not speak JSON", remedy="correct the address"
            ) from error


def _held(limit: Mapping[str, Any] | None) -> str:
    return str(limit["id"]) if limit and limit["active_slots"] else ""


def _run(row: Mapping[str, Any]) -> Run:
    state = row.get("state") or {}
    return Run(
        id=row["id"],
        name=row["name"],
        deployment=row.get("deployment_id") or "",
        type=state.get("type") or "",
        state=state.get("name") or "",
        message=state.get("message") or "",
        auto_scheduled=bool(row.get("auto_scheduled")),
        expected_start=row.get("expected_start_time") or "",
    )
