"""Many toys at once: a shelf of mitigations, what looking at them gave, and what the store holds of it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import text

from riskloop.assessing import Occasion
from riskloop.measurements import Evidence, Look, Measurement, Observation
from riskloop.notifications import Links, Reach
from riskloop.risks import Mitigation
from riskloop.store import Store
from tests.toys import MITIGATION

NOW = datetime(2026, 3, 1, 2, 20, tzinfo=UTC)
LIVE = Reach(github=True, slack=frozenset([""]))

Looks = list[tuple[Mitigation, Look]]


def toy(number: int, *, after: int = 1) -> Mitigation:
    return replace(MITIGATION, id=f"toys.{number:03}", after=after)


def seen(mitigation: Mitigation, values: Mapping[str, float], evidence: Evidence | None = None) -> Look:
    measured = tuple(Measurement(metric, value) for metric, value in values.items())
    found = Observation(measurements=measured, evidence=evidence or Evidence(summary="seen"))
    return Look(mitigation=mitigation.id, at=NOW, observation=found)


def looks(leaks: Sequence[float], *, after: int = 1) -> Looks:
    """Look at a toy for each number, which is how much it leaks."""
    toys = [toy(number, after=after) for number in range(len(leaks))]
    return [(one, seen(one, {"leaks": n, "spills": 0})) for one, n in zip(toys, leaks, strict=True)]


def occasion(run: str, directory: Path) -> Occasion:
    return Occasion(
        project="Toys",
        run=run,
        register_digest="d",
        reach=LIVE,
        links=Links(),
        evidence=directory / "evidence",
        now=NOW,
    )


def stored(store: Store, run: str) -> dict[str, tuple[int, int, int]]:
    """Count what the store holds of a run: by mitigation its measurements, transitions and deliveries."""
    query = """
        SELECT o.mitigation,
               (SELECT count(*) FROM measurements m WHERE m.observation = o.number) AS measured,
               (SELECT count(*) FROM transitions t WHERE t.observation = o.number) AS changed,
               (SELECT count(*) FROM deliveries d JOIN transitions t ON t.number = d.transition
                WHERE t.observation = o.number) AS told
        FROM observations o WHERE o.run = :run
    """
    with store.reading() as connection:
        rows = connection.execute(text(query), {"run": run}).all()
    assert len({row.mitigation for row in rows}) == len(rows), "each look is stored once"
    return {row.mitigation: (row.measured, row.changed, row.told) for row in rows}


def count(store: Store, what: str) -> int:
    """Count rows, given what stands behind FROM."""
    with store.reading() as connection:
        found: int = connection.execute(text(f"SELECT count(*) FROM {what}")).scalar_one()
    return found
