"""What designs can tell, and planned looks."""

import sqlalchemy as sa
from alembic import op

from trials.store.base import UtcDateTime

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

WAITING = sa.text("done_at IS NULL AND failed_at IS NULL")


def _due_work() -> list[sa.Column[object]]:
    return [
        sa.Column("due_at", UtcDateTime(), nullable=False),
        sa.Column("claimed_by", sa.String(), nullable=True),
        sa.Column("leased_until", UtcDateTime(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("done_at", UtcDateTime(), nullable=True),
        sa.Column("failed_at", UtcDateTime(), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=False),
    ]


def _index_due_work(table: str) -> None:
    for column in ("due_at", "done_at"):
        op.create_index(f"ix_{table}_{column}", table, [column])
    op.create_index(
        f"ix_{table}_waiting",
        table,
        ["due_at", "id"],
        sqlite_where=WAITING,
        postgresql_where=WAITING,
    )


def upgrade() -> None:
    op.create_table(
        "calibration",
        sa.Column("id", sa.Integer(), nullable=False),
        *_due_work(),
        sa.Column("design_hash", sa.String(), nullable=False),
        sa.Column("specification", sa.JSON(), nullable=False),
        sa.Column("design", sa.JSON(), nullable=False),
        sa.Column("sd", sa.Double(), nullable=True),
        sa.Column("autocorrelation", sa.Double(), nullable=True),
        sa.Column("asked_at", UtcDateTime(), nullable=False),
        sa.Column("threshold", sa.Double(), nullable=True),
        sa.Column("threshold_low", sa.Double(), nullable=True),
        sa.Column("threshold_high", sa.Double(), nullable=True),
        sa.Column("trials", sa.Integer(), nullable=True),
        sa.Column("characteristics", sa.JSON(), nullable=True),
        sa.Column("seconds", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_calibration"),
        sa.UniqueConstraint("design_hash", name="uq_calibration_design_hash"),
        sa.CheckConstraint(
            "done_at IS NULL OR threshold IS NOT NULL", name="ck_calibration_done_has_threshold"
        ),
    )
    _index_due_work("calibration")
    op.create_table(
        "look",
        sa.Column("id", sa.Integer(), nullable=False),
        *_due_work(),
        sa.Column("public_id", sa.String(), nullable=False),
        sa.Column("trial_id", sa.Integer(), nullable=False),
        sa.Column("block", sa.Integer(), nullable=False),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.Column("harm", sa.Boolean(), nullable=False),
        sa.Column("data_hash", sa.String(), nullable=False),
        sa.Column("summary", sa.JSON(), nullable=True),
        sa.Column("sealed_summary", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_look"),
        sa.ForeignKeyConstraint(["trial_id"], ["trial.id"], name="fk_look_trial_id_trial"),
        sa.UniqueConstraint("public_id", name="uq_look_public_id"),
        sa.UniqueConstraint("trial_id", "block", name="uq_look_trial_id_block"),
        sa.CheckConstraint(
            "outcome IN ('', 'clear', 'not_clear', 'not_needed')", name="ck_look_known_outcome"
        ),
    )
    _index_due_work("look")


def downgrade() -> None:
    op.drop_table("look")
    op.drop_table("calibration")
