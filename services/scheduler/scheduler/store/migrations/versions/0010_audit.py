"""What operators did"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.create_table(
        "audit",
        sa.Column("n", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("deed", sa.String(64), nullable=False),
        sa.Column("at", sa.String(27), nullable=False),
        sa.Column("actor", sa.String(200), server_default="", nullable=False),
        sa.Column("name", sa.String(200), server_default="", nullable=False),
        sa.Column("action", sa.String(100), server_default="", nullable=False),
        sa.Column("target", sa.String(200), server_default="", nullable=False),
        sa.Column("address", sa.String(64), server_default="", nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("answered_at", sa.String(27), nullable=True),
        sa.PrimaryKeyConstraint("n", name=op.f("pk_audit")),
        sa.UniqueConstraint("deed", name=op.f("uq_audit_deed")),
    )
