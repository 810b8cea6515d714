"""The budget and the circuits of the channels, acceptances and silences, and what people did to postings."""

from datetime import datetime

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=False, server_default="")


def _moment(name: str, *, nullable: bool = False) -> sa.Column[datetime]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def upgrade() -> None:
    op.add_column("incidents", _moment("spoken_at", nullable=True))
    op.add_column("incidents", _text("flood"))
    op.add_column("deliveries", _text("owner"))
    op.add_column("deliveries", sa.Column("urgency", sa.Integer(), nullable=False, server_default="2"))
    op.add_column("deliveries", _moment("first_attempt_at", nullable=True))
    op.add_column("deliveries", sa.Column("held_seconds", sa.Float(), nullable=False, server_default="0"))
    op.add_column("deliveries", _text("dropped"))
    op.add_column("postings", sa.Column("state", sa.Text(), nullable=False, server_default="open"))
    op.add_column("postings", _moment("state_at", nullable=True))
    op.create_table(
        "circuits",
        sa.Column("realm", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        _moment("opened_at"),
        _moment("tried_at"),
        sa.PrimaryKeyConstraint("realm", name=op.f("pk_circuits")),
    )
    op.create_table(
        "writes",
        sa.Column("number", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("place", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        _moment("at"),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_writes")),
    )
    op.create_index(op.f("ix_writes_place_at"), "writes", ["place", "at"], unique=False)
    op.create_table(
        "mutes",
        sa.Column("number", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("muting", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("concern", sa.Text(), nullable=True),
        sa.Column("severity", sa.Text(), nullable=False),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        _moment("since"),
        _moment("until"),
        sa.Column("announced", sa.Integer(), nullable=False),
        _moment("ended_at", nullable=True),
        sa.Column("ended", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_mutes")),
        sa.UniqueConstraint("id", name=op.f("uq_mutes_id")),
    )
    op.create_index(op.f("ix_mutes_subject_ended_at"), "mutes", ["subject", "ended_at"], unique=False)
    op.create_table(
        "chores",
        sa.Column("name", sa.Text(), nullable=False),
        _moment("at"),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_chores")),
    )
