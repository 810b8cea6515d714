"""Gathers every fact a channel needs about a change of an incident, at the moment of the change."""

from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import orjson

from riskloop.incidents import Change, Concern, Incident, Transition
from riskloop.measurements import Look, Section
from riskloop.notifications import Action, Facts, Links, Reach
from riskloop.risks import Mitigation, Owner
from riskloop.thresholds import Assessment, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Occasion:
    """What the looks of one run have in common.

    Args:
        run: the run's identity: each look of it is stored once, however often it is repeated.
        phase: `look`, or `after` for the look after mitigating.
        because: what a person decided that led to this run, to be told with a resolution.
        record: what was done about it, as Markdown, to be kept with a resolution; empty if nothing was.
        evidence: the directory for evidence files.
    """

    project: str
    run: str
    register_digest: str
    reach: Reach
    links: Links
    evidence: Path
    now: datetime
    phase: str = "look"
    because: str = ""
    record: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A change of an incident that is to be told of: how it was before (None if it is new), and is now."""

    before: Incident | None
    incident: Incident
    transition: Transition


def facts_of_look(
    told: Told,
    occasion: Occasion,
    *,
    mitigation: Mitigation,
    look: Look,
    assessment: Assessment,
    document: str,
) -> Facts:
    """Gather the facts of a change that a look led to.

    Args:
        document: where the whole evidence is kept, empty if nowhere.
    """
    risk, kind = mitigation.risk, mitigation.kind
    seen = look.observation.evidence if look.observation else None
    sections = seen.sections if seen else ()
    if occasion.record and told.transition.change is Change.RESOLVED:
        sections = (Section(title="What was done about it", body=occasion.record), *sections)
    is_breach = told.incident.concern is Concern.BREACH
    return _facts(
        told,
        risk.owners,
        occasion,
        risk_id=risk.id,
        risk_title=risk.title,
        risk_score=risk.score,
        contingency=risk.contingency,
        runbook=risk.runbook,
        kind=kind.name,
        kind_says=kind.says,
        readings=assessment.readings,
        summary=seen.summary if seen else assessment.reason,
        sections=sections,
        document=document,
        remedy=kind.remedy if is_breach else (),
        actions=_actions(mitigation, occasion.links) if is_breach else (),
    )


def facts_of_service(told: Told, owner: Owner, occasion: Occasion, *, problem: str, remedy: str) -> Facts:
    """Gather the facts of a change in how riskloop itself is."""
    return _facts(told, (owner,), occasion, summary=problem, remedy=(remedy,))


def facts_of_closing(told: Told, last: Facts, occasion: Occasion) -> Facts:
    """Tell the last facts once more, for an incident that ends for a reason that is no look."""
    return replace(
        last,
        change=told.transition.change,
        severity=told.transition.severity,
        previous=told.before.severity if told.before else Verdict.OK,
        reason=told.transition.reason,
        at=occasion.now,
        run_url=occasion.links.run,
    )


def _facts(told: Told, owners: tuple[Owner, ...], occasion: Occasion, **more: Any) -> Facts:
    incident, transition = told.incident, told.transition
    return Facts(
        project=occasion.project,
        incident=incident.id,
        subject=incident.subject,
        concern=incident.concern,
        change=transition.change,
        severity=transition.severity,
        previous=told.before.severity if told.before else Verdict.OK,
        reason=transition.reason,
        at=occasion.now,
        opened_at=incident.opened_at,
        owners=owners,
        run_url=occasion.links.run,
        **more,
    )


def _actions(mitigation: Mitigation, links: Links) -> tuple[Action, ...]:
    parameters = quote(orjson.dumps({"mitigation": mitigation.id}).decode())
    return tuple(
        Action(
            says=form.says,
            url=f"{links.forms[form.flow]}?parameters={parameters}" if form.flow in links.forms else "",
            command=form.command.format(mitigation=mitigation.id),
        )
        for form in mitigation.kind.forms
    )
