"""How alembic runs here: on the given database, all or nothing.

The driver commits by itself around each change of a table unless it is told not to,
and a half-changed database could neither be used nor upgraded.
"""

from typing import Any

from alembic import context
from sqlalchemy import Connection, create_engine, event, update

from scheduler.store import hook_tables  # noqa: F401 - its tables are metadata's too
from scheduler.store.tables import lease, metadata

engine = create_engine(context.config.attributes["url"])


@event.listens_for(engine, "connect")
def _leave_transactions_to_us(connection: Any, _: Any) -> None:
    connection.isolation_level = None


@event.listens_for(engine, "begin")
def _begin(connection: Any) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _check_lease(connection: Connection) -> None:
    """Let only its holder go on; a standby sees a beat when it is done."""
    if (epoch := context.config.attributes.get("epoch")) is None:
        return
    mine = lease.c.epoch == epoch, lease.c.owner.is_not(None)
    beaten = connection.execute(
        update(lease).where(*mine).values(beat=lease.c.beat + 1)
    )
    if beaten.rowcount != 1:
        raise RuntimeError("another scheduler took over; nothing was upgraded")


with engine.connect() as connection:
    context.configure(
        connection=connection,
        target_metadata=metadata,
        render_as_batch=True,
        transactional_ddl=True,
    )
    with context.begin_transaction():
        _check_lease(connection)
        context.run_migrations()
engine.dispose()
