"""How alembic runs here: on the given database, all or nothing.

The driver commits by itself around each change of a table unless it is told not to,
and a half-changed database could neither be used nor upgraded.
"""

from typing import Any

from alembic import context
from sqlalchemy import create_engine, event

from scheduler.store.tables import metadata

engine = create_engine(context.config.attributes["url"])


@event.listens_for(engine, "connect")
def _leave_transactions_to_us(connection: Any, _: Any) -> None:
    connection.isolation_level = None


@event.listens_for(engine, "begin")
def _begin(connection: Any) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


with engine.connect() as connection:
    context.configure(
        connection=connection,
        target_metadata=metadata,
        render_as_batch=True,
        transactional_ddl=True,
    )
    with context.begin_transaction():
        context.run_migrations()
engine.dispose()
