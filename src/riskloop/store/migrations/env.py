"""Runs the migrations on the connection it is handed."""

from alembic import context

from riskloop.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
)
context.run_migrations()
