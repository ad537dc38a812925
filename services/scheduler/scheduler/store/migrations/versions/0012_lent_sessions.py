"""Accounts that work for one client alone, and are gone with its tasks"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    lent = sa.Column("lent", sa.Boolean, nullable=False, server_default="0")
    op.add_column("sessions", lent)
