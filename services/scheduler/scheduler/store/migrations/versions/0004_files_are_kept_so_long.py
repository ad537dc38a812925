"""Which ended tasks still have their files, the oldest first"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_index(
        "ix_tasks_kept",
        "tasks",
        ["finished_at"],
        sqlite_where=sa.text("files_deleted_at IS NULL"),
        postgresql_where=sa.text("files_deleted_at IS NULL"),
    )
