"""What the clock did: its last ticks, when it opened a day, and an index of what it gave up."""

import sqlalchemy as sa
from alembic import op

from trials.store.base import UtcDateTime

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

GIVEN_UP = sa.text("failed_at IS NOT NULL AND done_at IS NULL")
KINDS = ("message", "fit", "look", "calibration")


def upgrade() -> None:
    op.add_column("diary_day", sa.Column("opened_at", UtcDateTime(), nullable=True))
    op.execute(
        "UPDATE diary_day SET opened_at = opens_at WHERE state IN ('open', 'answered', 'missed')"
    )
    op.create_table(
        "tick",
        sa.Column("process", sa.String(), nullable=False),
        sa.Column("work", sa.String(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.Column("error", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["process"], ["process.name"], name="fk_tick_process_process", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("process", "work", name="pk_tick"),
    )
    for kind in KINDS:
        op.create_index(
            f"ix_{kind}_given_up",
            kind,
            ["failed_at"],
            sqlite_where=GIVEN_UP,
            postgresql_where=GIVEN_UP,
        )


def downgrade() -> None:
    for kind in KINDS:
        op.drop_index(f"ix_{kind}_given_up", kind)
    op.drop_table("tick")
    op.drop_column("diary_day", "opened_at")
