"""Alembic's entry: run the migrations in the transaction of the connection that was handed over."""

from __future__ import annotations

from alembic import context

from unichunk.server.evaluation.store.tables import METADATA

context.configure(connection=context.config.attributes["connection"], target_metadata=METADATA)
with context.begin_transaction():
    context.run_migrations()
