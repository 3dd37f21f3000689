"""Reports that waited on a phone say when they were written; a clinic has a telephone."""

import sqlalchemy as sa
from alembic import op

from trials.store.base import UtcDateTime

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Plain columns that may be empty: rows of the diary are never touched, not even here.
    op.add_column("diary_entry", sa.Column("written_at", UtcDateTime(), nullable=True))
    op.add_column("diary_entry", sa.Column("clock_error_seconds", sa.Integer(), nullable=True))
    op.add_column(
        "site", sa.Column("phone", sa.String(), nullable=False, server_default=sa.text("''"))
    )


def downgrade() -> None:
    op.drop_column("site", "phone")
    op.drop_column("diary_entry", "clock_error_seconds")
    op.drop_column("diary_entry", "written_at")
