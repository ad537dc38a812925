"""The tables. A change here is a new migration beside it."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    text,
)
from sqlalchemy.engine import Dialect


class Moment(TypeDecorator[datetime]):
    """A time in UTC, kept as fixed-width RFC 3339 text: it sorts as it reads."""

    impl = String(27)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:  # noqa: ARG002
        """Write as 2026-11-21T09:00:00.000000Z."""
        if value is None:
            return None
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    def process_result_value(  # noqa: D102
        self,
        value: Any | None,
        dialect: Dialect,  # noqa: ARG002
    ) -> datetime | None:
        return datetime.fromisoformat(value) if value else None


metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
    }
)

tasks = Table(
    "tasks",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("owner", String(200)),
    Column("priority", Integer, nullable=False),
    Column("metadata", JSON, nullable=False),
    Column("retry_of", String(64)),
    Column("model", String(100), nullable=False),
    Column("job", JSON, nullable=False),
    Column("status", String(16), nullable=False),
    Column("stage", String(16)),
    Column("revision", Integer, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("session", String(64)),
    Column("progress", JSON, nullable=False),
    Column("error_code", String(32)),
    Column("error_message", Text),
    Column("upstream_code", String(100)),
    Column("not_before", Moment),
    Column("terms", JSON, nullable=False, server_default="{}"),
    Column("rank", Integer, nullable=False, server_default="0"),
    Column("due_at", Moment),
    Column("files_deleted_at", Moment),
    Column("deleted_at", Moment),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    Column("started_at", Moment),
    Column("finished_at", Moment),
    Column("webhook", JSON(none_as_null=True)),
    Index("ix_tasks_queue", "status", "rank", "created_at"),
    Index("ix_tasks_newest", "created_at", "id"),
    Index("ix_tasks_owner", "owner", "created_at"),
    Index("ix_tasks_retry_of", "retry_of"),
    Index("ix_tasks_due", "due_at"),
    # A page of one status, and how many there are of each.
    Index(
        "ix_tasks_shown",
        "status",
        "created_at",
        "id",
        sqlite_where=text("deleted_at IS NULL"),
        postgresql_where=text("deleted_at IS NULL"),
    ),
    Index(
        "ix_tasks_deleted",
        "deleted_at",
        sqlite_where=text("deleted_at IS NOT NULL AND files_deleted_at IS NULL"),
        postgresql_where=text("deleted_at IS NOT NULL AND files_deleted_at IS NULL"),
    ),
    Index(
        "ix_tasks_kept",
        "finished_at",
        sqlite_where=text("files_deleted_at IS NULL"),
        postgresql_where=text("files_deleted_at IS NULL"),
    ),
)

sessions = Table(
    "sessions",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("label", String(200), nullable=False),
    Column("state", String(16), nullable=False),
    Column("reason", Text),
    Column("code", String(100)),
    Column("since", Moment),
    Column("until", Moment),
    Column("setbacks", Integer, nullable=False, server_default="0"),
    Column("learnt", Integer),
    Column("streak", Integer, nullable=False, server_default="0"),
    Column("weight", Integer, nullable=False, server_default="1"),
    Column("daily_cap", Integer),
    Column("models", JSON, nullable=False, server_default="[]"),
    Column("closed_models", JSON, nullable=False),
    Column("region", String(8), nullable=False),
    Column("masked", String(32), nullable=False),
    Column("has_proxy", Boolean, nullable=False),
    Column("upstream_uid", String(100)),
    Column("max_active", Integer, nullable=False),
    Column("credits", JSON),
    Column("last_used_at", Moment),
    Column("last_error", Text),
    Column("checked_at", Moment),
    Column("asked_at", Moment),
    Column("revision", Integer, nullable=False, server_default="0"),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    Column("removed_at", Moment),
    Column("lent", Boolean, nullable=False, server_default="0"),
    Index("ix_sessions_state", "state"),
)

credentials = Table(
    "credentials",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("session", ForeignKey("sessions.id"), nullable=False, index=True),
    Column("state", String(16), nullable=False),
    Column("sealed", LargeBinary),
    Column("fingerprint", String(64), nullable=False, index=True),
    Column("masked", String(32)),
    Column("region", String(8)),
    Column("has_proxy", Boolean),
    Column("request", String(200)),
    Column("forced", Boolean, nullable=False, server_default="0"),
    Column("created_at", Moment, nullable=False),
)

attempts = Table(
    "attempts",
    metadata,
    Column("task", ForeignKey("tasks.id"), primary_key=True),
    Column("n", Integer, primary_key=True, autoincrement=False),
    Column("session", ForeignKey("sessions.id"), nullable=False),
    Column("state", String(16), nullable=False),
    Column("submit_id", String(64), nullable=False),
    Column("materials", JSON, nullable=False),
    Column("items", JSON, nullable=False, server_default="[]"),
    Column("sends", Integer, nullable=False),
    Column("allowed", Integer, nullable=False, server_default="1"),
    Column("adopted", Boolean, nullable=False, server_default="0"),
    Column("nonce", String(64)),
    Column("body_hash", String(64)),
    Column("upstream_id", String(64)),
    Column("absent", Integer, nullable=False),
    Column("round", Integer, nullable=False, server_default="0"),
    Column("since_round", Integer, nullable=False, server_default="0"),
    Column("said", JSON),
    Column("said_at", Moment),
    Column("charged", Boolean),
    Column("reason", Text),
    Column("error_code", String(32)),
    Column("upstream_code", String(100)),
    Column("answer", Text),
    Column("reserved_at", Moment, nullable=False),
    Column("permitted_at", Moment),
    Column("ended_at", Moment),
    Index("ix_attempts_sent", "session", "permitted_at"),
    # A reservation is an attempt that has not ended.
    Index(
        "ix_attempts_open",
        "session",
        "state",
        sqlite_where=text("state != 'ended'"),
        postgresql_where=text("state != 'ended'"),
    ),
    # A retry may go on with the submit of the attempt it takes over.
    Index(
        "uq_attempts_submit_id",
        "submit_id",
        unique=True,
        sqlite_where=text("state != 'ended'"),
        postgresql_where=text("state != 'ended'"),
    ),
)

# It is read before an upgrade: its form stays.
lease = Table(
    "lease",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("owner", String(64)),
    Column("epoch", Integer, nullable=False),
    Column("beat", Integer, nullable=False),
)

results = Table(
    "results",
    metadata,
    Column("task", ForeignKey("tasks.id"), primary_key=True),
    Column("index", Integer, primary_key=True, autoincrement=False),
    Column("key", String(300), nullable=False),
    Column("mime", String(100), nullable=False),
    Column("size", Integer, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("width", Integer),
    Column("height", Integer),
    Column("duration_ms", Integer),
    Column("poster", String(300)),
)

# A deleted one stays for what its tasks used; its hash is gone.
keys = Table(
    "keys",
    metadata,
    Column("id", String(16), primary_key=True),
    Column("name", String(100), nullable=False),
    Column("hash", String(64), unique=True),
    Column("prefix", String(16), nullable=False),
    Column("scopes", JSON, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("expires_at", Moment),
    Column("rate_limit", Integer, nullable=False),
    Column("daily_quota", Integer, nullable=False),
    Column("daily_credits", Integer, nullable=False),
    Column("concurrent", Integer, nullable=False),
    Column("previous_hash", String(64)),
    Column("previous_until", Moment),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    Column("deleted_at", Moment),
)

audit = Table(
    "audit",
    metadata,
    Column("n", Integer, primary_key=True, autoincrement=True),
    Column("deed", String(64), nullable=False, unique=True),
    Column("at", Moment, nullable=False),
    Column("actor", String(200), nullable=False, server_default=""),
    Column("name", String(200), nullable=False, server_default=""),
    Column("action", String(100), nullable=False, server_default=""),
    Column("target", String(200), nullable=False, server_default=""),
    Column("address", String(64), nullable=False, server_default=""),
    Column("status", Integer),
    Column("answered_at", Moment),
)

inbox = Table(
    "inbox",
    metadata,
    Column("id", String(200), primary_key=True),
    Column("seen_at", Moment, nullable=False, index=True),
)

outbox = Table(
    "outbox",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("stream", String(8), nullable=False),
    Column("subject", String(300), nullable=False, index=True),
    Column("message_id", String(200)),
    Column("ttl_seconds", Integer),
    Column("body", LargeBinary, nullable=False),
    sqlite_autoincrement=True,
)
