"""The journal of what was removed from directories that are cleaned up."""

from datetime import datetime

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _moment(name: str, *, nullable: bool = False) -> sa.Column[datetime]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=False)


def upgrade() -> None:
    op.create_table(
        "removals",
        sa.Column("number", _NUMBER, autoincrement=True, nullable=False),
        *(_text(name) for name in ("id", "mitigation", "warrant", "plan", "directory", "quarantine")),
        _moment("begun_at"),
        _moment("ended_at", nullable=True),
        sa.Column("files", sa.BigInteger(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        _text("skipped"),
        _moment("purge_at", nullable=True),
        _moment("purged_at", nullable=True),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_removals")),
        sa.UniqueConstraint("id", name=op.f("uq_removals_id")),
        sa.UniqueConstraint("mitigation", "warrant", name=op.f("uq_removals_mitigation_warrant")),
    )
    op.create_index(op.f("ix_removals_mitigation_number"), "removals", ["mitigation", "number"], unique=False)
    op.create_table(
        "removal_batches",
        sa.Column("removal", _NUMBER, autoincrement=False, nullable=False),
        _text("step"),
        sa.Column("batch", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("first", sa.Integer(), nullable=False),
        sa.Column("last", sa.Integer(), nullable=False),
        _moment("begun_at"),
        _moment("ended_at", nullable=True),
        sa.Column("files", sa.BigInteger(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        _text("skipped"),
        sa.ForeignKeyConstraint(["removal"], ["removals.number"], name=op.f("fk_removal_batches_removal")),
        sa.PrimaryKeyConstraint("removal", "step", "batch", name=op.f("pk_removal_batches")),
    )
