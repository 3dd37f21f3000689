"""Run migrations on the connection that ``trials.store.schema`` hands over."""

from typing import Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext

from trials.store.base import UtcDateTime
from trials.store.database import metadata


def render_item(kind: str, item: object, autogen_context: AutogenContext) -> str | Literal[False]:
    """Write our column types by their short names; Alembic would name a private path."""
    if kind == "type" and isinstance(item, UtcDateTime):
        autogen_context.imports.add("from trials.store.base import UtcDateTime")
        return "UtcDateTime()"
    return False


connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=metadata,
    render_as_batch=connection.dialect.name == "sqlite",
    render_item=render_item,
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()
