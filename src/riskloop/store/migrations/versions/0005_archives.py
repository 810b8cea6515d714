"""The journal of rows that were archived."""

from datetime import datetime

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _moment(name: str, *, nullable: bool = False) -> sa.Column[datetime]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=False)


def _count(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=False)


def upgrade() -> None:
    op.create_table(
        "archives",
        sa.Column("number", _NUMBER, autoincrement=True, nullable=False),
        *(_text(name) for name in ("id", "mitigation", "warrant", "plan", "table", "place")),
        _moment("begun_at"),
        _moment("verified_at", nullable=True),
        _moment("ended_at", nullable=True),
        _text("manifest"),
        *(_count(name) for name in ("rows", "size", "deleted", "changed")),
        _text("outcome"),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_archives")),
        sa.UniqueConstraint("id", name=op.f("uq_archives_id")),
        sa.UniqueConstraint(
            "mitigation", "warrant", "table", name=op.f("uq_archives_mitigation_warrant_table")
        ),
    )
    op.create_index(op.f("ix_archives_mitigation_number"), "archives", ["mitigation", "number"], unique=False)
