"""Run by alembic: applies the steps on the connection, and in the transaction, of the caller."""

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    render_as_batch=True,  # SQLite changes a table by making it anew
    transactional_ddl=True,  # a step that fails leaves no trace
)
with context.begin_transaction():
    context.run_migrations()
