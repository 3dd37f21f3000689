"""Alerts know their submissions, messages their urgency, and what a patient asks is not forgotten."""

import sqlalchemy as sa
from alembic import op

from trials.store.base import UtcDateTime

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

REMINDED = sa.text("reminds_at IS NOT NULL")
WAITING = sa.text("done_at IS NULL AND failed_at IS NULL")


def upgrade() -> None:
    # A plain column with what older rows mean: nobody knows which form raised them.
    op.execute("ALTER TABLE alert ADD COLUMN submissions VARCHAR DEFAULT '' NOT NULL")
    op.execute("ALTER TABLE message ADD COLUMN priority INTEGER DEFAULT 1 NOT NULL")
    op.execute("UPDATE message SET priority = 0 WHERE occasion LIKE 'alert:%' AND done_at IS NULL")
    _index_waiting("priority", "due_at", "id")
    _change_problem("'medicine', 'box', 'diary', 'other', 'call'")
    op.add_column("problem", sa.Column("reminds_at", UtcDateTime(), nullable=True))
    op.create_index(
        "ix_problem_due_to_remind",
        "problem",
        ["reminds_at"],
        sqlite_where=REMINDED,
        postgresql_where=REMINDED,
    )


def _change_problem(kinds: str) -> None:
    # Asked for by what it says: migration 0009 wrote the beginning of its name twice.
    known = sa.inspect(op.get_bind()).get_check_constraints("problem")
    with op.batch_alter_table("problem") as batch:
        for constraint in known:
            if "kind" in constraint["sqltext"]:
                batch.drop_constraint(op.f(constraint["name"] or ""), type_="check")
        batch.create_check_constraint(op.f("ck_problem_known_kind"), sa.text(f"kind IN ({kinds})"))


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
    op.drop_index("ix_problem_due_to_remind", table_name="problem")
    op.drop_column("problem", "reminds_at")
    op.execute("UPDATE problem SET kind = 'other' WHERE kind = 'call'")
    _change_problem("'medicine', 'box', 'diary', 'other'")
    _index_waiting("due_at", "id")
    op.drop_column("message", "priority")
    op.drop_column("alert", "submissions")
