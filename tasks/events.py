"""The channel that tells other automations: a Prefect event for each change of an incident."""

from uuid import NAMESPACE_URL, uuid5

from prefect.events import emit_event

from riskloop.channels import Parcel
from riskloop.notifications import Posting


class PrefectEvents:
    """Emits `riskloop.incident.opened|worsened|eased|updated|reminded|resolved`.

    The resource is the incident, with its severity, risk, mitigation and owner as labels. The event's id
    comes from the delivery, and the server takes each id once: sending it again is safe.
    """

    def send(self, parcel: Parcel, *, found: Posting | None = None) -> Posting:
        del found  # An event sent twice is one event.
        facts = parcel.facts
        event = uuid5(NAMESPACE_URL, f"riskloop:delivery:{parcel.delivery}")
        emit_event(
            f"riskloop.incident.{facts.change}",
            resource={
                "prefect.resource.id": f"riskloop.incident.{facts.incident}",
                "prefect.resource.name": facts.risk_title or facts.subject,
                "riskloop.project": facts.project,
                "riskloop.risk": facts.risk_id,
                "riskloop.mitigation": facts.subject,
                "riskloop.concern": facts.concern,
                "riskloop.severity": facts.severity,
                "riskloop.owner": facts.owners[0].name,
            },
            payload={"reason": facts.reason, "summary": facts.summary, "issue": parcel.issue_url},
            occurred=facts.at,
            id=event,
        )
        return Posting(reference=str(event))

    def find(self, parcel: Parcel) -> Posting | None:
        del parcel
        return None
