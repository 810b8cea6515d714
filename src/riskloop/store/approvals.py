"""Approvals as they are stored; each change says what it was before, so that of two only one is made."""

from collections.abc import Collection

from pydantic import TypeAdapter
from sqlalchemy import Connection, RowMapping, Select, insert, or_, select, update

from riskloop.approvals import OPEN, Approval, Default, State
from riskloop.store.tables import approvals
from riskloop.store.text import storable

_names = TypeAdapter(tuple[str, ...])


def add(connection: Connection, approval: Approval) -> None:
    """Store an approval that is asked for.

    Raises:
        RowsRefused: by the store, when another of the mitigation is pending, or approved and not carried out.
    """
    connection.execute(
        insert(approvals).values(
            id=approval.id,
            mitigation=approval.mitigation,
            what=storable(approval.what),
            asks=storable(approval.asks),
            summary=storable(approval.summary),
            plan=approval.plan,
            file=storable(approval.file),
            settings=approval.settings,
            destroys=approval.destroys,
            deciders=_names.dump_json(approval.deciders).decode(),
            default=approval.default,
            **_changing(approval),
        )
    )


def change(connection: Connection, before: Approval, after: Approval) -> bool:
    """Write what became of an approval; False if it is no longer what it was: another got there first."""
    result = connection.execute(
        update(approvals)
        .where(
            approvals.c.id == before.id,
            approvals.c.state == before.state,
            approvals.c.reminded == before.reminded,
            approvals.c.asked_at == before.asked_at,
        )
        .values(**_changing(after))
    )
    return result.rowcount == 1


def find(connection: Connection, name: str) -> Approval | None:
    """Read the approval of this id, or else the newest one of the mitigation of this id; None without any."""
    query = select(approvals).where(or_(approvals.c.id == name, approvals.c.mitigation == name))
    return _first(connection, query.order_by(approvals.c.number.desc()).limit(1))


def of_mitigation(connection: Connection, mitigation: str) -> Approval | None:
    """Read the approval of a mitigation of which something is still to come; None if there is none."""
    query = select(approvals).where(approvals.c.mitigation == mitigation, approvals.c.state.in_(OPEN))
    return _first(connection, query)


def list_open(connection: Connection, among: Collection[str] | None = None) -> tuple[Approval, ...]:
    """Read every approval of which something is still to come, the oldest first.

    Args:
        among: only those of these mitigations; of all if None.
    """
    query = select(approvals).where(approvals.c.state.in_(OPEN))
    if among is not None:
        query = query.where(approvals.c.mitigation.in_(among))
    return _all(connection, query.order_by(approvals.c.number))


def list_newest(connection: Connection, *, limit: int) -> tuple[Approval, ...]:
    """Read the newest approvals, ended or not, the newest first."""
    return _all(connection, select(approvals).order_by(approvals.c.number.desc()).limit(limit))


def _first(connection: Connection, query: Select[tuple[object, ...]]) -> Approval | None:
    row = connection.execute(query).mappings().first()
    return _approval(row) if row else None


def _all(connection: Connection, query: Select[tuple[object, ...]]) -> tuple[Approval, ...]:
    return tuple(_approval(row) for row in connection.execute(query).mappings())


def _changing(approval: Approval) -> dict[str, object]:
    return {
        "asked_at": approval.asked_at,
        "deadline": approval.deadline,
        "reminded": approval.reminded,
        "state": approval.state,
        "decision": approval.decision,
        "decided_at": approval.decided_at,
        "who": storable(approval.who),
        "why": storable(approval.why),
        "record": approval.record,
        "ended_at": approval.ended_at,
        "outcome": storable(approval.outcome),
    }


def _approval(row: RowMapping) -> Approval:
    same = (
        *("id", "mitigation", "what", "asks", "summary", "plan", "file", "settings", "destroys"),
        *("asked_at", "deadline", "reminded", "decision", "decided_at", "who", "why", "record"),
        *("ended_at", "outcome"),
    )
    return Approval(
        deciders=_names.validate_json(row["deciders"]),
        default=Default(row["default"]),
        state=State(row["state"]),
        **{name: row[name] for name in same},
    )
