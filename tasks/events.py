"""The channel that tells other automations: a Prefect event for each change of an incident."""

from collections.abc import Iterable
from datetime import datetime
from uuid import NAMESPACE_URL, uuid5

import httpx
from prefect import runtime
from prefect.client.orchestration import get_client
from prefect.events import Event, RelatedResource, Resource

from riskloop.channels import Kept, Parcel, Turn
from riskloop.errors import GaveUp, TryAgain
from riskloop.notifications import Posting


class PrefectEvents:
    """Sends `riskloop.incident.<change>` to the Prefect server: `opened`, `worsened`, `muted`, `resolved`, ….

    The resource is the incident, with its severity, risk, mitigation and owner as labels. The event's id
    comes from the delivery, and the server takes each id once: sending it again is safe.
    """

    def send(self, parcel: Parcel, *, turn: Turn, found: Posting | None = None) -> Posting:
        del found  # An event sent twice is one event.
        if parcel.posting and parcel.facts.quiet:
            return parcel.posting  # An event cannot be edited, and somebody asked for silence.
        turn()
        event = _event(parcel)
        try:
            # Prefect's own `emit_event` puts it in a queue of this process, and is silent if it gets lost.
            with get_client(sync_client=True) as client:
                client.request("POST", "/events", json=[event.model_dump(mode="json")])
        except httpx.HTTPStatusError as error:
            if error.response.is_client_error:
                raise GaveUp(
                    f"the Prefect server refused an event with {error.response.status_code}",
                    remedy="see that server and client are of the same version, and what its log says",
                ) from error
            raise TryAgain(f"the Prefect server answered {error.response.status_code}") from error
        except (httpx.HTTPError, RuntimeError) as error:
            # A RuntimeError is how Prefect says that it cannot even ask for the server's version.
            raise TryAgain(f"the Prefect server did not answer ({type(error).__name__})") from error
        return Posting(reference=str(event.id))

    def find(self, parcel: Parcel) -> Posting | None:
        del parcel
        return None

    def look_around(self, target: str, *, since: datetime | None) -> Iterable[Kept]:
        del target, since
        return ()

    def prove(self, realm: str) -> None:
        """Need no token of our own."""


def _event(parcel: Parcel) -> Event:
    facts = parcel.facts
    return Event(
        id=uuid5(NAMESPACE_URL, f"riskloop:delivery:{parcel.delivery}"),
        event=f"riskloop.incident.{facts.change}",
        occurred=facts.at,
        resource=Resource(
            {
                "prefect.resource.id": f"riskloop.incident.{facts.incident}",
                "prefect.resource.name": facts.risk_title or facts.subject,
                "riskloop.project": facts.project,
                "riskloop.risk": facts.risk_id,
                "riskloop.mitigation": facts.subject,
                "riskloop.concern": facts.concern,
                "riskloop.severity": facts.severity,
                "riskloop.owner": facts.owners[0].name,
            }
        ),
        related=[
            RelatedResource(
                {
                    "prefect.resource.id": f"prefect.flow-run.{runtime.flow_run.id}",
                    "prefect.resource.role": "flow-run",
                }
            )
        ],
        payload={"reason": facts.reason, "summary": facts.summary, "issue": parcel.issue_url},
    )
