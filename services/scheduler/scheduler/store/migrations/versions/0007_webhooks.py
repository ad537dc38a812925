"""Where a task's end is told, what became of telling it"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    # Not in a batch: the table is large, and a column at its end is added in place.
    op.add_column("tasks", sa.Column("webhook", sa.JSON(), nullable=True))
    op.create_table(
        "deliveries",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("occasion", sa.String(40), nullable=False),
        sa.Column("receiver", sa.String(64), nullable=False),
        sa.Column("cause", sa.String(200), nullable=False),
        sa.Column("task", sa.String(64), nullable=True),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("since", sa.Integer(), nullable=False),
        sa.Column("due_at", sa.String(27), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("created_at", sa.String(27), nullable=False),
        sa.Column("delivered_at", sa.String(27), nullable=True),
    )
    op.create_index(
        "uq_deliveries_cause", "deliveries", ["receiver", "cause"], unique=True
    )
    op.create_index("ix_deliveries_task", "deliveries", ["task"])
    op.create_index("ix_deliveries_newest", "deliveries", ["created_at", "id"])
    op.create_index(
        "ix_deliveries_due",
        "deliveries",
        ["due_at"],
        sqlite_where=sa.text("due_at IS NOT NULL"),
        postgresql_where=sa.text("due_at IS NOT NULL"),
    )
    op.create_table(
        "tries",
        sa.Column(
            "delivery",
            sa.String(40),
            sa.ForeignKey("deliveries.id", name="fk_tries_delivery"),
            primary_key=True,
        ),
        sa.Column("n", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("at", sa.String(27), nullable=False),
        sa.Column("took_ms", sa.Integer(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("request", sa.Text(), nullable=False),
        sa.Column("response", sa.Text(), nullable=False),
    )
