"""A mitigation's page in the Prefect UI: its verdict, its numbers against their thresholds, what changed."""

from riskloop.measurements import Look
from riskloop.risks import Mitigation
from riskloop.thresholds import Assessment
from riskloop.wording import escaping, figures, github


def page(mitigation: Mitigation, look: Look, assessment: Assessment, *, changes: tuple[str, ...]) -> str:
    """Write the page as Markdown.

    Args:
        changes: what happened to its incidents with this look, a sentence each.
    """
    risk = mitigation.risk
    owners = ", ".join(owner.name for owner in risk.owners)
    parts = [
        f"# {escaping.prose(risk.title)}: {assessment.verdict}",
        f"`{mitigation.id}`, score {risk.score}, {escaping.prose(owners)}.",
        f"Looked at on {figures.moment(look.at)}.",
        *(f"- {escaping.prose(change)}" for change in changes),
        escaping.prose(assessment.reason),
        github.readings_table(assessment.readings),
    ]
    if look.observation:
        evidence = look.observation.evidence
        parts.append(escaping.prose(evidence.summary))
        parts += [github.section(section) for section in evidence.sections]
    return escaping.cut("\n\n".join(part for part in parts if part), github.BODY_LIMIT, word=github.CUT)
