"""How a patient is reached: wishes, browsers that take push messages, channels of messages."""

import sqlalchemy as sa
from alembic import op

from trials.store.base import UtcDateTime

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "reach",
        sa.Column("patient_id", sa.Integer(), nullable=False),
        sa.Column("remind_at", sa.Time(), nullable=True),
        sa.Column("quiet_from", sa.Time(), nullable=False),
        sa.Column("quiet_to", sa.Time(), nullable=False),
        sa.Column("by_email", sa.Boolean(), nullable=False),
        sa.Column("phone", sa.String(), nullable=False),
        sa.Column("email_failed_at", UtcDateTime(), nullable=True),
        sa.Column("email_failure", sa.String(), nullable=False),
        sa.Column("phone_failed_at", UtcDateTime(), nullable=True),
        sa.Column("calendar_issue", sa.Integer(), nullable=False),
        sa.CheckConstraint("calendar_issue >= 0", name=op.f("ck_reach_calendar_issue_counts_up")),
        sa.ForeignKeyConstraint(
            ["patient_id"], ["patient.id"], name=op.f("fk_reach_patient_id_patient")
        ),
        sa.PrimaryKeyConstraint("patient_id", name=op.f("pk_reach")),
    )
    op.create_table(
        "push_subscription",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public_id", sa.String(), nullable=False),
        sa.Column("patient_id", sa.Integer(), nullable=False),
        sa.Column("endpoint", sa.String(), nullable=False),
        sa.Column("p256dh", sa.String(), nullable=False),
        sa.Column("auth", sa.String(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("gone_at", UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["patient_id"], ["patient.id"], name=op.f("fk_push_subscription_patient_id_patient")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_push_subscription")),
        sa.UniqueConstraint("endpoint", name=op.f("uq_push_subscription_endpoint")),
        sa.UniqueConstraint("public_id", name=op.f("uq_push_subscription_public_id")),
    )
    op.create_index(
        op.f("ix_push_subscription_patient_id"), "push_subscription", ["patient_id"], unique=False
    )
    with op.batch_alter_table("message") as table:
        table.add_column(sa.Column("channel", sa.String(), nullable=False, server_default="email"))
        table.create_check_constraint(
            op.f("ck_message_known_channel"), "channel IN ('email', 'sms', 'push')"
        )


def downgrade() -> None:
    with op.batch_alter_table("message") as table:
        table.drop_constraint(op.f("ck_message_known_channel"), type_="check")
        table.drop_column("channel")
    op.drop_table("push_subscription")
    op.drop_table("reach")
