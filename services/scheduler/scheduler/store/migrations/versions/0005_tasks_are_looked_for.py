"""Deleted tasks leave a mark, attempts say by which code they ended"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.add_column("tasks", sa.Column("deleted_at", sa.String(27)))
    left = sa.text("deleted_at IS NOT NULL AND files_deleted_at IS NULL")
    op.create_index(
        "ix_tasks_deleted",
        "tasks",
        ["deleted_at"],
        sqlite_where=left,
        postgresql_where=left,
    )
    op.create_index("ix_tasks_owner", "tasks", ["owner", "created_at"])
    op.create_index("ix_tasks_retry_of", "tasks", ["retry_of"])
    op.add_column("attempts", sa.Column("error_code", sa.String(32)))
    op.add_column("attempts", sa.Column("upstream_code", sa.String(100)))
