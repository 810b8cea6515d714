"""Gathers every fact a channel needs about a change of an incident, at the moment of the change."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from riskloop.approvals import Approval, State, what_then
from riskloop.incidents import Change, Concern, Incident, Transition
from riskloop.measurements import Look, Section
from riskloop.mutes import Mute, Muting
from riskloop.notifications import Action, Facts, Links, Reach
from riskloop.receipts import Receipt
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
        summary=_summary(seen.summary, look.receipt) if seen else assessment.reason,
        sections=sections,
        document=document,
        remedy=kind.remedy if is_breach else (),
        actions=(
            *(_proposed(look.receipt) if is_breach else ()),
            *(_actions(mitigation, occasion.links) if is_breach else ()),
            _accepting(told.incident, occasion.links),
        ),
    )


def under_mutes(facts: Facts, mutes: Sequence[Mute]) -> Facts:
    """Add to the facts what covers the incident, a silence first, and whether it hushes the change."""
    covering = sorted(
        (mute for mute in mutes if mute.covers(facts.concern)),
        key=lambda mute: mute.muting is Muting.ACCEPTED,
    )
    quiet = any(mute.hushes(facts.concern, facts.change, facts.severity) for mute in covering)
    return replace(facts, mutes=tuple(covering), quiet=quiet)


def facts_of_service(told: Told, owner: Owner, occasion: Occasion, *, problem: str, remedy: str) -> Facts:
    """Gather the facts of a change in how riskloop itself is."""
    return _facts(told, (owner,), occasion, summary=problem, remedy=(remedy,))


def facts_of_flood(told: Told, owner: Owner, occasion: Occasion, *, sections: tuple[Section, ...]) -> Facts:
    """Gather the facts of many incidents of one owner, told of at once.

    Args:
        sections: the list of them.
    """
    return _facts(
        told,
        (owner,),
        occasion,
        summary=f"{told.transition.reason}; each gets its own issue and message as the services allow.",
        sections=sections,
        remedy=("Look for what they have in common: one cause is likelier than many.",),
    )


def facts_of_approval(
    told: Told,
    occasion: Occasion,
    approval: Approval,
    *,
    mitigation: Mitigation | None,
    last: Facts | None,
    notes: Sequence[str] = (),
) -> Facts:
    """Gather the facts of a decision that is owed, or of what came of it.

    Args:
        approval: as it is after the change.
        mitigation: as the register has it now; None if it has left it.
        last: what was told of it last; None if nothing was. One of both there must be.
        notes: what else is to be known of what was done, a sentence each.
    """
    said = [approval.what, *notes]
    if approval.state is State.PENDING:
        # Names are text from the register, which only the summary's place takes.
        said.append(
            f"who may decide: {', '.join(approval.deciders)} (a name is recorded as given, not proven)"
        )
    holds = (Section(title="What the plan holds", body=approval.summary),) if approval.summary else ()
    if mitigation is None:
        if last is None:
            raise ValueError(f"nothing was told yet of {approval.id}, whose mitigation is unknown")
        facts = facts_again(told, last, occasion)
    else:
        risk, kind = mitigation.risk, mitigation.kind
        facts = _facts(
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
        )
    return replace(
        facts,
        summary=" ".join(f"{one[:1].upper()}{one[1:].rstrip('.')}." for one in said),
        sections=holds,
        remedy=_owed(approval),
        actions=_deciding(approval, occasion.links),
        run_url=(last.run_url if last else "") or facts.run_url,
    )


def facts_again(told: Told, last: Facts, occasion: Occasion) -> Facts:
    """Tell the last facts once more, for a change that no look led to."""
    return replace(
        last,
        change=told.transition.change,
        severity=told.transition.severity,
        previous=told.before.severity if told.before else Verdict.OK,
        reason=told.transition.reason,
        at=occasion.now,
        run_url=last.run_url or occasion.links.run,
        mutes=(),
        quiet=False,
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


def _summary(found: str, receipt: Receipt | None) -> str:
    """Say what was found, and what acting on it came to unless the link to it says so."""
    if receipt is None or not receipt.says or (receipt.url and not receipt.failed):
        return found
    sentence = f"{receipt.sentence[:1].upper()}{receipt.sentence[1:]}."
    return f"{found.rstrip()} {sentence}".lstrip()


def _proposed(receipt: Receipt | None) -> tuple[Action, ...]:
    """Lead to the pull request, if there is one: it is the first thing to do."""
    if receipt is None or not receipt.url:
        return ()
    says = "" if receipt.failed else receipt.says
    return (Action(says=f"Pull request: {says}" if says else "Pull request", url=receipt.url),)


def _actions(mitigation: Mitigation, links: Links) -> tuple[Action, ...]:
    return tuple(
        Action(
            says=form.says,
            url=links.form(form.flow, {"mitigation": mitigation.id}),
            command=form.command.format(mitigation=mitigation.id),
        )
        for form in mitigation.kind.forms
    )


def _accepting(incident: Incident, links: Links) -> Action:
    return Action(
        says="Accept it until a date",
        url=links.form("accept_incident", {"incident": incident.id}),
        command=f'riskloop accept {incident.id} --until 30d --who "your name" --why "why it may stand"',
    )


def _owed(approval: Approval) -> tuple[str, ...]:
    """Say what happens if nobody decides, and if it is approved, a sentence each."""
    if approval.state is State.APPROVED:
        return ("Nothing need be done: it is carried out now, or by the next round.",)
    if approval.state is not State.PENDING:
        return ()
    then = what_then(approval)
    return (
        f"{then[:1].upper()}{then[1:]}.",
        f"Approved, just the plan {approval.plan[:12]} is carried out, without what has changed since.",
    )


def _deciding(approval: Approval, links: Links) -> tuple[Action, ...]:
    """Offer both decisions while one is owed; after an end without success, to have it asked anew."""
    if approval.state is State.PENDING:
        return tuple(
            Action(
                says=says,
                url=links.form("decide_approval", {"approval": approval.id, "decision": decision}),
                command=f'riskloop approvals {decision} {approval.id} --who "your name" --why "why"',
            )
            for decision, says in (("approve", "Approve it"), ("reject", "Reject it"))
        )
    if approval.state in {State.ABORTED, State.FAILED}:
        command = f"riskloop run {approval.mitigation}"
        return (Action(says="To be asked anew, run it again", command=command),)
    return ()
