"""The tables of webhooks: to whom, what is told, and how each try went."""

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    text,
)

from scheduler.store.tables import Moment, metadata

# A removed one stays for its deliveries; its secrets are gone.
endpoints = Table(
    "endpoints",
    metadata,
    Column("id", String(16), primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("shown", Text, nullable=False),
    Column("sealed", LargeBinary),
    Column("description", Text, nullable=False),
    Column("events", JSON, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("off_reason", Text),
    Column("failing_since", Moment),
    Column("previous_until", Moment),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("occasion", String(40), nullable=False),
    Column("receiver", String(64), nullable=False),
    Column("cause", String(200), nullable=False),
    Column("task", String(64), index=True),
    Column("status", String(16), nullable=False),
    Column("n", Integer, nullable=False),
    Column("since", Integer, nullable=False),
    Column("due_at", Moment),
    Column("error", Text),
    Column("created_at", Moment, nullable=False),
    Column("delivered_at", Moment),
    Column("notice", JSON(none_as_null=True)),
    Index("ix_deliveries_newest", "created_at", "id"),
    # Everybody hears of one happening once.
    Index("uq_deliveries_cause", "receiver", "cause", unique=True),
    Index(
        "ix_deliveries_due",
        "due_at",
        sqlite_where=text("due_at IS NOT NULL"),
        postgresql_where=text("due_at IS NOT NULL"),
    ),
)

tries = Table(
    "tries",
    metadata,
    Column("delivery", ForeignKey("deliveries.id"), primary_key=True),
    Column("n", Integer, primary_key=True, autoincrement=False),
    Column("at", Moment, nullable=False),
    Column("took_ms", Integer, nullable=False),
    Column("status", Integer),
    Column("error", Text),
    Column("request", Text, nullable=False),
    Column("response", Text, nullable=False),
)

notices = Table(
    "notices",
    metadata,
    Column("key", String(200), primary_key=True),
    Column("occasion", String(40), nullable=False),
    Column("since", Moment, nullable=False),
    Column("mark", String(64), nullable=False),
    Column("told_at", Moment),
    Column("over_at", Moment),
)
