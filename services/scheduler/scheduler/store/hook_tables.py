"""The tables of webhooks: what is told, and how each try went."""

from sqlalchemy import Column, ForeignKey, Index, Integer, String, Table, Text, text

from scheduler.store.tables import Moment, metadata

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
