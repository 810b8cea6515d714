"""A store with a past long enough that reading all of it would be seen: most of it of one mitigation."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import insert

from riskloop.store import Store
from riskloop.store.tables import (
    decisions,
    deliveries,
    incidents,
    measurements,
    mitigations,
    observations,
    postings,
    transitions,
)

MANY, RARE = "toys.many", "toys.rare"
LOOKS, INCIDENTS = 10_000, 4_000
BEGUN = datetime(2020, 1, 1, tzinfo=UTC)
STEP = timedelta(minutes=1)


def fill(store: Store) -> None:
    """Fill an empty store; of every twentieth thing it is the rare mitigation's."""
    with store.writing() as connection:
        mitigation = {"kind": "toy", "risk": "toys", "breached": 0, "fine": 0, "unknown": 0, "reason": ""}
        known = [{"id": one, "verdict": "ok", "last_look_at": BEGUN, **mitigation} for one in (MANY, RARE)]
        connection.execute(insert(mitigations), known)
        connection.execute(insert(observations), [_look(number) for number in range(1, LOOKS + 1)])
        measured = [
            {"observation": number, "metric": metric, "value": float(number), "unit": metric}
            for number in range(1, LOOKS + 1)
            for metric in ("leaks", "spills")
        ]
        connection.execute(insert(measurements), measured)
        numbers = range(1, INCIDENTS + 1)
        connection.execute(insert(incidents), [_incident(number) for number in numbers])
        connection.execute(insert(transitions), [one for number in numbers for one in _changes(number)])
        connection.execute(insert(deliveries), [one for number in numbers for one in _sent(number)])
        connection.execute(insert(postings), [_posting(number) for number in numbers])
        connection.execute(insert(decisions), [_decision(number) for number in numbers])


def _whose(number: int) -> str:
    return MANY if number % 20 else RARE


def _at(number: int, *, of: int) -> datetime:
    """Spread so many things evenly over the time in which the looks were taken."""
    return BEGUN + STEP * (number * LOOKS // of)


def _look(number: int) -> dict[str, Any]:
    return {
        "mitigation": _whose(number),
        "run": f"run-{number}",
        "phase": "look",
        "at": BEGUN + STEP * number,
        "verdict": "warning" if number % 3 else "ok",
        "reason": "",
        "register_digest": "d",
        "summary": "",
        "fingerprint": "f",
    }


def _incident(number: int) -> dict[str, Any]:
    """All but the last ones of each mitigation are over; only they stand beside each other."""
    at = _at(number, of=INCIDENTS)
    return {
        "id": f"{number:012x}",
        "subject": _whose(number),
        "concern": "breach",
        "severity": "warning",
        "reason": "leaks",
        "breaches": "[]",
        "fingerprint": "",
        "owner": "QA",
        "opened_at": at,
        "resolved_at": at + STEP if number not in {INCIDENTS - 1, INCIDENTS} else None,
    }


def _changes(number: int) -> Iterator[dict[str, Any]]:
    at = _at(number, of=INCIDENTS)
    for place, change in enumerate(("opened", "resolved")):
        yield {
            "id": f"t{number}{change}",
            "incident": f"{number:012x}",
            "subject": _whose(number),
            "change": change,
            "severity": "warning",
            "reason": "leaks",
            "at": at + STEP * place,
            "observation": number,
            "facts": "{}",
        }


def _sent(number: int) -> Iterator[dict[str, Any]]:
    at = _at(number, of=INCIDENTS)
    for place, state in enumerate(("done", "done" if number < INCIDENTS - 9 else "pending")):
        ended = at + STEP * place if state == "done" else None
        yield {
            "id": f"d{number}{place}",
            "transition": 2 * number - 1 + place,
            "incident": f"{number:012x}",
            "subject": _whose(number),
            "channel": "github",
            "target": "acme/sdk",
            "state": state,
            "attempts": 1,
            "fence": 1,
            "last_error": "",
            "created_at": at,
            "ended_at": ended,
        }


def _posting(number: int) -> dict[str, Any]:
    at = _at(number, of=INCIDENTS)
    return {
        "incident": f"{number:012x}",
        "subject": _whose(number),
        "channel": "github",
        "target": "acme/sdk",
        "reference": str(number),
        "url": "",
        "opening_delivery": f"d{number}0",
        "at": at,
        "state": "closed" if number % 2 else "open",
        "state_at": at if number % 2 else None,
    }


def _decision(number: int) -> dict[str, Any]:
    return {
        "decision": "adopt",
        "mitigation": _whose(number),
        "who": "Mia",
        "why": "so",
        "at": _at(number, of=INCIDENTS),
        "details": "{}",
    }
