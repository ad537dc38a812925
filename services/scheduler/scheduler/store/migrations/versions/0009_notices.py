"""What operators were told"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.create_table(
        "notices",
        sa.Column("key", sa.String(200), primary_key=True),
        sa.Column("occasion", sa.String(40), nullable=False),
        sa.Column("since", sa.String(27), nullable=False),
        sa.Column("mark", sa.String(64), nullable=False),
        sa.Column("told_at", sa.String(27), nullable=True),
        sa.Column("over_at", sa.String(27), nullable=True),
    )
