"""What there is to say of a register without mistakes: what it found, and its risks by score."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from riskloop.register.contents import Register
from riskloop.risks import Owner


def check_report(register: Register) -> str:
    """Say what a register holds: risks, mitigations by kind, owners and where they hear; then what is odd."""
    return "\n".join(_report(register))


def _report(register: Register) -> Iterator[str]:
    yield f"{register.path.name} has no mistakes."
    enabled = register.mitigations()
    by_kind = Counter(mitigation.kind.name for mitigation in enabled)
    kinds = ", ".join(f"{count} {name}" for name, count in sorted(by_kind.items()))
    idle = len(register.configured) - len(enabled)
    yield f"  project      {register.project}"
    yield f"  risks        {len(register.risks)}"
    yield (
        f"  mitigations  {len(enabled)}"
        + (f" ({kinds})" if kinds else "")
        + (f", and {idle} not enabled" if idle else "")
    )
    for position, owner in enumerate(register.owners.values()):
        yield f"  {'owners' if position == 0 else '':<13}{_heard(owner)}"
    yield f"  service      {register.service_owner.name}"
    yield from (f"  note         {note}" for note in notes(register))


def notes(register: Register) -> tuple[str, ...]:
    """Say what is allowed and probably not meant: owners nobody can reach or mention, or who own nothing."""
    accountable = {risk.owners[0].name for risk in register.risks} | {register.service_owner.name}
    named = {owner.name for risk in register.risks for owner in risk.owners} | accountable
    found = []
    for owner in register.owners.values():
        if owner.name not in named:
            found.append(f"{owner.name} owns no risk")
        elif owner.name in accountable and owner.repository is None and owner.channel is None:
            found.append(
                f"{owner.name} is heard nowhere: write github.repository or slack.channel, "
                "for everyone or for this owner",
            )
        if not (owner.github or owner.slack):
            found.append(f"{owner.name} cannot be mentioned: write their github or slack name")
    return tuple(found)


def _heard(owner: Owner) -> str:
    names = [f"@{owner.github}"] if owner.github else []
    names += [owner.slack] if owner.slack else []
    places = [f"issues in {owner.repository}"] if owner.repository else []
    if owner.channel:
        workspace = f" ({owner.channel.workspace})" if owner.channel.workspace else ""
        places.append(f"messages in {owner.channel.channel}{workspace}")
    return (
        f"{owner.name}" + (f" ({', '.join(names)})" if names else "") + f": {', '.join(places) or 'nowhere'}"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranked:
    """One risk as `riskloop register show` prints it."""

    score: int
    id: str
    title: str
    category: str
    likelihood: str
    impact: str
    owners: tuple[str, ...]
    status: str
    review: date | None
    mitigations: tuple[str, ...]


def show(register: Register) -> tuple[Ranked, ...]:
    """List the risks, the highest score first; those of equal score in the register's order."""
    rows = (
        Ranked(
            score=risk.score,
            id=risk.id,
            title=risk.title,
            category=risk.category,
            likelihood=risk.likelihood,
            impact=risk.impact,
            owners=tuple(owner.name for owner in risk.owners),
            status=risk.status,
            review=risk.review,
            mitigations=tuple(m.id for m in register.configured if m.risk.id == risk.id),
        )
        for risk in register.risks
    )
    return tuple(sorted(rows, key=lambda row: -row.score))
