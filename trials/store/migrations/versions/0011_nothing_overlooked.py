"""Alerts know the submissions behind them, and messages how urgent they are."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

WAITING = sa.text("done_at IS NULL AND failed_at IS NULL")


def upgrade() -> None:
    # A plain column with what older rows mean: nobody knows which form raised them.
    op.execute("ALTER TABLE alert ADD COLUMN submissions VARCHAR DEFAULT '' NOT NULL")
    op.execute("ALTER TABLE message ADD COLUMN priority INTEGER DEFAULT 1 NOT NULL")
    op.execute("UPDATE message SET priority = 0 WHERE occasion LIKE 'alert:%' AND done_at IS NULL")
    _index_waiting("priority", "due_at", "id")


def _index_waiting(*columns: str) -> None:
    op.drop_index("ix_message_waiting", table_name="message")
    op.create_index(
        "ix_message_waiting",
        "message",
        list(columns),
        sqlite_where=WAITING,
        postgresql_where=WAITING,
    )


def downgrade() -> None:
    _index_waiting("due_at", "id")
    op.drop_column("message", "priority")
    op.drop_column("alert", "submissions")
