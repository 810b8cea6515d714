"""A mitigation's page in the Prefect UI: its verdict, its numbers against their thresholds, what changed."""

from collections.abc import Mapping, Sequence

from riskloop.measurements import Look
from riskloop.risks import Mitigation
from riskloop.thresholds import Assessment
from riskloop.wording import escaping, figures, github

_COLUMNS = ("subject", "change", "where", "why")


def page(
    mitigation: Mitigation,
    look: Look,
    assessment: Assessment,
    *,
    changes: tuple[str, ...] = (),
    told: tuple[str, ...] = (),
    run_url: str = "",
) -> str:
    """Write the page as Markdown.

    Args:
        changes: what happened to its incidents with this look, a sentence each.
        told: where its incidents can be read: addresses, or the names of files.
        run_url: the flow run that looked; empty if it has no address.
    """
    risk = mitigation.risk
    owners = ", ".join(owner.name for owner in risk.owners)
    run = escaping.link(run_url)
    parts = [
        f"# {escaping.prose(risk.title)}: {assessment.verdict}",
        f"`{mitigation.id}`, score {risk.score}, {escaping.prose(owners)}.",
        f"Looked at on {figures.moment(look.at)}{f' in [this run](<{run}>)' if run else ''}.",
        *(f"- {escaping.prose(change)}" for change in changes),
        *(f"- told in {_place(place)}" for place in told),
        *_acted(look),
        escaping.prose(assessment.reason),
        github.readings_table(assessment.readings),
    ]
    if look.observation:
        evidence = look.observation.evidence
        parts.append(escaping.prose(evidence.summary))
        parts += [github.section(section) for section in evidence.sections]
    return escaping.cut("\n\n".join(part for part in parts if part), github.BODY_LIMIT, word=github.CUT)


def _acted(look: Look) -> list[str]:
    """Say what acting on the look came to; or, where nobody acted, what it would have done."""
    if look.receipt:
        address = escaping.link(look.receipt.url)
        said = escaping.prose(look.receipt.sentence) or ("proposed" if address else "nothing was to be done")
        notes = (f"- {escaping.prose(note)}" for note in look.receipt.notes)
        return [f"- {said}: <{address}>" if address else f"- {said}", *notes]
    seen = look.observation
    ready = (part for part in (seen.proposal, seen.plan) if part) if seen else ()
    return [f"- {escaping.prose(part.says)}" for part in ready]


def undelivered(
    letters: Sequence[Mapping[str, str]], *, dead: int, circuits: Sequence[tuple[str, str]]
) -> str:
    """Write what needs a person before its owners hear of it, as Markdown.

    Args:
        letters: the newest dead letters: their `id`, `subject`, `change`, `where` and `why`.
        dead: how many there are in all.
        circuits: the places where nothing is sent, and since when and why, a sentence each.
    """
    parts = ["# Not everything could be delivered"]
    parts += [f"**{escaping.prose(realm)}**: {escaping.prose(says)}." for realm, says in circuits]
    if letters:
        lines = ["| Delivery | Subject | What | Where | Why |", "| --- | --- | --- | --- | --- |"]
        for letter in letters:
            cells = [escaping.code(letter["id"]), *(escaping.prose(letter[name]) for name in _COLUMNS)]
            lines.append(f"| {' | '.join(cells)} |")
        more = f", the newest {len(letters)} of them here" if dead > len(letters) else ""
        parts += [
            f"Dead letters, which nothing sends again by itself: {dead}{more}.",
            "\n".join(lines),
            "Mend what they name, then `riskloop deliveries retry --all`; or `riskloop deliveries drop`.",
        ]
    return escaping.cut("\n\n".join(parts), github.BODY_LIMIT, word=github.CUT)


def _place(place: str) -> str:
    address = escaping.link(place)
    return f"<{address}>" if address else escaping.code(place)
