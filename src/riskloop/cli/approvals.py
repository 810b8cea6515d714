"""The commands for plans that a person must approve before they are carried out."""

from cyclopts import App

from riskloop import tables
from riskloop.approvals import Approval, Decision, State, moment, stands
from riskloop.cli.place import FINE, HERE, Json, Place
from riskloop.cli.running import run_flows
from riskloop.cli.showing import All, opened
from riskloop.errors import RiskloopError
from riskloop.project import read_register
from riskloop.store import approvals
from riskloop.wording.escaping import visible

_MOST = 500

app = App(name="approvals", help="List the plans that wait for a decision; show one, approve it, reject it.")


@app.default
@app.command(name="list")
def list_approvals(*, everything: All = False, json: Json = False, place: Place = HERE) -> int:
    """List the plans that wait for a decision, or are being carried out, the newest first.

    Args:
        everything: those too that have ended, up to 500.
        json: print JSON.
    """
    with opened(place) as (services, _), services.store.reading() as connection:
        if everything:
            found = approvals.list_newest(connection, limit=_MOST)
        else:
            found = approvals.list_open(connection)[::-1]
    if json:
        tables.print_json(found)
        return FINE
    rows = [
        (one.id, one.mitigation, one.state, moment(one.deadline), visible(one.what), visible(one.outcome))
        for one in found
    ]
    columns = ("approval", "mitigation", "state", "deadline", "what", "came to")
    tables.print_table(columns, rows, empty="nothing waits for a decision")
    return FINE


@app.command(name="show")
def show_approval(name: str, /, *, json: Json = False, place: Place = HERE) -> int:
    """Show what would be done, who may decide by when, and what came of it.

    Args:
        name: its id, or that of a mitigation, whose newest is shown.
        json: print JSON.
    """
    with opened(place) as (services, _), services.store.reading() as connection:
        found = approvals.find(connection, name)
    if found is None:
        raise RiskloopError(
            f"there is no approval {name!r}, nor one of a mitigation of that name",
            remedy="see which there are: riskloop approvals --all",
        )
    if json:
        tables.print_json(found)
    else:
        tables.print_text(_shown(found))
    return FINE


@app.command
def approve(name: str, /, *, who: str, why: str, place: Place = HERE) -> int:
    """Approve a plan, which is carried out now, just as it was shown; what has changed since is left out.

    Args:
        name: the approval, or the mitigation that waits for it.
        who: your name; recorded as claimed, not proven.
        why: why it is right.
    """
    return _decide(place, name, Decision.APPROVE, who=who, why=why)


@app.command
def reject(name: str, /, *, who: str, why: str, place: Place = HERE) -> int:
    """Reject a plan: nothing is changed. The next run asks anew, if it must.

    Args:
        name: the approval, or the mitigation that waits for it.
        who: your name; recorded as claimed, not proven.
        why: why it is wrong.
    """
    return _decide(place, name, Decision.REJECT, who=who, why=why)


def _decide(place: Place, name: str, decision: Decision, *, who: str, why: str) -> int:
    settings = place.settings()
    given = {"approval": name, "decision": str(decision), "who": who, "why": why}
    return run_flows(settings, read_register(settings), {"decide_approval": given})


def _shown(found: Approval) -> str:
    lines = [
        f"approval {found.id} of {found.mitigation}",
        f"{visible(found.what)}",
        f"why it is asked: {visible(found.asks)}",
        f"asked on {moment(found.asked_at)}, to be decided by {moment(found.deadline)}",
        f"who may decide: {visible(', '.join(found.deciders))} (names are recorded as given, not proven)",
        f"plan: {found.file}, SHA-256 {found.plan}",
        f"{found.state}: {visible(stands(found))}",
    ]
    if found.summary:
        lines += ["", *(f"  {visible(line)}" for line in found.summary.splitlines())]
    if found.state is State.PENDING:
        signed = '--who "your name" --why "why"'
        lines += ["", *(f"riskloop approvals {verb} {found.id} {signed}" for verb in Decision)]
    return "\n".join(lines)
