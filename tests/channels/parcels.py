"""Facts and parcels as assess and the outbox make them, with only what a test is about written out."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from riskloop.channels import Channel, Parcel, Posting
from riskloop.channels.markers import Marker, about
from riskloop.incidents import Change, Concern
from riskloop.measurements import Section
from riskloop.mutes import Mute, Muting
from riskloop.notifications import Action, Facts
from riskloop.risks import Owner
from riskloop.thresholds import Reading, Verdict

KEY = b"the key of these tests"
OPENED_AT = datetime(2025, 11, 20, 2, 20, tzinfo=UTC)

OWNER = Owner(name="SDK Lead", github="octo-lead", slack="U024BE7LH")
TOLD = Owner(name="QA", github="acme/qa", slack="S0614TZR7")


def reading(
    metric: str = "fixtures_changed",
    value: float = 3.0,
    verdict: Verdict = Verdict.WARNING,
    *,
    unit: str = "fixtures",
) -> Reading:
    return Reading(metric=metric, unit=unit, value=value, warning=1.0, critical=10.0, verdict=verdict)


def facts(change: Change = Change.OPENED, **changes: Any) -> Facts:
    made = Facts(
        project="Codex SDK",
        incident="inc1",
        subject="stale-fixtures.fixture_drift",
        concern=Concern.BREACH,
        change=change,
        severity=Verdict.OK if change is Change.RESOLVED else Verdict.WARNING,
        previous=Verdict.WARNING,
        reason="fixtures_changed passed the threshold",
        at=OPENED_AT + timedelta(hours=3),
        opened_at=OPENED_AT,
        owners=(OWNER, TOLD),
        risk_id="stale-fixtures",
        risk_title="Stale fixtures",
        risk_score=6,
        contingency="freeze the release",
        runbook="docs/runbooks/fixtures.md",
        kind="fixture_drift",
        kind_says="Golden fixtures fall out of date as the thing they imitate changes.",
        readings=(
            reading(),
            reading("days_since_adopted", 12.5, Verdict.OK, unit="days"),
        ),
        summary="3 of 40 fixtures no longer match what the generator writes.",
        sections=(Section(title="thread_basic.jsonl", body="-old\n+new", language="diff"),),
        remedy=("Look at the differences, and adopt them if they are meant.",),
        actions=(
            Action(
                says="Adopt the new fixtures",
                url="http://127.0.0.1:4200/deployments/deployment/1/run?parameters=%7B%7D",
                command="riskloop adopt stale-fixtures.fixture_drift",
            ),
        ),
        run_url="http://127.0.0.1:4200/runs/flow-run/1",
    )
    return replace(made, **changes)


def marker(delivery: str, *, incident: str = "inc1", key: bytes = KEY) -> str:
    made = Marker(
        installation="here",
        incident=incident,
        delivery=delivery,
        about=about("stale-fixtures.fixture_drift", Concern.BREACH),
    )
    return made.signed(key)


def mute(muting: Muting = Muting.ACCEPTED, **changes: Any) -> Mute:
    """Make an acceptance of the breach, or a silence, that holds for thirty days from its opening."""
    made = Mute(
        id="mute1",
        muting=muting,
        subject="stale-fixtures.fixture_drift",
        concern=Concern.BREACH if muting is Muting.ACCEPTED else None,
        severity=Verdict.WARNING,
        who="Jo Doe",
        why="the generator is being rewritten",
        since=OPENED_AT,
        until=OPENED_AT + timedelta(days=30),
    )
    return replace(made, **changes)


def parcel(
    target: str,
    delivery: str = "d1",
    change: Change = Change.OPENED,
    *,
    posting: Posting | None = None,
    attempted_at: datetime | None = None,
    issue_url: str = "",
    previous_url: str = "",
    reopen: bool = False,
    **changes: Any,
) -> Parcel:
    """Make the parcel of one delivery; the incident was opened by the delivery `d1`."""
    return Parcel(
        delivery=delivery,
        target=target,
        facts=facts(change, **changes),
        marker=marker(delivery),
        opening_marker=marker("d1"),
        posting=posting,
        previous_url=previous_url,
        issue_url=issue_url,
        attempted_at=attempted_at,
        reopen=reopen,
    )


def at_once() -> None:
    """Let every write go out when it is ready: the turn of a channel that has no budget."""


def send(channel: Channel, parcel: Parcel, *, found: Posting | None = None) -> Posting:
    return channel.send(parcel, turn=at_once, found=found)
