"""Alembic's entry: migrate the connection that `servicetsunami.records.migrate` hands over, in its transaction."""

from alembic import context

from servicetsunami.records.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    # SQLite changes tables inside transactions as PostgreSQL does; the transaction is the caller's.
    transactional_ddl=True,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
