"""Every table of the store, in the words of the domain; kinds, metrics and states are text."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    text,
)

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


class Moment(TypeDecorator[datetime]):
    """An aware moment, kept as UTC: SQLite has no zone of its own, and text in UTC sorts by time there."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - SQLAlchemy's signature
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"a moment without a time zone: {value}")
        return value.astimezone(UTC)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - SQLAlchemy's signature
        if value is None:
            return None
        moment: datetime = value
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


metadata = MetaData(naming_convention=NAMING)

# SQLite numbers rows by itself only in a column of the exact type INTEGER.
_Number = BigInteger().with_variant(Integer, "sqlite")

mitigations = Table(
    "mitigations",
    metadata,
    Column("id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("risk", Text, nullable=False),
    Column("breached", Integer, nullable=False),
    Column("fine", Integer, nullable=False),
    Column("unknown", Integer, nullable=False),
    Column("verdict", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("last_look_at", Moment, nullable=False),
    Column("last_known_at", Moment),
)

observations = Table(
    "observations",
    metadata,
    Column("number", _Number, primary_key=True, autoincrement=True),
    Column("mitigation", Text, ForeignKey("mitigations.id"), nullable=False),
    Column("run", Text, nullable=False),
    Column("phase", Text, nullable=False),
    Column("at", Moment, nullable=False),
    Column("verdict", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("register_digest", Text, nullable=False),
    Column("summary", Text, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("evidence", Text, ForeignKey("evidence.sha256")),
    UniqueConstraint("mitigation", "run", "phase"),
    Index(None, "mitigation", "at", "number"),
)

measurements = Table(
    "measurements",
    metadata,
    Column("observation", _Number, ForeignKey("observations.number"), primary_key=True, autoincrement=False),
    Column("metric", Text, primary_key=True),
    Column("value", Float, nullable=False),
    Column("unit", Text, nullable=False),
    # The rows are their own index: half the size and two thirds of the time of both apart.
    sqlite_with_rowid=False,
)

evidence = Table(
    "evidence",
    metadata,
    Column("sha256", Text, primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("at", Moment, nullable=False),
)

incidents = Table(
    "incidents",
    metadata,
    Column("id", Text, primary_key=True),
    Column("subject", Text, nullable=False),
    Column("concern", Text, nullable=False),
    Column("severity", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("breaches", Text, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("opened_at", Moment, nullable=False),
    Column("resolved_at", Moment),
    Column("spoken_at", Moment),
    Column("flood", Text, nullable=False, server_default=""),
    Index(
        "uq_incidents_open",
        "subject",
        "concern",
        unique=True,
        sqlite_where=text("resolved_at IS NULL"),
        postgresql_where=text("resolved_at IS NULL"),
    ),
    Index(None, "opened_at", "id"),
    Index(
        "ix_incidents_open",
        "opened_at",
        "id",
        sqlite_where=text("resolved_at IS NULL"),
        postgresql_where=text("resolved_at IS NULL"),
    ),
    Index(None, "subject", "concern", "opened_at"),
)

transitions = Table(
    "transitions",
    metadata,
    Column("number", _Number, primary_key=True, autoincrement=True),
    Column("id", Text, nullable=False, unique=True),
    Column("incident", Text, ForeignKey("incidents.id"), nullable=False),
    Column("change", Text, nullable=False),
    Column("severity", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("at", Moment, nullable=False),
    Column("observation", _Number, ForeignKey("observations.number")),
    Column("facts", Text, nullable=False),
    # Its incident's, here too: a story is read by an index, and never joined and sorted as a whole.
    Column("subject", Text, nullable=False, server_default=""),
    Index(None, "incident", "number"),
    Index(None, "subject", "at", "number"),
    Index(None, "observation"),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("number", _Number, primary_key=True, autoincrement=True),
    Column("id", Text, nullable=False, unique=True),
    Column("transition", _Number, ForeignKey("transitions.number"), nullable=False),
    Column("incident", Text, ForeignKey("incidents.id"), nullable=False),
    Column("channel", Text, nullable=False),
    Column("target", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("attempted_at", Moment),
    Column("uncertain_since", Moment),
    Column("not_before", Moment),
    Column("lease_owner", Text),
    Column("lease_until", Moment),
    Column("fence", Integer, nullable=False),
    Column("last_error", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("ended_at", Moment),
    Column("owner", Text, nullable=False, server_default=""),
    Column("urgency", Integer, nullable=False, server_default="2"),
    Column("first_attempt_at", Moment),
    Column("held_seconds", Float, nullable=False, server_default="0"),
    Column("dropped", Text, nullable=False, server_default=""),
    Column("subject", Text, nullable=False, server_default=""),
    UniqueConstraint("transition", "channel", "target"),
    CheckConstraint("state IN ('pending', 'sending', 'done', 'dead')", name="state"),
    Index(
        "ix_deliveries_unfinished",
        "incident",
        "channel",
        "number",
        sqlite_where=text("state IN ('pending', 'sending')"),
        postgresql_where=text("state IN ('pending', 'sending')"),
    ),
    Index(None, "incident", "channel", "target"),
    Index(None, "subject", "ended_at", "number"),
)

postings = Table(
    "postings",
    metadata,
    Column("incident", Text, ForeignKey("incidents.id"), primary_key=True),
    Column("channel", Text, primary_key=True),
    Column("target", Text, primary_key=True),
    Column("reference", Text, nullable=False),
    Column("url", Text, nullable=False),
    Column("opening_delivery", Text, nullable=False),
    Column("at", Moment, nullable=False),
    Column("state", Text, nullable=False, server_default="open"),
    Column("state_at", Moment),
    Column("subject", Text, nullable=False, server_default=""),
    Index(
        "ix_postings_changed",
        "subject",
        "state_at",
        sqlite_where=text("state_at IS NOT NULL"),
        postgresql_where=text("state_at IS NOT NULL"),
    ),
)

circuits = Table(
    "circuits",
    metadata,
    Column("realm", Text, primary_key=True),
    Column("reason", Text, nullable=False),
    Column("opened_at", Moment, nullable=False),
    Column("tried_at", Moment, nullable=False),
)

writes = Table(
    "writes",
    metadata,
    Column("number", _Number, primary_key=True, autoincrement=True),
    Column("place", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("at", Moment, nullable=False),
    Index(None, "place", "at"),
)

mutes = Table(
    "mutes",
    metadata,
    Column("number", _Number, primary_key=True, autoincrement=True),
    Column("id", Text, nullable=False, unique=True),
    Column("muting", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("concern", Text),
    Column("severity", Text, nullable=False),
    Column("who", Text, nullable=False),
    Column("why", Text, nullable=False),
    Column("since", Moment, nullable=False),
    Column("until", Moment, nullable=False),
    Column("announced", Integer, nullable=False),
    Column("ended_at", Moment),
    Column("ended", Text, nullable=False),
    Index(None, "subject", "ended_at"),
)

approvals = Table(
    "approvals",
    metadata,
    Column("number", _Number, primary_key=True, autoincrement=True),
    Column("id", Text, nullable=False, unique=True),
    Column("mitigation", Text, nullable=False),
    Column("what", Text, nullable=False),
    Column("asks", Text, nullable=False),
    Column("summary", Text, nullable=False),
    Column("plan", Text, nullable=False),
    Column("file", Text, nullable=False),
    Column("settings", Text, nullable=False),
    Column("destroys", Boolean, nullable=False),
    Column("deciders", Text, nullable=False),
    Column("asked_at", Moment, nullable=False),
    Column("deadline", Moment, nullable=False),
    Column("default", Text, nullable=False),
    Column("reminded", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("decision", Text, nullable=False),
    Column("decided_at", Moment),
    Column("who", Text, nullable=False),
    Column("why", Text, nullable=False),
    Column("record", _Number, ForeignKey("decisions.number")),
    Column("ended_at", Moment),
    Column("outcome", Text, nullable=False),
    Index(
        "uq_approvals_open",
        "mitigation",
        unique=True,
        sqlite_where=text("state IN ('pending', 'approved')"),
        postgresql_where=text("state IN ('pending', 'approved')"),
    ),
    Index(None, "mitigation", "number"),
)

chores = Table(
    "chores",
    metadata,
    Column("name", Text, primary_key=True),
    Column("at", Moment, nullable=False),
)

decisions = Table(
    "decisions",
    metadata,
    Column("number", _Number, primary_key=True, autoincrement=True),
    Column("decision", Text, nullable=False),
    Column("mitigation", Text, nullable=False),
    Column("who", Text, nullable=False),
    Column("why", Text, nullable=False),
    Column("at", Moment, nullable=False),
    Column("completed_at", Moment),
    Column("details", Text, nullable=False),
    Index(None, "mitigation", "number"),
    Index(None, "mitigation", "at", "number"),
)

removals = Table(
    "removals",
    metadata,
    Column("number", _Number, primary_key=True, autoincrement=True),
    Column("id", Text, nullable=False, unique=True),
    Column("mitigation", Text, nullable=False),
    Column("warrant", Text, nullable=False),
    Column("plan", Text, nullable=False),
    Column("directory", Text, nullable=False),
    Column("quarantine", Text, nullable=False),
    Column("begun_at", Moment, nullable=False),
    Column("ended_at", Moment),
    Column("files", BigInteger, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("skipped", Text, nullable=False),
    Column("purge_at", Moment),
    Column("purged_at", Moment),
    UniqueConstraint("mitigation", "warrant"),
    Index(None, "mitigation", "number"),
)

removal_batches = Table(
    "removal_batches",
    metadata,
    Column("removal", _Number, ForeignKey("removals.number"), primary_key=True, autoincrement=False),
    Column("step", Text, primary_key=True),
    Column("batch", Integer, primary_key=True, autoincrement=False),
    Column("first", Integer, nullable=False),
    Column("last", Integer, nullable=False),
    Column("begun_at", Moment, nullable=False),
    Column("ended_at", Moment),
    Column("files", BigInteger, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("skipped", Text, nullable=False),
)

archives = Table(
    "archives",
    metadata,
    Column("number", _Number, primary_key=True, autoincrement=True),
    Column("id", Text, nullable=False, unique=True),
    Column("mitigation", Text, nullable=False),
    Column("warrant", Text, nullable=False),
    Column("plan", Text, nullable=False),
    Column("table", Text, nullable=False),
    Column("place", Text, nullable=False),
    Column("begun_at", Moment, nullable=False),
    Column("verified_at", Moment),
    Column("ended_at", Moment),
    Column("manifest", Text, nullable=False),
    Column("rows", BigInteger, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("deleted", BigInteger, nullable=False),
    Column("changed", BigInteger, nullable=False),
    Column("outcome", Text, nullable=False),
    UniqueConstraint("mitigation", "warrant", "table"),
    Index(None, "mitigation", "number"),
)
