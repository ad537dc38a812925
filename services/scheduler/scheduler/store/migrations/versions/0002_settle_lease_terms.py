"""Another send, the lease, step deadlines, terms of tasks"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    with op.batch_alter_table("tasks") as tasks:
        tasks.add_column(
            sa.Column("terms", sa.JSON(), server_default="{}", nullable=False)
        )
        tasks.add_column(
            sa.Column("rank", sa.Integer(), server_default="0", nullable=False)
        )
        tasks.add_column(sa.Column("due_at", sa.String(27), nullable=True))
        tasks.add_column(sa.Column("files_deleted_at", sa.String(27), nullable=True))
        tasks.create_index("ix_tasks_due", ["due_at"])
        tasks.drop_index("ix_tasks_queue")
        tasks.create_index("ix_tasks_queue", ["status", "rank", "created_at"])
    op.execute(
        "UPDATE tasks SET rank ="
        " CAST(strftime('%s', created_at) AS INTEGER) - priority * 3600"
    )

    with op.batch_alter_table("attempts") as attempts:
        attempts.drop_constraint("uq_attempts_submit_id", type_="unique")
        attempts.add_column(
            sa.Column("items", sa.JSON(), server_default="[]", nullable=False)
        )
        attempts.add_column(
            sa.Column("allowed", sa.Integer(), server_default="1", nullable=False)
        )
        attempts.add_column(
            sa.Column("adopted", sa.Boolean(), server_default="0", nullable=False)
        )
        attempts.add_column(
            sa.Column("since_round", sa.Integer(), server_default="0", nullable=False)
        )
    with op.batch_alter_table("attempts") as attempts:
        attempts.create_index(
            "uq_attempts_submit_id",
            ["submit_id"],
            unique=True,
            sqlite_where=sa.text("state != 'ended'"),
            postgresql_where=sa.text("state != 'ended'"),
        )

    with op.batch_alter_table("results") as results:
        results.add_column(sa.Column("poster", sa.String(length=300), nullable=True))

    op.execute(
        "UPDATE tasks SET due_at = updated_at"
        " WHERE status IN ('submitting', 'downloading')"
    )
    op.create_index("ix_inbox_seen_at", "inbox", ["seen_at"])

    op.create_table(
        "lease",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("owner", sa.String(length=64), nullable=True),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("beat", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_lease")),
    )
    op.execute("INSERT INTO lease (id, epoch, beat) VALUES (1, 0, 0)")
