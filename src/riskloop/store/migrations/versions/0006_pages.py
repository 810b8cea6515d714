"""What a page of a story is read by: whose it is beside each row, and an index in the order of time."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

_OPEN = "resolved_at IS NULL"
_CHANGED = "state_at IS NOT NULL"


def upgrade() -> None:
    for table in ("transitions", "deliveries", "postings"):
        op.add_column(table, sa.Column("subject", sa.Text(), nullable=False, server_default=""))
        whose = f"SELECT subject FROM incidents WHERE incidents.id = {table}.incident"  # noqa: S608 - our own names
        op.execute(f"UPDATE {table} SET subject = ({whose})")  # noqa: S608 - our own names
    op.create_index(
        "ix_incidents_open",
        "incidents",
        ["opened_at", "id"],
        sqlite_where=sa.text(_OPEN),
        postgresql_where=sa.text(_OPEN),
    )
    op.create_index(
        "ix_postings_changed",
        "postings",
        ["subject", "state_at"],
        sqlite_where=sa.text(_CHANGED),
        postgresql_where=sa.text(_CHANGED),
    )
    for table, *columns in (
        ("incidents", "subject", "concern", "opened_at"),
        ("transitions", "subject", "at", "number"),
        ("transitions", "observation"),
        ("deliveries", "subject", "ended_at", "number"),
        ("decisions", "mitigation", "at", "number"),
    ):
        op.create_index(op.f(f"ix_{table}_{'_'.join(columns)}"), table, columns)
