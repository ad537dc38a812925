"""How alembic runs here: on the given database, in one transaction."""

from alembic import context
from sqlalchemy import create_engine

from scheduler.store.tables import metadata

engine = create_engine(context.config.attributes["url"])
with engine.connect() as connection:
    context.configure(
        connection=connection, target_metadata=metadata, render_as_batch=True
    )
    with context.begin_transaction():
        context.run_migrations()
engine.dispose()
