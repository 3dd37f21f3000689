"""Alerts know the submissions behind them."""

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # A plain column with what older rows mean: nobody knows which form raised them.
    op.execute("ALTER TABLE alert ADD COLUMN submissions VARCHAR DEFAULT '' NOT NULL")


def downgrade() -> None:
    op.drop_column("alert", "submissions")
