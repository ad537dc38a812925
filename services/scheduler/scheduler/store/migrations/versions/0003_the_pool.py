"""What the site was seen to take, how a session is used, a credential's own terms"""

import json

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    with op.batch_alter_table("sessions") as sessions:
        sessions.add_column(sa.Column("code", sa.String(100), nullable=True))
        sessions.add_column(sa.Column("since", sa.String(27), nullable=True))
        sessions.add_column(sa.Column("learnt", sa.Integer(), nullable=True))
        sessions.add_column(
            sa.Column("streak", sa.Integer(), server_default="0", nullable=False)
        )
        sessions.add_column(
            sa.Column("weight", sa.Integer(), server_default="1", nullable=False)
        )
        sessions.add_column(sa.Column("daily_cap", sa.Integer(), nullable=True))
        sessions.add_column(
            sa.Column("models", sa.JSON(), server_default="[]", nullable=False)
        )
        sessions.add_column(sa.Column("checked_at", sa.String(27), nullable=True))
        sessions.add_column(sa.Column("asked_at", sa.String(27), nullable=True))
    op.execute("UPDATE sessions SET since = updated_at")
    _give_reasons_to_closed_models()

    with op.batch_alter_table("credentials") as credentials:
        credentials.add_column(sa.Column("masked", sa.String(32), nullable=True))
        credentials.add_column(sa.Column("region", sa.String(8), nullable=True))
        credentials.add_column(sa.Column("has_proxy", sa.Boolean(), nullable=True))
        credentials.add_column(sa.Column("request", sa.String(200), nullable=True))
        credentials.add_column(
            sa.Column("forced", sa.Boolean(), server_default="0", nullable=False)
        )

    with op.batch_alter_table("attempts") as attempts:
        attempts.create_index("ix_attempts_sent", ["session", "permitted_at"])


def _give_reasons_to_closed_models() -> None:
    """They were a list of keys; the reasons were not kept."""
    database = op.get_bind()
    rows = database.execute(
        sa.text("SELECT id, closed_models, updated_at FROM sessions")
    ).all()
    for row in rows:
        closed = [
            {"model": key, "reason": "closed by the site", "since": row.updated_at}
            for key in json.loads(row.closed_models or "[]")
        ]
        database.execute(
            sa.text("UPDATE sessions SET closed_models = :closed WHERE id = :id"),
            {"closed": json.dumps(closed), "id": row.id},
        )
