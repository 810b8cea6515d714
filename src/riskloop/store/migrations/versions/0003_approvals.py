"""The decisions that people owe before something is done."""

from datetime import datetime

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_OPEN = "state IN ('pending', 'approved')"


def _moment(name: str, *, nullable: bool = False) -> sa.Column[datetime]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _text(*names: str) -> tuple[sa.Column[str], ...]:
    return tuple(sa.Column(name, sa.Text(), nullable=False) for name in names)


def upgrade() -> None:
    op.create_table(
        "approvals",
        sa.Column("number", _NUMBER, autoincrement=True, nullable=False),
        *_text("id", "mitigation", "what", "asks", "summary", "plan", "file", "settings"),
        sa.Column("destroys", sa.Boolean(), nullable=False),
        *_text("deciders"),
        _moment("asked_at"),
        _moment("deadline"),
        *_text("default"),
        sa.Column("reminded", sa.Integer(), nullable=False),
        *_text("state", "decision"),
        _moment("decided_at", nullable=True),
        *_text("who", "why"),
        sa.Column("record", _NUMBER, nullable=True),
        _moment("ended_at", nullable=True),
        *_text("outcome"),
        sa.ForeignKeyConstraint(["record"], ["decisions.number"], name=op.f("fk_approvals_record")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_approvals")),
        sa.UniqueConstraint("id", name=op.f("uq_approvals_id")),
    )
    op.create_index(
        "uq_approvals_open",
        "approvals",
        ["mitigation"],
        unique=True,
        sqlite_where=sa.text(_OPEN),
        postgresql_where=sa.text(_OPEN),
    )
    op.create_index(
        op.f("ix_approvals_mitigation_number"), "approvals", ["mitigation", "number"], unique=False
    )
