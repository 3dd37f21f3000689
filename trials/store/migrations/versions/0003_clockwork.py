"""What the clock needs: when to look next, and what became of a message."""

import sqlalchemy as sa
from alembic import op

from trials.store.base import UtcDateTime

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

WAITING = sa.text("done_at IS NULL AND failed_at IS NULL")
TO_REMIND = sa.text("remind_at IS NOT NULL")
LOOKS = {"move": "moves_at", "complete": "completes_at", "fit": "fits_at"}


def upgrade() -> None:
    op.add_column("diary_day", sa.Column("remind_at", UtcDateTime(), nullable=True))
    op.create_index(
        "ix_diary_day_due_to_remind",
        "diary_day",
        ["remind_at"],
        sqlite_where=TO_REMIND,
        postgresql_where=TO_REMIND,
    )
    for verb, column in LOOKS.items():
        op.add_column("trial", sa.Column(column, UtcDateTime(), nullable=True))
        op.create_index(f"ix_trial_due_to_{verb}", "trial", ["state", column])
    with op.batch_alter_table("message") as table:
        table.add_column(sa.Column("diary_day_id", sa.Integer(), nullable=True))
        table.add_column(
            sa.Column("repeatable", sa.Boolean(), nullable=False, server_default=sa.true())
        )
        table.add_column(sa.Column("sending_at", UtcDateTime(), nullable=True))
        table.add_column(sa.Column("dropped", sa.String(), nullable=False, server_default=""))
        table.create_foreign_key(
            "fk_message_diary_day_id_diary_day", "diary_day", ["diary_day_id"], ["id"]
        )
    for table_name in ("message", "fit"):
        op.create_index(
            f"ix_{table_name}_waiting",
            table_name,
            ["due_at", "id"],
            sqlite_where=WAITING,
            postgresql_where=WAITING,
        )


def downgrade() -> None:
    for table_name in ("fit", "message"):
        op.drop_index(f"ix_{table_name}_waiting", table_name)
    with op.batch_alter_table("message") as table:
        table.drop_constraint("fk_message_diary_day_id_diary_day", type_="foreignkey")
        for column in ("dropped", "sending_at", "repeatable", "diary_day_id"):
            table.drop_column(column)
    for verb, column in LOOKS.items():
        op.drop_index(f"ix_trial_due_to_{verb}", "trial")
        op.drop_column("trial", column)
    op.drop_index("ix_diary_day_due_to_remind", "diary_day")
    op.drop_column("diary_day", "remind_at")
